"""A few faults of the catalogue on a real lab: cells, causes, fixes and undo as predicted.

`make faults` tries all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.faults.bench import Bench
from harness.faults.benches import Benches
from harness.faults.catalogue import FAULTS
from harness.faults.grammar import drawn
from harness.faults.trial import asked
from harness.flow import Stage

BY_NAME = {fault.name: fault for fault in FAULTS}
CHOSEN = (
    "ip-forward-off",
    "forward-rule-drop-of-nft",
    "masquerade-missing",
    "input-drop-of-nft",
    "default-route-missing",
    "stale-neighbour-at-gateway",
    "parent-down",
    "trunk-drops-vlan",
    "raw-drop-of-nft+mtu-mismatch",
    "vlan-leak",
    "benign-rule-behind",
)


@pytest.fixture(scope="module")
def benches() -> Iterator[Benches]:
    """One lab for all faults of this module."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    with Benches() as opened:
        yield opened


@pytest.fixture
def untouched() -> None:
    """The lab outlives each test of this module; `benches` takes it down."""


@pytest.mark.parametrize("name", CHOSEN)
def test_fault(benches: Benches, name: str) -> None:
    """The fault turns just the predicted cells red, is named, mended as printed, and heals."""
    found = benches.tried(BY_NAME[name]).result()
    assert found.right, found.explain()


def test_random_fault(benches: Benches) -> None:
    """A random fault's verdicts agree with plain sockets, and its causes with their fixes."""
    found = benches.trial(drawn(2)).result()
    assert found.right, found.explain()


def test_oracle_is_of_its_own_opinion() -> None:
    """Plain sockets reach everybody in a lab that is right: from which source, with which TTL."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    bench = Bench("macvlan-two-host", Stage.ROUTED)
    try:
        answers = asked(bench.lab)
    finally:
        bench.close()
    assert len(answers) == 36
    assert answers["icmp", "bbox1", "bbox4"] == ("172.16.20.1", 63)
    assert answers["udp", "bbox1", "bbox3"] == ("172.16.10.10", 64)
