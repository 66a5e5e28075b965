"""The page of a run: its template, filled."""

from __future__ import annotations

import functools

from harness.flow import Ruling
from harness.kernel_log import CONSOLE
from harness.report.html import cells, drawing, groups, hops, overview, readings, states
from harness.report.html.changes import MAX_ROWS, MAX_WHERE, Changes
from harness.report.html.cited import Citations
from harness.report.html.skeleton import fill
from harness.report.html.way import Ways
from harness.report.model import RunReport
from harness.report.summary import legend, remedy
from harness.topology import Topology

TEMPLATES = (
    "base.html.jinja", "parts.html.jinja", "cell.html.jinja", "drawing.html.jinja",
    "page.html.jinja",
)  # fmt: skip
"""What every page is made of; the last is filled."""
STYLES = ("base.css", "page.css")
MAX_UNFOLDED = 100
"""Cells that did not pass: up to so many are open when the page is."""
TITLES = {"pass": "PASS", "fail": "FAIL", "error": "UNPROVED"}


def html(report: RunReport, topology: Topology, since: Changes | None = None) -> str:
    """A run as one page of HTML that needs no other file and no network.

    `since` is what changed since a baseline, if there is one.
    """
    told = cells.told(report.verdicts)
    pairs = cells.by_pair(told)
    shown = readings.listed(report.evidence, (name for one in told for name in one.evidence))
    names = overview.names(report)
    large = len(names) > overview.MAX_NODES
    named = groups.groups(topology, names) if large else ()
    sent = tuple(groups.senders(report.verdicts, named))
    grids = groups.grids(sent, named) if large else overview.grids(report)
    fared = states.states(report)
    drawn = drawing.draw(topology, fared, states.notes(report))
    citations = Citations(report.evidence)
    for one in told:
        citations.of(one)
    opening = cells.Opening(
        topology, Ways(topology, drawn), citations, report.diagnoses, report.evidence
    )
    return fill(
        TEMPLATES[-1],
        STYLES,
        ("page.js",),
        once=functools.cache(lambda macro, values: macro(values)),
        title=TITLES[report.exit],
        report=report,
        since=since,
        max_changes=MAX_ROWS,
        max_where=MAX_WHERE,
        run=report.run,
        console=CONSOLE,
        topology=topology,
        sentence=overview.sentence(report, topology),
        faults=[(one, remedy(one)) for one in report.diagnoses],
        drawing=drawn,
        grids=grids,
        groups=named,
        sent=sent,
        group_ids={(row.stage, row.src, to.dst, row.layer): to.id for row in sent for to in row.to},
        choices=_choices(report, topology),
        places=states.places(topology, fared),
        counts=overview.counts(report) if large else (),
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


def _choices(report: RunReport, topology: Topology) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the page can be narrowed down to; the names of nodes are on it already."""
    return (
        ("state", tuple(map(str, Ruling))),
        ("stage", report.run.stages),
        ("probe", tuple(dict.fromkeys(str(one.cell.probe) for one in report.verdicts))),
        ("vlan", tuple(str(vlan.id) for vlan in topology.vlans)),
        ("host", tuple(host.name for host in topology.hosts)),
        ("node", ()),
    )
