"""Coverage is measured where tests run: in pytest and its workers, not in what tests start."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)
