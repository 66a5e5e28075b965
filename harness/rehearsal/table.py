"""Runs -> one table: a row for each class of cells, a column for each kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from harness.flow import Family, Stage
from harness.rehearsal.judgement import Rehearsed, cause_of
from harness.report.summary import NOTHING

WORSE, BETTER, OTHER = "!", "+", "~"
MAX_CAUSES = 2
"""Causes that an entry names; the report has all."""
STAGES = tuple(map(str, Stage))
FAMILIES = (*map(str, Family), NOTHING)
Families = Mapping[str, str]
"""The family of each cell of a lab, by the cell's id."""


@dataclass(frozen=True)
class Entry:
    """What one kernel made of a class of cells."""

    proved: int = 0
    failed: int = 0
    unproved: int = 0
    causes: tuple[str, ...] = ()
    """Of the failed cells, commonest first."""
    others: tuple[str, ...] = ()
    """`fail CELL` or `unproved CELL` for each that was not proved; two with the same are alike."""

    @property
    def total(self) -> int:
        """How many cells were judged."""
        return self.proved + self.failed + self.unproved

    @property
    def all_proved(self) -> bool:
        """Nothing failed, and nothing was left open."""
        return self.proved == self.total

    def __str__(self) -> str:
        if not self.total:
            return NOTHING
        if self.all_proved:
            return f"{self.proved}/{self.total}"
        said = [f"FAIL {self.failed}/{self.total} {', '.join(self.causes[:MAX_CAUSES])}"]
        untold = f"?? {self.unproved}/{self.total}"
        return ", ".join([*said * bool(self.failed), *[untold] * bool(self.unproved)])

    def __add__(self, other: Entry) -> Entry:
        return Entry(
            self.proved + other.proved, self.failed + other.failed, self.unproved + other.unproved,
            tuple(dict.fromkeys((*self.causes, *other.causes))),
            tuple(sorted((*self.others, *other.others))),
        )  # fmt: skip

    @property
    def state(self) -> str:
        """In a word how they fared; the same counts where they did not fare alike."""
        if not self.total or self.all_proved:
            return str(bool(self.total))
        if self.failed == self.total:
            return f"FAIL {self.causes}"
        return "??" if self.unproved == self.total else str(self)

    def sign(self, first: Entry) -> str:
        """How it differs from the first kernel's: worse, better or otherwise; else empty."""
        if self == first or not self.total or not first.total:
            return ""
        mine, its = ((one.failed, one.unproved) for one in (self, first))
        if mine == its:
            return OTHER
        return WORSE if mine > its else BETTER


@dataclass(frozen=True)
class Row:
    """A class of cells: those of some kinds of probe in one family, stage and lab."""

    lab: str
    stage: str
    family: str
    probes: tuple[str, ...]
    entries: tuple[Entry, ...]
    """One for each column."""

    @property
    def signs(self) -> tuple[str, ...]:
        """How each column differs from the first."""
        return tuple(entry.sign(self.entries[0]) for entry in self.entries)


def columns(done: Iterable[Rehearsed]) -> tuple[str, ...]:
    """What was rehearsed, in the order in which it was named."""
    return tuple(dict.fromkeys(one.run.column for one in done))


def rows(done: Sequence[Rehearsed], families: Mapping[str, Families]) -> tuple[Row, ...]:
    """The classes of cells, lab by lab; `families` are those of each topology, by its name.

    Kinds of probe share a row of their family where they fared alike on every kernel.
    """
    heads = columns(done)
    found: dict[tuple[str, str, str], dict[str, dict[str, Entry]]] = {}
    for one in done:
        for (stage, family, kind), entry in _classes(one, families[one.run.topology]):
            kinds = found.setdefault((one.run.lab, stage, family), {})
            kinds.setdefault(kind, {})[one.run.column] = entry
    return tuple(
        Row(*key, probes, entries)
        for key, kinds in sorted(found.items(), key=_place)
        for probes, entries in _merged(
            {
                kind: tuple(by_column.get(head, Entry()) for head in heads)
                for kind, by_column in kinds.items()
            }
        )
    )


def _place(item: tuple[tuple[str, str, str], object]) -> tuple[int, int]:
    """Stages and families in their order, whichever kernel had a cell of them first."""
    (_, stage, family), _ = item
    return STAGES.index(stage), FAMILIES.index(family)


def _classes(done: Rehearsed, families: Families) -> Iterator[tuple[tuple[str, str, str], Entry]]:
    """The cells of a run, counted by stage, family and kind of probe."""
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for cell in done.document["cells"] if done.document else ():
        kind = cell["probe"].partition(":")[0]
        cells.setdefault((cell["stage"], families.get(cell["id"], NOTHING), kind), []).append(cell)
    yield from ((key, _counted(of_key)) for key, of_key in cells.items())


def _counted(cells: list[dict[str, Any]]) -> Entry:
    verdicts = Counter(cell["verdict"] for cell in cells)
    causes = Counter(cause_of(cell) for cell in cells if cell["verdict"] == "fail")
    told = tuple(cause for cause, _ in causes.most_common())
    others = [f"{cell['verdict']} {cell['id']}" for cell in cells if cell["verdict"] != "pass"]
    return Entry(
        verdicts["pass"], verdicts["fail"], verdicts["unproved"], told, tuple(sorted(others))
    )


def _merged(
    kinds: dict[str, tuple[Entry, ...]],
) -> Iterator[tuple[tuple[str, ...], tuple[Entry, ...]]]:
    """Kinds that fared alike in every column as one."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for kind, entries in kinds.items():
        alike.setdefault(tuple(entry.state for entry in entries), []).append(kind)
    for names in alike.values():
        by_column = zip(*(kinds[name] for name in names), strict=True)
        yield tuple(names), tuple(reduce(Entry.__add__, entries) for entries in by_column)
