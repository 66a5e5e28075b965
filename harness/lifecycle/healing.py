"""How long a lab takes to heal: who reaches a container after a change of it, and from when on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.endpoints.containers import lifecycle
from harness.errors import InputError, MachineError
from harness.flow import Stage
from harness.lab import Lab
from harness.lifecycle.changes import PORT, Container, Engine
from harness.topology import Endpoint, Topology
from harness.worker import contact

LIMIT_S = 10.0
"""When who remembers another MAC address must have found the new one. With an entry in the state
STALE a kernel sends to it for 5 s more (delay_first_probe_time), probes it three times, a second
apart (ucast_solicit, retrans_time), and then asks everybody (arp(7)): 8 s. The rest is patience."""
LEARN_S = 5.0
"""An address that nobody changed answers in milliseconds."""


@dataclass(frozen=True)
class Answer:
    """What one node got that asked a container."""

    asker: str
    ms: float | None
    """From the first question to the first answer; None if there was none."""
    asked: int
    """How many questions, one every 10 ms, until then."""

    def __str__(self) -> str:
        if self.ms is None:
            return f"{self.asker} never, to {self.asked} questions"
        return f"{self.asker} after {self.ms:g} ms"


@dataclass(frozen=True)
class Contact:
    """The first contact with a container after a change, from outside."""

    about: str
    answers: tuple[Answer, ...]

    @property
    def answered(self) -> bool:
        """Whether everybody who asked was answered within `LIMIT_S`."""
        return all(answer.ms is not None for answer in self.answers)

    def __str__(self) -> str:
        return f"{self.about}: answers {', '.join(map(str, self.answers))}"


@dataclass(frozen=True)
class Flow:
    """A steady flow: a number every 10 ms, each to be answered."""

    kind: str
    sent: int
    answered: int
    silence_ms: float
    """The longest time without an answer."""
    broken: str
    """Why a connection ended, in the kernel's words; "" if it did not."""

    @property
    def lost(self) -> int:
        """Numbers without an answer."""
        return self.sent - self.answered

    def __str__(self) -> str:
        ended = f", {self.broken}" if self.broken else ""
        silence = f"longest silence {self.silence_ms:g} ms"
        return f"{self.kind}: {self.lost} of {self.sent} lost, {silence}{ended}"


@dataclass(frozen=True)
class Restarted:
    """An engine that was restarted under flows to one of its containers."""

    about: str
    flows: tuple[Flow, ...]
    carried: tuple[str, ...]
    """The containers that ran before."""
    running: tuple[str, ...]
    """Those that run afterwards, before anybody starts one."""
    again: Contact
    """The first contact with the container of the flows, the others started by hand."""

    @property
    def lost(self) -> int:
        """What all flows together have lost."""
        return sum(flow.lost for flow in self.flows)

    def __str__(self) -> str:
        still = f"{len(self.running)} of {len(self.carried)} containers run on"
        return f"{self.about}: {still}; {'; '.join(map(str, self.flows))}"


def subject(topology: Topology) -> tuple[Endpoint, Endpoint]:
    """A container, and another of its VLAN on another host that can ask it."""
    for end in topology.containers:
        for other in topology.containers:
            if other.vlan == end.vlan and other.host != end.host:
                return end, other
    raise InputError(f"{topology.name}: no two endpoints of one VLAN are on different hosts")


def askers(lab: Lab, end: Endpoint, other: Endpoint) -> tuple[str, ...]:
    """Who asks: the other container, and the gateway hosts with an address in the VLAN."""
    routers = lab.topology.routers(lab.stage or Stage.ISOLATED)
    hosts = [
        one.host
        for one in routers
        if one.address_in(end.vlan) and not lab.topology.host(one.host).external
    ]
    return (other.name, *(host for host in hosts if host != end.host))


CHANGES: dict[str, Callable[[Container, str], None]] = {
    "restarted": lambda container, _: container.restart(),
    "remade": lambda container, _: container.remake(),
    "remade-with-another-mac": lambda container, mac: container.remake(mac),
    "reconnected": lambda container, _: _reconnect(container),
}
LASTING = ("remade-with-another-mac", "reconnected")
"""Changes after which a container is not as the topology has it: an interface of another name."""
ANOTHER = "02:6e:73:ff:00:01"
"""A MAC address that nobody has: locally administered, and of no interface of a lab."""


def first_contact(lab: Lab, change: str, *, remembered: bool) -> Contact:
    """Change a container, then ask it from outside before it has sent anything itself.

    Whoever asks either remembers the container's MAC address as it was before, in an entry that
    has gone stale, or knows nothing of it.
    """
    end, other = subject(lab.topology)
    container, nodes = Container(lab, end.name), askers(lab, end, other)
    if remembered:
        _learn(lab, nodes, end)
    try:
        CHANGES[change](container, ANOTHER)
        if not remembered:
            lab.call(lifecycle.forget_neighbours, list(nodes))
        answers = _asked(lab, nodes, end, LIMIT_S)
    finally:
        if change in LASTING:
            container.remake()
    how = "remembered" if remembered else "forgotten"
    about = f"{end.name} {change.replace('-', ' ')}, its old MAC address {how}"
    return Contact(about, answers)


def engine_restart(lab: Lab, *, live_restore: bool) -> Restarted:
    """Restart an engine while another host's container talks with one of its containers."""
    end, other = subject(lab.topology)
    container, engine = Container(lab, end.name), Engine(lab, end.host)
    container.serve()
    carried = engine.running
    lab.call(lifecycle.forget_neighbours, [other.name])
    problem = lab.call(contact.begin, other.name, str(end.address), PORT)
    if problem:
        raise MachineError(f"no flow from {other.name} to {end.name}: {problem}")
    try:
        engine.restart(live_restore=live_restore)
    finally:
        found = lab.call(contact.end)
    flows = tuple(Flow(kind, **flow) for kind, flow in zip(("icmp", "tcp"), found, strict=True))
    running = engine.running
    for name in sorted({*carried} - {*running}):
        Container(lab, name).start()
    answers = _asked(lab, askers(lab, end, other), end, LIMIT_S)
    how = "with" if live_restore else "without"
    about = f"engine of {end.host} restarted {how} live-restore"
    started = "still running" if end.name in running else "started again"
    again = Contact(f"{end.name} {started} after that", answers)
    return Restarted(about, flows, carried, running, again)


def _learn(lab: Lab, nodes: tuple[str, ...], end: Endpoint) -> None:
    """Have nodes talk with a container, and then so long not that their entries go stale."""
    lab.call(lifecycle.forget_neighbours, list(nodes))
    learned = Contact(end.name, _asked(lab, nodes, end, LEARN_S))
    if not learned.answered:
        raise MachineError(f"there is nothing to remember: {learned}")
    for node in nodes:
        lab.call(lifecycle.age_neighbours, node)


def _asked(lab: Lab, nodes: tuple[str, ...], end: Endpoint, within: float) -> tuple[Answer, ...]:
    asks = [(node, str(end.address)) for node in nodes]
    found = lab.call(contact.first_answers, asks, within)
    return tuple(Answer(node, **one) for node, one in zip(nodes, found, strict=True))


def _reconnect(container: Container) -> None:
    container.disconnect()
    container.connect()
