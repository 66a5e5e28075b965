"""What routers do with a packet: the way from one endpoint to another, and where it ends.

Each router is asked what its kernel would be asked, in that order: whether the source is where it
may come from (rp_filter), where the route leads, whether a rule of FORWARD lets it, whose address
it leaves with, and at which MAC address the next hop is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from harness.flow import Outcome, Stage
from harness.layer2 import hears, resolves
from harness.topology import Endpoint, Gateway, Topology

STRICT, LOOSE = 1, 2
"""Values of rp_filter (RFC 3704; Documentation/networking/ip-sysctl.rst)."""


@dataclass(frozen=True)
class Way:
    """How far a packet comes."""

    outcome: Outcome
    """`reached` where it arrives, else what ends it."""
    why: str
    via: tuple[str, ...] = ()
    """The routers that took it, in order."""
    vlans: tuple[int, ...] = ()
    """The VLAN of each segment: one more than routers. What was to be the last ends it."""
    next_hop: str | None = None
    """Whose MAC address was asked for in vain."""
    lands: str | None = None
    """The leg of the destination's container where it arrives, if that is another."""
    translated: tuple[str, ...] = ()
    """The routers that put their own address in the place of the source's."""


def way(topology: Topology, stage: Stage, src: Endpoint, dst: Endpoint) -> Way:
    """The way of a new flow's first packet."""
    if src.vlan == dst.vlan:
        return _neighbours(topology, src, dst)
    next_hop = topology.next_hop(src, dst)
    if next_hop is None:
        return _no_way_out(topology, src)
    if next_hop == dst.address:
        return _taken_for_neighbour(topology, src, dst)
    router = holder(topology, stage, src.vlan, str(next_hop))
    if router is None:
        why = f"nobody holds the gateway address {next_hop} in this stage"
        return Way(Outcome.NO_NEIGHBOUR, why, next_hop=str(next_hop))
    if not resolves(topology, src.name, router.host):
        why = f"macvlan keeps {src.name} and {router.host}, which it is on, apart"
        return Way(Outcome.NO_NEIGHBOUR, why, next_hop=str(next_hop))
    return _Route(topology, stage, src, dst).from_router(router, src.vlan)


def answer(topology: Topology, stage: Stage, src: Endpoint, dst: Endpoint, went: Way) -> Way:
    """The way of the reply to a packet that arrived: to its source, or to who stood in for it.

    To a router that stood in it is taken to come back as the packet went.
    """
    leg = topology.leg_towards(dst, src)
    if not went.via or (leg and leg.vlan == src.vlan and not went.translated):
        return way(topology, stage, leg or dst, src)
    back = topology.next_hop(leg, src) if leg else None
    if back is None and went.via[-1] not in went.translated:
        return _no_way_out(topology, dst)
    route = _Route(topology, stage, dst, src, known=went)
    if leg and not went.translated:
        next_hop = str(back)
        router = holder(topology, stage, leg.vlan, next_hop)
        if router is None or not resolves(topology, leg.name, router.host):
            why = f"nobody answers {leg.name} for the gateway address {next_hop}"
            return Way(Outcome.NO_NEIGHBOUR, why, next_hop=next_hop)
        return route.from_router(router, leg.vlan)
    last = next(one for one in topology.gateways if one.host == went.translated[-1])
    return route.from_router(last, went.vlans[went.via.index(last.host) + 1])


def holder(topology: Topology, stage: Stage, vlan_id: int, address: str) -> Gateway | None:
    """The router that has an address in a VLAN, in a stage."""
    routers = topology.routers(stage)
    return next((one for one in routers if str(one.address_in(vlan_id)) == address), None)


def _taken_for_neighbour(topology: Topology, src: Endpoint, dst: Endpoint) -> Way:
    """Of a packet to an address that is taken for one in the source's VLAN, and is not."""
    leg, address = other_leg(topology, src, dst), str(dst.address)
    if dst.address in topology.vlan(src.vlan).subnet:
        why = f"{address} seems to be in {src.name}'s own subnet, and nobody in VLAN {src.vlan} is"
    elif leg:
        return Way(Outcome.REACHED, answers_too(dst, leg), lands=leg.name)
    else:
        why = f"{src.container} has no default route by {src.name}, and takes {address} for a "
        why += f"neighbour; nobody in VLAN {src.vlan} is"
    return Way(Outcome.NO_NEIGHBOUR, why, next_hop=address)


def other_leg(topology: Topology, src: Endpoint, dst: Endpoint) -> Endpoint | None:
    """The leg in the source's VLAN that a destination in another has too, and answers ARP by.

    Of IPv6 a kernel answers for an address on its own interface only (ndisc_recv_ns()).
    """
    if (
        isinstance(dst.address, IPv6Address)
        or src.vlan == dst.vlan
        or src.container == dst.container
    ):
        return None
    legs = (leg for leg in topology.legs[dst.name] if leg.vlan == src.vlan)
    return next((leg for leg in legs if resolves(topology, src.name, leg.name)), None)


def answers_too(dst: Endpoint, leg: Endpoint) -> str:
    """Why a destination is reached at another leg."""
    return f"{dst.container} is in VLAN {leg.vlan} too, and answers for {dst.address} at {leg.name}"


def _no_way_out(topology: Topology, endpoint: Endpoint) -> Way:
    if topology.is_multihomed(endpoint):
        why = f"no network of {endpoint.container} gives it a default route by {endpoint.name}"
        return Way(Outcome.NO_ROUTE, why)
    internal = topology.vlan(endpoint.vlan).internal
    why = "is internal: its endpoints have no default route" if internal else "has no gateway"
    return Way(Outcome.NO_ROUTE, f"VLAN {endpoint.vlan} {why}")


def _neighbours(topology: Topology, src: Endpoint, dst: Endpoint) -> Way:
    if resolves(topology, src.name, dst.name) and hears(topology, src.name, dst.name, unicast=True):
        return Way(Outcome.REACHED, f"both are in {topology.vlan(src.vlan).subnet}")
    mode = topology.vlan(src.vlan).mode
    why = f"mode {mode} keeps {src.name} and {dst.name} apart on {src.host}"
    return Way(Outcome.NO_NEIGHBOUR, why, next_hop=str(dst.address))


def _by_whom(router: Gateway) -> str:
    """Who has set a router's policy of FORWARD, where it was an engine."""
    if router.engine is None:
        return ""
    if router.forward_policy == "DROP":
        return " of dockerd, which found forwarding off"
    return ", because dockerd found forwarding on"


class _Route:
    """One packet, followed from router to router."""

    def __init__(
        self,
        topology: Topology,
        stage: Stage,
        src: Endpoint,
        dst: Endpoint,
        known: Way | None = None,
    ) -> None:
        self._topology, self._stage, self._dst = topology, stage, dst
        self._known = known
        """The way of the packet that this one answers."""
        self._source_vlan = src.vlan
        """Where its source address is from; another one after a router has translated it."""
        self._way = Way(Outcome.REACHED, "")

    def from_router(self, router: Gateway, into: int) -> Way:
        """Go on from a router that takes it from VLAN `into`."""
        self._way = replace(
            self._way, via=(*self._way.via, router.host), vlans=(*self._way.vlans, into)
        )
        if not self._may_come(router, into):
            why = f"{router.host} expects nothing from VLAN {self._source_vlan} in VLAN {into}"
            return self._end(Outcome.SILENT, f"{why} (rp_filter {router.rp_filter})")
        out, next_hop = self._next(router)
        if out is None:
            why = f"{router.host} has no address in VLAN {self._dst.vlan}"
            return self._end(Outcome.NO_ROUTE, why)
        if not self._forwards(router, into, out):
            why = f"no rule of {router.host} lets VLAN {into} into VLAN {out}, policy DROP"
            return self._end(Outcome.SILENT, why + _by_whom(router))
        if self._known is None and out in router.masquerade:
            self._source_vlan = out
            translated = (*self._way.translated, router.host)
            self._way = replace(self._way, translated=translated)
        return self._hand_over(router, out, next_hop)

    def _hand_over(self, router: Gateway, out: int, next_hop: str | None) -> Way:
        """To the next router, or to the destination itself."""
        following = holder(self._topology, self._stage, out, next_hop) if next_hop else None
        node = following.host if following else self._dst.name
        address = next_hop or str(self._dst.address)
        if (next_hop and following is None) or not resolves(self._topology, router.host, node):
            why = f"{router.host} cannot learn where {address} is in VLAN {out}"
            return replace(self._end(Outcome.NO_NEIGHBOUR, why), next_hop=address)
        if following:
            return self.from_router(following, out)
        return self._end(Outcome.REACHED, self._praise())

    def _end(self, outcome: Outcome, why: str) -> Way:
        vlans = (*self._way.vlans, self._dst.vlan)
        return replace(self._way, outcome=outcome, why=why, vlans=vlans)

    def _praise(self) -> str:
        via, nat = self._way.via, self._way.translated
        whose = "its own" if nat == via else f"{', '.join(nat)}'s"
        how = f"with {whose} address as source" if nat else "with the true source"
        routes = f"{via[0]} routes" if len(via) == 1 else f"{', then '.join(via)} route"
        praise = f"{routes} VLAN {self._way.vlans[0]} to VLAN {self._dst.vlan}, {how}"
        return praise + "".join(self._passed(name) for name in via)

    def _passed(self, name: str) -> str:
        """What FORWARD of a router that runs an engine has for what it lets pass."""
        router = next(one for one in self._topology.gateways if one.host == name)
        if router.engine is None:
            return ""
        rule = "a rule that accepts it, and " if router.forward_policy == "DROP" else ""
        return f"; FORWARD of {name} has {rule}policy {router.forward_policy}{_by_whom(router)}"

    def _may_come(self, router: Gateway, into: int) -> bool:
        """What rp_filter says of the source address (fib_validate_source())."""
        if not router.rp_filter:
            return True
        back = self._leg(router, self._source_vlan)
        return back is not None if router.rp_filter == LOOSE else back == into

    def _next(self, router: Gateway) -> tuple[int | None, str | None]:
        """(VLAN in which it leaves, the next router's address there); no VLAN where no route is."""
        via = dict(router.routes).get(self._dst.vlan)
        return self._leg(router, self._dst.vlan), str(via) if via else None

    def _leg(self, router: Gateway, vlan_id: int) -> int | None:
        """The VLAN in which a router sends what is for a VLAN: that one, or the next router's."""
        if router.address_in(vlan_id):
            return vlan_id
        via = dict(router.routes).get(vlan_id)
        legs = (leg for leg, _ in router.addresses if via in self._topology.vlan(leg).subnet)
        return next(legs) if via else None

    def _forwards(self, router: Gateway, into: int, out: int) -> bool:
        if router.forward_policy == "ACCEPT" or (into, out) in router.forward:
            return True
        answered = self._known is not None and router.host in self._known.via
        return answered and (out, into) in router.forward
