"""The one thing of a lab that the kernel does not take back: the control groups of its engines.

A lab's are all below `harness-N`, N being the inode number of its PID namespace, in every hierarchy
(cgroups(7)). When the lab has ended they are empty, and only rmdir(2) removes them. A watcher, a
process outside of the lab, waits for the lab's first process to end and then does that; if it was
killed too, the next lab with engines removes what is left. `control_groups.py NAME PIDFD` is the
watcher.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = re.compile(r"harness-(\d+)")
DEADLINE_S = 5.0
"""A control group is free some milliseconds after its last process has ended."""
STEP_S = 0.01


def watch(name: str) -> None:
    """Have a lab's control groups removed when it ends, and those of labs that were killed now."""
    inodes = _pid_namespaces()
    for left in _without(inodes):
        remove(left)
    first = _first_of(inodes.get(int(name.removeprefix("harness-")), []))
    if first is None:
        return
    pidfd = os.pidfd_open(first)
    null = subprocess.DEVNULL
    done = subprocess.run(
        [sys.executable, "-I", "-S", __file__, name, str(pidfd)],
        pass_fds=(pidfd,), stdin=null, stdout=null, stderr=null, cwd="/", start_new_session=True,
        check=False,
    )  # fmt: skip
    os.close(pidfd)
    if done.returncode:
        from harness.errors import WorkerLost  # the watcher itself runs without the harness

        raise WorkerLost(f"what removes the control groups {name} ended at once, or was killed")


def left_behind() -> tuple[str, ...]:
    """The names of control groups whose lab is no more."""
    return _without(_pid_namespaces())


def _without(inodes: Collection[int]) -> tuple[str, ...]:
    """Those that are named after none of these PID namespaces."""
    return tuple(name for name in sorted(_names())
                 if int(name.removeprefix("harness-")) not in inodes)  # fmt: skip


def remove(name: str) -> bool:
    """Remove the control groups of a name; whether none is left."""
    for top in _of(name):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # not empty yet, or gone already
                Path(folder).rmdir()
    return not _of(name)


def _of(name: str) -> list[Path]:
    """Where a name is: in the one hierarchy of version 2, or in each of version 1."""
    places = [ROOT / name, *(place / name for place in ROOT.iterdir() if place.is_dir())]
    return [place for place in places if place.is_dir()]


def _names() -> set[str]:
    """The names of all labs that have control groups."""
    found = [*ROOT.glob("harness-*"), *ROOT.glob("*/harness-*")]
    return {place.name for place in found if NAME.fullmatch(place.name)}


def _pid_namespaces() -> dict[int, list[int]]:
    """The processes of this machine by the inode number of their PID namespace."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found.setdefault((entry / "ns/pid").stat().st_ino, []).append(int(entry.name))
    return found


def first_process(namespace: int) -> int | None:
    """The first process of the PID namespace with an inode number, as this machine numbers it."""
    return _first_of(_pid_namespaces().get(namespace, []))


def _first_of(pids: list[int]) -> int | None:
    """That process which is PID 1 of its namespace (`NSpid` of proc_pid_status(5))."""
    for pid in pids:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            numbers = re.search(r"^NSpid:(.*)$", status, re.MULTILINE)
            if numbers and numbers[1].split()[-1] == "1":
                return pid
    return None


def _main(name: str, pidfd: int) -> None:
    if os.fork():
        os._exit(0)
    select.select([pidfd], [], [])
    deadline = time.monotonic() + DEADLINE_S
    while not remove(name) and time.monotonic() < deadline:
        time.sleep(STEP_S)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
