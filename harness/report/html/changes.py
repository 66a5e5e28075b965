"""What changed between two runs, as a page has it: a table, what got worse first."""

from __future__ import annotations

from dataclasses import dataclass

MAX_ROWS = 400
"""Changes that a page shows; the rest is counted."""
MAX_WHERE = 200
"""Places that a change lists where it is opened; the rest is counted."""


@dataclass(frozen=True)
class Row:
    """One change."""

    mark: str
    """A key of `states.MARKS`: `fail` for what got worse, `pass` for what was mended."""
    head: str
    """`regression`, `mended`, or what kind of thing changed: `fact`, `path`, `time`."""
    what: str
    old: str
    new: str
    where: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """All changes between two runs."""

    old: str
    new: str
    """What each run is called."""
    summary: str
    rows: tuple[Row, ...] = ()
    untold: str = ""
    """What could not be compared."""

    @property
    def mark(self) -> str:
        """That of the first row, which is the worst; without rows all is as it was, or untold."""
        if self.rows:
            return self.rows[0].mark
        return "unproved" if self.untold else "pass"
