"""Breaks of the topologies whose routers are special: on a Docker host, somebody else's, two."""

from __future__ import annotations

from tests.lab.broken import REWRITE, Cell, Mutant, is_small

VLANS = {
    "gateway-on-host1": {"bbox1": 10, "bbox2": 20, "bbox3": 10, "bbox4": 20},
    "external-router": {"bbox1": 10, "bbox2": 20, "bbox3": 10, "bbox4": 20},
    "two-gateways": {"bbox1": 10, "bbox2": 20, "bbox3": 30, "bbox4": 10, "bbox5": 20, "bbox6": 30},
}
ON_HOST1, ON_HOST2 = ("bbox1", "bbox2"), ("bbox3", "bbox4")
FLOODED = ("arp", "l2-broadcast", "l2-multicast")

NO_TCP = """
add table bridge t
add chain bridge t c { type filter hook prerouting priority 0; }
add rule bridge t c iifname "router" vlan type ip ip protocol tcp drop
"""


def ways(topology: str, cell: Cell) -> tuple[int, int]:
    """From which VLAN into which; 0 for a host."""
    vlans = VLANS[topology]
    return vlans.get(cell.src, 0), vlans.get(cell.dst, 0)


def crosses(topology: str, cell: Cell, *pairs: tuple[int, int]) -> bool:
    """Whether it is an IP packet of no more than the MTU, from one VLAN into the other."""
    return ways(topology, cell) in pairs and is_small(cell)


def sysctl(node: str, key: str, value: int) -> tuple[str, ...]:
    """Set a parameter of a node's kernel."""
    return (node, "sysctl", "-w", f"{key}={value}")


def routed_by_host1(cell: Cell) -> bool:
    """What host1 takes from an endpoint on host2, also for those that it cannot hand it to."""
    return cell.src in ON_HOST2 and crosses("gateway-on-host1", cell, (10, 20), (20, 10))


def joined_by_hairpin(cell: Cell) -> bool:
    """What macvlan kept apart: host1 and its endpoints, and what it routes from and to them."""
    apart = {cell.src, cell.dst}
    with_parent = "host1" in apart and bool(apart & set(ON_HOST1))
    routed = crosses("gateway-on-host1", cell, (10, 20), (20, 10))
    return with_parent or (routed and bool(apart & set(ON_HOST1)))


OF_GATEWAY_ON_HOST1 = [
    Mutant(
        "ip-forward-off",
        (sysctl("host1", "net.ipv4.ip_forward", 0),),
        (sysctl("host1", "net.ipv4.ip_forward", 1),),
        routed_by_host1,
        lost_at=lambda cell: f"host1:eth2.{ways('gateway-on-host1', cell)[1]} (out)",
        observed=lambda _cell: "silent",
    ),
    Mutant(
        "hairpin",
        (("switch", "ip", "link", "set", "host1", "type", "bridge_slave", "hairpin", "on"),),
        (("switch", "ip", "link", "set", "host1", "type", "bridge_slave", "hairpin", "off"),),
        joined_by_hairpin,
        observed=lambda _cell: "reached",
    ),
]


def through_router(cell: Cell) -> bool:
    """To the router, or through it."""
    return cell.dst == "router" or crosses("external-router", cell, (10, 20), (20, 10))


def in_wrong_vlan(cell: Cell) -> bool:
    """Nothing of VLAN 10 comes to the router as such: what floods from there is seen in VLAN 20."""
    from_10 = 10 in (ways("external-router", cell)[0], _vlan_of_parent(cell))
    flooded = from_10 and cell.kind in FLOODED
    to_router = cell.dst == "router" and from_10
    return flooded or to_router or crosses("external-router", cell, (10, 20), (20, 10))


def _vlan_of_parent(cell: Cell) -> int:
    """A host sends in the VLAN of the endpoint that it sends to."""
    return ways("external-router", cell)[1] if cell.src in ("host1", "host2") else 0


OF_EXTERNAL_ROUTER = [
    Mutant(  # its state is `listening`, as with spanning tree: the link stays up, nothing passes
        "port-listens",
        (("switch", "ip", "link", "set", "router", "type", "bridge_slave", "state", "1"),),
        (("switch", "ip", "link", "set", "router", "type", "bridge_slave", "state", "3"),),
        through_router,
    ),
    Mutant(
        "vlan-rewritten",
        (("switch", *REWRITE, "router", "10", "20"),),
        (("switch", *REWRITE, "router", "undo"),),
        in_wrong_vlan,
        lambda cell: ways("external-router", cell) == (20, 10) and cell.kind in FLOODED,
    ),
    Mutant(  # what a firewall there would do
        "no-tcp",
        (("switch", "nft", NO_TCP),),
        (("switch", "nft", "delete table bridge t"),),
        lambda cell: cell.kind == "tcp" and crosses("external-router", cell, (10, 20), (20, 10)),
        lost_at=lambda cell: f"switch:{'host1' if cell.dst in ON_HOST1 else 'host2'} (out)",
        observed=lambda _cell: "silent",
    ),
]


def with_30(cell: Cell) -> bool:
    """Between VLAN 30 and the other two, either way."""
    return crosses("two-gateways", cell, (10, 30), (20, 30), (30, 10), (30, 20))


def into(cell: Cell) -> int:
    """The VLAN of its destination."""
    return ways("two-gateways", cell)[1]


OF_TWO_GATEWAYS = [
    Mutant(  # from VLAN 10 it comes to gw2 by way of VLAN 20; so do the replies to VLAN 30's own
        "strict-gw2",
        (sysctl("gw2", "net.ipv4.conf.all.rp_filter", 1),),
        (sysctl("gw2", "net.ipv4.conf.all.rp_filter", 0),),
        lambda cell: crosses("two-gateways", cell, (10, 30), (30, 10)),
        lost_at=lambda cell: "gw2:eth2.30 (out)" if into(cell) == 30 else None,
        observed=lambda _cell: "silent",
    ),
    Mutant(
        "no-route-on-gw1",
        (("gw1", "ip", "route", "delete", "172.16.30.0/24"),),
        (("gw1", "ip", "route", "add", "172.16.30.0/24", "via", "172.16.20.2"),),
        with_30,
        lost_at=lambda cell: "gw1:eth2.20 (out)" if into(cell) == 30 else None,
    ),
    Mutant(
        "gw2-forwards-nothing",
        (sysctl("gw2", "net.ipv4.ip_forward", 0),),
        (sysctl("gw2", "net.ipv4.ip_forward", 1),),
        with_30,
        lost_at=lambda cell: f"gw2:eth2.{into(cell)} (out)",
        observed=lambda _cell: "silent",
    ),
]
