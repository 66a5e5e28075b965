"""All faults: single ones, pairs, and changes that break nothing."""

from __future__ import annotations

from harness.faults import (
    of_docker,
    of_links,
    of_machines,
    of_others,
    of_proof,
    of_routers,
    of_routes,
)
from harness.faults.benign import BENIGN
from harness.faults.fault import Fault
from harness.faults.pairs import pairs

SINGLE: tuple[Fault, ...] = (
    *of_routers.FAULTS,
    *of_routes.FAULTS,
    *of_links.FAULTS,
    *of_others.FAULTS,
    *of_proof.FAULTS,
    *of_docker.FAULTS,
    *of_machines.FAULTS,
)
PAIRS = pairs(SINGLE)
FAULTS: tuple[Fault, ...] = (*SINGLE, *PAIRS, *BENIGN)

__all__ = ["BENIGN", "FAULTS", "PAIRS", "SINGLE"]
