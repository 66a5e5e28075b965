"""A lab that is up is broken by hand: just the cells that it touches turn red, and green again.

What each break must do is written down here by hand, as rules over source, destination and probe.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.flow import L3_KINDS
from tests.lab.broken import REWRITE, Cell, Mutant, Up, is_small, lab_of

VLAN = {"bbox1": 10, "bbox2": 20, "bbox3": 10, "bbox4": 20}
DROP_BROADCASTS = """
add table netdev t
add chain netdev t c { type filter hook ingress device eth2.10 priority 0; }
add rule netdev t c ether daddr ff:ff:ff:ff:ff:ff drop
"""


def crosses(cell: Cell) -> bool:
    """Whether it goes from one VLAN's endpoint to the other's, at layer 3, and must reach."""
    ends = {VLAN.get(cell.src, 0), VLAN.get(cell.dst, 0)}
    return ends == {10, 20} and is_small(cell)


def at_gateway_out(cell: Cell) -> str:
    """Taken in by the gateway, and not sent out of the other sub-interface."""
    return f"gateway:eth2.{VLAN[cell.dst]} (out)"


def rewritten(cell: Cell) -> bool:
    """VLAN 10 becomes 20 on its way to host2: what goes there, what floods there, what answers."""
    to_bbox3 = cell.dst == "bbox3" and (
        VLAN.get(cell.src) == 10 or crosses(cell) or cell.src in ("gateway", "host1")
    )
    from_bbox3 = cell.src == "bbox3" and (
        crosses(cell) or VLAN.get(cell.dst) == 10 or cell.dst == "gateway"
    )
    flooded = cell.kind in ("arp", "l2-broadcast", "l2-multicast") and (
        cell.src == "bbox1" or (cell.src, cell.dst) == ("host1", "bbox1")
    )
    to_bbox4 = (cell.src, cell.dst, cell.kind) == ("bbox1", "bbox4", "l2-unicast")
    to_host2 = (cell.src, cell.dst) == ("host2", "bbox1")
    too_big = cell.probe == "icmp:1473"
    return (to_bbox3 or from_bbox3 or flooded or to_bbox4 or to_host2) and not too_big


def unvouched_at_bbox3(cell: Cell) -> bool:
    """Blocked at bbox3, where no control arrives any more."""
    blocked = VLAN.get(cell.src) == 20 and cell.kind not in L3_KINDS
    own_host = cell.src == "host2"
    return cell.dst == "bbox3" and (blocked or own_host or cell.probe == "icmp:1473")


def broadcast(cell: Cell) -> bool:
    """A probe that is a broadcast itself."""
    return cell.kind in ("arp", "l2-broadcast")


MUTANTS = [
    Mutant(
        "ip-forward-off",
        (("gateway", "sysctl", "-w", "net.ipv4.ip_forward=0"),),
        (("gateway", "sysctl", "-w", "net.ipv4.ip_forward=1"),),
        crosses,
        lost_at=at_gateway_out,
    ),
    Mutant(
        "forward-policy-drop",
        (("gateway", "sh", "-c", "iptables-save > /run/rules; iptables -P FORWARD DROP"),
         ("gateway", "iptables", "-F", "FORWARD")),
        (("gateway", "sh", "-c", "iptables-restore /run/rules; iptables -P FORWARD ACCEPT"),),
        crosses,
        lost_at=at_gateway_out,
    ),
    Mutant(
        "nat-flushed",
        (("gateway", "sh", "-c", "iptables-save -t nat > /run/nat; iptables -t nat -F"),),
        (("gateway", "iptables-restore", "/run/nat"),),
        crosses,
    ),
    Mutant(
        "vlan-rewritten",
        (("switch", *REWRITE, "host2", "10", "20"),),
        (("switch", *REWRITE, "host2", "undo"),),
        rewritten,
        unvouched_at_bbox3,
    ),
    Mutant(
        "broadcasts-lost",
        (("host2", "nft", DROP_BROADCASTS),),
        (("host2", "nft", "delete table netdev t"),),
        lambda cell: cell.dst == "bbox3" and (
            cell.src == "gateway" or (broadcast(cell) and cell.src in ("bbox1", "host1"))
        ),
        lambda cell: cell.dst == "bbox3" and broadcast(cell)
        and cell.src in ("bbox2", "bbox4", "host2"),
        lost_at=lambda cell: "bbox3:eth0 (in)" if cell.src != "gateway" else None,
    ),
    Mutant(
        "no-default-route",
        (("bbox1", "ip", "route", "delete", "default"),),
        (("bbox1", "ip", "route", "add", "default", "via", "172.16.10.1"),),
        lambda cell: cell.src == "bbox1" and cell.dst in ("bbox2", "bbox4")
        and cell.kind in L3_KINDS,
        lost_at=lambda _cell: "bbox1:eth0 (out)",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def lab_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One routed tutorial lab for all mutants."""
    with lab_of("macvlan-two-host", "mutants", tmp_path_factory.mktemp("reports")) as up:
        assert len(up.run()) == 160
        yield up


@pytest.fixture
def untouched() -> None:
    """The lab outlives each test of this module; `lab_up` takes it down."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_mutant(lab_up: Up, mutant: Mutant) -> None:
    """Just the cells that the break touches turn red, with their place, and heal after it."""
    lab_up.turns_red(mutant)


def test_source_without_nat(lab_up: Up) -> None:
    """Without NAT it reaches all the same, and the source that was seen says what is wrong."""
    nat = next(mutant for mutant in MUTANTS if mutant.name == "nat-flushed")
    cells = lab_up.broken(nat.change, nat.undo)
    found = cells[Cell("bbox1", "bbox4", "udp")]
    assert (found["observed"], found["seen_source"]) == ("reached", "172.16.10.10")


def test_native_vlan_lets_double_tags_hop(lab_up: Up) -> None:
    """On a switch with a native VLAN the frames with a tag of their own do leak, and it is seen."""
    rewrite = ("switch", *REWRITE, "host2")
    cells = lab_up.broken(((*rewrite, "10", "native"),), ((*rewrite, "undo"),))
    for probe in ("l2-unicast:20", "l2-broadcast:20"):
        found = cells[Cell("bbox1", "bbox4", probe)]
        assert (found["verdict"], found["proof"]["absent"]) == ("fail", False)
        assert found["why"] == "it must not reach, but its token arrived"
