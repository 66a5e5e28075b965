"""What checks look at, one failing cell at a time, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_interface

from harness.causes import Code
from harness.diagnosis.chains import Chain, chains
from harness.diagnosis.filtering import Counted, Flow
from harness.diagnosis.place import Place
from harness.diagnosis.state import State
from harness.flow import Cell, Stage, Verdict
from harness.topology import Endpoint, Gateway, Topology


@dataclass(frozen=True)
class Finding:
    """A fault that a reading, or the cell's own path, holds."""

    code: Code
    node: str | None
    subject: str | None
    message: str
    fix: str
    shown: tuple[str, ...]
    """Names of the readings that hold it; none where the path does."""


@dataclass(frozen=True)
class Lab:
    """What is known of the lab in a stage."""

    topology: Topology
    stage: Stage
    state: State

    def chains(self, node: str) -> list[Chain]:
        """All rules of a node."""
        return chains(self.state.firewall(node), self.state.nftables(node))

    def router(self, node: str) -> Gateway | None:
        """What a node must be as a router in this stage, if it is one."""
        routers = self.topology.routers(self.stage)
        return next((one for one in routers if one.host == node), None)

    def endpoint(self, node: str) -> Endpoint | None:
        """What a node must be as an endpoint, if it is one."""
        known = node in self.topology.endpoint_vlans
        return self.topology.endpoint(node) if known else None

    def interface(self, node: str, vlan: int) -> str:
        """The name of a node's interface in a VLAN."""
        return self.topology.interface(node) or self.topology.subinterface(vlan)

    def expected(self, node: str, vlan: int, *, ipv6: bool = False) -> str | None:
        """The address with prefix length that a node must have in a VLAN."""
        topology = self.topology.ipv6 if ipv6 else self.topology
        if node in topology.endpoint_vlans:
            address = topology.endpoint(node).address
        else:
            routers = [one for one in topology.routers(self.stage) if one.host == node]
            found = routers[0].address_in(vlan) if routers else None
            if found is None:
                return None
            address = found
        return f"{address}/{topology.vlan(vlan).subnet.prefixlen}"

    def mac(self, node: str) -> str:
        """The MAC address that a node's frames must bear."""
        end = self.endpoint(node)
        return end.mac if end else self.topology.trunk_mac(node)

    def owners(self, mac: str) -> list[str]:
        """The nodes that have a MAC address, by what was read."""
        return [
            node
            for node in self.state.nodes("links")
            if node != "switch"
            and any(link["mac"] == mac for link in self.state.links(node).values())
        ]

    def is_other(self, owner: str, node: str) -> bool:
        """Whether what `owners` names is another than a node, whose container it may name."""
        return owner != node and not self.topology.same_container(owner, node)


def further(topology: Topology) -> dict[str, tuple[str, str]]:
    """(container, interface) of each further leg."""
    legs = (end for end in topology.endpoints if end.leg_of)
    return {leg.name: (leg.container, leg.interface) for leg in legs}


@dataclass(frozen=True)
class Scene:
    """One failing cell, its place, and the lab."""

    lab: Lab
    verdict: Verdict
    place: Place
    counted: dict[str, Counted]
    """By node: what its rules counted while a cell like this one was sent alone."""
    passed: frozenset[tuple[str, ...]]
    """See `traffic.features`: what else passed where this was lost."""
    lost: frozenset[tuple[str, ...]]

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.verdict.cell

    @property
    def state(self) -> State:
        """The readings."""
        return self.lab.state

    @property
    def topology(self) -> Topology:
        """The model, with the addresses that the probe goes to."""
        return self.lab.topology.over(self.cell.probe)

    @cached_property
    def is_ipv6(self) -> bool:
        """Whether it is about IPv6 addresses."""
        return self.cell.probe.is_ipv6

    @cached_property
    def interface(self) -> str:
        """The interface of the place's node that the packet was to leave or came in at."""
        near = self.place.near
        return near.interface if near else self.lab.interface(self.place.node, self.place.vlan)

    def reply(self) -> Flow:
        """The answer to the flow that came in, as its receiver must send it."""
        flow = self.place.flow
        return Flow(
            flow.family, flow.dst, flow.src, flow.protocol, is_reply=True, length=flow.length
        )


Check = Callable[[Scene], Finding | None]
Checks = tuple[tuple[Check, tuple[Code, ...]], ...]
"""Each check with what it can find: where it finds nothing, that is ruled out."""


def first(scene: Scene, checks: Iterable[tuple[Check, tuple[Code, ...]]]) -> Finding | None:
    """What the first check finds that finds anything."""
    return next(filter(None, (check(scene) for check, _ in checks)), None)


def assigned(key: str, value: int) -> str:
    """The command that sets a parameter; an interface may have a dot in its name (sysctl(8))."""
    head, _, rest = key.partition(".conf.")
    interface, _, last = rest.rpartition(".")
    if "." not in interface:
        return f"sysctl -w {key}={value}"
    return f"sysctl -w {head.replace('.', '/')}/conf/{interface}/{last}={value}"


def ip_of(cidr: str) -> str:
    """An address without its prefix length."""
    return str(ip_interface(cidr).ip)
