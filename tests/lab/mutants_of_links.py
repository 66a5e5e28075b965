"""Breaks of the topologies whose links are special: macvlan's modes and hairpin, and MTUs."""

from __future__ import annotations

from tests.lab.broken import Cell, Mutant, is_small

HOST1, HOST2 = "host1", "host2"


def hairpin(host: str, value: str) -> tuple[str, ...]:
    """Switch the hairpin of a host's switch port."""
    return ("switch", "ip", "link", "set", host, "type", "bridge_slave", "hairpin", value)


def macvlan(node: str, mode: str) -> tuple[str, ...]:
    """Put an endpoint into another mode."""
    return (node, "ip", "link", "set", "eth0", "type", "macvlan", "mode", mode)


def twins(cell: Cell, number: int, mode: str) -> bool:
    """Between the two endpoints of a mode on one host."""
    return {cell.src, cell.dst} == {f"{mode}{number}a", f"{mode}{number}b"}


def by_hairpin(cell: Cell, number: int) -> bool:
    """What one host's endpoints, and the host to them, reach by way of a hairpin only."""
    parent = cell.src == f"host{number}" and cell.dst.rstrip("ab").endswith(str(number))
    vepa = twins(cell, number, "vepa") and cell.probe != "icmp:1473"
    return parent or vepa or (twins(cell, number, "private") and cell.kind == "l2-unicast")


OF_MACVLAN_MODES = [
    Mutant(
        "no-hairpin-on-host2",
        (hairpin(HOST2, "off"),),
        (hairpin(HOST2, "on"),),
        lambda cell: by_hairpin(cell, 2),
        lost_at=lambda cell: f"{cell.src}:eth0 (out)" if is_small(cell) else "switch:host2 (out)",
        observed=lambda cell: "no-neighbour" if is_small(cell) else "silent",
    ),
    Mutant(
        "hairpin-on-host1",
        (hairpin(HOST1, "on"),),
        (hairpin(HOST1, "off"),),
        lambda cell: by_hairpin(cell, 1),
        observed=lambda _cell: "reached",
    ),
    Mutant(  # no broadcast that comes back passes, so nobody learns a MAC address
        "vepa-made-private",
        (macvlan("vepa2a", "private"),),
        (macvlan("vepa2a", "vepa"),),
        lambda cell: twins(cell, 2, "vepa")
        and cell.kind != "l2-unicast" and cell.probe != "icmp:1473",
        observed=lambda cell: "no-neighbour" if is_small(cell) else "silent",
    ),
]  # fmt: skip

LARGE, BARELY = "icmp:8972", "icmp:1473"
"""A packet that fills 9000 octets, and one that has one octet more than 1500."""
FROM_10, INTO_20 = ("bbox1", "bbox5"), ("bbox2", "bbox4")
TOLD = ("-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP")


def mtu(node: str, link: str, octets: int) -> tuple[str, ...]:
    """Change the MTU of a link."""
    return (node, "ip", "link", "set", link, "mtu", str(octets))


def of_host2(octets: int) -> tuple[tuple[str, ...], ...]:
    """All links that bbox3's frames pass, from the trunk inwards or back.

    `vlan10` is the far end of eth2.10 where that is a veth, and nothing where it is 8021q.
    """
    far = ("host2", "sh", "-c", f"ip link set vlan10 mtu {octets} || true")
    links = (mtu("host2", "eth2", octets), far, mtu("host2", "eth2.10", octets))
    inwards = (*links, mtu("bbox3", "eth0", octets))
    return inwards if octets > 1500 else inwards[::-1]


def told_by_gateway(cell: Cell) -> bool:
    """What fits into VLAN 10 and not into VLAN 20."""
    return cell.src in FROM_10 and cell.dst in INTO_20 and cell.probe in (BARELY, LARGE)


OF_JUMBO = [
    Mutant(  # the black hole is gone, and bbox3 is told nothing at its source any more
        "host2-at-9000",
        of_host2(9000),
        of_host2(1500),
        lambda cell: (cell.dst == "bbox3" and cell.probe == LARGE)
        or (cell.src == "bbox3" and cell.probe == BARELY),
        observed=lambda cell: "too-big" if cell.dst in INTO_20 else "reached",
    ),
    Mutant(  # one octet too many is within the room that a receiver has
        "gateway-into-20-at-9000",
        (mtu("gateway", "eth2.20", 9000),),
        (mtu("gateway", "eth2.20", 1500),),
        told_by_gateway,
        observed=lambda cell: "silent" if cell.probe == LARGE else None,
    ),
    Mutant(  # the classic black hole of path MTU discovery (RFC 2923)
        "nobody-is-told",
        (("gateway", "iptables", "-A", "OUTPUT", *TOLD),),
        (("gateway", "iptables", "-D", "OUTPUT", *TOLD),),
        told_by_gateway,
        observed=lambda _cell: "silent",
    ),
]  # fmt: skip
