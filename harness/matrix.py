"""The matrix of expectations: every cell of a stage, from a small model of the network.

The model is VLAN membership, macvlan modes, subnets, routes, the routers and their filter rules.
What the lab really does is never looked at here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, permutations

from harness.expectations import (
    UNICAST,
    from_router,
    layer2,
    layer3,
    parent,
    relay,
    sized,
    to_router,
)
from harness.flow import (
    IPV6_L2_KINDS,
    IPV6_L3_KINDS,
    KINDS,
    L2_KINDS,
    L3_KINDS,
    RELAY,
    Cell,
    Expectation,
    Family,
    Outcome,
    Probe,
    Stage,
)
from harness.layer2 import hears, shares_address
from harness.topology import Address, Endpoint, Gateway, Topology
from harness.walk import stranger

ICMP_OVERHEAD = {"icmp": 28, "icmp6": 48}
"""Octets of an IPv4 header without options (RFC 791) or an IPv6 header (RFC 8200), and of an echo
request's header (RFC 792, RFC 4443)."""


@dataclass(frozen=True)
class _Kinds:
    """The probes of one IP version, by what they are for."""

    layer2: tuple[str, ...]
    layer3: tuple[str, ...]
    resolve: str
    ping: str


IPV4 = _Kinds(L2_KINDS, L3_KINDS, "arp", "icmp")
IPV6 = _Kinds(IPV6_L2_KINDS, IPV6_L3_KINDS, "ndp", "icmp6")


@dataclass(frozen=True)
class Matrix:
    """The cells of all stages, and the classes of cells that the topology cannot have."""

    cells: tuple[Cell, ...]
    not_applicable: tuple[str, ...]


FRAME_KINDS = ("l2-unicast", "l2-broadcast")
"""What a host sends out of its parent interface, and an endpoint with a tag of its own."""
ALL_KINDS = frozenset(KINDS)
OF_LAYER2, OF_LAYER3 = L2_KINDS + IPV6_L2_KINDS, L3_KINDS + IPV6_L3_KINDS
KINDS_OF = {
    Family.SAME_VLAN: ALL_KINDS,
    Family.CROSS_VLAN_L2: frozenset(OF_LAYER2),
    Family.CROSS_VLAN_L3: frozenset((*OF_LAYER3, RELAY)),
    Family.GATEWAY_ADDRESS: frozenset(("arp", "icmp", "ndp", "icmp6")),
    Family.COLD: frozenset(("icmp", "icmp6")),
    Family.PARENT: frozenset(("arp", "icmp", "ndp", "icmp6", *FRAME_KINDS)),
    Family.OWN_TAG: frozenset(FRAME_KINDS),
    Family.MTU: frozenset(("icmp", "icmp6")),
}
"""The kinds of probe that a family's cells have."""


def matrix(
    topology: Topology, stages: tuple[Stage, ...], chosen: frozenset[str] = ALL_KINDS
) -> Matrix:
    """Compute the cells of the stages, every ordered pair of endpoints covered in each.

    `chosen` are the kinds of probe that are wanted: a large lab has more cells than anyone asks.
    """
    cells = tuple(cell for stage in stages for cell in _stage(topology, stage, chosen))
    found = {cell.family for cell in cells}
    reasons = _not_applicable(topology, stages)
    for family, of_family in KINDS_OF.items():
        if not of_family & chosen:
            reasons[family] = "none of its probes was chosen"
    missing = [f"{name}: {reasons[name]}" for name in Family if name not in found]
    missing += [*_held(topology, IPV4, chosen), *_held(topology.ipv6, IPV6, chosen)]
    return Matrix(cells, tuple(missing))


def _held(topology: Topology, version: _Kinds, chosen: frozenset[str]) -> Iterator[str]:
    """The pairs whose probes would go to somebody else."""
    holders = _holders(topology)
    for src, dst in permutations(topology.endpoints, 2):
        holder = _holder(holders, src, dst)
        kept = _unasked(holder, src, dst, version)
        unasked = ", ".join(kind for kind in kept if kind in chosen)
        if unasked:
            why = f"both are legs of {src.container}, and what it sends to itself never leaves it"
            if holder:
                why = f"{dst.address} is {holder.name}'s in VLAN {src.vlan}"
            yield f"{unasked} from {src.name} to {dst.name}: {why}"


def kinds(cells: Iterable[Cell]) -> frozenset[str]:
    """The kinds of probe that cells have, and those that vouch for them."""
    return frozenset(kind for cell in cells for kind in (cell.probe.kind, cell.probe.like))


def _not_applicable(topology: Topology, stages: tuple[Stage, ...]) -> dict[Family, str]:
    one_vlan = "all endpoints are in one VLAN"
    one_each = "no two endpoints share a VLAN"
    no_gateway = from_outside = "the topology has no gateway host"
    if topology.gateways and Stage.ROUTED not in stages:
        no_gateway = from_outside = "the gateway has addresses in the stage routed only"
    elif topology.gateways and not topology.configured:
        from_outside = "nothing can be sent from an external router"
    return {
        Family.SAME_VLAN: one_each,
        Family.CROSS_VLAN_L2: one_vlan,
        Family.CROSS_VLAN_L3: one_vlan,
        Family.GATEWAY_ADDRESS: no_gateway,
        Family.COLD: from_outside,
        Family.PARENT: "no endpoint has a host",
        Family.OWN_TAG: "there is no second VLAN whose tag a frame could carry",
        Family.MTU: "no pair of endpoints reaches each other",
    }


def _stage(topology: Topology, stage: Stage, chosen: frozenset[str]) -> Iterator[Cell]:
    pairs = _Pairs(topology, stage, chosen, IPV4)
    for src, dst in permutations(topology.endpoints, 2):
        yield from pairs.cells(src, dst)
    pairs6 = _Pairs(topology.ipv6, stage, chosen, IPV6)
    for src, dst in permutations(topology.ipv6.endpoints, 2):
        yield from pairs6.cells(src, dst)
    yield from (cell for cell in _relays(topology, stage) if RELAY in chosen)
    others = [_parent(topology, stage, host.name) for host in topology.hosts]
    for lab, version in ((topology, IPV4), (topology.ipv6, IPV6)):
        others += [_router(lab, stage, router, version) for router in lab.routers(stage)]
    yield from (cell for cell in chain(*others) if cell.probe.kind in chosen)


class _Pairs:
    """The cells of pairs of endpoints, in one stage, by the probes of one IP version."""

    def __init__(
        self, topology: Topology, stage: Stage, chosen: frozenset[str], version: _Kinds
    ) -> None:
        self._topology, self._stage, self._version = topology, stage, version
        self._probes = [Probe(kind) for kind in version.layer2 + version.layer3 if kind in chosen]
        self._frames = [kind for kind in FRAME_KINDS if kind in chosen and kind in version.layer2]
        self._sized = version.ping in chosen
        self._holders = _holders(topology)

    def cells(self, src: Endpoint, dst: Endpoint) -> Iterator[Cell]:
        """Every cell of a pair."""
        topology, stage, same = self._topology, self._stage, src.vlan == dst.vlan
        at_layer3 = layer3(topology, stage, src, dst)
        at_layer2 = self._layer2(src, dst)
        family2 = Family.SAME_VLAN if same else Family.CROSS_VLAN_L2
        family3 = Family.SAME_VLAN if same else Family.CROSS_VLAN_L3
        unasked = _unasked(_holder(self._holders, src, dst), src, dst, self._version)
        for probe in self._probes:
            kind = probe.kind
            family = family2 if probe.is_layer2 else family3
            expected = at_layer2[kind] if probe.is_layer2 else at_layer3
            if kind not in unasked:
                yield Cell(stage, src.name, dst.name, probe, family, expected)
        yield from self._tagged(src, dst, at_layer2)
        is_pinged = self._sized and self._version.ping not in unasked
        if at_layer3.outcome is Outcome.REACHED and is_pinged:
            ping = self._version.ping
            for octets, expected in sized(topology, src, dst, at_layer3):
                probe = _probe(ping, octets - ICMP_OVERHEAD[ping])
                yield Cell(stage, src.name, dst.name, probe, Family.MTU, expected)

    def _layer2(self, src: Endpoint, dst: Endpoint) -> dict[str, Expectation]:
        """By kind: to one MAC address, to many, or a question for an address."""
        to_many = layer2(self._topology, src, dst, "l2-broadcast")
        found = dict.fromkeys(self._version.layer2, to_many)
        if src.vlan == dst.vlan:
            found |= {kind: layer2(self._topology, src, dst, kind) for kind in UNICAST}
        elif self._topology.is_multihomed(dst):
            resolve = self._version.resolve
            found[resolve] = layer2(self._topology, src, dst, resolve)
        return found

    def _tagged(
        self, src: Endpoint, dst: Endpoint, expected: dict[str, Expectation]
    ) -> Iterator[Cell]:
        tag = _foreign_tag(self._topology, src, dst)
        if tag is None:
            return
        for kind in self._frames:
            probe = _probe(kind, tag)
            yield Cell(self._stage, src.name, dst.name, probe, Family.OWN_TAG, expected[kind])


_probe = lru_cache(maxsize=4096)(Probe)
"""One value for all cells of a kind and argument."""


def _holders(topology: Topology) -> dict[tuple[int, Address], Endpoint]:
    return {(end.vlan, end.address): end for end in topology.endpoints}


def _holder(
    holders: dict[tuple[int, Address], Endpoint], src: Endpoint, dst: Endpoint
) -> Endpoint | None:
    """Who has the destination's address in the source's VLAN, where that is another VLAN."""
    return holders.get((src.vlan, dst.address)) if src.vlan != dst.vlan else None


def _unasked(
    holder: Endpoint | None, src: Endpoint, dst: Endpoint, version: _Kinds
) -> tuple[str, ...]:
    """The probes that would go to another endpoint with the same address, or never leave."""
    if src.container == dst.container:
        return version.layer3
    if holder is None:
        return ()
    return version.layer3 if holder == src else (version.resolve, *version.layer3)


def _foreign_tag(topology: Topology, src: Endpoint, dst: Endpoint) -> int | None:
    """The tag that an endpoint puts into its frames itself: the other VLAN's."""
    if src.vlan != dst.vlan:
        return dst.vlan
    others = [vlan.id for vlan in topology.vlans if vlan.id != src.vlan]
    return others[0] if others else None


def _relays(topology: Topology, stage: Stage) -> Iterator[Cell]:
    """Whether a container passes on into one of its VLANs what it is handed in another.

    Somebody else in the first VLAN asks, for somebody else in the second.
    """
    for out in topology.endpoints:
        for near in topology.legs[out.name]:
            asker, target = stranger(topology, near), stranger(topology, out)
            if (
                near != out
                and asker
                and target
                and hears(topology, asker.name, near.name, unicast=True)
            ):
                expected = relay(asker, near, out, target)
                probe = Probe(RELAY)
                yield Cell(stage, asker.name, out.name, probe, Family.CROSS_VLAN_L3, expected)


def _parent(topology: Topology, stage: Stage, host: str) -> Iterator[Cell]:
    """Frames sent out of a parent interface: they pass its own macvlan children by."""
    vlans = topology.vlans_of_host(host)
    for endpoint in topology.endpoints:
        if endpoint.vlan not in vlans:
            continue
        if shares_address(topology, host, endpoint):
            continue
        for kind in FRAME_KINDS:
            expected = parent(topology, host, endpoint, kind)
            yield Cell(stage, host, endpoint.name, Probe(kind), Family.PARENT, expected)


def _router(topology: Topology, stage: Stage, router: Gateway, version: _Kinds) -> Iterator[Cell]:
    """Between a router and the endpoints of the VLANs in which it has an address."""
    for endpoint in topology.endpoints:
        if router.address_in(endpoint.vlan) is None:
            continue
        own = endpoint.host == router.host
        family = Family.PARENT if own else Family.GATEWAY_ADDRESS
        name, host = endpoint.name, router.host
        for kind in (version.resolve, version.ping):
            expected = to_router(topology, router, endpoint, kind)
            yield Cell(stage, name, host, Probe(kind), family, expected)
        if not topology.host(host).external:
            family = Family.PARENT if own else Family.COLD
            expected = from_router(topology, router, endpoint)
            yield Cell(stage, host, name, Probe(version.ping), family, expected)
