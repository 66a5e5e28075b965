"""The shipped topologies, broken by hand: just the cells that a break touches turn red.

What each break must do is written down here by hand, as rules over source, destination and probe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.flow import L3_KINDS
from tests.lab.broken import REWRITE, ROOT, Cell, Mutant, Up, is_small, lab_of, told
from tests.lab.mutants_of_legs import OF_TWO_LEGS
from tests.lab.mutants_of_links import OF_JUMBO, OF_MACVLAN_MODES
from tests.lab.mutants_of_routers import OF_EXTERNAL_ROUTER, OF_GATEWAY_ON_HOST1, OF_TWO_GATEWAYS

REPLIES = ("-m", "state", "--state", "RELATED,ESTABLISHED")


def vlan(node: str) -> int:
    """The VLAN of an endpoint: it is part of the name (h1v30a), or the tutorial's (bbox1)."""
    tutorial = {"bbox1": 10, "bbox3": 10, "bbox2": 20, "bbox4": 20}
    return int(node[3:5]) if node[2:3] == "v" else tutorial.get(node, 0)


def crosses(cell: Cell, src: int, dst: int) -> bool:
    """Whether the gateway must let it from one VLAN into the other."""
    return (vlan(cell.src), vlan(cell.dst)) == (src, dst) and is_small(cell)


def rule(verb: str, src: int, dst: int, *match: str) -> tuple[str, ...]:
    """An iptables command about the rule that lets one VLAN into the other."""
    ways = ("-i", f"eth2.{src}", "-o", f"eth2.{dst}", *match, "-j", "ACCEPT")
    return ("gateway", "iptables", verb, "FORWARD", *ways)


def masquerade(verb: str, dst: int) -> tuple[str, ...]:
    """An iptables command about the source NAT into a VLAN."""
    ways = ("POSTROUTING", "-o", f"eth2.{dst}", "-j", "MASQUERADE")
    return ("gateway", "iptables", "-t", "nat", verb, *ways)


def of_forward_policy_drop(src: int, dst: int) -> list[Mutant]:
    """Each rule of one direction deleted, and the two of FORWARD together."""
    new = (rule("-D", src, dst), rule("-A", src, dst))
    replies = (rule("-D", src, dst, *REPLIES), rule("-I", src, dst, *REPLIES))
    way = f"{src}-to-{dst}"
    return [
        Mutant(
            f"no-rule-for-new-{way}", (new[0],), (new[1],),
            lambda cell: crosses(cell, src, dst),
            lost_at=lambda _cell: f"gateway:eth2.{dst} (out)",
        ),
        Mutant(  # the rule for what is new lets replies through as well
            f"no-rule-for-replies-{way}", (replies[0],), (replies[1],), lambda _cell: False,
        ),
        Mutant(
            f"no-rule-{way}", (new[0], replies[0]), (new[1], replies[1]),
            lambda cell: crosses(cell, src, dst) or crosses(cell, dst, src),
            lost_at=lambda cell: f"gateway:eth2.{dst} (out)" if vlan(cell.src) == src else None,
        ),
        Mutant(
            f"no-masquerade-into-{dst}", (masquerade("-D", dst),), (masquerade("-A", dst),),
            lambda cell: crosses(cell, src, dst),
        ),
    ]  # fmt: skip


def docker_user(verb: str) -> tuple[str, ...]:
    """An iptables command about VLAN 10 to VLAN 20, in the chain that Docker leaves to people."""
    match = ("-i", "eth2.10", "-o", "eth2.20", "-j", "DROP")
    return ("gateway", "iptables", verb, "DOCKER-USER", *match)


OF_GATEWAY_RUNS_DOCKER = [
    Mutant(  # the policy is DROP, and nobody but dockerd has made it so
        "no-rule-20-to-10",
        (rule("-D", 20, 10), rule("-D", 20, 10, *REPLIES)),
        (rule("-A", 20, 10, *REPLIES), rule("-A", 20, 10)),
        lambda cell: crosses(cell, 20, 10) or crosses(cell, 10, 20),
        lost_at=lambda cell: "gateway:eth2.10 (out)" if vlan(cell.src) == 20 else None,
        observed=lambda _cell: "silent",
    ),
    Mutant(  # before the tutorial's rules, so those for replies do not help either
        "docker-user-drops",
        (docker_user("-I"),),
        (docker_user("-D"),),
        lambda cell: crosses(cell, 10, 20) or crosses(cell, 20, 10),
        lost_at=lambda cell: "gateway:eth2.20 (out)" if vlan(cell.src) == 10 else None,
    ),
]


def without_leg_in_20(cell: Cell) -> bool:
    """All that VLAN 20 and the gateway have to do with each other, and what the gateway says."""
    routed = crosses(cell, 10, 20) or crosses(cell, 20, 10)
    with_gateway = "gateway" in (cell.src, cell.dst) and 20 in (vlan(cell.src), vlan(cell.dst))
    return routed or with_gateway or crosses(cell, 20, 30)


def siblings(cell: Cell) -> bool:
    """Between the two of VLAN 10 on host1."""
    return {cell.src, cell.dst} == {"h1v10a", "h1v10b"}


EARLY, TO_30 = ("iptables", "-t", "raw"), ("PREROUTING", "-d", "172.16.30.0/24")


def to_30(cell: Cell) -> bool:
    """What the gateway must have no route for."""
    return crosses(cell, 10, 30) or crosses(cell, 20, 30)


OF_THREE_VLANS = [
    Mutant(
        "sibling-private",
        (("h1v10a", "ip", "link", "set", "eth0", "type", "macvlan", "mode", "private"),),
        (("h1v10a", "ip", "link", "set", "eth0", "type", "macvlan", "mode", "bridge"),),
        lambda cell: siblings(cell) and cell.probe != "icmp:1473",
        lambda cell: siblings(cell) and cell.probe == "icmp:1473",
    ),
    Mutant(
        "no-default-route-in-30",
        (("h1v30a", "ip", "route", "delete", "default"),),
        (("h1v30a", "ip", "route", "add", "default", "via", "172.16.30.1"),),
        lambda cell: cell.src == "h1v30a" and (crosses(cell, 30, 10) or crosses(cell, 30, 20)),
        lost_at=lambda _cell: "h1v30a:eth0 (out)",
    ),
    Mutant(
        "no-address-in-20",
        (("gateway", "ip", "address", "delete", "172.16.20.1/24", "dev", "eth2.20"),),
        (("gateway", "ip", "address", "add", "172.16.20.1/24", "dev", "eth2.20"),),
        without_leg_in_20,
    ),
    Mutant(
        "blackhole-to-30",
        (("gateway", "ip", "route", "add", "blackhole", "172.16.30.0/24"),),
        (("gateway", "ip", "route", "delete", "blackhole", "172.16.30.0/24"),),
        to_30,
    ),
    Mutant(
        "filter-before-routing-to-30",
        (("gateway", *EARLY, "-A", *TO_30, "-j", "DROP"),),
        (("gateway", *EARLY, "-D", *TO_30, "-j", "DROP"),),
        to_30,
    ),
]  # fmt: skip


def leaks_to_host2(cell: Cell) -> bool:
    """VLAN 10 becomes 20 on its way to host2, and what is sent there is seen in the wrong VLAN."""
    ends = {cell.src, cell.dst}
    too_big = cell.probe == "icmp:1473"
    direct = ends in ({"bbox1", "bbox3"}, {"host1", "bbox3"}, {"host2", "bbox1"}) and not too_big
    floods = cell.kind in ("arp", "l2-broadcast", "l2-multicast")
    flooded = floods and (cell.src == "bbox1" or ends == {"host1", "bbox1"})
    return direct or flooded or (cell.src, cell.dst, cell.kind) == ("bbox1", "bbox4", "l2-unicast")


def unvouched(cell: Cell) -> bool:
    """Blocked where no control arrives any more: at bbox3, and at bbox1 what needs one of bbox3."""
    too_large = {cell.src, cell.dst} == {"bbox1", "bbox3"} and cell.probe == "icmp:1473"
    return too_large or (cell.dst == "bbox3" and cell.src in ("bbox2", "bbox4", "host2"))


def raced_for(cell: Cell) -> bool:
    """Between bbox2 and bbox4, which takes bbox1 for bbox2 where it heard bbox1 ask last.

    Both have the address 172.16.10.10, and what bbox1 asks reaches bbox4 in the wrong VLAN.
    """
    return {cell.src, cell.dst} == {"bbox2", "bbox4"} and cell.kind in L3_KINDS


def without_subnet(cell: Cell) -> bool:
    """Sent by bbox3, or answered by it, by way of a subnet that it has no route to."""
    if cell.src == "bbox3":
        return cell.dst in ("bbox1", "bbox4") and cell.kind in L3_KINDS
    return (cell.src, cell.dst) == ("bbox1", "bbox3") and is_small(cell)


OF_OVERLAPPING_SUBNETS = [
    Mutant(
        "vlan-rewritten",
        (("switch", *REWRITE, "host2", "10", "20"),),
        (("switch", *REWRITE, "host2", "undo"),),
        leaks_to_host2,
        unvouched,
        either=raced_for,
    ),
    Mutant(
        "no-subnet",
        (("bbox3", "ip", "address", "delete", "172.16.10.11/24", "dev", "eth0"),
         ("bbox3", "ip", "address", "add", "172.16.10.11/32", "dev", "eth0")),
        (("bbox3", "ip", "address", "delete", "172.16.10.11/32", "dev", "eth0"),
         ("bbox3", "ip", "address", "add", "172.16.10.11/24", "dev", "eth0")),
        without_subnet,
    ),
]  # fmt: skip

IPV6_L3 = ("icmp6", "tcp6", "udp6")


def crosses_in_ipv6(cell: Cell) -> bool:
    """Whether the gateway must forward it over IPv6."""
    across = {vlan(cell.src), vlan(cell.dst)} == {10, 20}
    return across and cell.kind in IPV6_L3 and cell.probe != "icmp6:1453"


def without_ipv6_route(cell: Cell) -> bool:
    """Sent by bbox1 into the other VLAN over IPv6, or answered by it: there is no NAT to help."""
    sent = cell.src == "bbox1" and vlan(cell.dst) == 20 and cell.kind in IPV6_L3
    return sent or (cell.dst == "bbox1" and crosses_in_ipv6(cell))


def deaf_to_ndp(cell: Cell) -> bool:
    """bbox3 answers no solicitation; who it asks itself learns its address all the same."""
    return (cell.src, cell.dst, cell.probe) in (
        ("bbox1", "bbox3", "ndp"),
        ("gateway", "bbox3", "icmp6"),
    )


def ndp_dropped(verb: str) -> tuple[str, ...]:
    """An ip6tables command about bbox3's taking neighbour solicitations."""
    match = ("-p", "icmpv6", "--icmpv6-type", "neighbour-solicitation")
    return ("bbox3", "ip6tables", verb, "INPUT", *match, "-j", "DROP")


OF_DUAL_STACK = [
    Mutant(
        "no-ipv6-forwarding",
        (("gateway", "sysctl", "-w", "net.ipv6.conf.all.forwarding=0"),),
        (("gateway", "sysctl", "-w", "net.ipv6.conf.all.forwarding=1"),),
        crosses_in_ipv6,
        lost_at=lambda cell: f"gateway:eth2.{vlan(cell.dst)} (out)",
    ),
    Mutant(
        "no-ipv6-default-route",
        (("bbox1", "ip", "-6", "route", "delete", "default"),),
        (("bbox1", "ip", "-6", "route", "add", "default", "via", "2001:db8:10::1"),),
        without_ipv6_route,
        lost_at=lambda cell: "bbox1:eth0 (out)" if cell.src == "bbox1" else None,
    ),
    Mutant("ndp-dropped", (ndp_dropped("-A"),), (ndp_dropped("-D"),), deaf_to_ndp),
]

MUTANTS = {
    "dual-stack": OF_DUAL_STACK,
    "overlapping-subnets": OF_OVERLAPPING_SUBNETS,
    "three-vlans": OF_THREE_VLANS,
    "gateway-on-host1": OF_GATEWAY_ON_HOST1,
    "external-router": OF_EXTERNAL_ROUTER,
    "macvlan-modes": OF_MACVLAN_MODES,
    "jumbo": OF_JUMBO,
    "two-gateways": OF_TWO_GATEWAYS,
    "two-legs": OF_TWO_LEGS,
    "gateway-runs-docker": OF_GATEWAY_RUNS_DOCKER,
    "forward-policy-drop": [*of_forward_policy_drop(10, 20), *of_forward_policy_drop(20, 10)],
}
"""By topology; the order is the one in which labs come up."""


@pytest.fixture(scope="module")
def lab_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Up]]:
    """The lab of a topology, one at a time, for all mutants of it that come in a row."""
    up: dict[str, Up] = {}
    with ExitStack() as undo:

        def of(topology: str) -> Up:
            if topology not in up:
                undo.close()
                up.clear()
                reports = tmp_path_factory.mktemp("reports")
                up[topology] = undo.enter_context(lab_of(topology, "mutants", reports))
                up[topology].run()  # the switch learns where all are, and floods no unicast now
            return up[topology]

        yield of


@pytest.fixture
def untouched() -> None:
    """The lab outlives each test of this module; `lab_up` takes it down."""


@pytest.mark.parametrize(
    ("topology", "mutant"),
    [
        pytest.param(name, mutant, id=f"{name}-{mutant.name}")
        for name, mutants in MUTANTS.items()
        for mutant in mutants
    ],
)
def test_mutant(lab_up: Callable[[str], Up], topology: str, mutant: Mutant) -> None:
    """Just the cells that the break touches turn red, with their place, and heal after it."""
    lab_up(topology).turns_red(mutant)


def test_filter_of_one_kind_is_not_excused_by_others(lab_up: Callable[[str], Up]) -> None:
    """Where a filter drops UDP before routing, no UDP probe passes as one without a route."""
    udp = (*TO_30, "-p", "udp", "-j", "DROP")
    change, undo = ("gateway", *EARLY, "-A", *udp), ("gateway", *EARLY, "-D", *udp)
    cells = lab_up("three-vlans").broken((change,), (undo,))
    dropped = {cell for cell in cells if to_30(cell) and cell.kind == "udp"}
    assert dropped <= told(cells, "unproved")
    assert told(cells, "fail") == set()


def test_every_topology_has_mutants() -> None:
    """At least two each; those of containers, of lab hosts and the tutorial's have own modules."""
    shipped = {path.stem for path in (ROOT / "topologies").glob("*.yaml")}
    assert shipped - MUTANTS.keys() == {"docker-options", "lab-hosts", "macvlan-two-host"}
    assert all(len(mutants) >= 2 for mutants in MUTANTS.values())
