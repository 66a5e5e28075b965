"""What routers do with a packet: rp_filter, routes, rules, NAT, and the way back; by hand."""

from __future__ import annotations

import pytest

from harness.flow import Expectation, Outcome, Stage
from harness.topology import Topology
from tests.unit import labs
from tests.unit.labs import AT_GW1, AT_GW2, altered, cells_of

BOTH = ("gw1", "gw2")
PAIRS = {
    "10-20": "bbox1-to-bbox5",
    "20-10": "bbox5-to-bbox1",
    "10-30": "bbox1-to-bbox6",
    "30-10": "bbox6-to-bbox1",
    "20-30": "bbox2-to-bbox6",
    "30-20": "bbox6-to-bbox2",
}
"""A pair of two-gateways.yaml, on different hosts, for each pair of VLANs."""


def of(lab: Topology, pair: str, kind: str = "icmp", stage: Stage = Stage.ROUTED) -> Expectation:
    """What is expected of a pair, named by its VLANs or by its endpoints."""
    return cells_of(lab, stage)[f"{stage}-{PAIRS.get(pair, pair)}-{kind}"].expectation


def fate(expected: Expectation) -> str:
    """The outcome, and `arrives` where it does all the same."""
    return "arrives" if expected.arrives else expected.outcome


LOOSE = altered("two-gateways", (AT_GW2, "    rp_filter: 2\n"))
LOOSE_NO_LEG = altered(
    "two-gateways", (AT_GW2, "    rp_filter: 2\n"), ("{10: 172.16.10.2, 20:", "{20:")
)
STRICT_NAT = altered(
    "two-gateways",
    (AT_GW1, "    rp_filter: 1\n    masquerade: [20]\n"),
    (AT_GW2, "    rp_filter: 1 # of gw2\n"),
)
RETURNED = altered(
    "two-gateways", (AT_GW2, "    forward: {policy: DROP, between: [[30, 10], [30, 20]]}\n")
)
FATES: dict[str, tuple[Topology, str]] = {
    # gw2's route to VLAN 10 is its own leg there, so from VLAN 20 it takes nothing of VLAN 10.
    "gw2 strict": (labs.STRICT, "reached reached silent arrives reached reached"),
    # It has a route to VLAN 10, and where that leads does not matter.
    "gw2 loose": (LOOSE, "reached reached reached reached reached reached"),
    # It has none, and none back either.
    "gw2 loose, without a leg in VLAN 10": (
        LOOSE_NO_LEG, "reached reached silent no-route reached reached",
    ),
    "gw2 without a leg in VLAN 10": (
        labs.NO_LEG_IN_10, "reached reached arrives no-route reached reached",
    ),
    "nobody in VLAN 30": (
        labs.NO_LEG_IN_30, "reached reached no-route no-neighbour no-route no-neighbour",
    ),
    # What goes from gw1 to gw2 passes from VLAN 10 to 20, or stays in VLAN 20.
    "gw1 lets 10 into 20": (labs.GW1_DROPS, "reached silent reached reached silent arrives"),
    # gw2 sees the replies to what it let from 30 to 10 come from VLAN 20: another rule's.
    "gw2 lets 30 into 10": (labs.GW2_DROPS, "reached reached silent arrives silent silent"),
    "gw2 lets 30 into 10 and 20": (RETURNED, "reached reached silent reached silent reached"),
    "both translate": (labs.NAT_TWICE, "reached reached reached reached reached reached"),
}  # fmt: skip


@pytest.mark.parametrize("name", FATES)
@pytest.mark.parametrize("kind", ["icmp", "tcp", "udp"])
def test_what_becomes_of_a_pair(name: str, kind: str) -> None:
    """For each pair of VLANs, in the order of `PAIRS`."""
    lab, fates = FATES[name]
    assert " ".join(fate(of(lab, pair, kind)) for pair in PAIRS) == fates


def test_strict_reverse_path_filtering() -> None:
    """The packet ends at gw2; in the other direction the reply does, and there it is no failure."""
    there, back = of(labs.STRICT, "10-30"), of(labs.STRICT, "30-10")
    assert (there.via, there.vlans, there.ttl) == (BOTH, (10, 20, 30), None)
    assert there.why == "gw2 expects nothing from VLAN 10 in VLAN 20 (rp_filter 1)"
    assert (back.outcome, back.via, back.vlans) == (Outcome.SILENT, ("gw2",), (30, 10))
    assert back.why == f"it arrives, but its reply does not: {there.why}"


def test_what_arrives_without_a_reply_is_not_asked_for_its_size() -> None:
    """Only what reaches has a largest size."""
    cells = cells_of(labs.STRICT, Stage.ROUTED)
    assert [one for one in cells if "bbox6-to-bbox1-icmp:" in one] == []
    assert "routed-bbox6-to-bbox2-icmp:1473" in cells


@pytest.mark.parametrize(
    ("lab", "pair", "via", "why"),
    [
        (labs.GW1_DROPS, "20-10", ("gw1",), "no rule of gw1 lets VLAN 20 into VLAN 10"),
        (labs.GW1_DROPS, "20-30", ("gw1",), "no rule of gw1 lets VLAN 20 into VLAN 20"),
        (labs.GW2_DROPS, "10-30", BOTH, "no rule of gw2 lets VLAN 20 into VLAN 30"),
        (labs.GW2_DROPS, "30-20", ("gw2",), "no rule of gw2 lets VLAN 30 into VLAN 20"),
    ],
)
def test_a_rule_that_is_missing(lab: Topology, pair: str, via: tuple[str, ...], why: str) -> None:
    """The router that drops is the last that took it."""
    expected = of(lab, pair)
    assert (expected.via, expected.why) == (via, f"{why}, policy DROP")


def test_no_route_at_the_second_router() -> None:
    """gw1 knows a way to VLAN 30, gw2 does not; in VLAN 30 nobody answers."""
    there, back = of(labs.NO_LEG_IN_30, "10-30"), of(labs.NO_LEG_IN_30, "30-10")
    assert (there.via, there.why) == (BOTH, "gw2 has no address in VLAN 30")
    assert (back.via, back.next_hop) == ((), "172.16.30.2")
    assert back.why == "nobody holds the gateway address 172.16.30.2 in this stage"


@pytest.mark.parametrize(
    ("lab", "pair", "source", "why"),
    [
        (labs.NAT_TWICE, "10-20", "172.16.20.1",
         "gw1 routes VLAN 10 to VLAN 20, with its own address as source"),
        (labs.NAT_TWICE, "20-10", "172.16.20.11",
         "gw1 routes VLAN 20 to VLAN 10, with the true source"),
        (labs.NAT_TWICE, "10-30", "172.16.30.2", None),
        (labs.NAT_TWICE, "30-10", "172.16.30.11",
         "gw2 routes VLAN 30 to VLAN 10, with the true source"),
        (STRICT_NAT, "10-30", "172.16.20.1",
         "gw1, then gw2 route VLAN 10 to VLAN 30, with gw1's address as source"),
        (STRICT_NAT, "20-30", "172.16.20.1",
         "gw1, then gw2 route VLAN 20 to VLAN 30, with gw1's address as source"),
    ],
)  # fmt: skip
def test_whose_address_arrives(lab: Topology, pair: str, source: str, why: str | None) -> None:
    """The last translator's, of the VLAN into which it sent."""
    expected = of(lab, pair)
    assert expected.seen_source == source
    assert expected.ttl == 64 - len(expected.via)
    assert why in (None, expected.why)


ON_HOST2 = altered(
    "two-gateways",
    ("{10: 172.16.10.1, 20: 172.16.20.1}\n    routes: {30: 172.16.20.2}",
     "{10: 172.16.10.1, 20: 172.16.20.1, 30: 172.16.30.1}"),
    ("  gw2: {management: 192.168.56.102}\n", ""),
    ("host: gw2\n    addresses: {10: 172.16.10.2, 20: 172.16.20.2, 30: 172.16.30.2}",
     "host: host2\n    addresses: {30: 172.16.30.2}"),
)  # fmt: skip
"""gw1 leads into all VLANs; out of VLAN 30 leads host2, which bbox6 is on, and not bbox3."""


def test_a_reply_whose_own_gateway_cannot_be_asked() -> None:
    """bbox6 hears gw1, and sends back to host2, from which macvlan keeps it apart."""
    expected = of(ON_HOST2, "10-30")
    assert (expected.outcome, expected.arrives, expected.via) == (Outcome.SILENT, True, ("gw1",))
    assert expected.why == ("it arrives, but its reply does not: nobody answers bbox6 for the"
                            " gateway address 172.16.30.2")  # fmt: skip
    apart = of(ON_HOST2, "30-10")
    assert (apart.outcome, apart.via, apart.next_hop) == (Outcome.NO_NEIGHBOUR, (), "172.16.30.2")
    assert apart.why == "macvlan keeps bbox6 and host2, which it is on, apart"
    assert of(ON_HOST2, "bbox1-to-bbox3").why == (
        "it arrives, but its reply does not: host2 has no address in VLAN 10"
    )


def test_translated_packets_come_back_as_they_went() -> None:
    """The reply is for gw1, so it passes host2 by: whoever stood in is in the same VLAN."""
    nat = altered(
        "two-gateways",
        ("{10: 172.16.10.1, 20: 172.16.20.1}\n    routes: {30: 172.16.20.2}",
         "{10: 172.16.10.1, 20: 172.16.20.1, 30: 172.16.30.1}\n    masquerade: [30]"),
        ("20: 172.16.20.2, 30", "30"),
    )  # fmt: skip
    expected = of(nat, "20-30")
    assert (expected.outcome, expected.via, expected.seen_source) == (
        Outcome.REACHED, ("gw1",), "172.16.30.1",
    )  # fmt: skip


def test_a_hairpin_port_joins_a_router_and_its_own_children() -> None:
    """What macvlan keeps apart on host1 meets at the switch, so all that was blocked reaches."""
    lab = labs.HAIRPIN_ON_HOST1
    for pair in ("bbox1-to-bbox2", "bbox1-to-bbox4", "bbox3-to-bbox2", "bbox3-to-bbox4"):
        expected = of(lab, pair, "tcp")
        found = (expected.via, expected.ttl, expected.seen_source)
        assert found == (("host1",), 63, "172.16.20.1")
    for cell, probes in (("bbox1-to-host1", "arp icmp"), ("host1-to-bbox2", "icmp")):
        for probe in probes.split():
            assert of(lab, cell, probe).outcome is Outcome.REACHED
    parents = [cell for cell in cells_of(lab, Stage.ROUTED).values()
               if cell.family == "parent" and "host1" in (cell.src, cell.dst)]  # fmt: skip
    assert {cell.expectation.outcome for cell in parents} == {Outcome.REACHED}
    assert of(lab, "bbox1-to-bbox2", "l2-broadcast").why == (
        "VLAN 10 and VLAN 20 are separate at layer 2"
    )


@pytest.mark.parametrize("stage", [Stage.ISOLATED, Stage.UNDONE])
def test_a_hairpin_port_makes_no_router(stage: Stage) -> None:
    """Without addresses host1 answers nobody."""
    expected = of(labs.HAIRPIN_ON_HOST1, "bbox1-to-bbox2", "udp", stage)
    assert (expected.outcome, expected.next_hop) == (Outcome.NO_NEIGHBOUR, "172.16.10.1")
