"""What tests of virtual machines need: programs, kernels, and a machine that is as it was."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import fetched, kernels
from harness.machines.kernel import Kernel
from harness.machines.vm import QEMU
from harness.worker.search import found
from tests.lab import snapshot


@pytest.fixture(scope="module")
def machines() -> Iterator[None]:
    """Virtual machines can be had here; of those of a file nothing is left."""
    if os.geteuid() != 0:
        pytest.skip("these tests compare with labs that root builds")
    qemu = QEMU.get(os.uname().machine, "qemu")
    missing = [name for name in (qemu, "modprobe", "depmod") if not found(name)]
    if missing or not shutil.which("virtme-run", path=str(Path(sys.executable).parent)):
        pytest.skip(f"missing here: {', '.join(missing) or 'virtme-ng'}; `scripts/setup kernels`")
    before = snapshot.take()
    yield
    assert snapshot.wait_until_clean(before) == ()


@pytest.fixture(scope="module")
def oldest(machines: None) -> Kernel:
    """The kernel that most lab hosts run."""
    del machines
    return _the("6.1")


@pytest.fixture(scope="module")
def newest(machines: None) -> Kernel:
    """The newest that Debian has."""
    del machines
    return _the("7.2")


@pytest.fixture
def beside() -> Iterator[Callable[[str], Path]]:
    """Names folders for kernels of a test, where kernels are; what is in them is removed."""
    place = fetched.cache("kernels") / f".test-{secrets.token_hex(4)}"
    yield place.joinpath
    shutil.rmtree(place)


def _the(version: str) -> Kernel:
    """A kernel by its version; skips where there is none."""
    fitting = [one for one in kernels.known().values() if one.name.startswith(f"{version}.")]
    if not fitting:
        pytest.skip(f"no kernel {version} here; `make kernels` fetches it")
    return fitting[-1]
