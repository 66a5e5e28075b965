"""A topology file as text: its YAML, the line of every key in it, and the mistakes found.

Of YAML only what a topology needs is read: mappings, sequences, text, decimal integers and null.
Aliases could make a small file huge, and YAML 1.1 reads `010` as 8, `no` as false and `12:34:56` as
a number: each is a mistake with its line, never a surprise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import TopologyError

MAX_OCTETS = 1_000_000
"""A topology is written by a person or a generator of ours; a larger file is a mistake."""
MAX_DEPTH = 8
"""Levels of mappings and sequences in each other; the format has five."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{kind}" for kind in ("str", "null", "map", "seq")}
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,9})")


@dataclass
class Source:
    """The file as read: its text's name, its lines by path, and the mistakes found so far."""

    name: str
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def mistake(self, path: tuple[object, ...], found: str) -> None:
        """Record a mistake at a path; the nearest known ancestor gives the line."""
        keys = tuple(str(part) for part in path)
        while keys and keys not in self.lines:
            keys = keys[:-1]
        self.mistake_at(self.lines.get(keys, 1), path, found)

    def mistake_at(self, line: int, path: tuple[object, ...], found: str) -> None:
        """Record a mistake in a line of its own."""
        where = ".".join(_shown(str(part)) for part in path)
        self.mistakes.append((line, f"{self.name}:{line}: {where + ': ' if where else ''}{found}"))

    def raise_mistakes(self) -> None:
        """Raise `error` if there are any mistakes."""
        if self.mistakes:
            raise self.error()

    def error(self) -> TopologyError:
        """All mistakes in the order of their lines."""
        return TopologyError(tuple(text for _, text in sorted(set(self.mistakes))))


def text(path: str | Path) -> str:
    """A topology file's text; TopologyError if it cannot be one."""
    try:
        with Path(path).open("rb") as opened:
            octets = opened.read(MAX_OCTETS + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TopologyError((f"{_shown(str(path))}: cannot be read: {reason}",)) from error
    if len(octets) > MAX_OCTETS:
        raise TopologyError((f"{path}: a topology file has at most {MAX_OCTETS} octets",))
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise TopologyError((f"{path}:{line}: not UTF-8 text (at octet {error.start})",)) from error


def load(text: str, source: Source) -> Any:
    """Read YAML and note its lines in `source`; TopologyError for what a topology cannot hold."""
    try:
        _scan(text, source)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        if node is not None:
            _index(node, (), source)
        source.raise_mistakes()
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found = ", ".join(filter(None, (error.context, error.problem)))
        raise TopologyError((f"{source.name}:{line}: not YAML: {found}",)) from error
    except (yaml.YAMLError, ValueError) as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position if isinstance(position, int) else 0) + 1
        found = str(error).partition("\n")[0]
        raise TopologyError((f"{source.name}:{line}: not YAML: {found}",)) from error


def _scan(text: str, source: Source) -> None:
    """Refuse what would grow or nest without end before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            source.mistake_at(line, (), f"alias *{event.anchor}: write out what it stands for")
            source.raise_mistakes()
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            source.mistake_at(line, (), "nested deeper than a topology goes")
            source.raise_mistakes()


def _index(node: yaml.Node, path: tuple[str, ...], source: Source) -> None:
    """Note the line of every path; refuse keys that stand twice and odd scalars."""
    line = node.start_mark.line + 1
    if path in source.lines:
        found = f"stands twice (first in line {source.lines[path]}); keep one"
        source.mistake_at(line, path, found)
        return
    source.lines[path] = line
    _check_kind(node, path, source)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                _check_kind(key, path, source)
                _index(value, (*path, key.value), source)
            else:
                source.mistake_at(key.start_mark.line + 1, path, "a key is one word or number")
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _index(value, (*path, str(number)), source)


def _check_kind(node: yaml.Node, path: tuple[str, ...], source: Source) -> None:
    """Refuse what YAML would make something else of than what stands there."""
    kind, line = node.tag.removeprefix(_TAG), node.start_mark.line + 1
    given = _shown(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if kind == "merge":
        source.mistake_at(line, path, "merge key <<: write out what it stands for")
    elif kind == "int" and not _DECIMAL.fullmatch(given):
        found = f"{given}: not a number in plain decimal; write it so, or put text in quotes"
        source.mistake_at(line, path, found)
    elif given and kind in ("bool", "float", "timestamp"):
        source.mistake_at(line, path, f"{given}: YAML reads a {kind} here; put text in quotes")
    elif kind != "int" and node.tag not in _PLAIN:
        source.mistake_at(line, path, f"tag {_shown(node.tag)}: a topology has none")


def _shown(text: str) -> str:
    """At most 60 characters of a text, none of which ends a line."""
    cut = text[:60]
    return cut if cut.isprintable() else cut.encode("unicode_escape").decode()
