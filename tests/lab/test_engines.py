"""The tutorial lab on other Docker engines than the machine's own, and on several of them at once.

`make engines` fetches them. `HARNESS_ENGINES=all` takes every engine that was fetched, alone and
beside the oldest that there is; without it that is the newest only, for CI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import doctor, engines

ROOT = Path(__file__).parents[2]
KNOWN = engines.known()
FETCHED = [version for version, program in KNOWN.items() if f"/{version}/" in program]
"""The machine's own is what test_docker.py has."""
CHOSEN = FETCHED if os.environ.get("HARNESS_ENGINES") == "all" else FETCHED[-1:]


@pytest.fixture(autouse=True)
def _needs_engines() -> None:
    if os.geteuid() != 0:
        pytest.skip("engines need root")
    if not shutil.which("busybox", path=doctor.search_path()):
        pytest.skip("no busybox (Debian: apt-get install busybox-static)")
    if not CHOSEN:
        pytest.skip(f"no engine was fetched, there is {', '.join(KNOWN) or 'none'}; `make engines`")


@pytest.mark.parametrize("mixed", [False, True], ids=["alone", "beside-the-oldest"])
@pytest.mark.parametrize("version", CHOSEN or ("newer",))
def test_the_lab_is_green_on(version: str, mixed: bool, tmp_path: Path) -> None:
    """Every cell as expected, and the report says which engine ran where."""
    of_hosts = (next(iter(KNOWN)) if mixed else version, version)
    command = [
        sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider",
        "--lab-backend=docker", f"--lab-engine={','.join(of_hosts)}", f"--lab-reports={tmp_path}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    said = json.loads((tmp_path / "latest/report.json").read_text())["run"]["engines"]
    for line, host, wanted in zip(said, ("host1", "host2"), of_hosts, strict=True):
        assert line.startswith(f"{host}: Docker {wanted}")
