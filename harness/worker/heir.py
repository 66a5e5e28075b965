"""What a worker leaves that the kernel kills at once is taken back by a process beside it.

It is a copy of the worker from before anything was made: it has the modules in it, holds the same
lock, and waits for the worker to end. Of one that ended well nothing is left to do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any, Callable

from harness.worker import journal, lock, namespaces, netlink

ADJUSTED = b"-500"
"""Rather than this process, which has nothing, the kernel is to kill another (proc(5))."""

_alive: list[int] = []
"""The end of a pipe that the kernel closes with the worker."""


def wait(take_back: Callable[[list[dict[str, Any]]], object], deadline_s: int) -> None:
    """Have a process that takes back in this one's place, within a time, should it be killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(reading)
        _alive.append(writing)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _let_go_of_all_but([reading, *lock.descriptors(), *namespaces.descriptors()])
            os.read(reading, 1)
            _inherit(take_back, deadline_s)
    finally:
        os._exit(0)


def _let_go_of_all_but(kept: Iterable[int]) -> None:
    """The connection ends with the worker, whatever of it this process was born with."""
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # of the list itself
                os.close(int(name))
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)
    # Nobody is there any more who would send a module.
    sys.meta_path[:] = [one for one in sys.meta_path
                        if not type(one).__module__.startswith("mitogen")]  # fmt: skip
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:
        file.write(ADJUSTED)


def _inherit(take_back: Callable[[list[dict[str, Any]]], object], deadline_s: int) -> None:
    if not lock.is_held():
        return
    signal.alarm(deadline_s)
    had = namespaces.begin_anew(), netlink.begin_anew()  # kept: closing them would close others
    lock.say({"ending": True}, deadline_s)
    if journal.entries():
        take_back(journal.entries())
    lock.let_go()
    del had
