"""The lab on three test machines, over real SSH: built, tested and taken back, or only observed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.testbed import Testbed
from tests.lab.hosts import ROOT, SHIPPED, Bench, changed

CARRIER = """
make=$(mktemp -d); mkdir "$make/bin"; cp "$(command -v busybox)" "$make/bin/busybox"
for name in sh sleep ping which mktemp cat rm kill grep; do ln -s busybox "$make/bin/$name"; done
tar -C "$make" -c . | docker import - busybox:latest
docker network create -d macvlan --subnet 172.16.10.0/24 --gateway 172.16.10.1 \
  -o parent=eth2.10 mac_net10
docker network create -d macvlan --subnet 172.16.20.0/24 --gateway 172.16.20.1 \
  -o parent=eth2.20 mac_net20
docker run -d --name {0} --network mac_net10 --ip {1} busybox sleep 100000
docker run -d --name {2} --network mac_net20 --ip {3} busybox sleep 100000
"""
ROUTER = """
sysctl -w net.ipv4.ip_forward=1
ip address add 172.16.10.1/24 dev eth2.10; ip address add 172.16.20.1/24 dev eth2.20
iptables -t nat -A POSTROUTING -o eth2.10 -j MASQUERADE
iptables -t nat -A POSTROUTING -o eth2.20 -j MASQUERADE
iptables -A FORWARD -i eth2.10 -o eth2.20 -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT
iptables -A FORWARD -i eth2.20 -o eth2.10 -j ACCEPT
"""


@pytest.fixture(autouse=True)
def untouched(machines: Testbed) -> None:
    """The machines stay for all tests of this file; that nothing is left of them is told last."""
    del machines


def test_a_lab_is_built_tested_and_taken_back(bench: Bench) -> None:
    """Every cell is proved, `harness judge` agrees, and the machines are as they were."""
    bench.do("host1", "sysctl -w net.ipv4.conf.all.rp_filter=2; docker network create own")
    before = bench.look()
    code, said = bench.run()
    assert code == 0, said
    assert changed(before, bench.look()) == []
    run = bench.report["run"]
    assert (run["backend"], run["exit"], run["stages"]) == (
        "ssh", "pass", ["isolated", "routed", "undone"],
    )  # fmt: skip
    assert len(bench.report["cells"]) == 424
    assert {cell["verdict"] for cell in bench.report["cells"]} == {"pass"}
    nodes = {hop["node"] for cell in bench.report["cells"] for hop in cell["path"]}
    assert nodes == {"host1", "host2", "gateway", "bbox1", "bbox2", "bbox3", "bbox4"}
    assert bench.report["leftovers"] == []
    argv = [sys.executable, "-m", "harness", "judge", str(bench.reports / "latest")]
    assert subprocess.run(argv, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_a_rule_in_the_way_turns_its_cells_red(bench: Bench) -> None:
    """Those of ICMP, either way; it is named, and it is not the harness's to remove."""
    rule = "FORWARD -i eth2.10 -p icmp -j DROP"
    bench.do("gateway", f"iptables -I {rule}")
    try:
        code, _ = bench.run(SHIPPED, "-k", "test_cross_vlan", "--lab-stage", "routed")
        assert f"-A {rule}" in bench.bed.on("gateway", "iptables", "-S").stdout
    finally:
        bench.do("gateway", f"iptables -D {rule}")
    failed = {cell["id"]: cell for cell in bench.report["cells"] if cell["verdict"] == "fail"}
    every = {cell["id"] for cell in bench.report["cells"]}
    assert code == 1
    assert {cell_id for cell_id in every if cell_id.endswith("-icmp")} == set(failed)
    assert len(failed) == 8 < len(every)
    causes = {cell["cause"]["node"] for cell in failed.values() if cell["cause"]}
    assert causes == {"gateway"}


def test_a_trunk_that_is_unplugged_turns_cells_red(bench: Bench) -> None:
    """What must reach does not; what must not is not proved by it."""
    bench.bed.cut("host2", "eth2")
    try:
        code, _ = bench.run(SHIPPED, "--lab-stage", "isolated", "-k", "vlan and l2-unicast")
    finally:
        bench.bed.mend("host2", "eth2")
    verdicts = {cell["id"]: cell["verdict"] for cell in bench.report["cells"]}
    assert code == 1
    assert verdicts["isolated-bbox1-to-bbox3-l2-unicast"] == "fail"
    assert verdicts["isolated-bbox1-to-bbox4-l2-unicast"] == "unproved"


def test_what_is_in_the_way_stays(bench: Bench) -> None:
    """A network with the lab's name is not ours: the lab is not built, and nothing is changed."""
    bench.do("host2", "docker network create mac_net10")
    try:
        before = bench.look()
        code, said = bench.run(SHIPPED, "-k", "test_same_vlan")
        assert changed(before, bench.look()) == []
    finally:
        bench.do("host2", "docker network rm mac_net10")
    assert code != 0
    assert "host2 has a Docker network mac_net10 already, which is not ours" in said
    assert "Traceback" not in said


def test_bare_namespaces_and_an_external_router(bench: Bench) -> None:
    """Nothing of the router is configured or looked into; all that passes it is proved."""
    bench.tag("gateway")
    bench.do("gateway", ROUTER)
    lab = bench.topology(
        ("{management: 192.168.56.101, ssh: root@192.168.56.101}", "{role: external}"),
        ("ssh: root@", "endpoints: namespace, ssh: root@"),
    )
    before = bench.look()
    try:
        code, said = bench.run(lab)
        assert changed(before, bench.look()) == []
    finally:
        bench.bed.reboot("gateway")
    assert code == 0, said
    assert bench.report["run"]["stages"] == ["routed"]
    assert {cell["verdict"] for cell in bench.report["cells"]} == {"pass"}


@pytest.mark.parametrize("seconds", [2.0, 5.0])
def test_an_interrupted_run_is_taken_back(bench: Bench, seconds: float) -> None:
    """Ctrl-C while it builds, and while it sweeps."""
    before = bench.look()
    running = subprocess.Popen(
        bench.command(SHIPPED), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, text=True,
    )  # fmt: skip
    time.sleep(seconds)  # wherever it is then
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=180)  # its end, not that of who entered the namespace
    assert "Traceback" not in said
    assert "passed in" not in said
    assert changed(before, bench.look()) == []


def test_a_lab_that_stands_is_observed(bench: Bench) -> None:
    """Made by hand as the tutorial does it; green in the stage that it is in, and not changed."""
    bench.tag("host1")
    bench.do("host1", CARRIER.format("bbox1", "172.16.10.10", "bbox2", "172.16.20.10"))
    bench.tag("host2")
    bench.do("host2", CARRIER.format("bbox3", "172.16.10.11", "bbox4", "172.16.20.11"))
    lab = bench.topology(("ssh: root@", "may: observe, ssh: root@"))
    for stage, cells in (("isolated", 132), ("routed", 160)):
        if stage == "routed":
            bench.tag("gateway")
            bench.do("gateway", ROUTER)
        before = bench.look()
        code, said = bench.run(lab)
        assert code == 0, said
        assert changed(before, bench.look()) == []
        assert bench.report["run"]["stages"] == [stage]
        assert [cell["verdict"] for cell in bench.report["cells"]] == cells * ["pass"]
