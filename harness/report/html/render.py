"""The page of a run: its template, filled."""

from __future__ import annotations

import functools

from harness.report.html import cells, drawing, overview, readings, states
from harness.report.html.skeleton import fill
from harness.report.model import RunReport
from harness.report.summary import legend, remedy
from harness.topology import Topology

STYLES = ("base.css", "page.css")
TITLES = {"pass": "PASS", "fail": "FAIL", "error": "UNPROVED"}


def html(report: RunReport, topology: Topology) -> str:
    """A run as one page of HTML that needs no other file and no network."""
    told = cells.told(report.verdicts)
    pairs = cells.by_pair(told)
    shown = readings.listed(report.evidence, (name for one in told for name in one.evidence))
    grids = overview.grids(report)
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
        drawing=drawing.draw(topology, states.states(report), states.notes(report)),
        grids=grids,
        counts=() if grids or not report.verdicts else overview.counts(report),
        legend=legend(one.word for grid in grids for _, row in grid.rows for one in row),
        pairs=cells.pairs(pairs, topology, report.evidence),
        pair_ids=cells.ids(pairs),
        left_out=len(report.verdicts) - len(told),
        hop_header=cells.HOP_HEADER,
        reading_ids=readings.ids(shown),
        unlisted=len(report.evidence) - len(shown),
        nodes=readings.by_node(report.evidence, shown),
        facts=overview.facts(report),
    )
