"""Another kernel than this machine's: Debian's user-mode-linux, which has 802.1Q links.

Its root is this machine's, with a /run of its own; what is to be kept is written to a folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

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


def boot(work: Path, main: str, *, deadline_s: float, memory: str = "1024M") -> None:
    """Have the other kernel carry out a script; `{modprobe}` in it is the program that loads.

    Skips where there is no such kernel.
    """
    linux, real = shutil.which("linux.uml"), shutil.which("modprobe")
    if linux is None or real is None:
        pytest.skip("linux.uml or modprobe is missing (Debian: user-mode-linux, kmod)")
    base = work / "base"
    (base / "lib").mkdir(parents=True)
    (base / "lib" / "modules").symlink_to(Path(linux).parents[1] / "lib" / "uml" / "modules")
    loads = MODPROBE.format(real=shlex.quote(real), base=shlex.quote(str(base)))
    modprobe = shlex.quote(str(script(work / "modprobe", loads)))
    (work / "main").write_text(main.replace("{modprobe}", modprobe))
    init = script(work / "init", INIT.format(modprobe=modprobe, work=shlex.quote(str(work))))
    subprocess.run(
        [linux, f"mem={memory}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
         f"init={init}", "con=null", "con0=null", "ssl=null", "quiet"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=deadline_s,
        env={**os.environ, "TMPDIR": str(work)},
    )  # fmt: skip


def script(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text)
    path.chmod(0o755)
    return path
