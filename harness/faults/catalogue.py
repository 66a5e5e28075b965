"""All faults."""

from __future__ import annotations

from harness.faults import of_routers
from harness.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (*of_routers.FORWARDING_FAULTS,)
