"""The tutorial lab on another kernel: Debian's user-mode-linux, which has 802.1Q links.

The other datapath, and the other iptables, must give the very same cells.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MODULES = Path("/usr/lib/uml/modules")
DEADLINE_S = 300
"""It takes some 30 s on an idle machine."""

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run
export PYTHONDONTWRITEBYTECODE=1
echo {modprobe} > /proc/sys/kernel/modprobe
cd {root}
{python} -m pytest suites -q -p no:cacheprovider --lab-reports {reports} > {log} 2>&1
echo o > /proc/sysrq-trigger
read -r nothing < /proc/kmsg
exec sleep 1000
"""
MODPROBE = """#!/bin/sh
exec modprobe -d {base} "$@"
"""


def outcomes(folder: Path) -> dict[str, tuple[str, str]]:
    """The outcome and verdict of every cell of a run."""
    document: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return {cell["id"]: (cell["observed"], cell["verdict"]) for cell in document["cells"]}


def script(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The run folder of a run on the other kernel."""
    if not shutil.which("linux.uml") or not MODULES.is_dir():
        pytest.skip("user-mode-linux is not installed (Debian: apt-get install user-mode-linux)")
    base = tmp_path / "base"
    (base / "lib").mkdir(parents=True)
    (base / "lib" / "modules").symlink_to(MODULES)
    words = {
        "modprobe": script(tmp_path / "modprobe", MODPROBE.format(base=base)),
        "root": ROOT,
        "python": sys.executable,
        "reports": tmp_path / "reports",
        "log": tmp_path / "log",
    }
    quoted = {name: shlex.quote(str(path)) for name, path in words.items()}
    init = script(tmp_path / "init", INIT.format(**quoted))
    subprocess.run(
        ["linux.uml", "mem=1024M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
         f"init={init}", "con=null", "con0=null", "ssl=null", "quiet"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=DEADLINE_S,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (tmp_path / "reports" / "latest").exists(), (tmp_path / "log").read_text()[-2000:]
    return tmp_path / "reports" / "latest"


def test_another_kernel_has_the_same_cells(other: Path, tmp_path: Path) -> None:
    """802.1Q links there, whatever this kernel has here: equal outcomes, equal verdicts."""
    run: dict[str, Any] = json.loads((other / "report.json").read_text())["run"]
    assert (run["vlan_datapath"], run["exit"]) == ("8021q", "pass")
    here = tmp_path / "here"
    subprocess.run(
        [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider",
         "--lab-reports", str(here)],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    assert outcomes(other) == outcomes(here / "latest")
