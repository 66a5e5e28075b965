"""Labs on other kernels, in virtual machines: Debian's, as `make kernels` has fetched them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MachineError, WorkerLost
from harness.machines.kernel import Kernel
from harness.machines.vm import VirtualMachine
from harness.machines.worker import Worker
from harness.worker import calls

ROOT = Path(__file__).parents[2]
DEADLINE_S = 400


pytestmark = pytest.mark.usefixtures("machines")


def run(*options: str, deadline_s: int = DEADLINE_S) -> tuple[dict[str, Any], Path, str]:
    """A run's report, its folder, and what it printed."""
    folder = Path(tempfile.mkdtemp())
    argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*argv, *options, "--lab-reports", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=deadline_s,
    )  # fmt: skip
    latest = folder / "latest"
    report = json.loads((latest / "report.json").read_text()) if latest.exists() else {}
    return report, latest, done.stdout + done.stderr


def cells(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The outcome and verdict of every cell."""
    return {one["id"]: (one["observed"], one["verdict"]) for one in report["cells"]}


@pytest.fixture(scope="module")
def here() -> Iterator[dict[str, Any]]:
    """The same lab on this machine's own kernel."""
    report, folder, _ = run()
    yield report
    shutil.rmtree(folder.parent)


def test_the_same_cells_on_another_kernel(oldest: Kernel, here: dict[str, Any]) -> None:
    """The tutorial lab over that kernel's own 802.1Q links fares in every cell as it does here."""
    report, folder, said = run("--lab-kernel", str(oldest.image))
    assert report, said
    assert report["run"]["exit"] == "pass", said
    assert report["run"]["kernel"] == oldest.name
    assert report["run"]["vlan_datapath"] == "8021q"
    assert "kernel_events" not in report["run"]
    assert cells(report) == cells(here)
    assert "Linux version 6.1" in (folder / "evidence/console.txt").read_text()
    shutil.rmtree(folder.parent)


def test_the_newest_kernel(newest: Kernel, here: dict[str, Any]) -> None:
    """One stage of the lab, on the newest kernel that Debian has."""
    report, folder, said = run("--lab-kernel", "7.2", "--lab-stage", "routed")
    assert report, said
    assert (report["run"]["exit"], report["run"]["kernel"]) == ("pass", newest.name), said
    routed = {name: seen for name, seen in cells(here).items() if name.startswith("routed-")}
    assert cells(report) == routed
    shutil.rmtree(folder.parent)


def shell(worker: Worker, line: str) -> None:
    """Have the machine's shell do something."""
    worker.call(calls.run, None, ["sh", "-c", line])


def test_what_a_kernel_says_of_itself_is_told(oldest: Kernel) -> None:
    """A warning in its log, and a taint that was not there when it booted."""
    machine = VirtualMachine(oldest)
    worker = machine.start()
    try:
        shell(
            worker, "echo 'WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 nowhere+0x1/0x2' > /dev/kmsg"
        )
        shell(worker, "echo 512 > /proc/sys/kernel/tainted")
    finally:
        worker.close()
    assert [one.kind for one in machine.events()] == ["warning", "taint"]
    assert "Linux version" in machine.console


def test_a_panic_ends_the_machine(oldest: Kernel) -> None:
    """By sysrq; the worker is lost, and the console has the reason."""
    machine = VirtualMachine(oldest)
    worker = machine.start()
    try:
        with pytest.raises(WorkerLost):
            shell(worker, "echo c > /proc/sysrq-trigger")
    finally:
        worker.close()
    kinds = [one.kind for one in machine.events()]
    assert "panic" in kinds
    assert "no-boot" not in kinds


def test_a_kernel_that_is_not_up_in_time(oldest: Kernel) -> None:
    """It has a second to boot, which none does in emulation: no word of it is a finding."""
    machine = VirtualMachine(oldest, boot_s=1)
    with pytest.raises(MachineError, match=r"is not up after 1 s; its console"):
        machine.start()
    assert [one.kind for one in machine.events()] == ["no-boot"]


def test_a_kernel_that_cannot_be_booted(tmp_path: Path) -> None:
    """No kernel at all: the run says so, has a folder, and is no pass."""
    nothing = tmp_path / "vmlinuz-9.9"
    nothing.write_bytes(b"no kernel")
    report, folder, said = run("--lab-kernel", str(nothing), "--lab-stage", "isolated")
    assert report["run"]["exit"] == "error"
    assert [one["kind"] for one in report["run"]["kernel_events"]] == ["no-boot"]
    assert "9.9 is not up" in said
    assert "Traceback" not in said
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize(
    "option", [("--lab-attach", "x"), ("--lab-keep",), ("--lab-shell-on-failure",)]
)
def test_what_does_not_go_with_a_kernel(option: tuple[str, ...]) -> None:
    """A lab that ends with its machine cannot stay, nor be another's."""
    report, folder, said = run("--lab-kernel", "6.1", *option)
    assert not report
    assert "does not go with --lab-kernel" in said
    shutil.rmtree(folder.parent, ignore_errors=True)
