"""A machine that stops to answer: it is found out, whatever it has answered before."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import mitogen.master
import pytest

from harness.errors import WorkerLost
from harness.machines.kernel import Kernel
from harness.machines.local import PRIVATE
from harness.machines.vm import QEMU, VirtualMachine
from harness.machines.worker import MitogenWorker
from harness.worker import calls

STOP = ["sh", "-c", "kill -STOP $PPID; exec sleep 1000"]
SILENT_S = 20
"""The answer to a small question takes less, also where the machine is emulated and busy."""


@pytest.mark.skipif(os.geteuid() != 0, reason="a worker's namespaces, as root makes them")
def test_an_answer_does_not_excuse_the_next() -> None:
    """Of two calls under way the first is answered and the second is not: that is told as well."""

    def connect(router: mitogen.master.Router) -> Any:
        return router.local(python_path=[*PRIVATE, sys.executable], connect_timeout=30)

    with closing(MitogenWorker(connect, "the machine", answer_s=3)) as worker:
        worker.call(calls.run, None, ["true"])
        first = worker.begin(calls.run, None, ["true"])
        second = worker.begin(calls.run, None, ["sleep", "1000"])
        assert first()["code"] == 0
        assert not worker.silent
        with pytest.raises(WorkerLost, match="the machine gave no word for 3 s"):
            second()
        assert worker.silent


def test_a_machine_that_stands_still_is_ended(oldest: Kernel) -> None:
    """Nothing in it runs any more, and it reads nothing of what is sent: no wait is for ever."""
    machine = VirtualMachine(oldest, silence_s=SILENT_S)
    worker = machine.start()
    os.kill(_emulator(QEMU[os.uname().machine]), signal.SIGSTOP)
    waiting = [worker.begin(calls.run, None, ["echo", "x" * 60_000]) for _ in range(40)]
    try:
        with pytest.raises(WorkerLost):
            waiting[0]()
    finally:
        worker.close()
    assert [one.kind for one in machine.events()] == ["hang"]


def _emulator(qemu: str) -> int:
    """The process of the machine: the one of that name that descends from this."""
    every = [os.getpid()]
    for pid in every:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            every += map(int, task.read_text(encoding="ascii").split())
    names = {pid: Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() for pid in every}
    (emulator,) = (pid for pid, name in names.items() if name == qemu[:15])
    return emulator
