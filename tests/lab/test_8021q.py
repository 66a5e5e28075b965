"""The tutorial lab on another kernel: Debian's user-mode-linux, which has 802.1Q links.

The other datapath, and the other iptables, must give the very same cells, to root and, because that
kernel needs no BPF for it, to an ordinary user.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.ordinary import OPEN, ROOT

DEADLINE_S = 400
"""It takes some 90 s where nothing else runs."""

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run
export PYTHONDONTWRITEBYTECODE=1
echo {modprobe} > /proc/sys/kernel/modprobe
sh {work}/main > {work}/trace 2>&1
echo o > /proc/sysrq-trigger
read -r nothing < /proc/kmsg
exec sleep 1000
"""
MODPROBE = """#!/bin/sh
exec {real} -d {base} "$@"
"""
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


def script(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """The folder with all that was done on the other kernel, in one boot."""
    linux, modprobe = shutil.which("linux.uml"), shutil.which("modprobe")
    if linux is None or modprobe is None:
        pytest.skip("linux.uml or modprobe is missing (Debian: user-mode-linux, kmod)")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        boot(Path(linux), modprobe, Path(folder))
        yield Path(folder)


def boot(linux: Path, modprobe: str, work: Path) -> None:
    """Have the other kernel carry out MAIN."""
    modules = linux.parents[1] / "lib" / "uml" / "modules"
    base = work / "base"
    (base / "lib").mkdir(parents=True)
    (base / "lib" / "modules").symlink_to(modules)
    real = MODPROBE.format(real=shlex.quote(modprobe), base=shlex.quote(str(base)))
    words = {
        "modprobe": script(work / "modprobe", real),
        "python": sys.executable,
        "work": work,
    }
    quoted = {name: shlex.quote(str(path)) for name, path in words.items()}
    quoted["suites"] = shlex.join(SUITES)
    quoted["tests"] = shlex.join(TESTS)
    script(work / "main", OPEN + MAIN.format(**quoted))
    init = script(work / "init", INIT.format(**quoted))
    subprocess.run(
        [str(linux), "mem=1024M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
         f"init={init}", "con=null", "con0=null", "ssl=null", "quiet"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=DEADLINE_S,
        env={**os.environ, "TMPDIR": str(work)},
    )  # fmt: skip


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
