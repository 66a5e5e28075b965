"""What a test holds on a fake lab: processes that do nothing, and taps that see what is swept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.testing.state import State


class Held:
    """The processes and taps of a fake worker. `passed` is what every tap has seen, in order."""

    def __init__(self, state: State) -> None:
        self.passed: list[tuple[tuple[str, str], list[Any]]] = []
        self._state = state
        self._processes: set[int] = set()
        self._taps: dict[int, tuple[tuple[str, str], int]] = {}
        self._last = 1

    def start(self, node: str, argv: Sequence[str]) -> dict[str, Any]:
        """Any command starts, runs and says nothing until it is stopped."""
        del node, argv
        self._last += 1
        self._processes.add(self._last)
        return {"pid": self._last}

    def said(self, pid: int, text: str, within: float) -> dict[str, Any]:
        """Nothing, at once."""
        del text, within
        return {"running": pid in self._processes, "output": ""}

    def stop(self, pid: int) -> None:
        """End a process; KeyError if there is none."""
        self._processes.remove(pid)

    def watch(self, node: str, interface: str) -> dict[str, Any]:
        """Watch an interface that the node has."""
        if interface not in self._state.nodes[node].links:
            return {"failed": "No such device"}
        self._last += 1
        self._taps[self._last] = ((node, interface), len(self.passed))
        return {"tap": self._last}

    def seen(self, tap: int) -> dict[str, Any]:
        """What sweeps have sent past the tap since; nothing is ever lost."""
        where, since = self._taps.pop(tap)
        frames = [(tap, *each) for place, each in self.passed[since:] if place == where]
        return {"frames": frames, "drops": 0, "down": False}
