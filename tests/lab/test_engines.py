"""The tutorial lab on other Docker engines than the machine's own, and on several of them at once.

`make engines` fetches them. `HARNESS_ENGINES=all` takes every engine that was fetched, alone and
beside the oldest that there is; without it that is the newest only, for CI.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from harness import fetched
from harness.machines import enter, registry
from harness.worker.search import found

ROOT = Path(__file__).parents[2]
KNOWN = fetched.known()
FETCHED = [version for version, program in KNOWN.items() if f"/{version}/" in program]
"""The machine's own is what test_docker.py has."""
CHOSEN = FETCHED if os.environ.get("HARNESS_ENGINES") == "all" else FETCHED[-1:]


@pytest.fixture(autouse=True)
def _needs_engines() -> None:
    if os.geteuid() != 0:
        pytest.skip("engines need root")
    if not found("busybox"):
        pytest.skip("no busybox (Debian: apt-get install busybox-static)")
    if not CHOSEN:
        pytest.skip(f"no engine was fetched, there is {', '.join(KNOWN) or 'none'}; `make engines`")


def suites(reports: Path, *options: str) -> dict[str, Any]:
    """Run the suites, which must be green; `run` of the report."""
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    command += ["--lab-backend=docker", f"--lab-reports={reports}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    found: dict[str, Any] = json.loads((reports / "latest/report.json").read_text())["run"]
    return found


@pytest.mark.parametrize("mixed", [False, True], ids=["alone", "beside-the-oldest"])
@pytest.mark.parametrize("version", CHOSEN or ("newer",))
def test_the_lab_is_green_on(version: str, mixed: bool, tmp_path: Path) -> None:
    """Every cell as expected, and the report says which engine ran where."""
    of_hosts = (next(iter(KNOWN)) if mixed else version, version)
    said = suites(tmp_path, f"--lab-engine={','.join(of_hosts)}")["engines"]
    for line, host, wanted in zip(said, ("host1", "host2"), of_hosts, strict=True):
        assert line.startswith(f"{host}: Docker {wanted}")


def test_overlapping_subnets_are_built_on_engines_of_their_own(tmp_path: Path) -> None:
    """The same subnet in both VLANs, each VLAN on one host."""
    shipped = (ROOT / "topologies/overlapping-subnets.yaml").read_text()
    moved = shipped.replace("bbox2: {host: host1", "bbox2: {host: host2")
    moved = moved.replace("bbox3: {host: host2", "bbox3: {host: host1")
    lab = tmp_path / "lab.yaml"
    lab.write_text(moved)
    engine = f"--lab-engine={CHOSEN[-1]}"
    assert suites(tmp_path, f"--lab-topology={lab}", engine)["exit"] == "pass"


def test_each_engine_refuses_overlapping_pools(name: str) -> None:
    """As the harness says before it builds; the oldest and the newest alike."""
    mixed = f"{next(iter(KNOWN))},{CHOSEN[-1]}"
    harness = [sys.executable, "-m", "harness"]
    up = ["up", "--backend", "docker", "--engine", mixed, "--name", name]
    subprocess.run([*harness, *up], cwd=ROOT, capture_output=True, check=True)
    try:
        lab = registry.find(name)
        for host in ("host1", "host2"):
            client = docker.DockerClient(enter.engine(lab.init_pid, host))
            pool = docker.types.IPAMConfig(
                pool_configs=[docker.types.IPAMPool(subnet="172.16.10.128/25")]
            )
            with closing(client), pytest.raises(docker.errors.APIError, match="Pool overlaps"):
                client.networks.create(
                    "overlapping", driver="macvlan", options={"parent": "eth1"}, ipam=pool
                )
    finally:
        registry.stop(name)
