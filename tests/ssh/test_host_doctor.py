"""`harness doctor --topology`: what hosts lack is found on real ones that lack it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.testbed import MACHINES, Layout, Testbed
from harness.worker.search import found
from tests.conftest import old_python

TOPOLOGY = Path(__file__).parents[2] / "topologies" / "lab-hosts.yaml"
Needs = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def bed(machines_are_here: None) -> Iterator[Testbed]:  # noqa: ARG001 - it skips
    """Machines with engines; host1's clock is an hour ahead where it can be."""
    if not found("dockerd"):
        pytest.skip("no dockerd on this machine")
    faketime = list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    old = old_python("3.10")
    odd = Layout(clock={"host1": "+1h"}, python={"host1": old}) if faketime and old else Layout()
    with Testbed(odd) as with_engines:
        yield with_engines


def ask(bed: Testbed, topology: Path = TOPOLOGY) -> tuple[int, Needs]:
    """The exit code, and the needs by host and name."""
    argv = [sys.executable, "-m", "harness", "doctor", "--topology", str(topology), "--json"]
    done = bed.run(*argv)
    assert done.returncode in {0, 3}, done.stderr
    needs = json.loads(done.stdout)["needs"]
    return done.returncode, {(need["group"], need["what"]): need for need in needs}


def missing(needs: Needs) -> set[tuple[str, str]]:
    """What is required, and not there."""
    return {where for where, need in needs.items() if not need["ok"]}


def test_good_hosts_lack_nothing(bed: Testbed) -> None:
    """Three machines with all that a lab needs are green, tried both ways, and as they were."""
    state = "cat /proc/self/mountinfo; ip -o link; ip netns; ls -I motd.dynamic /run; iptables -S"
    before = [bed.on(name, "sh", "-c", state).stdout for name in MACHINES]
    code, needs = ask(bed)
    assert [bed.on(name, "sh", "-c", state).stdout for name in MACHINES] == before
    assert (code, missing(needs)) == (0, set())
    tried = {where for where in needs if where[1].startswith("trunk to")}
    assert tried == {(a, f"trunk to {b}") for a in MACHINES for b in MACHINES if a != b}


def test_wrong_clock_is_told_and_asks_for_nothing(bed: Testbed) -> None:
    """An hour ahead is said with its size; nothing rests on it, so nothing is missing."""
    if not bed.layout.clock:
        pytest.skip("no libfaketime, or no old python, on this machine")
    _, needs = ask(bed)
    clock = needs["host1", "clock"]
    assert (clock["found"], clock["ok"]) == (None, True)
    assert "3600" in clock["install"]
    assert "ahead" in clock["install"]
    assert needs["host2", "clock"]["found"]


def test_what_is_missing_has_a_command(bed: Testbed) -> None:
    """A stopped engine, a full disk, a locked port and a VLAN that is not let through, at once."""
    mac = bed.on("gateway", "cat", "/sys/class/net/eth2/address").stdout.strip()
    port = "gateway-eth2"
    bed.on("host1", "sh", "-c", "kill $(cat /run/docker.pid)").check_returncode()
    bed.on("host1", "fallocate", "-l", "480M", "/var/lib/filler").check_returncode()
    bed.switch("bridge", "fdb", "replace", mac, "dev", port, "master", "static")
    bed.switch("bridge", "link", "set", "dev", port, "locked", "on", "learning", "off")
    bed.switch("nft", "add", "table", "bridge", "of_test")
    chain = "{ type filter hook forward priority 0; }"
    bed.switch("nft", "add", "chain", "bridge", "of_test", "forward", chain)
    rule = ["oifname", "host2-eth2", "vlan", "id", "20", "drop"]
    bed.switch("nft", "add", "rule", "bridge", "of_test", "forward", *rule)
    try:
        code, needs = ask(bed)
    finally:
        bed.switch("nft", "delete", "table", "bridge", "of_test")
        bed.switch("bridge", "link", "set", "dev", port, "locked", "off", "learning", "on")
        bed.on("host1", "rm", "/var/lib/filler").check_returncode()
        bed.reboot("host1")
    assert code == 3
    assert missing(needs) == {
        ("host1", "Docker"),
        ("host1", "disk"),
        ("host1", "trunk to host2"),
        ("gateway", "trunk to host2"),
        ("gateway", "trunk to host1"),
    }
    said = {where: needs[where]["install"] for where in missing(needs)}
    assert "docker.io, systemctl start docker" in said["host1", "Docker"]
    assert "MiB are free in /var/lib" in said["host1", "disk"]
    assert "carry VLAN 20 tagged" in said["host1", "trunk to host2"]
    assert "port security off gateway's" in said["gateway", "trunk to host1"]


def test_frames_to_a_foreign_mac_are_tried_too(bed: Testbed) -> None:
    """A card that is given nothing but its own and broadcast frames is found by the third kind."""
    mac = bed.on("host2", "cat", "/sys/class/net/eth2/address").stdout.strip()
    bed.switch("nft", "add", "table", "bridge", "of_test")
    chain = "{ type filter hook forward priority 0; }"
    bed.switch("nft", "add", "chain", "bridge", "of_test", "forward", chain)
    known = f"oifname host2-eth2 ether daddr != {{ {mac}, ff:ff:ff:ff:ff:ff }} drop"
    bed.switch("nft", "add", "rule", "bridge", "of_test", "forward", *known.split())
    try:
        code, needs = ask(bed)
    finally:
        bed.switch("nft", "delete", "table", "bridge", "of_test")
    assert (code, missing(needs)) == (
        3,
        {("host1", "trunk to host2"), ("gateway", "trunk to host2")},
    )
    assert "not host2's card's" in needs["host1", "trunk to host2"]["install"]


def test_hosts_that_cannot_be_asked_hide_no_other(bed: Testbed, tmp_path: Path) -> None:
    """One out of reach, one without rights, one whose trunk is down: each says just that."""
    text = TOPOLOGY.read_text(encoding="utf-8")
    text = text.replace("ssh: root@192.168.56.104", "ssh: guest@192.168.56.104, become: sudo")
    other = tmp_path / "lab-hosts.yaml"
    other.write_text(text, encoding="utf-8")
    bed.cut("host2")
    bed.on("gateway", "ip", "link", "set", "eth2", "down").check_returncode()
    try:
        code, needs = ask(bed, other)
    finally:
        bed.on("gateway", "ip", "link", "set", "eth2", "up").check_returncode()
        bed.mend("host2")
    assert (code, missing(needs)) == (
        3,
        {("host1", "privilege"), ("host2", "reach"), ("gateway", "trunk eth2")},
    )
    assert needs["host1", "reach"]["ok"]
    assert "NOPASSWD" in needs["host1", "privilege"]["install"]
    assert "does not answer" in needs["host2", "reach"]["install"]
    assert "ip link set eth2 up" in needs["gateway", "trunk eth2"]["install"]


def test_observed_host_is_left_as_it_is(bed: Testbed, tmp_path: Path) -> None:
    """`may: observe`: its card is never promiscuous, and its kernel is asked for nothing."""
    text = TOPOLOGY.read_text(encoding="utf-8").replace("ssh: root", "may: observe, ssh: root")
    other = tmp_path / "lab-hosts.yaml"
    other.write_text(text, encoding="utf-8")
    flags = "cat /sys/class/net/eth2/flags; dmesg | grep -c 'eth2: entered promiscuous'"
    before = bed.on("host1", "sh", "-c", flags).stdout
    code, needs = ask(bed, other)
    assert (code, missing(needs)) == (0, set())
    assert ("host1", "macvlan") not in needs
    assert bed.on("host1", "sh", "-c", flags).stdout == before


@pytest.mark.usefixtures("machines_are_here")
def test_python_of_containers_is_newer() -> None:
    """3.9 is enough for a gateway, and not for a host that carries containers."""
    old = old_python("3.9")
    if not old:
        pytest.skip("no Python 3.9 on this machine")
    with Testbed(Layout(python={"host2": old, "gateway": old})) as older:
        code, needs = ask(older)
    assert (code, missing(needs)) == (3, {("host2", "python")})
    assert "containers need 3.10" in needs["host2", "python"]["install"]


def test_topology_without_hosts_is_refused(bed: Testbed) -> None:
    """A lab of one machine has no hosts to ask, and is told which command asks this machine."""
    tutorial = TOPOLOGY.with_name("macvlan-two-host.yaml")
    done = bed.run(sys.executable, "-m", "harness", "doctor", "--topology", str(tutorial))
    assert done.returncode == 2
    assert "no host of macvlan-two-host says `ssh:`" in done.stderr
