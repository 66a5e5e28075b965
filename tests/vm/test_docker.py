"""Container engines on another kernel: in the virtual machine, as the lab that they are part of."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from harness.machines.kernel import Kernel
from harness.worker.search import found
from tests.vm.rehearsing import NIGHTLY
from tests.vm.test_vm import cells, run

DEADLINE_S = 1800
ENGINES = ("host1", "host2")

pytestmark = [pytest.mark.usefixtures("machines"), NIGHTLY]


def kernels_of(engines: dict[str, Any]) -> set[str]:
    """The kernel that each engine says it runs on, in every reading of it."""
    return {
        one["parsed"]["info"]["KernelVersion"]
        for one in engines["evidence"].values()
        if one["kind"] == "docker-engine" and one["node"] in ENGINES
    }


def test_the_same_cells_with_engines_on_another_kernel(oldest: Kernel) -> None:
    """Every cell fares as with this machine's kernel, and both engines say which one is theirs."""
    if not found("dockerd"):
        pytest.skip("no dockerd here (Debian: apt-get install docker.io)")
    docker = ("--lab-backend", "docker")
    here, folder, said = run(*docker)
    assert here["run"]["exit"] == "pass", said
    there, other, said = run(*docker, "--lab-kernel", str(oldest.image), deadline_s=DEADLINE_S)
    assert there["run"]["exit"] == "pass", said
    assert (there["run"]["kernel"], kernels_of(there)) == (oldest.name, {oldest.name})
    assert "kernel_events" not in there["run"]
    assert len(cells(there)) > 0
    assert cells(there) == cells(here)
    for one in (folder, other):
        shutil.rmtree(one.parent)
