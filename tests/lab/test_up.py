"""`harness up`, `exec`, `list` and `down` as a person uses them, on a real lab."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from harness.machines import registry
from tests.lab import snapshot

HERE = Path(__file__).parents[2]
HARNESS = (sys.executable, "-m", "harness")
TOPOLOGY = "topologies/macvlan-two-host.yaml"


def _harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*HARNESS, *arguments]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)


def test_lab_goes_up_is_used_and_goes_down(untouched: snapshot.Snapshot, name: str) -> None:
    """The way of the tutorial; nothing is left after it."""
    assert _harness("up", TOPOLOGY, "--name", name, "--stage", "isolated").returncode == 0
    listed = json.loads(_harness("list", "--json").stdout)
    assert [lab["stage"] for lab in listed if lab["name"] == name] == ["isolated"]
    address = _harness("exec", "--name", name, "bbox1", "--", "ip", "-br", "address")
    assert "172.16.10.10/24" in address.stdout
    assert _harness("exec", "--name", name, "bbox1", "--", "sh", "-c", "exit 9").returncode == 9
    assert _harness("up", TOPOLOGY, "--name", name).returncode == 2
    assert _harness("down", name).returncode == 0
    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize(
    ("topology", "stage"), [("external-router", "routed"), ("overlapping-subnets", "isolated")]
)
def test_without_a_stage_a_lab_goes_to_the_only_one_that_it_has(
    untouched: snapshot.Snapshot, name: str, topology: str, stage: str
) -> None:
    """Where no gateway host is configured there is nothing to go on to."""
    up = _harness("up", f"topologies/{topology}.yaml", "--name", name)
    assert (up.returncode, up.stderr) == (0, "")
    assert up.stdout.startswith(f"{name} is up: {topology}, {stage}, ")
    listed = json.loads(_harness("list", "--json").stdout)
    assert [lab["stage"] for lab in listed if lab["name"] == name] == [stage]
    assert _harness("down", name).returncode == 0
    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize(
    ("topology", "stage", "only"),
    [("external-router", "isolated", "routed"), ("macvlan-modes", "routed", "isolated")],
)
def test_a_stage_that_a_lab_has_not_is_refused(
    untouched: snapshot.Snapshot, name: str, topology: str, stage: str, only: str
) -> None:
    """Before anything is built, and with the stages that there are."""
    path = f"topologies/{topology}.yaml"
    up = _harness("up", path, "--name", name, "--stage", stage)
    said = f"harness: the lab {topology} has no stage {stage}, only {only}\n"
    assert (up.returncode, up.stdout, up.stderr) == (2, "", said)
    assert name not in registry.names()
    assert snapshot.wait_until_clean(untouched) == ()


@pytest.mark.parametrize("moment_ms", range(0, 800, 50))
def test_killed_up_leaves_a_whole_lab_or_none(
    untouched: snapshot.Snapshot, name: str, moment_ms: int
) -> None:
    """There is no half a lab, at whatever moment `harness up` is killed."""
    command = [*HARNESS, "up", TOPOLOGY, "--name", name]
    null = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=HERE, stdout=null, stderr=null) as up:
        with suppress(subprocess.TimeoutExpired):
            up.wait(moment_ms / 1000)
        up.kill()

    if name in [lab.name for lab in registry.labs()]:
        assert _harness("exec", "--name", name, "gateway", "--", "true").returncode == 0
        registry.stop(name)

    assert snapshot.wait_until_clean(untouched) == ()
