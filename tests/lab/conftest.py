"""Real labs on the real kernel; nothing of the machine itself is changed.

They need root, or a kernel that lets an ordinary user have a lab.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from harness import doctor
from harness.machines import enter, registry, rootless
from harness.testbed import Testbed
from harness.worker.search import found
from tests.lab import snapshot
from tests.lab.hosts import Bench

DESCRIPTION = registry.Description(
    topology="two-nodes",
    topology_file="/nowhere/two-nodes.yaml",
    backend="netns",
    stage="routed",
    started="2026-01-01T00:00:00+00:00",
    nodes=("bbox1", "switch"),
    vlan_datapath="8021q",
    firewall_backend="iptables-nft",
)
PREPARE = (
    "set -e; mount -t tmpfs tmpfs /run; mkdir /run/netns;"
    "for node in bbox1 switch; do ip netns add $node; done;"
    "ip link add eth1 type veth peer name eth2 netns bbox1"
)
"""A lab as far as entering it goes: a /run of its own and two named namespaces."""


@cache
def lacking() -> str | None:
    """What an ordinary user lacks here to have a lab; None if nothing, and for root."""
    return None if os.geteuid() == 0 else rootless.refused() or doctor.ask_kernel()["vlan"][1]


@pytest.fixture(autouse=True)
def _needs_a_lab() -> None:
    if lacking():
        pytest.skip(f"only root can have a lab here: {lacking()}")
    missing = [name for name in ("setpriv", "unshare", "nsenter", "ip") if not shutil.which(name)]
    if missing:
        pytest.skip(f"missing on this machine: {', '.join(missing)}")


@pytest.fixture(autouse=True)
def untouched(_needs_a_lab: None) -> Iterator[snapshot.Snapshot]:
    """The machine as it was before the test; whatever that does, it is the same afterwards."""
    before = snapshot.take()
    yield before
    assert snapshot.wait_until_clean(before) == ()


@pytest.fixture
def name() -> str:
    """A lab's name that no other run on this machine uses."""
    return f"test-{os.getpid()}"


@pytest.fixture
def up(name: str, untouched: snapshot.Snapshot) -> Iterator[Callable[[], registry.LabRecord]]:
    """Brings up a lab with the nodes `bbox1` and `switch`; it goes down after the test."""
    del untouched

    def bring_up() -> registry.LabRecord:
        with registry.start(name) as pending:
            worker = enter.worker_command(pending.init_pid, "sh")
            subprocess.run([*worker, "-c", PREPARE], check=True)
            pending.commit(DESCRIPTION)
        return registry.find(name)

    yield bring_up
    if name in registry.names():
        registry.stop(name)


@pytest.fixture
def lab(up: Callable[[], registry.LabRecord]) -> registry.LabRecord:
    """A lab that is up."""
    return up()


@pytest.fixture(scope="module")
def machines() -> Iterator[Testbed]:
    """Three machines, two of them with an engine."""
    missing = [each for each in ("sshd", "ssh", "unshare", "dockerd", "busybox") if not found(each)]
    if missing:
        pytest.skip(f"missing on this machine: {', '.join(missing)}; `scripts/setup ssh`")
    before = snapshot.take()
    with Testbed() as bed:
        yield bed
    assert snapshot.wait_until_clean(before) == ()


@pytest.fixture
def bench(machines: Testbed, tmp_path: Path) -> Bench:
    """The machines, and a folder for reports."""
    return Bench(machines, tmp_path)
