"""Faults tried on several labs side by side, each lab on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self

from harness.errors import Unsupported
from harness.faults.bench import Bench
from harness.faults.fault import OWN_KERNEL, Fault
from harness.faults.trial import Trial, trial
from harness.faults.tried import Tried
from harness.flow import Stage

Place = tuple[str, Stage, str]
"""A topology, a stage, a backend."""
Find = Callable[[Bench, Fault], Any]


class Benches:
    """Labs to try faults on, at most one a thread at a time; anew after a fault that stayed.

    The thread that starts a lab must outlive it, because the lab ends with it (prctl(2)).
    """

    def __init__(self, threads: int = 1, kernel: str | None = None) -> None:
        self._kernel = kernel
        self._wanted: SimpleQueue[tuple[Fault, Find, Future[Any]] | None] = SimpleQueue()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._wanted.put(None)
        for thread in self._threads:
            thread.join()

    def tried(self, fault: Fault) -> Future[Tried]:
        """Try a fault of the catalogue."""
        return self._asked(fault, Bench.tried)

    def trial(self, fault: Fault) -> Future[Trial]:
        """Try a random fault."""
        return self._asked(fault, trial)

    def _asked(self, fault: Fault, find: Find) -> Future[Any]:
        promised: Future[Any] = Future()
        self._wanted.put((fault, find, promised))
        return promised

    def _work(self) -> None:
        seat = _Seat(self._kernel)
        for fault, find, promised in iter(self._wanted.get, None):
            try:
                promised.set_result(seat.found(fault, find))
            except BaseException as error:  # noqa: BLE001 - it is told to who waits
                promised.set_exception(error)
        seat.end()


class _Seat:
    """The bench of a thread, on a kernel or this machine's."""

    def __init__(self, kernel: str | None) -> None:
        self._kernel = kernel
        self._place: Place | None = None
        self._bench: Bench | None = None

    def found(self, fault: Fault, find: Find) -> Any:
        """What is found of a fault, where it belongs; Unsupported if that is not here."""
        if fault.machine and self._kernel is None:
            raise Unsupported(f"{fault.name} {OWN_KERNEL}")
        place = fault.topology, fault.stage, fault.backend
        if self._bench is None or place != self._place:
            self.end()
            self._place, self._bench = place, Bench(*place, self._kernel)
        try:
            found = find(self._bench, fault)
        except Unsupported:
            raise
        except BaseException:
            self.end()
            raise
        if found.unhealed:
            self.end()
        return found

    def end(self) -> None:
        """End the lab."""
        if self._bench:
            self._bench.close()
            self._bench = None
