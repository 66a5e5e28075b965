"""Whole runs over SSH whose transport, clock or disk fails: carried over, or clearly told."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.testbed import Layout, Testbed
from harness.worker.search import found
from tests.conftest import old_python
from tests.lab import snapshot
from tests.lab.hosts import SHIPPED, Bench

BOUND_S = 75.0
"""A lost connection is known after 30 s; a run has two more to be told of, and its end."""


@pytest.fixture
def bench(
    machines_are_here: None,  # noqa: ARG001 - it skips
    tmp_path: Path,
) -> Iterator[Bench]:
    """Machines with engines, and a folder for reports; host1's clock is off where it can be."""
    if not found("dockerd") or not found("busybox"):
        pytest.skip("no dockerd or busybox on this machine")
    old, faketime = old_python("3.10"), list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    odd = Layout(clock={"host1": "+1h"}, python={"host1": old}) if old and faketime else Layout()
    with Testbed(odd) as bed:
        yield Bench(bed, tmp_path)


class Run:
    """A run in the background."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._process = subprocess.Popen(
            bench.command(SHIPPED), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def wait_for(self, machine: str, *argv: str) -> None:
        """Wait until a command succeeds on a machine; the run must not have ended by then."""
        there = lambda: self._bench.bed.on(machine, *argv).returncode == 0  # noqa: E731
        assert snapshot.wait_until(there, 30)
        assert self._process.poll() is None

    def end(self) -> tuple[int, str, float]:
        """Exit code, what was said, and the seconds until then."""
        began = time.monotonic()
        said, _ = self._process.communicate(timeout=BOUND_S * 2)
        return self._process.returncode, said, time.monotonic() - began


BUILT = ("gateway", "ip", "link", "show", "eth2.20")
CARRIED = ("host2", "sh", "-c", "docker ps | grep bbox4")


def test_sudo_jump_and_old_python_make_no_difference(
    machines_are_here: None,  # noqa: ARG001 - it skips
    tmp_path: Path,
) -> None:
    """One login by sudo, one machine behind another, one with Python 3.9: all is proved."""
    if not found("dockerd") or not found("busybox"):
        pytest.skip("no dockerd or busybox on this machine")
    old = old_python()
    python = {"gateway": old} if old else {}
    with Testbed(Layout(sudo=("host1",), jump={"host2": "gateway"}, python=python)) as bed:
        bench = Bench(bed, tmp_path)
        lab = bench.topology(
            ("ssh: root@192.168.56.104", "ssh: host1, become: sudo"),
            ("ssh: root@192.168.56.105", "ssh: host2"),
        )
        code, said = bench.run(lab)
    assert code == 0, said
    assert {cell["verdict"] for cell in bench.report["cells"]} == {"pass"}


def test_wrong_clock_changes_no_verdict(bench: Bench) -> None:
    """An hour ahead on one host: everything is proved all the same."""
    if not bench.bed.layout.clock:
        pytest.skip("no libfaketime, or no Python 3.10, on this machine")
    there = int(bench.bed.run("ssh", "host1", "date +%s").stdout)
    assert there - time.time() > 3500
    code, said = bench.run()
    assert code == 0, said
    assert {cell["verdict"] for cell in bench.report["cells"]} == {"pass"}


def test_ten_seconds_without_management_are_carried_over(bench: Bench) -> None:
    """eth1 of one host is cut while the lab is tested, and comes back: the run is green."""
    run = Run(bench)
    run.wait_for(*CARRIED)
    bench.bed.cut("host2")
    time.sleep(10)  # the length of the cut is what is tested
    bench.bed.mend("host2")
    code, said, _ = run.end()
    assert code == 0, said
    assert bench.report["run"]["duration_s"] > 10
    assert {cell["verdict"] for cell in bench.report["cells"]} == {"pass"}


@pytest.mark.parametrize("fault", ["sshd killed", "eth1 cut", "power cut"])
def test_lost_machine_ends_the_run_with_its_name(bench: Bench, fault: str) -> None:
    """In bounded time, no verdict is green that was not proved, and no traceback is shown."""
    run = Run(bench)
    run.wait_for(*CARRIED)
    if fault == "sshd killed":
        bench.bed.on("host2", "pkill", "-KILL", "-f", "sshd: root").check_returncode()
    elif fault == "eth1 cut":
        bench.bed.cut("host2")
    else:
        bench.bed.reboot("host2")
    code, said, seconds = run.end()
    assert code not in {0, 5}, said
    assert "host2" in said
    assert "Traceback" not in said
    assert seconds < BOUND_S
    (found,) = [one for one in bench.report["diagnoses"] if one["code"] == "machine-unreachable"]
    assert (found["node"], found["subject"]) == (None, "host2")
    cells = {one["id"]: one for one in bench.report["cells"]}
    assert {cells[name]["verdict"] for name in found["cells"]} == {"unproved"}


def test_full_disk_is_told(bench: Bench) -> None:
    """A host that can write nothing says so; the run ends as one that could not be built."""
    bench.do("host2", "dd if=/dev/zero of=/var/lib/filler bs=1M 2>/dev/null || true")
    code, said = bench.run(SHIPPED, "-k", "test_same_vlan")
    assert code != 0
    assert "no space left on device" in said.lower()
    assert "host2" in said
    assert "Traceback" not in said
