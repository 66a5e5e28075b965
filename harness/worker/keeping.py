"""A lab host is held by one run at a time, and given back when that is cut off.

The worker has a lock on the host until it ends. When its connection ends, mitogen ends it by
SIGTERM, in whatever call it is; and where nothing was heard of the controller for the length of a
lease, so does the worker itself. What is in the journal then is taken back before it goes; a step
that is under way comes to its end first.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.worker import heir, journal, lock, namespaces, netlink

WAIT_S, STEP_S = 15.0, 0.1
"""How long a run that is being taken back is waited for."""
LEASE_S = 60.0
"""How long nothing need be heard of a controller: twice what ssh gives a connection."""
PATIENCE_S = 10
"""How long a step that is under way is waited for; a container starts in half a second."""
DEADLINE_S = 60
"""How long taking back may last; what is left then is in the journal."""

TakeBack = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

_heard: list[float] = [0.0]
_steps: list[bool] = [False]
"""Whether a step is under way in the thread that signals interrupt."""
_put_off: list[TakeBack] = []
"""What is to be done when that step has come to its end."""
_buried: list[Any] = []
"""What belongs to the thread that was cut off; closed with the process, not before."""


def claim(who: dict[str, Any], take_back: TakeBack) -> dict[str, Any]:
    """Hold this machine for a run, after taking back what another has left.

    `{"taken": who holds it}` if another run does, else `{"failed": [what could not be taken
    back]}`. `who` is what others are told: "who", "lab", "run".
    """
    holder = _hold(who, patient=True)
    if holder:
        return {"taken": holder}
    journal.keep()
    failed = take_back(journal.entries()) if journal.entries() else []
    _heard[0] = time.monotonic()
    heir.wait(take_back, DEADLINE_S)
    signal.signal(signal.SIGTERM, lambda *_: _end(take_back))
    signal.signal(signal.SIGALRM, lambda *_: _give_back(take_back))
    threading.Thread(target=_watch, daemon=True).start()
    return {"failed": failed}


def finish(who: dict[str, Any], take_back: TakeBack) -> dict[str, Any]:
    """Take back what a run has left here that is no more, and hold nothing then.

    `{"taken": who holds it}` if one does, else `{"steps": [what was to be taken back], "failed":
    [of these what could not be]}`.
    """
    holder = _hold(who, patient=False)
    if holder:
        return {"taken": holder}
    journal.keep()
    steps = journal.entries()
    try:
        return {"steps": steps, "failed": take_back(steps)}
    finally:
        lock.let_go()


def _hold(who: dict[str, Any], *, patient: bool) -> dict[str, Any]:
    """Who holds this machine instead; one that is about to let go of it is waited for."""
    deadline = time.monotonic() + WAIT_S
    while not lock.take():
        holder = lock.holder()
        if time.monotonic() > deadline or not (patient or "ending" in holder):
            return holder
        time.sleep(STEP_S)
    since = time.strftime(lock.TIME, time.gmtime())
    lock.say({**who, "since": since, "worker": os.getpid()}, LEASE_S)
    return {}


def alive() -> None:
    """Say that the controller is there."""
    _heard[0] = time.monotonic()
    lock.say({}, LEASE_S)


def _watch() -> None:
    while time.monotonic() - _heard[0] < LEASE_S:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def whole_step() -> Iterator[None]:
    """Have the end of the worker wait for the body: what an engine is still about would be left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _steps[0] = True
    try:
        yield
    finally:
        _steps[0] = False
        if _put_off:
            _give_back(_put_off[0])


def _end(take_back: TakeBack) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock.say({"ending": True}, DEADLINE_S)
    if _steps[0]:
        _put_off.append(take_back)
        signal.alarm(PATIENCE_S)
    else:
        _give_back(take_back)


def _give_back(take_back: TakeBack) -> None:
    """Take back what is here, while the call that was cut off stands still; the end of the worker.

    A thread of its own does it: whatever this one was about may be half done.
    """
    signal.alarm(0)
    if journal.entries():
        thread = threading.Thread(target=_alone, args=(take_back,), daemon=True)
        thread.start()
        thread.join(DEADLINE_S)
    lock.let_go()
    os._exit(0)


def _alone(take_back: TakeBack) -> None:
    _buried.extend((namespaces.begin_anew(), netlink.begin_anew()))
    take_back(journal.entries())
