"""What a test does on a lab that is up: processes that stay, and taps that watch meanwhile."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from harness.worker import namespaces, taps

TIE = ("setpriv", "--pdeathsig", "KILL")
"""In a lab of its own everything ends with the worker's PID namespace; in one that stays up, so."""
OUTPUT = "/run"
"""A tmpfs of the lab's own."""
STEP_MS = 5
GRACE_S = 2.0
"""How long a process has to end when it is told to."""

_started: dict[int, tuple[subprocess.Popen[bytes], int, Any]] = {}
"""By process id: the child, a pidfd (another may collect its exit status), what it writes to."""
_watching: dict[int, taps.Tap] = {}


def start(node: str, argv: Sequence[str]) -> dict[str, Any]:
    """Start a process on a node that ends with this worker; `{"pid"}` or `{"failed": why}`."""
    if shutil.which(argv[0]) is None:
        return {"failed": f"{argv[0]}: no such command"}
    output = tempfile.TemporaryFile(dir=OUTPUT)  # noqa: SIM115 - closed by stop()
    with namespaces.entered(node):
        child = subprocess.Popen(
            [*TIE, *argv], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    _started[child.pid] = (child, os.pidfd_open(child.pid), output)
    return {"pid": child.pid}


def said(pid: int, text: str, within: float) -> dict[str, Any]:
    """What a process has written, and whether it runs; waits until `text` is in it or it ended."""
    _, pidfd, _ = _started[pid]
    deadline = time.monotonic() + within
    while True:
        running = not _ended(pidfd, 0)
        written = _written(pid)
        if text in written or not running or time.monotonic() >= deadline:
            return {"running": running, "output": written}
        _ended(pidfd, STEP_MS)


def stop(pid: int) -> None:
    """End a process and its process group; no error if it has ended."""
    child, pidfd, output = _started.pop(pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        _ended(pidfd, int(GRACE_S * 1000))
    child.wait()
    os.close(pidfd)
    output.close()


def watch(node: str, interface: str) -> int:
    """Open a tap of its own on an interface; its number for `seen`."""
    taps.keep_stamping([node])
    tap = taps.Tap(node, interface)
    _watching[tap.fileno()] = tap
    return tap.fileno()


def seen(number: int) -> dict[str, Any]:
    """Everything that a tap has seen, and what it lost; the tap is closed."""
    tap = _watching.pop(number)
    frames = tap.drain()
    count = tap.count()
    taps.close([tap.socket])
    return {"frames": frames, "drops": count["drops"], "down": count["down"]}


def _ended(pidfd: int, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(milliseconds))


def _written(pid: int) -> str:
    descriptor = _started[pid][2].fileno()
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode(errors="backslashreplace")
