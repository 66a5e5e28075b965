"""`harness diff` on real runs with Docker engines: each change once, and nothing where none is.

`RUNS=5 pytest tests/lab/test_diff_docker.py` compares so many in a row.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.diff import compare
from harness.report.folder import read_document
from harness.worker.search import found

ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("RUNS", "1"))
Document = dict[str, Any]
SEEDS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "a network's mode": (
        "docker-networks", lambda found: found[0]["Options"].update(macvlan_mode="vepa"),
        "host1 docker-networks: mac_net10 option macvlan_mode",
    ),
    "a network's pool": (
        "docker-networks",
        lambda found: found[0]["IPAM"]["Config"][0].update(IPRange="172.16.10.0/28"),
        "host1 docker-networks: mac_net10 pools",
    ),
    "a network is gone": (
        "docker-networks", lambda found: found.pop(0), "host1 docker-networks: mac_net10",
    ),
    "a container's address": (
        "docker-containers",
        lambda found: [leg.update(IPAddress="172.16.10.99") for one in found
                       for name, leg in one["NetworkSettings"]["Networks"].items()
                       if name == "mac_net10"],
        "host1 docker-containers: bbox1 on mac_net10",
    ),
    "a container's option": (
        "docker-containers",
        lambda found: [one["HostConfig"].update(Privileged=True) for one in found
                       if one["Name"] == "/bbox1"],
        "host1 docker-containers: bbox1 Privileged",
    ),
    "what is in the image": (
        "docker-images", lambda found: found[0]["RootFS"].update(Layers=["sha256:00"]),
        "host1 docker-images: busybox:latest",
    ),
    "an engine's option": (
        "docker-engine", lambda found: found["info"].update(LiveRestoreEnabled=True),
        "host1 docker-engine: LiveRestoreEnabled",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _needs_docker() -> None:
    for program in ("dockerd", "busybox"):
        if os.geteuid() != 0 or not found(program):
            pytest.skip(f"needs root, and {program} (apt-get install docker.io busybox-static)")


def run(reports: Path) -> Document:
    """The report.json of a run of the stage isolated with engines."""
    argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    more = ["--lab-backend", "docker", "--lab-stage", "isolated", "--lab-reports", str(reports)]
    done = subprocess.run([*argv, *more], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return read_document(reports / "latest")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """A run."""
    return run(tmp_path_factory.mktemp("first"))


def test_runs_with_engines_are_alike(first: Document, tmp_path: Path) -> None:
    """Though every id, and that of the image made for the lab, is another."""
    for number in range(RUNS):
        found = compare(first, run(tmp_path / str(number)))
        assert (found.changes, found.untold) == ((), "")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seeded_change_of_an_engine_is_told_once(first: Document, seed: str) -> None:
    """And nothing else."""
    kind, change, what = SEEDS[seed]
    new = copy.deepcopy(first)
    for one in new["evidence"].values():
        if (one["kind"], one["node"]) == (kind, "host1"):
            change(one["parsed"])
    assert [one.what for one in compare(first, new).changes] == [what]
