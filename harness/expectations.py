"""What is expected of a probe between two nodes, and why: the model's answers, cell by cell."""

from __future__ import annotations

from harness import forwarding
from harness.flow import Expectation, Outcome, Stage
from harness.forwarding import Way
from harness.layer2 import hears, resolves
from harness.topology import Endpoint, Gateway, Topology

TTL = 64
"""The TTL that every probe leaves with: Linux's default (net.ipv4.ip_default_ttl, RFC 1700)."""

RECEIVERS_ROOM = 64
"""Octets beyond its MTU that a receiver may take all the same: a veth does 4 (is_skb_forwardable()
of net/core/dev.c), network adapters as much as their buffers hold."""

RESOLVING = ("arp", "ndp")
"""Questions for a MAC address."""

UNICAST = ("l2-unicast",)
"""Layer-2 probes to a known MAC address: nobody is asked for it first."""


def layer2(topology: Topology, src: Endpoint, dst: Endpoint, kind: str) -> Expectation:
    """Of a frame that does not care about IP."""
    if src.vlan == dst.vlan:
        return _within(topology, src, dst, kind)
    leg = forwarding.other_leg(topology, src, dst) if kind == "arp" else None
    if leg:
        return Expectation(Outcome.REACHED, forwarding.answers_too(dst, leg), lands=leg.name)
    why = f"VLAN {src.vlan} and VLAN {dst.vlan} are separate at layer 2"
    if src.host == dst.host and not topology.host(src.host).hairpin:
        why += f"; on {src.host} they are apart, and the switch returns no frame on its port"
    return Expectation(Outcome.SILENT, why)


def _within(topology: Topology, src: Endpoint, dst: Endpoint, kind: str) -> Expectation:
    mode = topology.vlan(src.vlan).mode
    if hears(topology, src.name, dst.name, unicast=kind in UNICAST):
        return Expectation(Outcome.REACHED, f"both are in VLAN {src.vlan}")
    why = f"both are in VLAN {src.vlan}, but mode {mode} hands nothing over on {src.host}"
    if topology.host(src.host).hairpin:
        return Expectation(Outcome.SILENT, f"{why}, nor a broadcast that the switch sends back")
    return Expectation(Outcome.SILENT, f"{why}, and the switch returns no frame on its port")


def layer3(topology: Topology, stage: Stage, src: Endpoint, dst: Endpoint) -> Expectation:
    """Of an IP packet that is no larger than any MTU."""
    way = forwarding.way(topology, stage, src, dst)
    if way.outcome is not Outcome.REACHED:
        return _ended(way)
    back = forwarding.answer(topology, stage, src, dst, way)
    if back.outcome is not Outcome.REACHED:
        why = f"it arrives, but its reply does not: {back.why}"
        unanswered = back.outcome is Outcome.NO_ROUTE and not back.via
        return Expectation(
            Outcome.SILENT, why, via=way.via, vlans=way.vlans, arrives=True, lands=way.lands,
            unanswered=unanswered,
        )  # fmt: skip
    return Expectation(
        Outcome.REACHED,
        way.why,
        via=way.via,
        ttl=TTL - len(way.via),
        seen_source=_seen_source(topology, src, way),
        vlans=way.vlans,
        lands=way.lands,
    )


def relay(asker: Endpoint, near: Endpoint, out: Endpoint, target: Endpoint) -> Expectation:
    """Of a packet for a target in the VLAN of one leg, which another leg is handed by a neighbour.

    A container does not forward (ip_forward is 0): it takes the frame, and drops what is in it.
    """
    why = f"{near.container} does not forward what {asker.name} hands it in VLAN {near.vlan} for "
    why += f"{target.address} in VLAN {out.vlan}"
    return Expectation(Outcome.SILENT, why, arrives=True, unanswered=True, lands=near.name)


def _ended(way: Way) -> Expectation:
    return Expectation(way.outcome, way.why, via=way.via, next_hop=way.next_hop, vlans=way.vlans)


def _seen_source(topology: Topology, src: Endpoint, way: Way) -> str:
    """The address that the destination sees: the source's, or the last translator's."""
    if not way.translated:
        return str(src.address)
    last = way.translated[-1]
    router = next(one for one in topology.gateways if one.host == last)
    return str(router.address_in(way.vlans[way.via.index(last) + 1]))


def parent(topology: Topology, host: str, endpoint: Endpoint, kind: str) -> Expectation:
    """Of a frame that is sent out of a host's parent interface, or its own sub-interface."""
    if hears(topology, host, endpoint.name, unicast=kind in UNICAST):
        return Expectation(Outcome.REACHED, f"{host} has a leg in VLAN {endpoint.vlan}")
    return Expectation(Outcome.SILENT, _kept_apart(host, endpoint))


def to_router(topology: Topology, router: Gateway, endpoint: Endpoint, kind: str) -> Expectation:
    """Of an endpoint's probe to a router's address in its VLAN: `arp`, `ndp` or of layer 3."""
    address = str(router.address_in(endpoint.vlan))
    if resolves(topology, endpoint.name, router.host):
        why = f"{router.host} holds {address}"
        if kind in RESOLVING:
            return Expectation(Outcome.REACHED, why)
        return Expectation(Outcome.REACHED, why, ttl=TTL, seen_source=str(endpoint.address))
    why = _kept_apart(router.host, endpoint)
    if kind in RESOLVING:
        return Expectation(Outcome.SILENT, why)
    return Expectation(Outcome.NO_NEIGHBOUR, why, next_hop=address)


def from_router(topology: Topology, router: Gateway, endpoint: Endpoint) -> Expectation:
    """Of a router's own packet to an endpoint in a VLAN in which it has an address."""
    if resolves(topology, router.host, endpoint.name):
        why = f"{router.host} has a leg in VLAN {endpoint.vlan}"
        source = str(router.address_in(endpoint.vlan))
        return Expectation(Outcome.REACHED, why, ttl=TTL, seen_source=source)
    why = _kept_apart(router.host, endpoint)
    return Expectation(Outcome.NO_NEIGHBOUR, why, next_hop=str(endpoint.address))


def _kept_apart(host: str, endpoint: Endpoint) -> str:
    return f"macvlan keeps {host} and its own endpoint {endpoint.name} apart"


def sized(
    topology: Topology, src: Endpoint, dst: Endpoint, fits: Expectation
) -> list[tuple[int, Expectation]]:
    """(octets of an IP packet with DF, what is expected of it), the largest that arrives first.

    `fits` is what is expected of small packets: that they arrive.
    """
    nodes, vlans = (src.name, *fits.via, fits.lands or dst.name), fits.vlans or (src.vlan,)
    near = [topology.mtu_at(node, vlan) for node, vlan in zip(nodes[:-1], vlans, strict=True)]
    far = [topology.mtu_at(node, vlan) for node, vlan in zip(nodes[1:], vlans, strict=True)]
    largest = min(near + far)
    why = f"one octet more than the MTU of {near[0]}, with DF"
    found = {largest: fits, near[0] + 1: Expectation(Outcome.TOO_BIG, why)}
    for octets in (largest + 1, near[0]):
        between = _oversized(octets, nodes, vlans, near, far)
        if largest < octets <= near[0] and between:
            found[octets] = between
    return list(found.items())


def _oversized(
    octets: int, nodes: tuple[str, ...], vlans: tuple[int, ...], near: list[int], far: list[int]
) -> Expectation | None:
    """Where a packet ends that its source could send; None where nobody can say.

    A router says that it is too big. A receiver drops it, and tells nobody; but a few octets more
    than its MTU some drivers have room for.
    """
    for place, vlan in enumerate(vlans):
        if octets > near[place]:
            router, via = nodes[place], nodes[1 : place + 1]
            why = f"{router} sends at most {near[place]} octets into VLAN {vlan}, and this has DF"
            return Expectation(Outcome.TOO_BIG, why, via=via, vlans=(*vlans[:place], vlans[-1]))
        if octets > far[place] + RECEIVERS_ROOM:
            why = f"{nodes[place + 1]} takes at most {far[place]} octets, and nobody is told"
            via = nodes[1:-1]
            return Expectation(Outcome.SILENT, why, via=via, vlans=vlans if via else ())
        if octets > far[place]:
            return None
    return None
