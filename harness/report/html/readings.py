"""Evidence on the page: by node and kind, what differs before and after, and the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import quote

from harness.report.document import raw_files
from harness.report.model import Evidence
from harness.report.summary import clean, many

MAX_READINGS = 2000
"""Readings that a page lists: first those that its cells cite."""
PAIRWISE = "route-get"
"""The kind of which there is one for each pair: what a page has no room for is most of these."""
MAX_FOLDED = 6_000
"""Characters of one text that are folded in; a longer one is in its file."""
MAX_ALL_FOLDED = 500_000
MAX_LINE = 300
"""A raw line that is longer is the kernel's message, which nobody reads: its meaning is shown."""
MAX_DIFFERENCES = 20


@dataclass(frozen=True)
class Reading:
    """One reading, its place on the page and its file."""

    name: str
    id: str
    href: str
    command: str


@dataclass(frozen=True)
class Difference:
    """What a stage changed: lines that only the reading before it has, or the one after."""

    stage: str
    lines: tuple[tuple[str, str], ...]
    """(`-` or `+`, line)."""
    more: int


@dataclass(frozen=True)
class Text:
    """One text, and all readings that read so."""

    names: tuple[str, ...]
    text: str
    parts: tuple[tuple[str, bool], ...]
    """The same in pieces, and whether a cause rests on them."""


@dataclass(frozen=True)
class Kind:
    """The readings of one kind of one node."""

    name: str
    readings: tuple[Reading, ...]
    differences: tuple[Difference, ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class Node:
    """All that was read of a node."""

    name: str
    kinds: tuple[Kind, ...]

    @property
    def count(self) -> str:
        """`12 readings`."""
        return many(sum(len(kind.readings) for kind in self.kinds), "reading")


def listed(evidence: tuple[Evidence, ...], cited: Iterable[str]) -> tuple[Evidence, ...]:
    """The readings that a page has room for."""
    if len(evidence) <= MAX_READINGS:
        return evidence
    wanted = set(cited)
    ordered = sorted(evidence, key=lambda entry: (entry.name not in wanted, entry.kind == PAIRWISE))
    return tuple(ordered[:MAX_READINGS])


def ids(evidence: tuple[Evidence, ...]) -> dict[str, str]:
    """Where each reading stands on the page."""
    return {entry.name: f"reading-{number}" for number, entry in enumerate(evidence)}


def by_node(
    every: tuple[Evidence, ...], shown: tuple[Evidence, ...], cited: Mapping[str, set[str]]
) -> tuple[Node, ...]:
    """What is shown of all readings.

    `every` decides the names of files; `cited` has, by reading, the lines that causes rest on.
    """
    files, places = raw_files(every), ids(shown)
    found: dict[str, dict[str, list[Evidence]]] = {}
    for entry in shown:
        found.setdefault(entry.node, {}).setdefault(entry.kind, []).append(entry)
    room, made = MAX_ALL_FOLDED, []
    for node, kinds in found.items():
        built = []
        for name, entries in kinds.items():
            readings = tuple(
                Reading(
                    entry.name,
                    places[entry.name],
                    quote(files[entry.name], errors="surrogateescape"),
                    entry.command,
                )
                for entry in entries
            )
            texts = _texts(entries, room, cited)
            room -= sum(len(text.text) for text in texts)
            built.append(Kind(name, readings, differences(entries), texts))
        made.append(Node(node, tuple(built)))
    return tuple(made)


def lines(entry: Evidence) -> list[str]:
    """A reading line by line: raw, or its meaning where the raw text is not for people."""
    raw = _raw(entry)
    return [" ".join(_values(item)) for item in _items(entry)] if raw is None else raw


def facts(entry: Evidence) -> list[str]:
    """The same for comparison: where it is the meaning, each value alone, and whose it is."""
    raw = _raw(entry)
    if raw is not None:
        return raw
    named = [
        (item, item.get("name", "") if isinstance(item, dict) else "") for item in _items(entry)
    ]
    return [f"{name} {value}".strip() for item, name in named for value in _values(item)]


def _raw(entry: Evidence) -> list[str] | None:
    raw = [line for line in entry.raw.splitlines() if line.strip() and not line.startswith("#")]
    return raw if all(len(line) <= MAX_LINE for line in raw) else None


def _items(entry: Evidence) -> list[Any]:
    return entry.parsed if isinstance(entry.parsed, list) else [entry.parsed]


def _values(item: Any) -> list[str]:
    return (
        [f"{key}={value}" for key, value in item.items()] if isinstance(item, dict) else [str(item)]
    )


def differences(entries: list[Evidence]) -> tuple[Difference, ...]:
    """What each stage changed in a reading that was taken before it and after it."""
    known = {entry.name: entry for entry in entries}
    found = []
    for name, before in known.items():
        after = known.get(f"{name.removesuffix('/before')}/after")
        if name.endswith("/before") and after and after.raw != before.raw:
            changed = _changed(facts(before), facts(after))
            more = len(changed) - MAX_DIFFERENCES
            shown = tuple((sign, clean(text)) for sign, text in changed[:MAX_DIFFERENCES])
            found.append(Difference(before.stage, shown, max(0, more)))
    return tuple(one for one in found if one.lines)


def _changed(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """Lines of only one side. Order is none of it: kernels list things as they like."""
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [("-", line) for line in gone.elements()] + [("+", line) for line in come.elements()]


def _texts(entries: list[Evidence], room: int, cited: Mapping[str, set[str]]) -> tuple[Text, ...]:
    """Each text once, as many as there is room for."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        text = "\n".join(lines(entry))
        if text and len(text) <= MAX_FOLDED:
            found.setdefault(text, []).append(entry.name)
    made = []
    for text, names in found.items():
        room -= len(text)
        if room >= 0:
            marked = set().union(*(cited.get(name, ()) for name in names))
            made.append(Text(tuple(names), text, tuple(_parts(text, marked))))
    return tuple(made)


def _parts(text: str, marked: set[str]) -> Iterator[tuple[str, bool]]:
    if not marked:
        yield text, False
        return
    for cited, lines_ in groupby(text.split("\n"), marked.__contains__):
        yield "\n".join(lines_), cited
