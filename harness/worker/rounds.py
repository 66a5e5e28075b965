"""A sweep that several machines do together: what one of them does, call by call.

The controller goes on when all have answered, so all that one call did on any machine is over
before the next begins on any other. Between calls nobody answers or drains, and nothing is lost:
sockets hold it. As in `calls`, what a function needs is imported where it runs.
"""

from __future__ import annotations

import time
from typing import Any

_under_way: list[Any] = []


def begin(plan: dict[str, Any]) -> dict[str, Any]:
    """Open the taps and responders of this machine; `plan` as `sweep.sweep` has it.

    `{"failed": why}` if they could not be.
    """
    from harness.worker import sweep

    _under_way.clear()
    try:
        with sweep.one_cpu():
            _under_way.append(sweep.Sweeping(plan))
    except OSError as error:
        return {"failed": str(error.args[-1])}
    return {}


def clock() -> int:
    """The clock that this machine stamps frames by; see `taps.now`."""
    from harness.worker import taps

    return taps.now()


def open_wave() -> None:
    """Flush the neighbours."""
    _under_way[0].open_wave()


def send(wanted: list[dict[str, Any]], arrivals: list[tuple[str, bytes]]) -> None:
    """Send probes, and await the tokens that another machine sends to nodes here."""
    from harness.worker import sweep

    with sweep.one_cpu():
        _under_way[0].arrivals(arrivals)
        _under_way[0].send(wanted)


def serve(seconds: float, whole: bool) -> dict[str, Any]:  # noqa: FBT001 - it crosses by place
    """Answer and drain for some time; `{"pending", "moved"}` says whether for anything.

    If not the `whole` time is wanted, until all has come that is awaited here.
    """
    from harness.worker import sweep

    session, end, moved = _under_way[0], time.monotonic() + seconds, False
    awaiting = session.pending > 0
    with sweep.one_cpu():
        while True:
            left = end - time.monotonic()
            if left <= 0 or (awaiting and not whole and not session.pending):
                return {"pending": session.pending, "moved": moved}
            moved = session.serve(left) or moved


def close_wave(name: str, quiet: float) -> dict[str, Any]:
    """End a wave; see `sweep.Sweeping.close_wave`."""
    closed: dict[str, Any] = _under_way[0].close_wave(name, quiet)
    return closed


def end() -> dict[str, Any]:
    """Close what was opened; `{"frames", "taps"}` as `sweep.sweep` has them."""
    session = _under_way.pop()
    counts = session.counts()
    return {"frames": session.end(), "taps": counts}
