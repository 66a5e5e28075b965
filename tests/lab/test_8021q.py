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

ROOT = Path(__file__).parents[2]
DEADLINE_S = 400
"""It takes some 80 s on an idle machine."""
USER = 1000

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
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
set -x
# What the interpreter is made of may be in a folder of root's own.
mkdir /run/own /run/user
chmod 777 /run/user
for own in {folders}; do
    mkdir -p /run/own$own
    mount --bind $own /run/own$own
done
for own in {folders}; do
    first=/$(echo $own | cut -d/ -f2)
    setpriv {as_user} test -x $own || mount -t tmpfs -o mode=755 tmpfs $first
    mkdir -p $own
    mount --bind /run/own$own $own
done
cd {root}
own() {{ setpriv {as_user} env HOME=/run/user TMPDIR=/run/user "$@"; }}

echo 0 > /proc/sys/kernel/unprivileged_userns_clone
own {python} -m harness up > {work}/up 2>&1
echo $? >> {work}/up
own {python} {suites} > {work}/refused 2>&1
echo $? >> {work}/refused
echo 1 > /proc/sys/kernel/unprivileged_userns_clone

{modprobe} -a ip_tables iptable_nat iptable_filter
own {python} {suites} --lab-reports /run/user/reports > {work}/user.log 2>&1
cp -r /run/user/reports {work}/user
own {python} -m harness doctor > {work}/doctor 2>&1
HARNESS_KILLS=1 own {python} -m pytest -q -p no:cacheprovider {tests} > {work}/tests 2>&1

{python} {suites} --lab-reports {work}/root > {work}/root.log 2>&1
"""
SUITES = ("-m", "pytest", "suites", "-q", "-p", "no:cacheprovider")
TESTS = (
    "tests/lab/test_up.py::test_lab_goes_up_is_used_and_goes_down",
    "tests/lab/test_kills.py::test_controller_killed",
    "tests/lab/test_kills.py::test_killed_inside_a_call",
)
"""What the ordinary user runs of these tests: a lab that stays up, and what a kill leaves."""


def outcomes(folder: Path) -> dict[str, tuple[str, str]]:
    """The outcome and verdict of every cell of a run."""
    document: dict[str, Any] = json.loads((folder / "report.json").read_text())
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
        "root": ROOT,
        "python": sys.executable,
        "work": work,
    }
    quoted = {name: shlex.quote(str(path)) for name, path in words.items()}
    quoted["folders"] = shlex.join([str(ROOT), sys.base_prefix])
    quoted["as_user"] = f"--reuid {USER} --regid {USER} --clear-groups"
    quoted["suites"] = shlex.join(SUITES)
    quoted["tests"] = shlex.join(TESTS)
    script(work / "main", MAIN.format(**quoted))
    init = script(work / "init", INIT.format(**quoted))
    subprocess.run(
        [str(linux), "mem=1024M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
         f"init={init}", "con=null", "con0=null", "ssl=null", "quiet"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=DEADLINE_S,
        env={**os.environ, "TMPDIR": str(work)},
    )  # fmt: skip
