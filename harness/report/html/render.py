"""The page of a run: its template, filled."""

from __future__ import annotations

import functools

from harness.report.html import cells, drawing, hops, overview, readings, states
from harness.report.html.cited import Citations
from harness.report.html.skeleton import fill
from harness.report.html.way import Ways
from harness.report.model import RunReport
from harness.report.summary import legend, remedy
from harness.topology import Topology

STYLES = ("base.css", "page.css")
MAX_UNFOLDED = 100
"""Cells that did not pass: up to so many are open when the page is."""
TITLES = {"pass": "PASS", "fail": "FAIL", "error": "UNPROVED"}


def html(report: RunReport, topology: Topology) -> str:
    """A run as one page of HTML that needs no other file and no network."""
    told = cells.told(report.verdicts)
    pairs = cells.by_pair(told)
    shown = readings.listed(report.evidence, (name for one in told for name in one.evidence))
    grids = overview.grids(report)
    drawn = drawing.draw(topology, states.states(report), states.notes(report))
    citations = Citations(report.evidence)
    for one in told:
        citations.of(one)
    opening = cells.Opening(
        topology, Ways(topology, drawn), citations, report.diagnoses, report.evidence
    )
    return fill(
        "page.html.jinja",
        STYLES,
        once=functools.cache(lambda macro, values: macro(values)),
        title=TITLES[report.exit],
        report=report,
        run=report.run,
        topology=topology,
        sentence=overview.sentence(report, topology),
        faults=[(one, remedy(one)) for one in report.diagnoses],
        drawing=drawn,
        grids=grids,
        counts=() if grids or not report.verdicts else overview.counts(report),
        legend=legend(one.word for grid in grids for _, row in grid.rows for one in row),
        pairs=cells.pairs(pairs, opening),
        unfolded=sum(not one.ok for one in told) <= MAX_UNFOLDED,
        pair_ids=cells.ids(pairs),
        left_out=len(report.verdicts) - len(told),
        hop_header=hops.HEADER,
        reading_ids=readings.ids(shown),
        unlisted=len(report.evidence) - len(shown),
        nodes=readings.by_node(report.evidence, shown, citations.marked),
        facts=overview.facts(report),
    )
