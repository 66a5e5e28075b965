"""What tests get: verdicts, steps, outcomes, readings, hosts.

A wrong network is a FAILED test. What could not be told, or a lab that could not be built, is an
ERROR: it is raised here, where the fixture is made, not where the test asserts.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError, Unsupported
from harness.keys import ONLY_LAB, SESSION

if TYPE_CHECKING:
    from harness.flow import Verdict
    from harness.hoststate import HostState
    from harness.steps import FourSteps


@dataclass(frozen=True)
class OnHost:
    """A host in a stage: its testinfra object over the worker, and what it must be."""

    name: str
    host: Any
    iptables: str
    """The iptables that the lab's rules are made with: `iptables-nft` or `iptables-legacy`."""
    expected: HostState


@contextmanager
def told(session: pytest.Session | None = None) -> Generator[None, None, None]:
    """The harness's own errors in their own words: a traceback says no more, and costs time.

    A machine that cannot carry a lab ends a session that has nothing but tests of the lab.
    """
    problem: HarnessError | None = None
    try:
        yield
    except HarnessError as error:
        problem = error
    # Not while it is handled: pytest would print both, one after the other.
    if isinstance(problem, Unsupported) and session and session.config.stash.get(ONLY_LAB, False):
        pytest.exit(str(problem), problem.exit_code)
    if problem:
        pytest.fail(f"{type(problem).__name__}: {problem}", pytrace=False)


@pytest.fixture(name="verdict")
def _verdict(request: pytest.FixtureRequest) -> Verdict:
    """The verdict of a cell. What could not be told is an error, never one to assert on."""
    with told(request.session):
        return request.config.stash[SESSION].verdict(request.param)


@pytest.fixture(name="steps")
def _steps(request: pytest.FixtureRequest) -> FourSteps:
    """The four steps of a routed cell, as measured."""
    with told(request.session):
        return request.config.stash[SESSION].steps(request.param)


@pytest.fixture(name="outcomes")
def _outcomes(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """A cell's outcomes, in `isolated` and in `undone`."""
    with told(request.session):
        return request.config.stash[SESSION].outcomes(request.param)


@pytest.fixture(name="readings")
def _readings(request: pytest.FixtureRequest) -> tuple[object, ...]:
    """A kind of reading of a node, in `isolated` and in `undone`."""
    with told(request.session):
        return request.config.stash[SESSION].readings(request.param)


@pytest.fixture(name="docker_ping")
def _docker_ping(request: pytest.FixtureRequest) -> tuple[bool, str]:
    """Whether `docker exec SRC ping DST` says what the sweep says of a pair, and both in words."""
    with told(request.session):
        return request.config.stash[SESSION].pinged(request.param)


@pytest.fixture(name="docker_engine")
def _docker_engine(request: pytest.FixtureRequest) -> tuple[bool, str]:
    """Whether a host's container engine answers, and what it says."""
    with told(request.session):
        return request.config.stash[SESSION].engine(request.param)


@pytest.fixture(name="on_host")
def _on_host(request: pytest.FixtureRequest) -> OnHost:
    """A host in a stage of the lab."""
    from harness.hoststate import expected
    from harness.testinfra_backend import host

    session, ask = request.config.stash[SESSION], request.param
    with told(request.session):
        lab = session.lab(ask.stage)
    state = expected(session.topology, ask.node, ask.stage, lab.before(ask.node))
    return OnHost(ask.node, host(lab, ask.node), lab.iptables(ask.node), state)
