"""The top of the page: what a run found in a sentence, its faults, its matrices, its facts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from harness.flow import Family, Outcome, Ruling, Verdict
from harness.kernel_log import NO_BOOT
from harness.report.model import RunReport
from harness.report.summary import NOTHING, families, many, matrices, observed, tally
from harness.topology import Topology

MAX_NODES = 40
"""Up to so many nodes a matrix can be read on a screen, or scrolled."""
MAX_NAMES = 4
"""Names that a sentence has room for; more are counted."""

PairKey = tuple[str, str, str, int]
"""(stage, source, destination, layer): the cells of one field of a matrix."""


@dataclass(frozen=True)
class Field:
    """One field of a matrix: a word, how it is drawn, and which cells it stands for."""

    word: str
    kind: str
    """`pass`, `block`, `fail`, `unproved`, or `none` where nothing was asked."""
    key: PairKey


@dataclass(frozen=True)
class Grid:
    """One layer of one stage."""

    stage: str
    layer: int
    destinations: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Field, ...]], ...]
    """Each source with a field for each destination."""


def sentence(report: RunReport, topology: Topology) -> str:
    """How a run ended, for somebody who knows nothing of cells."""
    cells = len(report.verdicts)
    if report.exit == "pass":
        return " ".join([f"All {many(cells, 'cell')} proved.", *_shown(report.verdicts, topology)])
    wrong = any(one.ruling is Ruling.FAIL for one in report.verdicts)
    if report.run.kernel_events and not wrong:
        booted = any(one.kind != NO_BOOT for one in report.run.kernel_events)
        said = "The kernel is at fault." if booted else "The kernel did not boot."
        return f"{said} {_counted(report)}"
    if report.exit == "fail":
        return f"The network does not do what the topology says. {_counted(report)}"
    return f"It could not be told whether the network is right. {_counted(report)}"


def _counted(report: RunReport) -> str:
    broken = f"; {many(report.errors, 'test')} could not be carried out" if report.errors else ""
    return f"{tally(report)}{broken}."


def _shown(verdicts: tuple[Verdict, ...], topology: Topology) -> Iterator[str]:
    """What proved cells show, said of all cells of a kind or not at all."""
    named = vlans(topology)
    crossing = [one for one in verdicts if one.cell.family is Family.CROSS_VLAN_L2]
    if crossing and not any(map(_arrives, crossing)):
        yield f"{named} are separate at layer 2."
    routed = [one for one in verdicts if one.cell.expectation.via and _arrives(one)]
    if routed:
        routers = dict.fromkeys(name for one in routed for name in one.cell.expectation.via)
        own = {end.name: {str(end.address), str(end.address6)} for end in topology.endpoints}
        translated = any(_translated(one, own) for one in routed)
        nat = ", which puts its own address in the place of the source's" if translated else ""
        yield f"Routed traffic goes through {several(list(routers))}{nat}."
    blocked = [one for one in verdicts if one.cell.family is Family.CROSS_VLAN_L3]
    stages = dict.fromkeys(str(one.cell.stage) for one in blocked)
    shut = [s for s in stages if not any(_arrives(v) for v in blocked if v.cell.stage == s)]
    if shut:
        where = "stage" if len(shut) == 1 else "stages"
        yield f"In the {where} {several(shut)} nothing gets from one VLAN into another."


def _arrives(one: Verdict) -> bool:
    return one.cell.expectation.outcome is Outcome.REACHED or one.cell.expectation.arrives


def _translated(one: Verdict, own: dict[str, set[str]]) -> bool:
    seen, name = one.cell.expectation.seen_source, one.cell.src
    return seen is not None and name in own and seen not in own[name]


def vlans(topology: Topology) -> str:
    """All VLANs of a lab, in words."""
    names = [f"VLAN {vlan.id}" for vlan in topology.vlans]
    return several(names) if len(names) <= MAX_NAMES else f"The {len(names)} VLANs"


def several(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def names(report: RunReport) -> tuple[str, ...]:
    """Every source, then every node that is a destination only."""
    cells = [one.cell for one in report.verdicts]
    return tuple(dict.fromkeys([*(one.src for one in cells), *(one.dst for one in cells)]))


def grids(report: RunReport) -> tuple[Grid, ...]:
    """A matrix for each stage and layer."""
    entries = observed(report.verdicts)
    found = []
    for stage in dict.fromkeys(entry.cell.stage for entry in entries):
        for matrix in matrices(tuple(entry for entry in entries if entry.cell.stage is stage)):
            destinations, rows = matrix.rows[0][1:], []
            for src, *words in matrix.rows[1:]:
                fields = (
                    Field(word, kind(word), (str(stage), src, dst, matrix.layer))
                    for dst, word in zip(destinations, words, strict=True)
                )
                rows.append((src, tuple(fields)))
            found.append(Grid(str(stage), matrix.layer, destinations, tuple(rows)))
    return tuple(found)


def counts(report: RunReport) -> tuple[tuple[str, ...], ...]:
    """What stands in the place of matrices that nobody could read."""
    return families(observed(report.verdicts))


def kind(word: str) -> str:
    """How a word of a matrix is drawn: one of `Field.kind`."""
    if word == NOTHING:
        return "none"
    head = word.rstrip("*").partition(" ")[0]
    return {"FAIL": "fail", "??": "unproved", "block": "block", "1-way": "block"}.get(head, "pass")


def facts(report: RunReport) -> tuple[tuple[str, str], ...]:
    """What was run, where, and on what."""
    run = report.run
    return (
        ("run", run.id),
        ("started", run.started),
        ("took", f"{run.duration_s:.1f} s"),
        ("topology", run.topology),
        ("backend", run.backend),
        ("stages", ", ".join(run.stages) or "none"),
        ("VLAN datapath", run.vlan_datapath),
        ("firewall", run.firewall_backend),
        ("kernel", run.kernel),
        ("engines", ", ".join(run.engines) or "none"),
        ("versions", ", ".join(f"{name} {text}" for name, text in run.versions.items())),
        ("command", shlex.join(run.argv)),
    )


def wrong(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """What did not pass: failures, then what could not be told."""
    ordered = {Ruling.FAIL: 0, Ruling.UNPROVED: 1}
    found = [one for one in verdicts if not one.ok]
    return tuple(sorted(found, key=lambda one: ordered[one.ruling]))
