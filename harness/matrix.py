"""The matrix of expectations: every cell of a stage, from a small model of the network.

The model is VLAN membership, subnets, default routes, the gateway host and its filter rules. What
the lab really does is never looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from harness.flow import L2_KINDS, L3_KINDS, Cell, Expectation, Family, Outcome, Probe, Stage
from harness.topology import Endpoint, Gateway, Topology

TTL = 64
"""The TTL that every probe leaves with: Linux's default (net.ipv4.ip_default_ttl, RFC 1700)."""

ICMP_OVERHEAD = 28
"""Octets of an IPv4 header without options (RFC 791) and an ICMP echo header (RFC 792)."""


@dataclass(frozen=True)
class Matrix:
    """The cells of all stages, and the classes of cells that the topology cannot have."""

    cells: tuple[Cell, ...]
    not_applicable: tuple[str, ...]


def matrix(topology: Topology, stages: tuple[Stage, ...]) -> Matrix:
    """Compute the cells of the stages, every ordered pair of endpoints covered in each."""
    cells = tuple(cell for stage in stages for cell in _stage(topology, stage))
    found = {cell.family for cell in cells}
    reasons = _not_applicable(topology, stages)
    missing = [f"{name}: {reasons[name]}" for name in Family if name not in found]
    for src, dst in permutations(topology.endpoints, 2):
        holder = _holder(topology, src, dst)
        kinds = ", ".join(_unasked(topology, src, dst))
        if holder and kinds:
            why = f"{dst.address} is {holder.name}'s in VLAN {src.vlan}"
            missing.append(f"{kinds} from {src.name} to {dst.name}: {why}")
    return Matrix(cells, tuple(missing))


def _not_applicable(topology: Topology, stages: tuple[Stage, ...]) -> dict[Family, str]:
    one_vlan = "all endpoints are in one VLAN"
    one_each = "no two endpoints share a VLAN"
    no_gateway = "the topology has no gateway host"
    if topology.gateway and Stage.ROUTED not in stages:
        no_gateway = "the gateway has addresses in the stage routed only"
    return {
        Family.SAME_VLAN: one_each,
        Family.CROSS_VLAN_L2: one_vlan,
        Family.CROSS_VLAN_L3: one_vlan,
        Family.GATEWAY_ADDRESS: no_gateway,
        Family.COLD: no_gateway,
        Family.PARENT: "no endpoint has a host",
        Family.OWN_TAG: "there is no second VLAN whose tag a frame could carry",
        Family.MTU: "no pair of endpoints reaches each other",
    }


def _stage(topology: Topology, stage: Stage) -> Iterator[Cell]:
    for src, dst in permutations(topology.endpoints, 2):
        yield from _pair(topology, stage, src, dst)
    for host in topology.hosts:
        yield from _parent(topology, stage, host.name)
    if topology.gateway and stage is Stage.ROUTED:
        yield from _gateway(topology, stage, topology.gateway)


def _pair(topology: Topology, stage: Stage, src: Endpoint, dst: Endpoint) -> Iterator[Cell]:
    same = src.vlan == dst.vlan
    layer2, layer3 = _layer2(src, dst), _layer3(topology, stage, src, dst)
    family2 = Family.SAME_VLAN if same else Family.CROSS_VLAN_L2
    family3 = Family.SAME_VLAN if same else Family.CROSS_VLAN_L3
    unasked = _unasked(topology, src, dst)
    for kind in L2_KINDS + L3_KINDS:
        probe = Probe(kind)
        family, expectation = (family2, layer2) if probe.is_layer2 else (family3, layer3)
        if kind not in unasked:
            yield Cell(stage, src.name, dst.name, probe, family, expectation)
    tag = _foreign_tag(topology, src, dst)
    if tag is not None:
        for kind in ("l2-unicast", "l2-broadcast"):
            yield Cell(stage, src.name, dst.name, Probe(kind, tag), Family.OWN_TAG, layer2)
    if layer3.outcome is Outcome.REACHED:
        yield from _mtu(topology, stage, src, dst, layer3)


def _holder(topology: Topology, src: Endpoint, dst: Endpoint) -> Endpoint | None:
    """Who has the destination's address in the source's VLAN, where that is another VLAN."""
    holders = (end for end in topology.endpoints
               if (end.vlan, end.address) == (src.vlan, dst.address))  # fmt: skip
    return next(holders, None) if src.vlan != dst.vlan else None


def _unasked(topology: Topology, src: Endpoint, dst: Endpoint) -> tuple[str, ...]:
    """The probes that would go to another endpoint with the same address, or never leave."""
    holder = _holder(topology, src, dst)
    if holder is None:
        return ()
    return L3_KINDS if holder == src else ("arp", *L3_KINDS)


def _layer2(src: Endpoint, dst: Endpoint) -> Expectation:
    if src.vlan == dst.vlan:
        return Expectation(Outcome.REACHED, f"both are in VLAN {src.vlan}")
    why = f"VLAN {src.vlan} and VLAN {dst.vlan} are separate at layer 2"
    if src.host == dst.host:
        why += f"; on {src.host} they are apart, and the switch returns no frame on its port"
    return Expectation(Outcome.SILENT, why)


def _layer3(topology: Topology, stage: Stage, src: Endpoint, dst: Endpoint) -> Expectation:
    if src.vlan == dst.vlan:
        why = f"both are in {topology.vlan(src.vlan).subnet}"
        return Expectation(Outcome.REACHED, why, ttl=TTL, seen_source=str(src.address))
    next_hop = topology.next_hop(src, dst)
    if next_hop is None:
        return Expectation(Outcome.NO_ROUTE, f"VLAN {src.vlan} has no gateway")
    if next_hop == dst.address:
        why = f"{next_hop} seems to be in {src.name}'s own subnet, and nobody in VLAN {src.vlan} is"
        return Expectation(Outcome.NO_NEIGHBOUR, why, next_hop=str(next_hop))
    gateway = topology.gateway if stage is Stage.ROUTED else None
    if gateway is None or gateway.address_in(src.vlan) is None:
        why = f"nobody holds the gateway address {next_hop} in this stage"
        return Expectation(Outcome.NO_NEIGHBOUR, why, next_hop=str(next_hop))
    return _routed(gateway, src, dst)


def _routed(gateway: Gateway, src: Endpoint, dst: Endpoint) -> Expectation:
    leaving = gateway.address_in(dst.vlan)
    if leaving is None:
        why = f"{gateway.host} has no address in VLAN {dst.vlan}"
        return Expectation(Outcome.NO_ROUTE, why, via=(gateway.host,))
    if gateway.forward_policy == "DROP" and (src.vlan, dst.vlan) not in gateway.forward:
        why = f"no rule of {gateway.host} lets VLAN {src.vlan} into VLAN {dst.vlan}, policy DROP"
        return Expectation(Outcome.SILENT, why, via=(gateway.host,))
    nat = dst.vlan in gateway.masquerade
    source = leaving if nat else src.address
    how = "with its own address as source" if nat else "with the true source"
    why = f"{gateway.host} routes VLAN {src.vlan} to VLAN {dst.vlan}, {how}"
    return Expectation(
        Outcome.REACHED, why, via=(gateway.host,), ttl=TTL - 1, seen_source=str(source)
    )


def _foreign_tag(topology: Topology, src: Endpoint, dst: Endpoint) -> int | None:
    """The tag that an endpoint puts into its frames itself: the other VLAN's."""
    if src.vlan != dst.vlan:
        return dst.vlan
    others = [vlan.id for vlan in topology.vlans if vlan.id != src.vlan]
    return others[0] if others else None


def _mtu(
    topology: Topology, stage: Stage, src: Endpoint, dst: Endpoint, fits: Expectation
) -> Iterator[Cell]:
    size = topology.mtu - ICMP_OVERHEAD
    larger = Expectation(Outcome.TOO_BIG, f"one octet more than the MTU of {topology.mtu}, with DF")
    yield Cell(stage, src.name, dst.name, Probe("icmp", size), Family.MTU, fits)
    yield Cell(stage, src.name, dst.name, Probe("icmp", size + 1), Family.MTU, larger)


def _parent(topology: Topology, stage: Stage, host: str) -> Iterator[Cell]:
    """Frames sent out of a parent interface: they pass its own macvlan children by."""
    for endpoint in topology.endpoints:
        if endpoint.vlan not in topology.vlans_of_host(host):
            continue
        if endpoint.host == host:
            why = f"macvlan keeps {host} and its own endpoint {endpoint.name} apart"
            expectation = Expectation(Outcome.SILENT, why)
        else:
            expectation = Expectation(Outcome.REACHED, f"{host} has a leg in VLAN {endpoint.vlan}")
        for kind in ("l2-unicast", "l2-broadcast"):
            probe = Probe(kind)
            yield Cell(stage, host, endpoint.name, probe, Family.PARENT, expectation)


def _gateway(topology: Topology, stage: Stage, gateway: Gateway) -> Iterator[Cell]:
    for endpoint in topology.endpoints:
        address = gateway.address_in(endpoint.vlan)
        if address is None:
            continue
        layer2 = Expectation(Outcome.REACHED, f"{gateway.host} holds {address}")
        there = Expectation(Outcome.REACHED, layer2.why, ttl=TTL, seen_source=str(endpoint.address))
        back = Expectation(
            Outcome.REACHED,
            f"{gateway.host} has a leg in VLAN {endpoint.vlan}",
            ttl=TTL,
            seen_source=str(address),
        )
        name, host = endpoint.name, gateway.host
        yield Cell(stage, name, host, Probe("arp"), Family.GATEWAY_ADDRESS, layer2)
        yield Cell(stage, name, host, Probe("icmp"), Family.GATEWAY_ADDRESS, there)
        yield Cell(stage, host, name, Probe("icmp"), Family.COLD, back)
