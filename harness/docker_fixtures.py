"""What tests of engines get: their networks, containers and hosts; and the means to disturb them.

`container` and `engine` are for suites of your own too. They change a lab, which is then not what
the suites that leave labs alone were made for: tests that use them belong in a run of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from harness.errors import MachineError
from harness.fixtures import told
from harness.keys import MEASURED, NO_ENGINES, NOT_OURS, SESSION

if TYPE_CHECKING:
    from harness.dockerstate import ContainerState, NetworkState, Rule
    from harness.handle import LiveLab
    from harness.lab import Lab
    from harness.lifecycle import Container, Engine
    from harness.lifecycle.healing import Contact, Restarted
    from harness.lifecycle.imposing import Imposed
    from harness.lifecycle.mistakes import Refusal


@dataclass(frozen=True)
class OnEngine:
    """A network or a container: what it must be, and what it was found to be."""

    expected: NetworkState | ContainerState
    found: NetworkState | ContainerState | None
    """None if its engine knows nothing of it."""


class ContainerByName(Protocol):
    """The fixture `container`."""

    def __call__(self, name: str) -> Container:
        """A container of the lab: `container("bbox1").restart()`."""


class EngineByHost(Protocol):
    """The fixture `engine`."""

    def __call__(self, host: str) -> Engine:
        """The engine of a host: `engine("host1").restart(live_restore=True)`."""


@pytest.fixture(name="docker_network")
def _docker_network(request: pytest.FixtureRequest) -> OnEngine:
    """A network of an engine, as `docker network inspect` has it."""
    from harness import dockerstate

    session, ask = request.config.stash[SESSION], request.param
    with told(request.session):
        lab = session.lab(ask.stage)
        found = _inspected(lab, ask.node, "docker-networks", ask.kind)
    vlan = next(one for one in session.topology.vlans if one.network == ask.kind)
    expected = dockerstate.network(session.topology, vlan.id)
    return OnEngine(expected, dockerstate.network_said(found) if found else None)


@pytest.fixture(name="docker_container")
def _docker_container(request: pytest.FixtureRequest) -> OnEngine:
    """A container, as `docker inspect` and the kernel in its namespace have it."""
    from harness import dockerstate

    session, ask = request.config.stash[SESSION], request.param
    end, topology = session.topology.endpoint(ask.node), session.topology
    parent, name = topology.subinterface(end.vlan), topology.vlan(end.vlan).network
    with told(request.session):
        lab = session.lab(ask.stage)
        inspected = _inspected(lab, end.host, "docker-containers", f"/{end.container}")
        parents = _ip(lab, end.host, "link", "show", "dev", parent)
        links = _ip(lab, end.name, "-details", "address", "show", "dev", end.interface)
        routes = _ip(lab, end.name, "-4", "route", "show", "default")
    found = dockerstate.container_said(name, inspected or {}, links, routes)
    return OnEngine(dockerstate.container(topology, end, dockerstate.index(parents)), found)


@pytest.fixture(name="imposed")
def _imposed(request: pytest.FixtureRequest) -> tuple[Rule, ...]:
    """A host's rules that are not the topology's, of iptables-nft, iptables-legacy and nftables."""
    from harness import dockerstate
    from harness.worker import calls

    session, ask = request.config.stash[SESSION], request.param
    with told(request.session):
        lab = session.lab(ask.stage)
        (reading,) = lab.call(calls.evidence, [(ask.node, "firewall")])
        ruleset = lab.run(ask.node, ["nft", "list", "ruleset"])
        if ruleset["code"]:
            said = ruleset["err"].strip()
            raise MachineError(f"rules of nftables on {ask.node} cannot be read: {said}")
    return dockerstate.imposed(session.topology, ask.node, reading["parsed"], ruleset["out"])


@pytest.fixture(name="container", scope="session")
def _container(lab: LiveLab) -> ContainerByName:
    """A container of the lab, to be restarted, remade, reconnected; see ContainerByName."""
    from harness.lifecycle import Container

    _need_engines(lab)
    return lambda name: Container(lab.lab, name)


@pytest.fixture(name="engine", scope="session")
def _engine(lab: LiveLab) -> EngineByHost:
    """An engine of the lab, to be restarted; see EngineByHost."""
    from harness.lifecycle import Engine

    _need_engines(lab)
    return lambda host: Engine(lab.lab, host)


class FirstContact(Protocol):
    """The fixture `first_contact`."""

    def __call__(self, change: str, others: str) -> Contact:
        """Change a container, then ask it; `others` is `forgot` or `remember`."""


class EngineRestart(Protocol):
    """The fixture `engine_restart`."""

    def __call__(self, *, live_restore: bool) -> Restarted:
        """Restart an engine under flows; once a session for each value of `live_restore`."""


class RefusalOf(Protocol):
    """The fixture `refusal`."""

    def __call__(self, mistake: str) -> Refusal:
        """Ask an engine for what cannot be."""


@pytest.fixture(name="first_contact")
def _first_contact(lab: LiveLab, record_property: Any) -> FirstContact:
    """The first contact with a container after a change; how long it took is recorded."""
    from harness.lifecycle import healing

    _need_engines(lab)

    def first_contact(change: str, others: str) -> Contact:
        contact = healing.first_contact(lab.lab, change, remembered=others == "remember")
        _record(contact, record_property)
        return contact

    return first_contact


@pytest.fixture(name="engine_restarts", scope="session")
def _engine_restarts() -> dict[bool, Restarted]:
    """What was measured already: a restart is for all tests that ask about it."""
    return {}


@pytest.fixture(name="engine_restart")
def _engine_restart(
    lab: LiveLab, engine_restarts: dict[bool, Restarted], record_property: Any
) -> EngineRestart:
    """An engine restarted under flows; what they lost is recorded."""
    from harness.lifecycle import healing

    _need_engines(lab)

    def engine_restart(*, live_restore: bool) -> Restarted:
        if live_restore not in engine_restarts:
            found = healing.engine_restart(lab.lab, live_restore=live_restore)
            engine_restarts[live_restore] = found
            record_property(MEASURED, str(found))
            for flow in found.flows:
                record_property(f"{flow.kind} lost", flow.lost)
            _record(found.again, record_property)
        return engine_restarts[live_restore]

    return engine_restart


@pytest.fixture(name="engine_rules_once", scope="session")
def _engine_rules_once() -> list[Imposed]:
    """What was measured already: one restart is for all tests that ask about it."""
    return []


@pytest.fixture(name="engine_rules")
def _engine_rules(lab: LiveLab, engine_rules_once: list[Imposed], record_property: Any) -> Imposed:
    """What an engine's own rules do to macvlan; how many packets met them is recorded."""
    from harness.lifecycle import imposing

    _need_engines(lab)
    if not engine_rules_once:
        engine_rules_once.append(imposing.beside_rules(lab.lab))
        record_property(MEASURED, str(engine_rules_once[0]))
    return engine_rules_once[0]


@pytest.fixture(name="refusal")
def _refusal(lab: LiveLab) -> RefusalOf:
    """What is said of a mistake that people make with engines."""
    from harness.lifecycle import mistakes

    _need_engines(lab)
    return lambda mistake: mistakes.refusal(lab.lab, mistake)


def _record(contact: Contact, record_property: Any) -> None:
    record_property(MEASURED, str(contact))
    for answer in contact.answers:
        record_property(f"{answer.asker} ms", answer.ms)


def _need_engines(lab: LiveLab) -> None:
    if not lab.lab.engines:
        pytest.skip(NO_ENGINES)
    if not lab.topology.switched:
        pytest.skip(NOT_OURS)


def _inspected(lab: Lab, host: str, kind: str, name: str) -> dict[str, Any] | None:
    from harness.endpoints.containers import calls

    (reading,) = lab.call(calls.evidence, [(host, kind)])
    found: list[dict[str, Any]] = [one for one in reading["parsed"] if one["Name"] == name]
    return found[0] if found else None


def _ip(lab: Lab, node: str, *words: str) -> str:
    """What ip(8) says as JSON; nothing if it cannot."""
    return str(lab.run(node, ["ip", "-json", *words])["out"])
