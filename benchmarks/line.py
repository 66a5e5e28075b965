"""One line of the table: a quantity, measured more than once, and what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Line:
    """A quantity; `runs` has what each run gave, in their order."""

    name: str
    unit: str
    runs: tuple[float, ...]
    at_most: float | None = None
    at_least: float | None = None
    digits: int = 2

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(self.runs)

    @property
    def target(self) -> str:
        """What it should be, in words; empty if it is there for comparison only."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "" if self.at_least is None else f"at least {self.at_least:g}"

    @property
    def verdict(self) -> str:
        """Whether the median is what it should be."""
        if not self.target:
            return ""
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return "MISSED" if low or high else "ok"


def ratio(name: str, over: Line, under: Line, **target: float) -> Line:
    """How many times as much one line is as another, run by run."""
    pairs = zip(over.runs, under.runs, strict=True)
    return Line(name, "x", tuple(one / other for one, other in pairs), digits=1, **target)
