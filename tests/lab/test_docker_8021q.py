"""An engine makes the parent of its network: on Debian's user-mode-linux, which has 802.1Q links.

Engines and containers run there as here, on control groups of the first version.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import uml
from tests.lab.broken import ROOT

DEADLINE_S = 400
"""It takes some 30 s where nothing else runs."""
TOPOLOGY = """
name: by-engine
purpose: each engine makes eth2.10 itself
management: {subnet: 192.168.56.0/24}
vlans:
  10: {subnet: 172.16.10.0/24, gateway: 172.16.10.1, parent: engine}
hosts:
  host1: {management: 192.168.56.104}
  host2: {management: 192.168.56.105}
endpoints:
  bbox1: {host: host1, vlan: 10, address: 172.16.10.10}
  bbox2: {host: host2, vlan: 10, address: 172.16.10.11}
"""
MAIN = """
mount -t tmpfs tmpfs /run
mount -t tmpfs cgroup /sys/fs/cgroup
for each in cpu cpuacct blkio memory devices freezer net_cls pids; do
    mkdir /sys/fs/cgroup/$each
    mount -t cgroup -o $each cgroup /sys/fs/cgroup/$each
done
ip link set lo up
cd {root}
{python} -m harness up {work}/lab.yaml --backend docker --name own > {work}/up 2>&1
parent() {{ {python} -m harness exec host1 -- ip -json -details link show type vlan; }}
parent > {work}/before
{python} -m pytest suites -q -p no:cacheprovider --lab-attach own --lab-probe arp,icmp \\
    --lab-reports {work}/reports > {work}/run 2>&1
{python} {work}/remove.py > {work}/removed 2>&1
parent > {work}/after
"""
REMOVE = """
import docker
from harness.machines import enter, registry

engine = docker.DockerClient(enter.engine(registry.find("own").init_pid, "host1"))
engine.containers.get("bbox1").remove(force=True)
engine.networks.get("mac_net10").remove()
"""


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """The folder with all that was done on the other kernel, in one boot."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("needs root, and dockerd")
    with tempfile.TemporaryDirectory() as folder:
        words = {"python": sys.executable, "work": folder, "root": ROOT}
        (Path(folder) / "lab.yaml").write_text(TOPOLOGY)
        (Path(folder) / "remove.py").write_text(REMOVE)
        main = MAIN.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
        uml.boot(Path(folder), main, deadline_s=DEADLINE_S)
        yield Path(folder)


def links(file: Path) -> list[tuple[str, int]]:
    """(name, VLAN id) of the 802.1Q links that ip(8) has listed."""
    listed = [one for one in json.loads(file.read_text() or "[]") if one]
    return [(one["ifname"], one["linkinfo"]["info_data"]["id"]) for one in listed]


def test_the_engine_makes_the_parent(work: Path) -> None:
    """An 802.1Q link with the name that its network gives it, though no plan made one."""
    assert links(work / "before") == [("eth2.10", 10)], (work / "up").read_text()


def test_containers_reach_each_other_over_it(work: Path) -> None:
    """Every cell proved: the lab is none the worse."""
    assert (work / "reports" / "latest").exists(), (work / "run").read_text()[-2000:]
    found = json.loads((work / "reports" / "latest" / "report.json").read_text())
    assert (found["run"]["vlan_datapath"], found["run"]["exit"]) == ("8021q", "pass")
    assert {cell["verdict"] for cell in found["cells"]} == {"pass"}
    assert "same-vlan" not in " ".join(found["run"]["not_applicable"])


def test_the_parent_goes_with_its_network(work: Path) -> None:
    """Docker takes away what it has made."""
    assert (work / "removed").read_text() == ""
    assert links(work / "after") == []
