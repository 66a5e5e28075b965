"""What a comparison finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REGRESSION, CHANGED, MENDED = "regression", "changed", "mended"


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was, however many cells or stages it shows in."""

    kind: str
    """`cell` `path` `fact` `time` `run` `only-old` `only-new`."""
    what: str
    """Of which quantity: `gateway firewall: filter FORWARD`, `TTL`, `kernel`."""
    old: str
    new: str
    sense: str = CHANGED
    """`regression` `changed` `mended`."""
    where: tuple[str, ...] = ()
    """The ids of cells, the stages of readings, or the quantities in which it shows."""
    unproved: bool = False
    """A regression that is no failure: it could not be told any more."""

    def as_json(self) -> dict[str, Any]:
        """As lists and strings."""
        return {
            "kind": self.kind, "what": self.what, "old": self.old, "new": self.new,
            "sense": self.sense, "where": list(self.where),
        }  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """All changes between two runs, regressions first."""

    old: str
    new: str
    """What each run is called."""
    changes: tuple[Change, ...]
    cells: int
    """How many cells both runs have."""
    facts: int
    """How many facts of readings both runs have."""
    untold: str = ""
    """What could not be compared, and what would help."""

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What was right and is not, or cannot be told, any more."""
        return tuple(one for one in self.changes if one.sense == REGRESSION)

    @property
    def exit_code(self) -> int:
        """0 without regressions, 1 with one, 3 if none of them is a failure."""
        found = self.regressions
        if not found:
            return 0
        return 3 if all(one.unproved for one in found) else 1

    def as_json(self) -> dict[str, Any]:
        """As lists, strings and numbers."""
        return {
            "old": self.old, "new": self.new, "cells": self.cells, "facts": self.facts,
            "changes": [one.as_json() for one in self.changes], "untold": self.untold,
        }  # fmt: skip
