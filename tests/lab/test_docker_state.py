"""Networks, containers and hosts of a lab that is up, altered by hand: its tests see it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from harness.machines import registry
from harness.worker.search import found

ROOT = Path(__file__).parents[2]
ALTERED = (
    ("bbox1", "ip address add 172.16.10.99/24 dev eth0"),
    ("bbox2", "ip route delete default"),
    ("bbox3", "ip link set eth0 down"),
    ("host1", "iptables-nft -A OUTPUT -j ACCEPT"),
    ("host1", "ping -c1 -W1 127.0.0.1"),
    ("host2", "nft add table ip strange"),
    ("host2", "nft add chain ip strange out { type filter hook output priority 0 ; }"),
    ("host2", "nft add rule ip strange out counter"),
    ("host2", "ping -c1 -W1 127.0.0.1"),
)
RED = [
    "test_container_address[routed-bbox1]",
    "test_container_address[routed-bbox4]",
    "test_container_as_its_engine_says[routed-bbox4]",
    "test_container_default_route[routed-bbox2]",
    "test_container_default_route[routed-bbox3]",
    "test_container_default_route[routed-bbox4]",
    "test_container_link[routed-bbox3]",
    "test_container_link[routed-bbox4]",
    "test_docker_itself_imposes_nothing[routed-host1]",
    "test_docker_itself_imposes_nothing[routed-host2]",
    "test_engine_makes_no_rules[routed-host1]",
    "test_engine_makes_no_rules[routed-host2]",
    "test_network_as_its_engine_says[routed-host2-mac_net20]",
]


@pytest.fixture
def lab(name: str) -> Iterator[registry.LabRecord]:
    """A lab with engines that is up."""
    for program in ("dockerd", "busybox", "nft"):
        if not found(program):
            pytest.skip(f"no {program} (Debian: apt-get install docker.io busybox-static nftables)")
    harness("up", "--backend", "docker", "--name", name)
    yield registry.find(name)
    registry.stop(name)


def harness(*words: str) -> str:
    """Run the command line, which must end well; what it says."""
    command = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alter_network(lab: registry.LabRecord) -> None:
    """Make mac_net20 of host2 anew with another gateway, and bbox4's address on it another."""
    listed = json.loads(harness("list", "--json"))
    sockets = next(one["engines"] for one in listed if one["name"] == lab.name)
    client = docker.DockerClient(sockets["host2"])
    network = client.networks.get("mac_net20")
    network.disconnect("bbox4")
    network.remove()
    pool = docker.types.IPAMPool(subnet="172.16.20.0/24", gateway="172.16.20.2")
    made = client.networks.create(
        "mac_net20", driver="macvlan", ipam=docker.types.IPAMConfig(pool_configs=[pool]),
        options={"parent": "eth2.20", "macvlan_mode": "bridge"},
    )  # fmt: skip
    made.connect("bbox4", ipv4_address="172.16.20.77")
    client.close()


def test_what_is_altered_by_hand_is_red(lab: registry.LabRecord, tmp_path: Path) -> None:
    """An address, a route, a link, a network, rules of iptables and nftables; nothing besides.

    The engine gives bbox4 an interface of another name or MAC address when it connects it again.
    """
    for node, line in ALTERED:
        harness("exec", "--name", lab.name, node, "--", *line.split())
    alter_network(lab)
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "suites/test_docker_state.py", "-q",
            "-p", "no:cacheprovider", "--lab-attach", lab.name, "--lab-reports", str(tmp_path),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = re.findall(r"^FAILED \S+::(\S+)", done.stdout, re.MULTILINE)
    assert sorted(failed) == RED, done.stdout
