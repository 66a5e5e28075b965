"""A lab host is held by one run at a time, and given back when that is cut off.

The worker has a lock on the host until it ends. When its connection ends, mitogen ends it by
SIGTERM, in whatever call it is; and where nothing was heard of the controller for the length of a
lease, so does the worker itself. What is in the journal then is taken back before it goes; a step
that is under way comes to its end first.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.worker import journal, namespaces, netlink

LOCK = "/run/macvlan-harness.lock"
WAIT_S, STEP_S = 15.0, 0.1
"""How long a run that is being taken back is waited for."""
LEASE_S = 60.0
"""How long nothing need be heard of a controller: twice what ssh gives a connection."""
PATIENCE_S = 10
"""How long a step that is under way is waited for; a container starts in half a second."""
DEADLINE_S = 60.0
"""How long taking back may last; what is left then is in the journal."""

TakeBack = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

_held: list[int] = []
_heard: list[float] = [0.0]
_steps: list[bool] = [False]
"""Whether a step is under way in the thread that signals interrupt."""
_put_off: list[TakeBack] = []
"""What is to be done when that step has come to its end."""
_buried: list[Any] = []
"""What belongs to the thread that was cut off; closed with the process, not before."""


def claim(who: str, take_back: TakeBack) -> dict[str, Any]:
    """Hold this machine for a run, after taking back what another has left.

    `{"taken": {"who", "since"}}` if another run holds it, else `{"failed": [what could not be taken
    back]}`.
    """
    deadline = time.monotonic() + WAIT_S
    while not _lock():
        if time.monotonic() > deadline:
            return {"taken": _holder()}
        time.sleep(STEP_S)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    os.ftruncate(_held[0], 0)
    os.pwrite(_held[0], json.dumps({"who": who, "since": since}).encode(), 0)
    journal.keep()
    failed = take_back(journal.entries()) if journal.entries() else []
    _heard[0] = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: _end(take_back))
    signal.signal(signal.SIGALRM, lambda *_: _give_back(take_back))
    threading.Thread(target=_watch, daemon=True).start()
    return {"failed": failed}


def alive() -> None:
    """Say that the controller is there."""
    _heard[0] = time.monotonic()


def _lock() -> bool:
    """Lock the file that has the name now: who held it takes it away with the lock."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == os.stat(LOCK).st_ino:
            _held.append(descriptor)
            return True
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return False


def _holder() -> dict[str, Any]:
    try:
        with open(LOCK, encoding="utf-8") as file:
            said: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return {"who": "somebody", "since": "just now"}
    return said


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
    os.unlink(LOCK)
    os._exit(0)


def _alone(take_back: TakeBack) -> None:
    _buried.extend((namespaces.begin_anew(), netlink.begin_anew()))
    take_back(journal.entries())
