"""Test machines that start as Debian's do: sysctl.d is read, then ifup(8) runs, then Docker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyroute2
import pytest

import harness
from harness import doctor
from harness.testbed import Testbed
from harness.worker.search import found
from tests.lab.uml import script

UNPACKED = Path(sys.prefix, "ifupdown", "sbin", "ifup")
"""Where `scripts/setup dev` puts Debian's ifup, which is installed nowhere."""
RC_LOCAL = """#!/bin/sh
for file in /etc/sysctl.d/90-*.conf; do sysctl -q -e -p "$file"; done
mkdir -p /run/network
ifup -a
"""
"""What systemd-sysctl.service and networking.service do, for files of labs."""
LINKS = """#!/bin/sh
case "$*" in
"link add link eth2 name "*" type vlan id "*)
    export PYTHONPATH=/usr/local/lib/links PYTHONDONTWRITEBYTECODE=1
    exec python3 -m harness.worker.subinterface add eth2 "$6" "${10}" 1500 ;;
esac
exec @IP@ "$@"
"""
"""An ip(8) that makes with tc and BPF the one kind of link that the kernel may lack."""


def ifup() -> Path:
    """Where Debian's own is; skips where there is none."""
    there = [path for path in (UNPACKED, Path(found("ifup") or "/nowhere")) if path.exists()]
    for path in there:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if said.stdout.startswith("ifup version 0."):
            return path
    pytest.skip("Debian's ifup is not here; `scripts/setup dev` unpacks it where apt-get is")


def furnish(bed: Testbed, machine: str) -> None:
    """Give a machine ifupdown as its package does, and links of 802.1Q if the kernel has none."""
    root = Path(bed.root_of(machine))
    own = root / "usr/local/sbin"
    shutil.copy(ifup(), own / "ifup")
    for name in ("ifdown", "ifquery"):
        (own / name).symlink_to("ifup")
    for folder in ("interfaces.d", "if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d"):
        (root / "etc/network" / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/network/interfaces").write_text("source /etc/network/interfaces.d/*\n")
    script(root / "etc/rc.local", RC_LOCAL)
    (root / "run/network").mkdir(exist_ok=True)
    if doctor.ask_kernel()["vlan"][0] == "8021q":
        return
    lib = root / "usr/local/lib/links"
    (lib / "harness").mkdir(parents=True)
    (lib / "harness/__init__.py").touch()
    for module in (Path(str(harness.__file__)).parent / "worker", Path(pyroute2.__file__).parent):
        inner = lib / "harness" if module.name == "worker" else lib
        shutil.copytree(module, inner / module.name, ignore=shutil.ignore_patterns("__pycache__"))
    script(own / "ip", LINKS.replace("@IP@", found("ip") or "ip"))
