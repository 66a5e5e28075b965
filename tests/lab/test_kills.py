"""Whatever is killed, whenever: within 2 s the machine is as it was before.

`HARNESS_KILLS` says how many kills at random moments there are for each victim: 4 by default, for
CI, 20 (60 in all) for a release. The seed of the moments is in the test's id.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.machines import registry
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("HARNESS_KILLS", "4"))
SEEDS = range(KILLS)
LONGEST_S = 2.2
"""A whole run takes about so long; moments are spread over it."""
END_S = 90.0
"""A controller whose worker was killed says so and ends, long before this."""

IN_A_CALL = """
import sys
from harness.machines.local import PrivateMachine
from harness.worker import calls
worker = PrivateMachine().start()
running = worker.begin(calls.run, None, ["sh", "-c", "echo $$ > {mark}; sleep 1000"])
running()
"""


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts programs of the harness; those still running are killed after the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *argv],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def suites(reports: Path, *more: str) -> list[str]:
    """The arguments of a run of the suites."""
    own = ["-m", "pytest", "suites", "-q", "-p", "no:cacheprovider", "--lab-reports"]
    return [*own, str(reports), *more]


def moment(process: subprocess.Popen[bytes], seed: int) -> None:
    """Wait for a random moment of a program's life, or for its end."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(random.Random(seed).uniform(0.0, LONGEST_S))


def offspring(pid: int) -> list[int]:
    """The processes under one, nearest first."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                found += [int(child), *offspring(int(child))]
    return found


def kill(pid: int) -> None:
    """SIGKILL, unless it has ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", SEEDS)
def test_controller_killed(
    started: Callable[..., subprocess.Popen[bytes]],
    untouched: snapshot.Snapshot,
    tmp_path: Path,
    seed: int,
) -> None:
    """A run whose pytest is killed leaves nothing."""
    run = started(*suites(tmp_path))
    moment(run, seed)
    run.kill()
    run.wait()
    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_worker_killed(
    started: Callable[..., subprocess.Popen[bytes]],
    untouched: snapshot.Snapshot,
    tmp_path: Path,
    seed: int,
) -> None:
    """A run whose worker is killed, or the process that keeps it, ends and leaves nothing."""
    run = started(*suites(tmp_path))
    moment(run, seed)
    under = offspring(run.pid)
    if under:
        kill(random.Random(seed).choice(under))
    run.wait(END_S)
    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_holder_killed_under_a_run(
    started: Callable[..., subprocess.Popen[bytes]],
    untouched: snapshot.Snapshot,
    tmp_path: Path,
    seed: int,
) -> None:
    """A lab that is up goes with its holder, and a run attached to it ends."""
    name = f"kills-{os.getpid()}-{seed}"
    assert started("-m", "harness", "up", "--name", name).wait() == 0
    run = started(*suites(tmp_path, "--lab-attach", name))
    moment(run, seed)
    kill(holder(name))
    run.wait(END_S)
    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize("victim", ["controller", "worker"])
def test_killed_inside_a_call(
    started: Callable[..., subprocess.Popen[bytes]],
    untouched: snapshot.Snapshot,
    tmp_path: Path,
    victim: str,
) -> None:
    """In the middle of a call that does not end by itself it is no different."""
    mark = tmp_path / "mark"
    run = started("-c", IN_A_CALL.format(mark=mark))
    assert snapshot.wait_until(mark.exists, END_S)
    kill(run.pid if victim == "controller" else offspring(run.pid)[-1])
    if victim == "worker":
        kill(offspring(run.pid)[0])
        run.wait(END_S)
    run.kill()
    run.wait()
    assert snapshot.wait_until_clean(untouched) == ()


def holder(name: str) -> int:
    """The process that holds a lab."""
    return registry.find(name).pid
