"""The kinds of machine that every contract is tried on; the real ones skip where they cannot be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from harness.machines import registry
from harness.machines.local import HeldMachine, PrivateMachine
from harness.machines.ssh import SshMachine
from harness.machines.worker import Machine
from harness.testing import FakeMachine
from tests.lab import snapshot

TOOLS = ("setpriv", "unshare", "nsenter", "ip")


def needs_root() -> None:
    """Skip, with the reason, where no namespaces can be made."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    missing = [name for name in TOOLS if not shutil.which(name)]
    if missing:
        pytest.skip(f"missing on this machine: {', '.join(missing)}")


def needs_docker() -> None:
    """Skip, with the reason, where no engine with containers can be had."""
    needs_root()
    missing = [name for name in ("dockerd", "busybox") if not shutil.which(name)]
    if missing:
        pytest.skip(f"missing on this machine: {', '.join(missing)}")


def fake(_request: pytest.FixtureRequest) -> Iterator[Machine]:
    """No kernel at all."""
    yield FakeMachine()


def private(_request: pytest.FixtureRequest) -> Iterator[Machine]:
    """New namespaces that end with the worker; nothing is left of them."""
    needs_root()
    before = snapshot.take()
    yield PrivateMachine()
    assert snapshot.wait_until_clean(before) == ()


def held(_request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The namespaces of a lab that its holder owns; nothing is left when it has ended."""
    needs_root()
    before = snapshot.take()
    with registry.start(f"contract-{os.getpid()}") as pending:
        yield HeldMachine(pending.init_pid)
    assert snapshot.wait_until_clean(before) == ()


def ssh(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A lab host; what a worker did there is gone when it has started again."""
    yield from _lab_host(request, "gateway")


def sudo(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A lab host where the login becomes root by sudo."""
    yield from _lab_host(request, "host1")


def _lab_host(request: pytest.FixtureRequest, name: str) -> Iterator[Machine]:
    bed = request.getfixturevalue("testbed")
    with bed.entered():
        yield SshMachine(name, sudo=name in bed.layout.sudo, config=bed.config)
    bed.reboot(name)


REAL = (private, held, ssh, sudo)
MACHINES = (fake, *REAL)


@pytest.fixture(params=MACHINES, ids=lambda kind: kind.__name__)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine of each kind."""
    yield from request.param(request)


@pytest.fixture(params=REAL, ids=lambda kind: kind.__name__)
def real_machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine of each kind that has a kernel."""
    yield from request.param(request)
