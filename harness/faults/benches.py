"""Benches for faults of many topologies: one lab at a time, anew after a fault that stayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TypeVar

from harness.faults.bench import Bench
from harness.faults.fault import Fault
from harness.faults.trial import Trial, trial
from harness.faults.tried import Tried
from harness.flow import Stage

Place = tuple[str, Stage, str]
"""A topology, a stage, a backend."""
Found = TypeVar("Found", Tried, Trial)


class Benches:
    """A bench for each place where faults are, one at a time; anew after a fault that stayed."""

    def __init__(self) -> None:
        self._place: Place | None = None
        self._bench: Bench | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tried(self, fault: Fault) -> Tried:
        """Try a fault of the catalogue where it belongs."""
        return self._found(fault, lambda bench: bench.tried(fault))

    def trial(self, fault: Fault) -> Trial:
        """Try a random fault."""
        return self._found(fault, lambda bench: trial(bench, fault))

    def _found(self, fault: Fault, find: Callable[[Bench], Found]) -> Found:
        place = fault.topology, fault.stage, fault.backend
        if self._bench is None or place != self._place:
            self._end()
            self._place, self._bench = place, Bench(*place)
        try:
            found = find(self._bench)
        except BaseException:
            self._end()
            raise
        if found.unhealed:
            self._end()
        return found

    def _end(self) -> None:
        if self._bench:
            self._bench.close()
            self._bench = None
