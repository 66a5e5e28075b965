"""Fixtures for suites of your own: `lab`, `probe`, `lab_host`, `capture`, `lab_topology`.

They are typed for annotations: `lab: LiveLab`, `probe: ProbeNow`, `lab_host: HostByName`,
`capture: CaptureNow`. All live as long as the pytest session, so fixtures of any scope may use
them. The lab is built when the first test needs it, in its last wanted stage: `routed`, or what
`--lab-stage` says; with `--lab-attach` it is the lab that is up, as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from harness.errors import InputError
from harness.fixtures import told
from harness.keys import KEPT, SESSION

if TYPE_CHECKING:
    from pathlib import Path

    from harness.flow import Verdict
    from harness.handle import Captured, LiveLab


class ProbeNow(Protocol):
    """The fixture `probe`."""

    def __call__(self, src: str, dst: str, kind: str) -> Verdict:
        """Send one probe now, and judge it. Unproved is an ERROR of the test, never a verdict."""


class HostByName(Protocol):
    """The fixture `lab_host`."""

    def __call__(self, name: str) -> Any:
        """The testinfra host of a node: `lab_host("gateway").sysctl("net.ipv4.ip_forward")`."""


class CaptureNow(Protocol):
    """The fixture `capture`."""

    def __call__(self, node: str, interface: str) -> AbstractContextManager[Captured]:
        """Capture while a `with` block runs; `frames` and `packets` are there at its end."""


@pytest.fixture(name="lab_topology", scope="session")
def _lab_topology() -> str | Path | None:
    """The topology file of a suite. Redefine it in conftest.py; `--lab-topology` wins over it."""
    return None


@pytest.fixture(name="lab", scope="session")
def _lab(pytestconfig: pytest.Config, lab_topology: str | Path | None) -> Iterator[LiveLab]:
    """The lab, in its last wanted stage; its own for this run unless `--lab-attach` names one."""
    from harness import labs, selection
    from harness.handle import LiveLab

    option, running = pytestconfig.option, pytestconfig.stash.get(SESSION, None)
    with told():
        if option.lab_attach and running:
            # The suites have entered it already, and one lab is not swept by two at a time.
            yield LiveLab(running.lab(running.stages[-1]))
            return
        source = selection.source(pytestconfig, str(lab_topology or ""))
        if option.lab_attach and option.lab_stage not in (None, source.stage):
            source.open().close()
            raise InputError(f"this lab is in the stage {source.stage}, not {option.lab_stage}")
        stage = source.stage or labs.stage_of(source.topology, option.lab_stage)
        opened = source.open()
    try:
        with told():
            opened.enter(stage)
        yield LiveLab(opened)
    finally:
        opened.close()
        pytestconfig.stash[KEPT] += filter(None, [source.kept()])


@pytest.fixture(name="probe", scope="session")
def _probe(lab: LiveLab) -> ProbeNow:
    """Send one probe on the lab, now; see ProbeNow."""
    from harness.flow import Ruling
    from harness.session import Unproved

    def probe(src: str, dst: str, kind: str) -> Verdict:
        verdict = lab.probe(src, dst, kind)
        if verdict.ruling is Ruling.UNPROVED:
            raise Unproved(verdict.explain())
        return verdict

    return probe


@pytest.fixture(name="lab_host", scope="session")
def _lab_host(lab: LiveLab) -> HostByName:
    """A node as testinfra has it. Not named `host`, because that fixture is testinfra's own."""
    from harness.testinfra_backend import host

    return lambda name: host(lab.lab, name)


@pytest.fixture(name="capture", scope="session")
def _capture(lab: LiveLab) -> CaptureNow:
    """Capture on an interface of the lab; see CaptureNow."""
    return lab.capture
