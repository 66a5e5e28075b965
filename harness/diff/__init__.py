"""Two runs compared: what cells, paths, readings and times are no longer what they were."""

from __future__ import annotations

from harness.diff.change import Change, Difference
from harness.diff.compare import compare

__all__ = ["Change", "Difference", "compare"]
