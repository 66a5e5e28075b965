"""Runs of `pytest suites/` that do not end like others: kept up, and interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machines import registry
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "topologies" / "macvlan-two-host.yaml"
NAME = f"kept-{os.getpid()}"
DEADLINE_S = 90


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A short run on a topology of an unused name, with reports in a folder of its own."""
    text = TUTORIAL.read_text(encoding="utf-8").replace("name: macvlan-two-host", f"name: {NAME}")
    topology = tmp_path / "topology.yaml"
    topology.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    options = [f"--lab-topology={topology}", f"--lab-reports={tmp_path / 'reports'}"]
    return [*command, "suites/test_parent.py", *options]


@pytest.fixture
def kept() -> Iterator[None]:
    """Labs of this test's name go down after it."""
    yield
    for name in registry.names():
        if name.startswith(NAME):
            registry.stop(name)


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run to the end, with what it printed."""
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.mark.usefixtures("kept")
def test_kept_lab_is_up_in_its_last_stage(arguments: list[str]) -> None:
    """`--lab-keep` leaves the lab in the stage where the run ended, and says how to enter it."""
    done = run([*arguments, "--lab-keep"])
    assert done.returncode == 0, done.stdout
    assert registry.find(NAME).description.stage == "undone"
    assert f"harness exec --name {NAME} bbox1 -- " in done.stdout
    assert f"harness down {NAME}" in done.stdout


@pytest.mark.usefixtures("kept")
def test_kept_lab_can_be_attached_to(arguments: list[str]) -> None:
    """A kept lab is one like `harness up` makes: the same tests pass on it, as it is."""
    run([*arguments, "--lab-keep", "--lab-stage", "routed"])
    done = run([*arguments, "--lab-attach", NAME])
    assert done.returncode == 0, done.stdout
    assert "stages routed" in done.stdout


@pytest.mark.usefixtures("kept")
def test_taken_name_gets_an_ending(arguments: list[str]) -> None:
    """A second kept lab of one topology is told from the first by the end of its name."""
    for _ in range(2):
        assert run([*arguments, "--lab-keep"]).returncode == 0
    first, second = sorted(name for name in registry.names() if name.startswith(NAME))
    assert first == NAME
    assert second.startswith(f"{NAME}-")


@pytest.mark.parametrize("options", [[], ["--lab-keep"]], ids=["private", "kept"])
@pytest.mark.usefixtures("kept")
def test_control_c_closes_the_lab(arguments: list[str], options: list[str]) -> None:
    """Ctrl-C goes to every process of the terminal; the run ends with 2, and no lab is left.

    The kept one is left alone only when it was built.
    """
    before = snapshot.take()
    with subprocess.Popen(
        [*arguments, *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert snapshot.wait_until(lambda: _has_worker(process.pid), DEADLINE_S)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE_S) == pytest.ExitCode.INTERRUPTED
    for name in registry.names():
        if name.startswith(NAME):
            registry.stop(name)
    assert snapshot.wait_until_clean(before) == ()


def _has_worker(pid: int) -> bool:
    """Whether a process has started its worker."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += task.read_text(encoding="ascii").split()
    return any(b"setpriv" in _command(child) or b"unshare" in _command(child) for child in found)


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
