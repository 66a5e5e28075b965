"""The lock of a lab host: one run at a time holds it, and says in it who it is and until when.

The lock is the kernel's (flock(2)), so it ends with the last process that has the file open. What
the file says is for people, and for whoever is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any

FILE = "/run/macvlan-harness.lock"
TIME = "%Y-%m-%dT%H:%M:%SZ"

_held: list[int] = []
_said: dict[str, Any] = {}


def take() -> bool:
    """Lock the file that has the name now: who held it takes it away with the lock."""
    descriptor = os.open(FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == os.stat(FILE).st_ino:
            _held.append(descriptor)
            _said.clear()
            return True
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return False


def descriptors() -> list[int]:
    """What must stay open for the lock to be held."""
    return list(_held)


def say(words: dict[str, Any], lease_s: float) -> None:
    """Say who holds it, besides what was said before, and that nobody need ask for `lease_s`."""
    _said.update(words)
    # A clock that nobody sets; it is the same for all that read this before the next boot.
    text = json.dumps({**_said, "until": time.monotonic() + lease_s}).encode()
    with contextlib.suppress(OSError):  # a full disk: it is held without a word
        os.pwrite(_held[0], text, 0)
        os.ftruncate(_held[0], len(text))


def holder() -> dict[str, Any]:
    """What was said by who holds it, and when its lease ends by this machine's clock."""
    try:
        with open(FILE, encoding="utf-8") as file:
            said: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return {"who": "somebody", "since": "just now"}
    left = said.pop("until") - time.monotonic()
    said["lease_ends"] = time.strftime(TIME, time.gmtime(time.time() + left))
    return said


def is_held() -> bool:
    """Whether the file that has the name is this process's to let go of."""
    try:
        return bool(_held) and os.fstat(_held[0]).st_ino == os.stat(FILE).st_ino
    except FileNotFoundError:
        return False


def let_go() -> None:
    """Take the file away, and its lock."""
    os.unlink(FILE)
    os.close(_held.pop())
