"""A lab host is held by one run at a time, and given back when that is cut off.

The worker has a lock on the host until it ends. When its connection ends, mitogen ends it by
SIGTERM, in whatever call it is; and where nothing was heard of the controller for the length of a
lease, so does the worker itself. What is in the journal then is taken back before it goes.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from harness.worker import journal, namespaces, netlink

LOCK = "/run/macvlan-harness.lock"
WAIT_S, STEP_S = 15.0, 0.1
"""How long a run that is being taken back is waited for."""
LEASE_S = 60.0
"""How long nothing need be heard of a controller: twice what ssh gives a connection."""
DEADLINE_S = 60.0
"""How long taking back may last; what is left then is in the journal."""

TakeBack = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

_held: list[int] = []
_heard: list[float] = [0.0]
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
    signal.signal(signal.SIGTERM, lambda *_: _give_back(take_back))
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


def _give_back(take_back: TakeBack) -> None:
    """Take back what is here, while the call that was cut off stands still; the end of the worker.

    A thread of its own does it: whatever this one was about is half done.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if journal.entries():
        thread = threading.Thread(target=_alone, args=(take_back,), daemon=True)
        thread.start()
        thread.join(DEADLINE_S)
    os.unlink(LOCK)
    os._exit(0)


def _alone(take_back: TakeBack) -> None:
    _buried.extend((namespaces.begin_anew(), netlink.begin_anew()))
    take_back(journal.entries())
