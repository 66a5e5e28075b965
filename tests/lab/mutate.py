"""Topology files that a hasty person, or a broken disk, could make of the shipped ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

FILES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
SLOW = ("three-vlans", "gateway-runs-docker")
TEXTS = [path.read_text() for path in FILES if path.stem not in SLOW]
"""The largest lab has nothing that another does not have, and takes the longest to build; the other
starts an engine, and is else the tutorial's."""
ODD = "\t\0\x1b\x7f\u202e\u2028\ufeff\U0001f525&*!|>%@`'\"{}[],:#-"
"""Characters that mean something to YAML, to a terminal, or to nobody."""
VALUES: list[Any] = [
    None, True, "", "~", "no", "x" * 300, "host1", "host2", "switch", "eth1", "eth2", "eth2.10",
    0, -1, 1, 10, 20, 30, 575, 576, 1279, 1280, 1500, 8999, 9000, 4094, 4095, 2**63, 10**30, 1.5,
    float("nan"), "172.16.10.1", "172.16.10.10", "172.16.20.1", "172.16.10.255", "0.0.0.0",  # noqa: S104 - a value to be refused
    "255.255.255.255", "172.16.10.0/24", "172.16.0.0/12", "172.16.20.0/30", "0.0.0.0/0",
    "10.0.0.0/33", "::1", "fd00:10::1", "fd00:10::/64", "02:42:ac:10:0a:0a", "ff:ff:ff:ff:ff:ff",
    "bridge", "private", "vepa", "passthru", "hairpin", "external", "intended", "engine",
    "internal", "DROP", "ACCEPT",
    [], {}, [[]], [10, 20], [[10, 20]], [[20, 10], [10, 20, 30]], {"a": {}}, {10: None},
]  # fmt: skip
"""What values are replaced by: some fit elsewhere, some nowhere."""

Tree = Any
Place = tuple[Any, Any]
"""(mapping or list, key or index) of one value."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A shipped file with one to three changes, of its values or of its text."""
    text = draw(st.sampled_from(TEXTS))
    changes = draw(st.integers(1, 3))
    if draw(st.booleans()):
        tree = yaml.safe_load(text)
        for _ in range(changes):
            draw(st.sampled_from(TREE_CHANGES))(draw, tree)
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode()
    for _ in range(changes):
        text = draw(st.sampled_from(TEXT_CHANGES))(draw, text)
    octets = text.encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(octets)))
        octets = octets[:at] + draw(st.binary(max_size=4)) + octets[at:]
    return octets


def _place(draw: st.DrawFn, tree: Tree) -> Place:
    """Any value of the tree, as deep as it goes or less."""
    places = _places(tree)
    return draw(st.sampled_from(places)) if places else ({None: tree}, None)


def _places(tree: Tree) -> list[Place]:
    if isinstance(tree, dict):
        items: list[tuple[Any, Any]] = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    else:
        return []
    return [place for key, value in items for place in ((tree, key), *_places(value))]


def _replace(draw: st.DrawFn, tree: Tree) -> None:
    where, key = _place(draw, tree)
    where[key] = draw(st.sampled_from(VALUES))


def _exchange(draw: st.DrawFn, tree: Tree) -> None:
    """Two values take each other's place, unless one is in the other."""
    (here, one), (there, other) = _place(draw, tree), _place(draw, tree)
    first, second = here[one], there[other]
    if not isinstance(first, (dict, list)) and not isinstance(second, (dict, list)):
        here[one], there[other] = second, first


def _delete(draw: st.DrawFn, tree: Tree) -> None:
    where, key = _place(draw, tree)
    del where[key]


def _rename(draw: st.DrawFn, tree: Tree) -> None:
    where, key = _place(draw, tree)
    new = draw(st.sampled_from([value for value in VALUES if not isinstance(value, (dict, list))]))
    if isinstance(where, dict):
        where[new] = where.pop(key)


def _again(draw: st.DrawFn, tree: Tree) -> None:
    """The same value once more, under a key of its own."""
    where, key = _place(draw, tree)
    if isinstance(where, dict):
        where[draw(st.sampled_from(["again", "bbox9", 99]))] = where[key]
    else:
        where.append(where[key])


TREE_CHANGES: list[Callable[[st.DrawFn, Tree], None]] = [
    _replace, _replace, _exchange, _exchange, _delete, _rename, _again,
]  # fmt: skip


def _cut(draw: st.DrawFn, text: str) -> str:
    return text[: draw(st.integers(0, len(text)))]


def _drop(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    del lines[draw(st.integers(0, len(lines) - 1))]
    return "\n".join(lines)


def _double(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _insert(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.text(ODD, min_size=1, max_size=3)) + text[at:]


def _indent(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = draw(st.sampled_from(["  ", "\t", " "])) + lines[at]
    return "\n".join(lines)


def _alias(draw: st.DrawFn, text: str) -> str:
    """Some value becomes an anchor, an alias or a tag."""
    at = draw(st.sampled_from([n for n, c in enumerate(text) if c == ":"] or [0])) + 1
    mark = draw(st.sampled_from([" &a", " *a", " !!python/name:os.system", " !!set", " <<"]))
    return text[:at] + mark + text[at:]


TEXT_CHANGES: list[Callable[[st.DrawFn, str], str]] = [
    _cut, _drop, _drop, _double, _insert, _insert, _indent, _alias,
]  # fmt: skip
