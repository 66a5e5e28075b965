"""What a run makes on lab hosts says whose it is, and what does not is not taken."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from harness.endpoints.containers import image
from harness.testbed import Testbed
from tests.lab.hosts import HAS, SHIPPED, Bench, resume, started, switched_off

LINKS = "ip -details link show | grep -o 'alias macvlan-harness-.*'"
MADE = """docker import /tmp/made.tar mine/thing:1 && docker tag mine/thing:1 mine/thing:2 &&
docker save -o /tmp/saved.tar mine/thing:1 mine/thing:2 && docker rmi mine/thing:1 mine/thing:2"""
OTHER = "docker import --change 'LABEL another=one' /tmp/made.tar mine/thing:1"
NAMED = "docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort"
RULE = "FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"


@pytest.fixture(autouse=True)
def untouched(machines: Testbed) -> None:
    """The machines stay for all tests of this file; that nothing is left of them is told last."""
    del machines


def test_what_a_run_makes_names_the_run(bench: Bench) -> None:
    """Links, rules, networks, containers; a person's rule of the same words stays, and is told."""
    running = started(bench, SHIPPED, "--lab-stage", "routed", "-k", "test_cross_vlan and icmp")
    on = bench.bed.on
    while on("gateway", "iptables-save").stdout.count("-A FORWARD") < 4:
        time.sleep(0.05)
    os.killpg(running.pid, 19)
    try:
        links = [on(name, "sh", "-c", LINKS).stdout.split() for name in ("host1", "gateway")]
        rules = on("gateway", "iptables-save").stdout
        labels = on("host1", "docker", "ps", "--format", "{{.Labels}}").stdout.splitlines()
        network = on("host1", "docker", "network", "inspect", "mac_net10").stdout
        bench.do("gateway", f"iptables -A {RULE}")
    finally:
        said = resume(running)
    stays = on("gateway", "iptables", "-S", "FORWARD").stdout
    bench.do("gateway", f"iptables -D {RULE}")
    run = bench.report["run"]["id"]
    assert "passed" in said
    for of_host in links:
        assert of_host[1::2] == [f"macvlan-harness-{run}"] * (len(of_host) // 2)
        assert len(of_host) >= 4
    assert rules.count(f"--comment macvlan-harness-{run} -j ") == 6
    assert len(labels) == 2
    assert all(f"org.macvlan-harness.run={run}" in one.split(",") for one in labels)
    assert f'"org.macvlan-harness.run": "{run}"' in network
    assert stays.splitlines()[1:] == [f"-A {RULE}"]
    (left,) = bench.report["leftovers"]
    assert left.startswith("gateway: iptables-")
    assert left.endswith(
        f": the chain FORWARD of filter is there, and was not before the run: -A {RULE}"
    )
    assert running.returncode == 1


def test_an_archives_own_names_do_not_stay(bench: Bench, tmp_path: Path) -> None:
    """One that nobody had goes; one that a host had of another image is that image's again."""
    root, archive = Path(bench.bed.root_of("host1")), tmp_path / "saved.tar"
    (root / "tmp/made.tar").write_bytes(image.busybox())
    for script in (MADE, OTHER):
        bench.do("host1", script)
    shutil.copy(root / "tmp/saved.tar", archive)
    before = [bench.bed.on("host1", "sh", "-c", NAMED).stdout, bench.look()]
    code, said = bench.run(SHIPPED, "--lab-stage", "isolated", "--lab-image", str(archive))
    assert (code, bench.report["leftovers"]) == (0, []), said
    assert [bench.bed.on("host1", "sh", "-c", NAMED).stdout, bench.look()] == before
    bench.do("host1", "docker rmi mine/thing:1")


def test_what_has_no_mark_is_left_alone(bench: Bench) -> None:
    """A link that somebody has made anew since a machine was switched off, of the same name."""
    had = bench.bed.on("host1", "sh", "-c", HAS).stdout
    switched_off(bench)
    bench.tag("host1")
    code, told = bench.clean()
    assert code == 3
    assert "host1: left alone: eth2.10 on host1 has not the alias macvlan-harness-" in told
    assert "; if nobody needs it, type there: ip link delete eth2.10" in told
    assert bench.bed.on("host1", "ip", "link", "show", "eth2.10").returncode == 0
    code, told = bench.clean()
    assert (code, told.splitlines()[0]) == (0, "host1: nothing is left")
    bench.bed.reboot("host1")
    assert bench.bed.on("host1", "sh", "-c", HAS).stdout == had
