"""The lines of readings that say why a cell failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.catalogue import CATALOGUE
from harness.causes import Cause, Code
from harness.flow import Verdict
from harness.report.html.readings import lines
from harness.report.model import Evidence

AROUND = 2
"""Lines that are shown on either side of what is cited."""
FEWEST = 2
"""Words that a line must share with a cause, to be taken for what it rests on."""
MOST = 3
"""Where more lines than that share as much with a cause, none of them is what it rests on."""
MAX_CITED = 400_000
"""Characters of readings that are looked through; a larger one is in its file."""
KINDS: dict[Code, tuple[str, ...]] = {one.code: one.shown_by for one in CATALOGUE}


@dataclass(frozen=True)
class Excerpt:
    """A part of a reading: what a cause rests on, and what stands around it."""

    name: str
    lines: tuple[tuple[str, bool], ...]
    """(line, whether it is cited); none where no single line says it: what is missing, say."""


class Citations:
    """The excerpts of a page, each found once."""

    def __init__(self, evidence: Iterable[Evidence]) -> None:
        self._by_name = {entry.name: entry for entry in evidence}
        self._found: dict[tuple[Cause, tuple[str, ...]], Excerpt | None] = {}
        self.marked: dict[str, set[str]] = {}
        """The cited lines by reading."""

    def of(self, one: Verdict) -> Excerpt | None:
        """What holds a cell's cause; None where no reading has to."""
        if one.cause is None:
            return None
        key = (one.cause, one.evidence)
        if key not in self._found:
            self._found[key] = self._excerpt(one.cause, one.evidence)
        return self._found[key]

    def _excerpt(self, cause: Cause, names: tuple[str, ...]) -> Excerpt | None:
        holding = [self._by_name[name] for name in names if name in self._by_name]
        holding = [entry for entry in holding if self._may_hold(cause, entry)]
        if not holding:
            return None
        scored = [(score, at, entry) for entry in holding if len(entry.raw) <= MAX_CITED
                  for at, score in _scores(cause, lines(entry))]  # fmt: skip
        best = max((score for score, _, _ in scored), default=0)
        if best < FEWEST:
            return Excerpt(holding[-1].name, ())
        # The newest reading that says it: of a table that was read before and after, the latter.
        entry = next(entry for score, _, entry in reversed(scored) if score == best)
        told = lines(entry)
        cited = {at for score, at, of in scored if score == best and of is entry}
        if len(cited) > MOST:
            return Excerpt(entry.name, ())
        self.marked.setdefault(entry.name, set()).update(told[at] for at in cited)
        shown = ((line, at in cited) for at, line in enumerate(told)
                 if any(abs(at - each) <= AROUND for each in cited))  # fmt: skip
        return Excerpt(entry.name, tuple(shown))

    def _may_hold(self, cause: Cause, entry: Evidence) -> bool:
        return entry.kind in KINDS[cause.code] and entry.node == (cause.node or entry.node)


def _scores(cause: Cause, told: list[str]) -> Iterator[tuple[int, int]]:
    """How many words of a cause each line has; a line that has its subject has all it needs."""
    wanted = _words(f"{cause.subject or ''} {cause.detail}")
    for at, line in enumerate(told):
        shared = len(wanted & _words(line))
        if cause.subject and cause.subject in line:
            shared += FEWEST
        yield at, shared


def _words(text: str) -> set[str]:
    """Names, addresses and values; not the words of a sentence that all lines may have."""
    return {
        word
        for word in re.split(r"[\s=,;:()\[\]'\"]+", text)
        if re.search(r"[-._/\d]|[A-Z]{3}", word)
    }
