"""What suites of one's own do on a real lab: processes, captures, a lab that is up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import labs
from harness.errors import MachineError
from harness.flow import Stage
from harness.handle import LiveLab
from harness.machines import registry
from harness.report.folder import read_document
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "examples/web-server/topology.yaml"
SLEEPER = [sys.executable, "-u", "-c", "import signal; print('ready'); signal.pause()"]


@pytest.fixture
def live(untouched: snapshot.Snapshot) -> Iterator[LiveLab]:
    """The example's lab, routed, private to the test."""
    del untouched
    lab = labs.private(str(TOPOLOGY)).open()
    try:
        lab.enter(Stage.ROUTED)
        yield LiveLab(lab)
    finally:
        lab.close()


def pytest_in(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in this checkout."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_command_has_a_result(live: LiveLab) -> None:
    """A command's exit code, output and input are its own; no code raises."""
    done = live.run("bbox1", ["sh", "-c", "cat; echo wrong >&2; exit 3"], stdin="in")
    assert (done.code, done.out, done.err, done.ok) == (3, "in", "wrong\n", False)


def test_process_runs_until_it_is_stopped(live: LiveLab) -> None:
    """A process runs beside other commands, is looked at, and ends when it is told."""
    with live.start("bbox3", SLEEPER) as process:
        process.wait_for("ready")
        assert live.run("bbox1", ["true"]).ok
        assert process.running
    assert (process.running, process.output) == (False, "ready\n")


def test_process_that_ends_early_is_told(live: LiveLab) -> None:
    """Who waits for a process that has ended is told at once, with what it said."""
    process = live.start("bbox3", ["sh", "-c", "echo no; exit 1"])
    with pytest.raises(MachineError, match="on bbox3 ended; it said: no"):
        process.wait_for("ready", within=60)


def test_process_that_there_is_not(live: LiveLab) -> None:
    """A command that there is not is an error that names it."""
    with pytest.raises(MachineError, match="bbox3: no-such-program: no such command"):
        live.start("bbox3", ["no-such-program"])


def test_process_ends_with_its_lab(untouched: snapshot.Snapshot) -> None:
    """A process that nobody stops is gone with its private lab."""
    lab = labs.private(str(TOPOLOGY)).open()
    LiveLab(lab).start("bbox3", SLEEPER).wait_for("ready")
    lab.close()
    assert snapshot.wait_until_clean(untouched) == ()


def test_capture_has_the_frames_of_its_block(live: LiveLab) -> None:
    """A capture sees what passes during its block, tags included, and nothing else."""
    live.run("bbox1", ["ping", "-c1", "172.16.10.11"])
    with live.capture("host1", "eth2") as seen:
        live.run("bbox1", ["ping", "-c1", "-s", "300", "172.16.10.11"])
    echoes = [(one.icmp_type, one.vlans, len(one.payload)) for one in seen.packets if one.icmp_type]
    assert echoes == [(8, (10,), 300)]


def test_capture_where_there_is_no_interface(live: LiveLab) -> None:
    """An interface that there is not is an error that names it."""
    with pytest.raises(MachineError, match="bbox1:eth9: "), live.capture("bbox1", "eth9"):
        pass


def test_example_on_a_lab_that_is_up(name: str) -> None:
    """The example's suite passes on an attached lab, and the lab is still up afterwards."""
    labs.bring_up(str(TOPOLOGY), name, Stage.ROUTED)
    try:
        done = pytest_in("examples", "--lab-attach", name)
        assert done.returncode == pytest.ExitCode.OK, done.stdout
        assert name in registry.names()
    finally:
        registry.stop(name)


def test_spread_over_two_real_labs(tmp_path: Path) -> None:
    """Two workers of pytest-xdist have two labs at a time, and every cell is proved in both."""
    pytest.importorskip("xdist", reason="pytest-xdist is missing; it is in the extra `dev`")
    done = pytest_in("suites", "examples", "-n", "2", "--lab-reports", str(tmp_path))
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    reports = [read_document(folder) for folder in tmp_path.glob("*Z-*")]
    assert [one["run"]["exit"] for one in reports] == ["pass", "pass"]
    assert [one["leftovers"] for one in reports] == [[], []]
