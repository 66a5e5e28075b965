"""A lab that stays up has one owner, and ends with it: completely, at once, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import pytest

from harness.errors import LabExists
from harness.machines import enter, holder, registry
from tests.lab import snapshot

UP = """
import sys
from harness.machines import registry
from tests.lab.conftest import DESCRIPTION
with registry.start(sys.argv[1]) as pending:
    print("started", flush=True)
    sys.stdin.readline()
    pending.commit(DESCRIPTION)
    print("committed", flush=True)
    sys.stdin.readline()
"""
"""`harness up` as far as its lab's life hangs on it; it goes on at each line that it is given."""
KILL_MOMENTS_MS = tuple(range(0, 120, 4))
"""From before Python has started to well after the namespaces are there."""


def _run_up(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", UP, name]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _say(up: subprocess.Popen[str], line: str = "go") -> None:
    assert up.stdin
    up.stdin.write(line + "\n")


def _hear(up: subprocess.Popen[str]) -> str:
    assert up.stdout
    return up.stdout.readline().strip()


def _kill(up: subprocess.Popen[str]) -> None:
    with up:
        up.kill()


def _parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    return int(stat.rpartition(")")[2].split()[1])


def _inside(lab: registry.LabRecord, script: str) -> subprocess.CompletedProcess[str]:
    command = [*enter.worker_command(lab.init_pid, "sh"), "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def busy(lab: registry.LabRecord) -> registry.LabRecord:
    """A lab in which processes run that would not end by themselves, orphans among them."""
    _inside(lab, "for n in 1 2 3; do (setsid sleep 1000 >/dev/null 2>&1 &); done")
    return lab


@pytest.mark.parametrize("victim", ["holder", "keeper", "first process"])
def test_lab_ends_with_each_of_its_processes(
    untouched: snapshot.Snapshot, busy: registry.LabRecord, victim: str
) -> None:
    """Whichever of the three is killed, the other two and everything in the lab go as well."""
    pids = {"holder": busy.pid, "keeper": _parent(busy.init_pid), "first process": busy.init_pid}

    os.kill(pids[victim], signal.SIGKILL)

    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize("moment_ms", KILL_MOMENTS_MS)
def test_lab_that_is_being_built_ends_with_its_builder(
    untouched: snapshot.Snapshot, name: str, moment_ms: int
) -> None:
    """`harness up` killed at any moment before it has committed its lab leaves nothing."""
    up = _run_up(name)
    with suppress(subprocess.TimeoutExpired):
        up.wait(moment_ms / 1000)

    _kill(up)

    assert snapshot.wait_until_clean(untouched) == ()


def test_lab_that_has_its_namespaces_ends_with_its_builder(
    untouched: snapshot.Snapshot, name: str
) -> None:
    """The last moment before the commit is no different."""
    up = _run_up(name)
    assert _hear(up) == "started"

    _kill(up)

    assert snapshot.wait_until_clean(untouched) == ()


def test_committed_lab_outlives_its_builder(
    up: Callable[[], registry.LabRecord], name: str
) -> None:
    """Once committed, the lab is its holder's alone."""
    del up
    builder = _run_up(name)
    _hear(builder)
    _say(builder)
    assert _hear(builder) == "committed"

    _kill(builder)

    assert registry.find(name).name == name


def test_one_of_many_builders_of_a_name_wins(name: str) -> None:
    """The kernel gives an address to one socket only."""
    won: list[registry.PendingLab] = []
    lost: list[LabExists] = []

    def build() -> None:
        try:
            won.append(registry.start(name))
        except LabExists as error:
            lost.append(error)

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pending in won:
        pending.abort()

    assert (len(won), len(lost)) == (1, 7)


def test_name_is_free_again_when_the_lab_has_ended(name: str) -> None:
    """An ended lab leaves nothing that keeps its name."""
    for _ in range(5):
        with registry.start(name):
            pass
    assert name not in registry.names()


def test_orphans_are_reaped(lab: registry.LabRecord) -> None:
    """The lab's first process has no zombies: neither children of ended ones nor its own."""
    _inside(lab, "for n in 1 2 3 4; do (sh -c 'exit 3' &); done")
    zombies = "ps -e -o stat= | grep -c Z"
    assert snapshot.wait_until(lambda: _inside(lab, zombies).stdout.strip() == "0")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_signal_from_inside_ends_the_lab(lab: registry.LabRecord, number: int) -> None:
    """What runs in a node cannot end the lab by accident."""
    _inside(lab, f"kill -{int(number)} 1; kill -CHLD 1")
    assert _inside(lab, "echo alive").stdout == "alive\n"


@pytest.mark.parametrize("said", [b"", b"{", b"null\n", b"[1]\n", b'{"do": "dance"}\n', b"\xff\n"])
def test_nonsense_does_not_disturb_the_holder(lab: registry.LabRecord, said: bytes) -> None:
    """A client may say anything, or leave in the middle of it."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(holder.address(os.getuid(), lab.name))
        client.sendall(said)
    assert registry.find(lab.name) == lab


def test_silent_clients_do_not_block_the_holder(lab: registry.LabRecord) -> None:
    """Others are answered while some say nothing."""
    clients = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for client in clients:
        client.connect(holder.address(os.getuid(), lab.name))
    found = registry.find(lab.name)
    for client in clients:
        client.close()
    assert found == lab


def test_a_full_queue_is_waited_for(lab: registry.LabRecord) -> None:
    """A holder that has not come to its clients yet is there all the same."""
    os.kill(lab.pid, signal.SIGSTOP)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    with suppress(BlockingIOError):
        for client in clients:
            client.setblocking(False)
            client.connect(holder.address(os.getuid(), lab.name))
        pytest.fail("its queue was never full")
    with ThreadPoolExecutor() as asking:
        found = asking.submit(registry.find, lab.name)
        wait([found], timeout=0.2)
        os.kill(lab.pid, signal.SIGCONT)
        assert found.result() == lab
    for client in clients:
        client.close()


def test_stopped_holder_is_killed(lab: registry.LabRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that does not answer cannot keep its lab."""
    monkeypatch.setattr(registry, "ANSWER_S", 0.2)
    os.kill(lab.pid, signal.SIGSTOP)

    registry.stop(lab.name)

    assert lab.name not in registry.names()
