"""`harness rehearse`, as tests of it call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 1800
NIGHTLY = pytest.mark.skipif(
    not os.environ.get("HARNESS_NIGHTLY"),
    reason="machines one after another, some minutes; HARNESS_NIGHTLY=1 runs it",
)


def rehearse(*arguments: str, reports: Path, stage: str = "isolated") -> tuple[int, dict[str, Any]]:
    """The exit code, and what it says for programs."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "rehearse", *arguments, "--json",
         f"--stage={stage}", f"--reports={reports}"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)
