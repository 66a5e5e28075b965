"""A lab of many endpoints: every ordered pair, green and proved."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from harness import topology
from harness.topology.generate import generate
from tests.lab.broken import ROOT

DEADLINE_S = 300
"""Measured on two cores that other work shared: 16 seconds for 60 endpoints, more than these."""
SUITES = ("suites/test_same_vlan.py", "suites/test_cross_vlan.py")
WISH = "vlans=8,hosts=5,endpoints=40"
"""As many parts as it takes to matter; 100 endpoints are measured by `--only scale`."""
MESH = "vlans=1,hosts=5,endpoints=40"
"""1,560 neighbours: more than the machine has entries for."""


def run(tmp_path: Path, wish: str, stage: str) -> tuple[topology.Topology, dict[str, Any]]:
    """Test a generated lab in a stage by icmp and arp; the lab, and the report."""
    file = tmp_path / "large.yaml"
    file.write_text(generate(wish), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *SUITES, "-q", "-p", "no:cacheprovider"]
    options = ["--lab-topology", str(file), "--lab-probe", "icmp,arp", "--lab-stage", stage]
    done = subprocess.run(
        [*command, *options, f"--lab-reports={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    report = tmp_path / "latest" / "report.json"
    return topology.read(file), json.loads(report.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stage", ["isolated", "routed"])
def test_forty_endpoints(tmp_path: Path, stage: str) -> None:
    """All 1,560 ordered pairs by icmp and arp, each proved, in more than one sweep."""
    lab, report = run(tmp_path, WISH, stage)
    names = [end.name for end in lab.endpoints]
    wanted = {(*pair, probe) for pair in permutations(names, 2) for probe in ("icmp", "arp")}
    assert len(wanted) == 2 * 1560
    assert {(cell["src"], cell["dst"], cell["probe"]) for cell in report["cells"]} == wanted
    assert {(cell["stage"], cell["verdict"]) for cell in report["cells"]} == {(stage, "pass")}
    assert (tmp_path / "latest" / "captures" / f"{stage}-2.pcapng").exists()
    routes = {name for name, of in report["evidence"].items() if of["kind"] == "route-get"}
    asked = {(src, str(lab.endpoint(dst).address)) for src, dst in permutations(names, 2)}
    asked |= {("gateway", str(end.address)) for end in lab.endpoints if stage == "routed"}
    assert routes == {f"{stage}/{node}/route-get/{address}/after" for node, address in asked}


def test_a_mesh_larger_than_the_neighbour_table(tmp_path: Path) -> None:
    """One VLAN, every pair: no probe is lost to a table that is full."""
    lab, report = run(tmp_path, MESH, "isolated")
    assert len(lab.endpoints) * (len(lab.endpoints) - 1) == 1560
    assert len(report["cells"]) == 2 * 1560
    assert {cell["verdict"] for cell in report["cells"]} == {"pass"}
