"""Faults of a kernel's own limits, in a virtual machine; `CONTRIBUTING.md` says how to try all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.faults.benches import Benches
from harness.faults.catalogue import FAULTS
from harness.machines.kernel import Kernel

BY_NAME = {fault.name: fault for fault in FAULTS if fault.machine}


@pytest.fixture(scope="module")
def benches(oldest: Kernel) -> Iterator[Benches]:
    """One machine, with a lab, for all faults of this module."""
    with Benches(1, str(oldest.image)) as opened:
        yield opened


@pytest.mark.parametrize("name", ["neighbour-overflow", "conntrack-full"])
def test_limit(benches: Benches, name: str) -> None:
    """No other cells than predicted turn red; it is named, mended as printed, and heals."""
    found = benches.tried(BY_NAME[name]).result()
    assert found.right, found.explain()
