"""What tests of several folders share: test machines that ssh reaches, and what coverage is of.

Coverage is measured where tests run: in pytest and its workers, not in what tests start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

from harness.testbed import Layout, Testbed
from harness.worker.search import found

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)


LONGEST = (
    "vm/test_vm.py", "lab/test_8021q.py", "lab/test_cut_off.py", "lab/test_topologies.py",
    "lab/test_shipped.py", "ssh/test_runs.py", "lab/test_docker_options.py",
    "lab/test_lab_hosts.py", "lab/test_docker_8021q.py", "contract/test_machines.py",
    "browser/test_large.py", "ssh/test_ssh.py", "lab/test_docker.py", "vm/test_silence.py",
    "ssh/test_lab_hosts_page.py", "vm/test_limits.py",
)  # fmt: skip
"""Files of tests that take more than a minute: begun last, one of them would hold up the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, all others as they come."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(places)))


def pytest_sessionfinish() -> None:
    """What was measured is on the disk before xdist ends a worker that is slow to go."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.save()


@pytest.fixture(scope="session")
def machines_are_here() -> None:
    """Skip, with the reason, where no test machines can be."""
    if os.geteuid() != 0:
        pytest.skip("test machines need root")
    missing = [each for each in ("sshd", "ssh", "unshare", "sudo") if not found(each)]
    if missing:
        pytest.skip(f"missing on this machine: {', '.join(missing)}; `scripts/setup ssh`")


@pytest.fixture(scope="session")
def testbed(machines_are_here: None) -> Iterator[Testbed]:  # noqa: ARG001 - it skips
    """Three machines: one needs sudo, one is behind another, that one has an old python3."""
    old = old_python()
    layout = Layout(
        sudo=("host1",),
        jump={"host2": "gateway"},
        python={"gateway": old} if old else {},
        engines=(),
    )
    with Testbed(layout) as bed:
        yield bed


def old_python(version: str = "3.9") -> str | None:
    """An interpreter of a version, if one is here in a prefix of its own."""
    for path in sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin")):
        return str(path / f"python{version}")
    return None
