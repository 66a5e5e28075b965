"""Three test machines that carry the lab of `lab-hosts.yaml`, and what a run leaves on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.testbed import Testbed

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "topologies" / "lab-hosts.yaml"
MACHINES = ("host1", "host2", "gateway")
LOADED_S = 180.0
"""A run has ended by then on a machine that has much other work."""
LOOK = """
ip -details -json link | sed 's/"[a-z_]*_timer":[0-9.]*,//g; s/"stats.*//'
ip -json address | sed 's/"tentative":true,//g; s/"\\(valid\\|preferred\\)_life_time":[0-9]*,*//g'
ip route; ip -6 route; ip neighbour show dev eth2; tc qdisc; tc filter show dev eth2 ingress
iptables-save | grep '^-A'; iptables -S | grep '^-P'
sysctl -a 2>/dev/null | grep -E '^net.ipv[46].*(forwarding|ip_forward|rp_filter|arp_|icmp)'
docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.Image}} {{.State}}' 2>/dev/null
docker network ls --no-trunc 2>/dev/null; docker images --no-trunc --quiet 2>/dev/null
ls /run/netns /var/lib/harness 2>/dev/null
"""
"""What a run could have left on a machine, without what changes by itself."""
HAS = (
    "ls /sys/class/net; docker ps --all --format '{{.Names}}'; "
    "docker network ls --format '{{.Name}}'"
)
"""The names of links, containers and networks, which a machine has again when it has booted."""


class Bench:
    """Runs on the machines, each with what it left."""

    def __init__(self, bed: Testbed, folder: Path) -> None:
        self.bed, self.reports, self.folder = bed, folder / "reports", folder

    def topology(self, *changes: tuple[str, str]) -> Path:
        """The shipped lab with parts of its text replaced; each part must be there."""
        text = SHIPPED.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = self.folder / "lab.yaml"
        path.write_text(text)
        return path

    def command(self, topology: Path, *more: str) -> list[str]:
        """The command of a run."""
        argv = [
            sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider",
            "--lab-backend", "ssh", "--lab-topology", str(topology),
            "--lab-reports", str(self.reports), *more,
        ]  # fmt: skip
        return self.bed.controller("sh", "-c", f'cd {ROOT} && exec "$@"', "sh", *argv)

    def run(self, topology: Path = SHIPPED, *more: str) -> tuple[int, str]:
        """Run the suites; exit code, and what was printed."""
        argv = self.command(topology, *more)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)
        return done.returncode, done.stdout + done.stderr

    def clean(self, *more: str, topology: Path = SHIPPED) -> tuple[int, str]:
        """`harness clean` of the machines; exit code, and what was printed."""
        argv = [sys.executable, "-m", "harness", "clean", "--topology", str(topology), *more]
        argv = self.bed.controller("sh", "-c", f'cd {ROOT} && exec "$@"', "sh", *argv)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    @property
    def report(self) -> dict[str, Any]:
        """The report of the newest run."""
        return dict(json.loads((self.reports / "latest" / "report.json").read_text()))

    def look(self) -> dict[str, list[str]]:
        """Everything that is on the machines."""
        return {name: self.bed.on(name, "sh", "-c", LOOK).stdout.splitlines() for name in MACHINES}

    def tag(self, machine: str) -> None:
        """`ip link add link eth2 name eth2.10 type vlan id 10`, without 8021q as well; and 20."""
        network = f"--net={self.bed.network_of(machine)}"
        maker = [sys.executable, "-m", "harness.worker.subinterface", "add", "eth2"]
        for vlan in ("10", "20"):
            argv = ["nsenter", network, "--", *maker, f"eth2.{vlan}", vlan, "1500"]
            subprocess.run(argv, cwd=ROOT, check=True)

    def do(self, machine: str, script: str) -> None:
        """What a person does by hand on a machine."""
        done = self.bed.on(machine, "sh", "-ec", script)
        assert done.returncode == 0, done.stdout + done.stderr


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """The lines in which two looks differ."""
    return [
        f"{name}: {line}"
        for name in MACHINES
        for line in sorted(set(before[name]) ^ set(after[name]))
    ]


def started(bench: Bench, topology: Path, *more: str) -> subprocess.Popen[str]:
    """A run, in a session of its own."""
    return subprocess.Popen(
        bench.command(topology, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, text=True,
    )  # fmt: skip


def resume(running: subprocess.Popen[str]) -> str:
    """Let a run that was stopped go on; what it said.

    Who entered its namespaces stops itself again when it learns late that the run had stopped.
    """
    deadline = time.monotonic() + LOADED_S
    while True:
        os.killpg(running.pid, 18)
        try:
            return running.communicate(timeout=1)[0]
        except subprocess.TimeoutExpired:
            assert time.monotonic() < deadline


def switched_off(bench: Bench) -> str:
    """What a run said whose host1 lost its power as soon as it had an endpoint; it is up again."""
    running = started(bench, SHIPPED)
    until_endpoint(bench)
    bench.bed.power_off("host1")
    said = ended(running)
    bench.bed.boot("host1")
    return said


def until_endpoint(bench: Bench) -> None:
    """Wait until host1 runs its first endpoint: a lab is half built then."""
    while "bbox1" not in bench.bed.on("host1", "docker", "ps", "--format", "{{.Names}}").stdout:
        time.sleep(0.05)


def ended(running: subprocess.Popen[str]) -> str:
    """What a run said, which must come to its end; one that hangs says where in each thread."""
    try:
        return running.communicate(timeout=LOADED_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGABRT)  # which pytest answers with its tracebacks
        pytest.fail(f"it hangs: {running.communicate(timeout=LOADED_S)[0][-6000:]}")
