"""What every human-readable report says of a run: matrices, groups of failures, run facts.

`text` and `markdown` differ in how they draw these, not in what they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.causes import Diagnosis
from harness.flow import Cell, Hop, Outcome, Ruling, Verdict
from harness.report.model import RunReport

MAX_NODES = 12
"""Up to so many nodes a matrix of source and destination is read at a glance."""
MAX_PAIRS = 24
"""Pairs that a group of failures lists for one set of probes; the rest is counted."""
MAX_FACTS = 3
"""Different observations that a group of failures lists; the rest is counted."""
MAX_TEXT = 300
"""Characters of one outside string; report.json has it whole."""
NOTHING = "."
"""A pair that no cell asks about."""
ARRIVED = (Outcome.REACHED, Outcome.REFUSED)
"""Who refuses, was reached: the destination itself answered."""
LEGEND = (
    ("reach", "arrives on its own VLAN"),
    ("routed", "arrives through a router"),
    ("block", "does not arrive, and must not"),
    ("1-way", "arrives; its reply does not come back, and must not"),
    ("reach 2/3", "as expected, which is: 2 of 3 probes arrive"),
    ("*", "as expected; probes of another size or with a tag of their own fare otherwise"),
    ("FAIL 1/3", "1 of 3 probes is not as expected"),
    ("?? 2", "2 probes could not be told"),
    (NOTHING, "not asked"),
)
FAMILY_HEADER = ("stage", "family", "cells", "arrive", "blocked", "FAIL", "??")


@dataclass(frozen=True)
class Entry:
    """What matrices say of a cell: observed and judged, or expected and not yet asked."""

    cell: Cell
    arrived: bool
    ruling: Ruling = Ruling.PASS


@dataclass(frozen=True)
class Matrix:
    """One layer of one or more stages: a row for each source, below one of the destinations."""

    stages: tuple[str, ...]
    """Stages whose cells all read the same, in the order of the run."""
    layer: int
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Group:
    """Verdicts of one stage that are not passes and have one reason."""

    ruling: Ruling
    stage: str
    why: str
    verdicts: tuple[Verdict, ...]

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """The cells as `icmp, tcp: bbox1 to bbox2, bbox1 to bbox4`, a line a set of probes."""
        pairs: dict[str, list[str]] = {}
        for verdict in self.verdicts:
            pair = f"{verdict.cell.src} to {verdict.cell.dst}"
            pairs.setdefault(pair, []).append(str(verdict.cell.probe))
        sets: dict[str, list[str]] = {}
        for pair, probes in pairs.items():
            sets.setdefault(", ".join(probes), []).append(pair)
        return tuple(
            f"{probes}: {', '.join(_most(names, MAX_PAIRS))}" for probes, names in sets.items()
        )

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """What was expected and seen, and where the tokens were last seen, commonest first."""
        found: list[str] = []
        for counted in (Counter(map(_compared, self.verdicts)), Counter(self._places())):
            lines = [
                text if count == len(self.verdicts) else f"{text} ({many(count, 'cell')})"
                for text, count in counted.most_common()
            ]
            found += _most(lines, MAX_FACTS)
        return tuple(found)

    @cached_property
    def evidence(self) -> tuple[str, ...]:
        """Names of the readings that any of the verdicts cites."""
        return tuple(dict.fromkeys(name for verdict in self.verdicts for name in verdict.evidence))

    def _places(self) -> Iterable[str]:
        for verdict in self.verdicts:
            seen = verdict.observation
            if seen.path:
                yield f"last seen at {seen.path[-1].point}"
            if seen.lost_at:
                yield f"lost before {seen.lost_at}"
            yield from dict.fromkeys(map(_stray, seen.strays))


def _stray(hop: Hop) -> str:
    tag = "untagged" if hop.vlan is None else f"VLAN {hop.vlan}"
    return f"also seen at {hop.point}, {tag}"


def _compared(verdict: Verdict) -> str:
    expectation, seen = verdict.cell.expectation, verdict.observation
    expected = f"expected {expectation.outcome} ({expectation.why})"
    return f"{expected}, observed {seen.outcome} ({seen.detail})"


def _most(texts: list[str], limit: int) -> list[str]:
    """The first so many, and a word on the rest."""
    rest = len(texts) - limit
    return texts if rest <= 0 else [*texts[:limit], f"and {rest} more"]


def headline(one: Diagnosis) -> str:
    """A fault and how much it explains, in a line."""
    return f"{one.code}: {one.message} ({many(len(one.cells), 'cell')})"


def remedy(one: Diagnosis) -> str:
    """The command that mends it, and where it is to be given; empty if there is none."""
    where = f"on {one.node}" if one.node else "mend it"
    return f"{where}: {one.fix}" if one.fix else ""


def groups(report: RunReport) -> tuple[Group, ...]:
    """Everything that did not pass: failures first, then what could not be told, largest first."""
    found: dict[tuple[Ruling, str, str], list[Verdict]] = {}
    for verdict in report.verdicts:
        if not verdict.ok:
            key = (verdict.ruling, str(verdict.cell.stage), verdict.why)
            found.setdefault(key, []).append(verdict)
    made = [Group(*key, tuple(verdicts)) for key, verdicts in found.items()]
    return tuple(
        sorted(made, key=lambda group: (group.ruling is not Ruling.FAIL, -len(group.verdicts)))
    )


def observed(verdicts: Iterable[Verdict]) -> tuple[Entry, ...]:
    """What a run found of its cells."""
    return tuple(
        Entry(verdict.cell, verdict.observation.outcome in ARRIVED, verdict.ruling)
        for verdict in verdicts
    )


def expected(cells: Iterable[Cell]) -> tuple[Entry, ...]:
    """What the model says of cells, in the words of a run in which all is well."""
    return tuple(Entry(cell, cell.expectation.outcome in ARRIVED) for cell in cells)


def nodes(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Every source, then every node that is a destination only, in the order of the cells."""
    cells = [entry.cell for entry in entries]
    return tuple(dict.fromkeys([cell.src for cell in cells] + [cell.dst for cell in cells]))


def matrices(entries: tuple[Entry, ...]) -> tuple[Matrix, ...]:
    """Layer 2 and layer 3 of every stage; stages that read the same in a layer share a matrix."""
    found: dict[tuple[int, tuple[tuple[str, ...], ...]], list[str]] = {}
    order = nodes(entries)
    for stage in dict.fromkeys(entry.cell.stage for entry in entries):
        for layer in (2, 3):
            chosen = [
                entry
                for entry in entries
                if entry.cell.stage is stage and entry.cell.probe.is_layer2 is (layer == 2)  # noqa: PLR2004
            ]
            if chosen:
                found.setdefault((layer, _rows(chosen, order)), []).append(str(stage))
    return tuple(Matrix(tuple(stages), layer, rows) for (layer, rows), stages in found.items())


def _rows(entries: list[Entry], order: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    pairs: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        pairs.setdefault((entry.cell.src, entry.cell.dst), []).append(entry)
    sources = [name for name in order if any(name == src for src, _ in pairs)]
    destinations = [name for name in order if any(name == dst for _, dst in pairs)]
    header = ("from", *destinations)
    return (
        header,
        *((src, *(word(pairs.get((src, dst), [])) for dst in destinations)) for src in sources),
    )


def word(entries: Sequence[Entry]) -> str:
    """One pair's cells of one layer in a word of `LEGEND`; a failure outweighs all else."""
    if not entries:
        return NOTHING
    rulings = Counter(entry.ruling for entry in entries)
    if rulings[Ruling.FAIL]:
        return f"FAIL {rulings[Ruling.FAIL]}/{len(entries)}"
    if rulings[Ruling.UNPROVED]:
        return f"?? {rulings[Ruling.UNPROVED]}"
    plain = [entry for entry in entries if entry.cell.probe.argument is None] or entries
    arrived = sum(entry.arrived for entry in plain)
    star = "*" if sum(entry.arrived for entry in entries) not in (0, len(entries)) else ""
    if arrived == 0:
        one_way = any(entry.cell.expectation.arrives for entry in plain)
        return f"{'1-way' if one_way else 'block'}{star}"
    reach = "routed" if any(entry.cell.expectation.via for entry in plain) else "reach"
    return f"{reach}{star}" if arrived == len(plain) else f"{reach} {arrived}/{len(plain)}"


def families(entries: Iterable[Entry]) -> tuple[tuple[str, ...], ...]:
    """What stands in place of matrices that nobody could read: a row a stage and family."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        key = (str(entry.cell.stage), str(entry.cell.family))
        found.setdefault(key, []).append(entry)
    return (FAMILY_HEADER, *((*key, *_counts(of_key)) for key, of_key in found.items()))


def _counts(entries: list[Entry]) -> tuple[str, ...]:
    passed = [entry for entry in entries if entry.ruling is Ruling.PASS]
    arrived = sum(entry.arrived for entry in passed)
    rulings = Counter(entry.ruling for entry in entries)
    wrong, untold = rulings[Ruling.FAIL], rulings[Ruling.UNPROVED]
    counted = (len(entries), arrived, len(passed) - arrived, wrong, untold)
    return tuple(str(count or NOTHING) for count in counted)


def legend(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The lines of `LEGEND` that a reader of these words needs."""
    used: set[str] = set()
    for text in words:
        head, space, _ = text.rstrip("*").partition(" ")
        example = {"FAIL": "FAIL 1/3", "??": "?? 2"}.get(head, "reach 2/3" if space else head)
        used |= {head, example, text[-1]}
    return tuple((key, meaning) for key, meaning in LEGEND if key in used)


def many(count: int, noun: str) -> str:
    """`1 cell`, `3 cells`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def tally(report: RunReport) -> str:
    """`424 cells: 424 proved, 0 failed, 0 unproved`, and what failed beside the cells."""
    rulings = Counter(verdict.ruling for verdict in report.verdicts)
    proved, failed, unproved = (rulings[ruling] for ruling in Ruling)
    counted = f"{proved} proved, {failed} failed, {unproved} unproved"
    more = f"; {many(report.other_failures, 'other test')} failed" if report.other_failures else ""
    return f"{many(len(report.verdicts), 'cell')}: {counted}{more}"


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """An outside string in one line, without what a terminal or a browser would act on."""
    text = text if len(text) <= limit else f"{text[: limit - 3]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
