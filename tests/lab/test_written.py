"""`harness write-config --apply` on three test machines: a lab that outlasts a reboot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.testbed import Testbed
from tests.lab.booting import furnish
from tests.lab.hosts import MACHINES, ROOT, SHIPPED, Bench, changed

IMAGE = """
make=$(mktemp -d); mkdir "$make/bin"; cp "$(command -v busybox)" "$make/bin/busybox"
for name in sh sleep ping which mktemp cat rm kill grep; do ln -s busybox "$make/bin/$name"; done
tar -C "$make" -c . | docker import - busybox:latest
"""
FILES = "cd /; find etc -newer /var/lib/testbed -type f | grep -v rc.local | sort | xargs md5sum"
"""What a machine has under /etc since it is a machine, with its content."""
INTERFACES = "/etc/network/interfaces.d/lab-hosts"


@pytest.fixture(autouse=True)
def untouched(machines: Testbed) -> None:
    """The machines stay for all tests of this file; that nothing is left of them is told last."""
    del machines


def apply(bench: Bench, lab: Path = SHIPPED, *more: str) -> subprocess.CompletedProcess[str]:
    """`harness write-config --apply`, where the controller is."""
    words = ["-m", "harness", "write-config", "--topology", str(lab), "--apply", *more]
    argv = bench.bed.controller("sh", "-c", f'cd {ROOT} && exec "$@"', "sh", sys.executable, *words)
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def files(bench: Bench) -> dict[str, list[str]]:
    """What has been written on the machines."""
    return {name: bench.bed.on(name, "sh", "-c", FILES).stdout.splitlines() for name in MACHINES}


def test_what_is_somebody_elses_is_refused(bench: Bench) -> None:
    """By host and name; nothing is written on any host, also where all is free."""
    bench.do("host2", f"mkdir -p /etc/network/interfaces.d; echo 'auto eth9' >{INTERFACES}")
    before = files(bench)
    done = apply(bench)
    assert done.returncode == 3
    assert done.stderr.startswith(f"harness: host2: {INTERFACES}: not written by")
    assert done.stdout == ""
    assert files(bench) == before
    bench.do("host2", f"rm {INTERFACES}")


def test_observed_hosts_are_refused(bench: Bench) -> None:
    """By name, before any is reached."""
    lab = bench.topology(("ssh: root@", "may: observe, ssh: root@"))
    before = files(bench)
    done = apply(bench, lab)
    assert (done.returncode, done.stdout) == (2, "")
    assert "`may: observe`, so nothing is written on host1, host2, gateway;" in done.stderr
    assert files(bench) == before


def test_a_lab_outlasts_a_reboot(bench: Bench) -> None:
    """Files and commands as they are printed, then a power cut: what comes up is green observed."""
    for machine in MACHINES:
        furnish(bench.bed, machine)
    done = apply(bench, SHIPPED, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, dict[str, Any]] = {one["name"]: one for one in json.loads(done.stdout)["hosts"]}
    assert set(told) == set(MACHINES)
    for machine in MACHINES:
        bench.do(machine, "\n".join(told[machine]["now"]))
    for machine in ("host1", "host2"):
        bench.do(machine, "\n".join([IMAGE, *told[machine]["once"]]))
    for machine in MACHINES:
        bench.bed.reboot(machine)
    before = bench.look()
    lab = bench.topology(("ssh: root@", "may: observe, ssh: root@"))
    code, said = bench.run(lab)
    assert code == 0, said
    assert changed(before, bench.look()) == []
    assert bench.report["run"]["stages"] == ["routed"]
    assert [cell["verdict"] for cell in bench.report["cells"]] == 160 * ["pass"]


def test_written_again_nothing_is_new(bench: Bench) -> None:
    """Every file is as it is to be; what takes them up is still told to who has not typed it."""
    before = files(bench)
    done = apply(bench)
    assert done.returncode == 0, done.stderr
    assert ": written" not in done.stdout
    assert done.stdout.count(": as it is to be already\n") == 7
    assert done.stdout.count("\nifup eth2 eth2.10 eth2.20\n") == 3
    assert files(bench) == before


def test_a_lab_that_changes_is_written_anew(bench: Bench) -> None:
    """What is ours is replaced; what is over is named, with the command that removes it."""
    done = apply(bench, SHIPPED, "--host", "gateway", "--format", "networkd")
    assert done.returncode == 0, done.stderr
    assert f"rm {INTERFACES}" in done.stdout.splitlines()
    assert "gateway: /etc/systemd/network/05-lab-hosts-eth2.10.netdev: written" in done.stdout
    assert "gateway: /etc/iptables/lab-hosts.v4: as it is to be already" in done.stdout
    bench.do("gateway", "rm -r /etc/systemd/network/05-lab-hosts-* /etc/systemd/system/lab-hosts-*")


def test_rules_come_and_go_with_the_trunk(bench: Bench) -> None:
    """Once each, however often it goes down and up, and whoever has typed them as well."""
    rules = "iptables-save | grep '^-[AP]' | sort"
    bench.do("gateway", "iptables -A FORWARD -i eth9 -j DROP")
    before = bench.bed.on("gateway", "sh", "-c", rules).stdout
    bench.do("gateway", "iptables -A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT")
    bench.do("gateway", "ifdown eth2; ifup eth2 eth2.10 eth2.20")
    assert bench.bed.on("gateway", "sh", "-c", rules).stdout == before
    assert before.count("eth2.") == 10
    bench.do("gateway", "ifdown eth2")
    assert bench.bed.on("gateway", "sh", "-c", rules).stdout == "-A FORWARD -i eth9 -j DROP\n"
    bench.do("gateway", "ifup eth2 eth2.10 eth2.20; iptables -D FORWARD -i eth9 -j DROP")


def test_what_cannot_be_written_is_told(bench: Bench) -> None:
    """With what is there already; called again, when that is mended, it writes the rest."""
    bench.do("host1", f"rm {INTERFACES}")
    bench.do("gateway", "rm -r /etc/iptables; touch /etc/iptables")
    done = apply(bench)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "harness: gateway: /etc/iptables/lab-hosts.v4: File exists; written were host1: "
        f"{INTERFACES}; run it again when that is mended\n"
    )
    bench.do("gateway", "rm /etc/iptables")
    done = apply(bench)
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.endswith(": written")] == [
        "gateway: /etc/iptables/lab-hosts.v4: written"
    ]
