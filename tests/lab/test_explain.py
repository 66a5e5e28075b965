"""`harness explain` on a lab that is up: one packet followed, and what its exit code means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import labs
from harness.flow import Stage
from harness.machines import registry

ROOT = Path(__file__).parents[2]


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person runs it."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@contextmanager
def up(topology: str, stage: Stage | None = None) -> Iterator[str]:
    """The name of a shipped lab that is up."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    name = f"explain-{stage or topology}-{os.getpid()}"
    labs.bring_up(str(ROOT / "topologies" / f"{topology}.yaml"), name, stage)
    try:
        yield name
    finally:
        registry.stop(name)


@pytest.fixture(scope="module")
def routed() -> Iterator[str]:
    """The name of the tutorial lab, up and routed."""
    with up("macvlan-two-host", Stage.ROUTED) as name:
        yield name


@pytest.fixture(scope="module")
def isolated() -> Iterator[str]:
    """The name of the tutorial lab, up and isolated."""
    with up("macvlan-two-host", Stage.ISOLATED) as name:
        yield name


@pytest.fixture
def broken(routed: str) -> Iterator[str]:
    """The routed lab while its gateway forwards nothing."""
    forward = ("exec", "--name", routed, "gateway", "--", "sysctl", "-qw")
    assert harness(*forward, "net.ipv4.ip_forward=0").returncode == 0
    yield routed
    assert harness(*forward, "net.ipv4.ip_forward=1").returncode == 0


def found(name: str, src: str, dst: str) -> dict[str, Any]:
    """What `--json` says of a pair."""
    answer: dict[str, Any] = json.loads(
        harness("explain", "--name", name, src, dst, "--json").stdout
    )
    return answer


def test_a_routed_pair_takes_the_four_steps(routed: str) -> None:
    """Each as measured, and the packet changes MACs, source and TTL in the gateway."""
    answer = found(routed, "bbox1", "bbox4")
    assert [step["agree"] for step in answer["steps"].values()] == [True] * 4
    left, came = answer["path"][0], answer["path"][-1]
    assert (left["ttl"], left["src_ip"]) == (64, "172.16.10.10")
    assert (came["ttl"], came["src_ip"], came["node"]) == (63, "172.16.20.1", "bbox4")
    tags = [hop["vlan"] for hop in answer["path"] if hop["node"] == "switch"]
    assert tags == [10, 10, 20, 20]


def test_a_routed_pair_is_exit_code_0(routed: str) -> None:
    """With its steps in words."""
    done = harness("explain", "--name", routed, "bbox1", "bbox4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 delivery  yes host2 took it from eth2.20, and bbox4 got it" in done.stdout


def test_a_pair_of_one_vlan_goes_direct(routed: str) -> None:
    """Past the gateway."""
    done = harness("explain", "--name", routed, "bbox1", "bbox3")
    assert done.returncode == 0
    assert (
        "direct, no router: bbox1, host1, switch, host2, bbox3; arrived with TTL 64" in done.stdout
    )


def test_a_blocked_pair_is_proved(isolated: str) -> None:
    """The probe went nowhere, and a control did arrive."""
    done = harness("explain", "--name", isolated, "bbox1", "bbox4")
    assert done.returncode == 0
    assert "expected no-neighbour" in done.stdout
    assert "control        yes" in done.stdout
    assert "\nPASS it did not arrive" in done.stdout


def test_a_broken_gateway_is_exit_code_1(broken: str) -> None:
    """The packet came in there and did not go out."""
    done = harness("explain", "--name", broken, "bbox1", "bbox4")
    assert done.returncode == 1
    assert "2 router    NO " in done.stdout
    assert "lost before gateway:eth2.20 (out)\nFAIL it must reach" in done.stdout


def test_what_cannot_be_told_is_exit_code_3(routed: str) -> None:
    """Below the source everything is down: its kernel takes the probe, and no tap sees it leave."""
    link = ("exec", "--name", routed, "host1", "--", "ip", "link", "set", "eth2.10")
    assert harness(*link, "down").returncode == 0
    done = harness("explain", "--name", routed, "bbox1", "bbox3")
    assert harness(*link, "up").returncode == 0
    assert done.returncode == 3
    assert "\nUNPROVED " in done.stdout
    assert "\non host1: ip link set eth2.10 up\n" in done.stdout


def test_an_unknown_node_is_exit_code_2(routed: str) -> None:
    """The known ones are listed."""
    done = harness("explain", "--name", routed, "bbox1", "bbox9")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("harness: the lab has no node 'bbox9'; it has host1, host2,")


def test_an_external_router_is_seen_at_its_switch_port() -> None:
    """Its tables are nobody's to read: neither yes nor no is said of them."""
    with up("external-router") as name:
        through = harness("explain", "--name", name, "bbox1", "bbox4")
        to = harness("explain", "--name", name, "bbox1", "router")
        of = harness("explain", "--name", name, "router", "bbox1")
    assert (through.returncode, to.returncode, of.returncode) == (0, 0, 2)
    steps = [line for line in through.stdout.splitlines() if line[:2] in {"2 ", "3 "}]
    assert steps == [
        (
            "2 router    -   router is not looked into; at its switch port it was given it, "
            "and sent it on"
        ),
        "3 ARP       -   router's ARP table cannot be read; sent to 02:42:ac:10:14:0b",
    ]
    assert "direct, no router: bbox1, host1, switch; arrived with TTL 64" in to.stdout
    assert of.stderr.endswith("a ping from router to bbox1; router pings nobody\n")


def test_two_routers_are_both_followed() -> None:
    """Each with its tables, and the TTL tells that there were two."""
    with up("two-gateways") as name:
        answer = found(name, "bbox1", "bbox3")
    assert [step["agree"] for step in answer["steps"].values()] == [True] * 4
    said = answer["steps"]["ARP"]["measured"].split("; then ")
    assert [one.partition(" has ")[0] for one in said] == ["gw1's ARP table", "gw2's ARP table"]
    assert answer["path"][-1]["ttl"] == 62


def test_what_ends_at_a_router_ends_there() -> None:
    """It took the packet, and asked in vain for who is to have it."""
    with up("gateway-on-host1") as name:
        done = harness("explain", "--name", name, "bbox4", "bbox1")
    assert done.returncode == 0
    assert "observed no-neighbour: no answer to host1's ARP for 172.16.10.10" in done.stdout
    assert "lost before host1:eth2.10 (out)\nPASS it did not arrive" in done.stdout


def test_a_hairpin_is_on_the_way() -> None:
    """Out of the switch port where it came in; and in mode private it never leaves."""
    with up("macvlan-modes") as name:
        back = found(name, "vepa2a", "vepa2b")
        kept = harness("explain", "--name", name, "private2a", "private2b")
    at_switch = [(hop["interface"], hop["direction"]) for hop in back["path"]
                 if hop["node"] == "switch"]  # fmt: skip
    assert at_switch == [("host2", "in"), ("host2", "out")]
    assert kept.returncode == 0
    assert "mode private keeps private2a and private2b apart on host2" in kept.stdout
