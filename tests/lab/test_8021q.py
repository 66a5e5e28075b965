"""The tutorial lab on another kernel: Debian's user-mode-linux, which has 802.1Q links.

The other datapath, and the other iptables, must give the very same cells, to root and, because that
kernel needs no BPF for it, to an ordinary user.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import uml
from tests.lab.ordinary import OPEN, ROOT

DEADLINE_S = 400
"""It takes some 90 s where nothing else runs."""

MAIN = """
echo 0 > /proc/sys/user/max_user_namespaces
own {python} -m harness up > {work}/up 2>&1
echo $? >> {work}/up
echo 10000 > /proc/sys/user/max_user_namespaces
echo 0 > /proc/sys/kernel/unprivileged_userns_clone
own {python} {suites} --lab-reports /run/user/none > {work}/refused 2>&1
echo $? >> {work}/refused
echo 1 > /proc/sys/kernel/unprivileged_userns_clone

{modprobe} -a ip_tables iptable_nat iptable_filter
own {python} {suites} --lab-reports /run/user/reports > {work}/user.log 2>&1
cp -r /run/user/reports {work}/user
own {python} -m harness doctor > {work}/doctor 2>&1
HARNESS_KILLS=1 own {python} -m pytest -q -p no:cacheprovider {tests} > {work}/tests 2>&1

{python} {suites} --lab-stage routed --lab-reports {work}/root > {work}/root.log 2>&1
"""
SUITES = ("-m", "pytest", "suites", "-q", "-p", "no:cacheprovider")
TESTS = (
    "tests/lab/test_up.py::test_lab_goes_up_is_used_and_goes_down",
    "tests/lab/test_kills.py::test_controller_killed",
    "tests/lab/test_kills.py::test_killed_inside_a_call",
)
"""What the ordinary user runs of these tests: a lab that stays up, and what a kill leaves."""


def head(reports: Path) -> tuple[str, str]:
    """The VLAN datapath of a run, and how it ended."""
    latest = reports / "latest" / "report.json"
    run = json.loads(latest.read_text())["run"] if latest.exists() else {}
    return run.get("vlan_datapath", ""), run.get("exit", "")


def outcomes(reports: Path) -> dict[str, tuple[str, str]]:
    """The outcome and verdict of every cell of a run."""
    document: dict[str, Any] = json.loads((reports / "latest" / "report.json").read_text())
    return {cell["id"]: (cell["observed"], cell["verdict"]) for cell in document["cells"]}


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """The folder with all that was done on the other kernel, in one boot."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        words = {
            "python": shlex.quote(sys.executable),
            "work": shlex.quote(folder),
            "suites": shlex.join(SUITES),
            "tests": shlex.join(TESTS),
            "modprobe": "{modprobe}",
        }
        uml.boot(Path(folder), OPEN + MAIN.format(**words), deadline_s=DEADLINE_S)
        yield Path(folder)


def test_ordinary_user_has_the_same_cells(work: Path, tmp_path: Path) -> None:
    """802.1Q links and a user namespace there, whatever is here: equal outcomes and verdicts."""
    assert head(work / "user") == ("8021q", "pass"), (work / "user.log").read_text()[-2000:]
    here = [sys.executable, *SUITES, "--lab-reports", str(tmp_path)]
    subprocess.run(here, cwd=ROOT, capture_output=True, check=True)
    assert outcomes(work / "user") == outcomes(tmp_path)


def test_root_has_the_same_cells(work: Path) -> None:
    """Root's lab there, in the stage that needs most: what the ordinary user found."""
    assert head(work / "root") == ("8021q", "pass"), (work / "root.log").read_text()[-2000:]
    routed = outcomes(work / "root")
    assert len(routed) > 100
    assert routed.items() <= outcomes(work / "user").items()


def test_ordinary_user_keeps_a_lab_up_and_is_killed(work: Path) -> None:
    """What TESTS ask holds for labs of an ordinary user too, and none of it is skipped."""
    last = (work / "tests").read_text().splitlines()[-1]
    assert last.startswith("4 passed in "), (work / "tests").read_text()[-2000:]


def test_doctor_lacks_nothing_there_for_an_ordinary_user(work: Path) -> None:
    """`harness doctor` says what privilege a lab would have, and that it is enough."""
    said = (work / "doctor").read_text()
    assert "nothing required is missing" in said
    assert "user namespaces" in said


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("up", "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=10000"),
        (
            "refused",
            "kernel.unprivileged_userns_clone is 0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
    ],
)
def test_forbidden_user_namespaces_are_one_refusal(
    work: Path, name: str, reason: str, remedy: str
) -> None:
    """Where the kernel forbids them, `harness up` and pytest say why, once, and end with 3."""
    said = (work / name).read_text()
    assert said.count(f"{reason}; as root: {remedy}, or run it with sudo") == 1
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "3"
