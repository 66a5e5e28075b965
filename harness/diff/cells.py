"""Cells of two runs: verdicts, outcomes, and the way that packets went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.diff.change import CHANGED, MENDED, REGRESSION, Change

Document = dict[str, Any]
CALLED = {
    "src_mac": "MAC", "dst_mac": "MAC", "src_ip": "address", "dst_ip": "address",
    "vlan": "802.1Q tag", "ttl": "TTL",
}  # fmt: skip
"""What of a hop is compared; when it was seen is not."""
ENDS = ("src_ip", "dst_ip")


def cells(old: Iterable[Document], new: Iterable[Document]) -> tuple[Change, ...]:
    """Every change of a cell, alike ones as one."""
    before, after = ({cell["id"]: cell for cell in found} for found in (old, new))
    found: dict[Change, list[str]] = {}
    for name in before.keys() & after.keys():
        for change in _changes(before[name], after[name]):
            found.setdefault(change, []).append(name)
    changes = [
        Change(**{**vars(change), "where": tuple(sorted(names))}) for change, names in found.items()
    ]
    return (*changes, *_only(before, after))


def _changes(old: Document, new: Document) -> Iterator[Change]:
    """A cell whose verdict is another one has another path as well: that is told by it."""
    if _state(old) != _state(new):
        yield _told(old, new)
        return
    if old["expected"] != new["expected"]:
        yield Change("cell", "expected", old["expected"], new["expected"])
    if old["seen_source"] != new["seen_source"]:
        yield Change("path", "source seen", str(old["seen_source"]), str(new["seen_source"]))
    for what, was, now in dict.fromkeys(_hops(_path(old), _path(new))):
        if (what, was, now) != ("address", old["seen_source"], new["seen_source"]):
            yield Change("path", what, was, now)


def _path(cell: Document) -> list[Document]:
    """The hops. A probe of NDP is sent from an address of its own, another one each time."""
    hops: list[Document] = cell["path"]
    if cell["probe"] != "ndp" or not hops:
        return hops
    own = {hops[0]["src_ip"]: "the probe's own"}
    return [{**hop, **{key: own.get(hop[key], hop[key]) for key in ENDS}} for hop in hops]


def _told(old: Document, new: Document) -> Change:
    sense = CHANGED
    if old["verdict"] == "pass" != new["verdict"]:
        sense = REGRESSION
    elif new["verdict"] == "pass" != old["verdict"]:
        sense = MENDED
    unproved = sense == REGRESSION and new["verdict"] == "unproved"
    return Change("cell", _class(new), _state(old), _state(new), sense, unproved=unproved)


def _class(cell: Document) -> str:
    """Stage and kind of probe, whatever its size, port or tag."""
    return f"{cell['stage']} {cell['probe'].partition(':')[0]}"


def _state(cell: Document) -> str:
    cause = cell["cause"]
    why = f" ({cause['code']})" if cause else ""
    return f"{cell['verdict']}, {cell['observed']}{why}"


def _hops(old: list[Document], new: list[Document]) -> Iterator[tuple[str, str, str]]:
    """What differs between two paths; hops are in the order of the topology in both."""
    if [_point(hop) for hop in old] != [_point(hop) for hop in new]:
        yield "way", _way(old), _way(new)
        return
    for was, now in zip(old, new, strict=True):
        for key, name in CALLED.items():
            if was[key] != now[key]:
                yield name, str(was[key]), str(now[key])


def _point(hop: Document) -> tuple[str, str, str]:
    return hop["node"], hop["interface"], hop["direction"]


def _way(path: list[Document]) -> str:
    """Its points, in their order."""
    points = [f"{hop['node']}:{hop['interface']} ({hop['direction']})" for hop in path]
    return " ".join(points) or "nowhere"


def _only(before: dict[str, Document], after: dict[str, Document]) -> Iterator[Change]:
    for kind, here, there in (("only-old", before, after), ("only-new", after, before)):
        names = sorted(here.keys() - there.keys())
        for stage in dict.fromkeys(here[name]["stage"] for name in names):
            where = tuple(name for name in names if here[name]["stage"] == stage)
            count = str(len(where))
            old, new = (count, "0") if kind == "only-old" else ("0", count)
            yield Change(kind, f"cells of {stage}", old, new, where=where)
