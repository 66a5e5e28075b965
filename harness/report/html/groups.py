"""Large labs: a matrix of groups of nodes, and what the pairs of two groups have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from harness.flow import Verdict
from harness.report.html.overview import MAX_NODES, Field, Grid, kind
from harness.report.summary import ARRIVED, NOTHING, Entry, many, word
from harness.topology import Topology

MAX_RUNS = 500_000
"""Characters of the words of single pairs on a page; what has no room is in report.json."""
MIXED = "mixed"
"""The word for pairs that fare differently, as they must."""

Words = dict[str, dict[str, str]]
"""The word of each pair, by source and destination."""


@dataclass(frozen=True)
class Group:
    """Nodes that are told together."""

    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Between:
    """The pairs of two groups, in one stage and layer."""

    id: str
    dst: str
    word: str
    kind: str
    told: str
    """How many pairs there are, and how many of each word."""
    runs: str
    """`25 reach|1 .|24 reach`: the word of each pair, sources one after the other; empty where
    there is no room for it."""


@dataclass(frozen=True)
class From:
    """What one group sends, in one stage and layer."""

    stage: str
    layer: int
    src: str
    to: tuple[Between, ...]

    @property
    def kind(self) -> str:
        """The worst of it."""
        kinds = {one.kind for one in self.to}
        return next((one for one in ("fail", "unproved") if one in kinds), "pass")


def groups(topology: Topology, names: Iterable[str]) -> tuple[Group, ...]:
    """Nodes by VLAN and host, or by VLAN alone where that would be too many groups."""
    ordered = list(names)
    found = _grouped(topology, ordered, by_host=True)
    return found if len(found) <= MAX_NODES else _grouped(topology, ordered, by_host=False)


def _grouped(topology: Topology, names: list[str], *, by_host: bool) -> tuple[Group, ...]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_group(topology, name, by_host=by_host), []).append(name)
    return tuple(Group(name, tuple(nodes)) for name, nodes in found.items())


def _group(topology: Topology, name: str, *, by_host: bool) -> str:
    vlan = topology.endpoint_vlans.get(name)
    if vlan is not None:
        return f"VLAN {vlan}, {topology.endpoint_hosts[name]}" if by_host else f"VLAN {vlan}"
    return "gateways" if any(one.host == name for one in topology.gateways) else "hosts"


def senders(verdicts: tuple[Verdict, ...], named: tuple[Group, ...]) -> Iterator[From]:
    """What each group sends to each, stage by stage and layer by layer."""
    number, room = 0, MAX_RUNS
    for (stage, layer), words in _words(verdicts).items():
        for src in named:
            to = []
            for dst in named:
                told = [words.get(one, {}).get(other, NOTHING)
                        for one in src.nodes for other in dst.nodes]  # fmt: skip
                if any(one != NOTHING for one in told):
                    runs = _runs(told)
                    room -= len(runs)
                    to.append(_between(f"group-{number}", dst.name, told, runs if room > 0 else ""))
                    number += 1
            if to:
                yield From(stage, layer, src.name, tuple(to))


def grids(sent: Iterable[From], named: tuple[Group, ...]) -> tuple[Grid, ...]:
    """The same as matrices of groups."""
    found = []
    for (stage, layer), rows in groupby(sent, lambda one: (one.stage, one.layer)):
        made = []
        for row in rows:
            by_name = {one.dst: one for one in row.to}
            fields = (_field(row, to.name, by_name.get(to.name)) for to in named)
            made.append((row.src, tuple(fields)))
        found.append(Grid(stage, layer, tuple(one.name for one in named), tuple(made)))
    return tuple(found)


def _field(row: From, dst: str, one: Between | None) -> Field:
    key = (row.stage, row.src, dst, row.layer)
    return Field(one.word, one.kind, key) if one else Field(NOTHING, "none", key)


def _words(verdicts: tuple[Verdict, ...]) -> dict[tuple[str, int], Words]:
    """The word of every pair. There may be a million: what they have in common is there once."""
    entries: dict[object, Entry] = {}
    together: dict[tuple[tuple[Entry, ...], int], tuple[Entry, ...]] = {}
    found: dict[tuple[str, int], dict[str, dict[str, tuple[Entry, ...]]]] = {}
    for one in verdicts:
        cell = one.cell
        expected, arrived = cell.expectation, one.observation.outcome in ARRIVED
        like = (one.ruling, arrived, cell.probe.argument is None, bool(expected.via),
                expected.arrives)  # fmt: skip
        entry = entries.get(like) or entries.setdefault(like, Entry(cell, arrived, one.ruling))
        key = (str(cell.stage), 2 if cell.probe.is_layer2 else 3)
        pairs = found.setdefault(key, {}).setdefault(cell.src, {})
        before = pairs.get(cell.dst, ())
        shared = (before, id(entry))
        pairs[cell.dst] = together.get(shared) or together.setdefault(shared, (*before, entry))
    said = {each: word(each) for each in together.values()}
    return {
        key: {
            src: {dst: said[each] for dst, each in pairs.items()} for src, pairs in sources.items()
        }
        for key, sources in found.items()
    }


def _between(id_: str, dst: str, told: list[str], runs: str) -> Between:
    counted = Counter(one for one in told if one != NOTHING)
    pairs = counted.total()
    kinds: Counter[str] = Counter()
    for each, number in counted.items():
        kinds[kind(each)] += number
    (most, _), *others = counted.most_common()
    if kinds["fail"]:
        said = f"FAIL {kinds['fail']}/{pairs}"
    elif kinds["unproved"]:
        said = f"?? {kinds['unproved']}"
    else:
        said = MIXED if others else most
    told_ = ", ".join(f"{number} {each}" for each, number in counted.most_common())
    return Between(id_, dst, said, kind(said), f"{many(pairs, 'pair')}: {told_}", runs)


def _runs(told: list[str]) -> str:
    return "|".join(f"{len(list(run))} {each}" for each, run in groupby(told))
