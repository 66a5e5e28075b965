"""The matrix of expectations: the tutorial lab's written out by hand, and labs that differ."""

from __future__ import annotations

from itertools import permutations

import pytest

from harness.flow import Cell, Outcome, Stage
from harness.matrix import kinds, matrix
from harness.topology import Topology
from tests.unit import labs
from tests.unit.labs import TUTORIAL, cells_of, variant

L2 = "arp l2-unicast l2-broadcast l2-multicast"
L3 = "icmp tcp udp"
SAME = "bbox1-bbox3 bbox3-bbox1 bbox2-bbox4 bbox4-bbox2"
UP = "bbox1-bbox2 bbox1-bbox4 bbox3-bbox2 bbox3-bbox4"
DOWN = "bbox2-bbox1 bbox4-bbox1 bbox2-bbox3 bbox4-bbox3"
OWN = "host1-bbox1 host1-bbox2 host2-bbox3 host2-bbox4"
OTHER = "host1-bbox3 host1-bbox4 host2-bbox1 host2-bbox2"
ALWAYS = f"""
same-vlan     | {SAME}                    | {L2} {L3}                       | reached
cross-vlan-l2 | {UP} {DOWN}               | {L2}                            | silent
mtu           | {SAME}                    | icmp:1472                       | reached
mtu           | {SAME}                    | icmp:1473                       | too-big
parent        | {OWN}                     | l2-unicast l2-broadcast         | silent
parent        | {OTHER}                   | l2-unicast l2-broadcast         | reached
own-tag       | bbox1-bbox3 bbox3-bbox1   | l2-unicast:20 l2-broadcast:20   | reached
own-tag       | bbox2-bbox4 bbox4-bbox2   | l2-unicast:10 l2-broadcast:10   | reached
own-tag       | {UP}                      | l2-unicast:20 l2-broadcast:20   | silent
own-tag       | {DOWN}                    | l2-unicast:10 l2-broadcast:10   | silent
"""
BLOCKED = f"""
cross-vlan-l3 | {UP} {DOWN}               | {L3}                            | no-neighbour
"""
ROUTED = f"""
cross-vlan-l3   | {UP} {DOWN}             | {L3}                            | reached
mtu             | {UP} {DOWN}             | icmp:1472                       | reached
mtu             | {UP} {DOWN}             | icmp:1473                       | too-big
gateway-address | bbox1-gateway bbox2-gateway bbox3-gateway bbox4-gateway | arp icmp | reached
cold            | gateway-bbox1 gateway-bbox2 gateway-bbox3 gateway-bbox4 | icmp     | reached
"""
ADDRESSES = {
    "bbox1": "172.16.10.10", "bbox2": "172.16.20.10",
    "bbox3": "172.16.10.11", "bbox4": "172.16.20.11",
}  # fmt: skip


def by_hand(stage: Stage) -> set[tuple[str, str, str, str]]:
    """(family, pair, probe, outcome) of every cell of a stage."""
    return labs.table(ALWAYS + (ROUTED if stage is Stage.ROUTED else BLOCKED))


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (132, 160, 132), strict=True)])
def test_the_tutorial_lab_cell_by_cell(stage: Stage, count: int) -> None:
    """All 424 cells, each once, with family and outcome as written above."""
    cells = matrix(TUTORIAL, (stage,)).cells
    found = labs.tabled(TUTORIAL, stage)
    assert set(found) == by_hand(stage)
    assert len(found) == len(set(found)) == len({one.id for one in cells}) == count
    assert {one.stage for one in cells} == {stage}


@pytest.mark.parametrize("stage", Stage)
def test_the_tutorial_lab_has_every_family_in_all(stage: Stage) -> None:
    """Nothing is not applicable in a whole run; without `routed` the gateway's families are."""
    assert matrix(TUTORIAL, tuple(Stage)).not_applicable == ()
    reason = "the gateway has addresses in the stage routed only"
    expected = () if stage is Stage.ROUTED else (f"gateway-address: {reason}", f"cold: {reason}")
    assert matrix(TUTORIAL, (stage,)).not_applicable == expected


def test_stages_follow_each_other() -> None:
    """A run goes through the cells in the order of the stages it is given."""
    stages = [cell.stage for cell in matrix(TUTORIAL, (Stage.UNDONE, Stage.ISOLATED)).cells]
    assert stages == [Stage.UNDONE] * 132 + [Stage.ISOLATED] * 132


@pytest.mark.parametrize("pair", (UP + " " + DOWN).split())
@pytest.mark.parametrize("probe", ["icmp", "tcp", "udp", "icmp:1472"])
def test_a_routed_packet(pair: str, probe: str) -> None:
    """One hop by the gateway: TTL 63, and the gateway's own address of the leaving VLAN."""
    src, dst = pair.split("-")
    expected = one(TUTORIAL, f"routed-{src}-to-{dst}-{probe}").expectation
    leaving = "172.16.20.1" if pair in UP else "172.16.10.1"
    assert (expected.via, expected.ttl, expected.seen_source) == (("gateway",), 63, leaving)
    assert expected.next_hop is None
    assert "with its own address as source" in expected.why


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("pair", SAME.split())
@pytest.mark.parametrize("probe", ["icmp", "tcp", "udp", "icmp:1472"])
def test_a_direct_packet(stage: Stage, pair: str, probe: str) -> None:
    """No hop: TTL 64, and the true source, in every stage."""
    src, dst = pair.split("-")
    expected = one(TUTORIAL, f"{stage}-{src}-to-{dst}-{probe}").expectation
    assert (expected.via, expected.ttl, expected.seen_source) == ((), 64, ADDRESSES[src])


@pytest.mark.parametrize("stage", [Stage.ISOLATED, Stage.UNDONE])
@pytest.mark.parametrize("pair", (UP + " " + DOWN).split())
def test_an_unresolved_packet(stage: Stage, pair: str) -> None:
    """The next hop is the gateway address of the source's own VLAN, and nobody holds it."""
    src, dst = pair.split("-")
    expected = one(TUTORIAL, f"{stage}-{src}-to-{dst}-udp").expectation
    assert expected.next_hop == ("172.16.10.1" if pair in UP else "172.16.20.1")
    assert (expected.via, expected.ttl, expected.seen_source) == ((), None, None)
    assert expected.why == f"nobody holds the gateway address {expected.next_hop} in this stage"


def test_the_gateway_itself() -> None:
    """Neither its address nor what it sends is routed or rewritten."""
    to = one(TUTORIAL, "routed-bbox4-to-gateway-icmp").expectation
    back = one(TUTORIAL, "routed-gateway-to-bbox4-icmp").expectation
    assert (to.via, to.ttl, to.seen_source) == ((), 64, "172.16.20.11")
    assert (back.via, back.ttl, back.seen_source) == ((), 64, "172.16.20.1")
    assert one(TUTORIAL, "routed-bbox4-to-gateway-arp").expectation.ttl is None


def test_a_layer_2_cell_says_where_it_is_kept_apart() -> None:
    """Endpoints of one host are apart before the trunk already; that proves nothing of VLANs."""
    here = one(TUTORIAL, "isolated-bbox1-to-bbox2-arp").expectation.why
    there = one(TUTORIAL, "isolated-bbox1-to-bbox4-arp").expectation.why
    assert there == "VLAN 10 and VLAN 20 are separate at layer 2"
    assert here == f"{there}; on host1 they are apart, and the switch returns no frame on its port"


ALL = [name for name in vars(labs) if isinstance(getattr(labs, name), Topology)]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("stage", Stage)
def test_every_ordered_pair_is_covered(name: str, stage: Stage) -> None:
    """With each probe of layers 2 and 3, in every lab and stage."""
    lab: Topology = getattr(labs, name)
    found = {(cell.src, cell.dst, str(cell.probe)) for cell in matrix(lab, (stage,)).cells}
    pairs = permutations([endpoint.name for endpoint in lab.endpoints], 2)
    wanted = {(*pair, probe) for pair in pairs for probe in (L2 + " " + L3).split()}
    assert wanted <= found


def test_policy_drop_lets_one_direction_through() -> None:
    """The rule's direction reaches; the other is dropped by the gateway, which says nothing."""
    lab = labs.ONE_WAY
    for pair in UP.split():
        assert outcome(lab, pair, "tcp") == "reached"
    for pair in DOWN.split():
        expected = one(lab, f"routed-{pair.replace('-', '-to-')}-tcp").expectation
        assert (expected.outcome, expected.via) == (Outcome.SILENT, ("gateway",))
        assert expected.why == "no rule of gateway lets VLAN 20 into VLAN 10, policy DROP"
    assert {str(cell.probe) for cell in cells_of(lab, Stage.ROUTED).values()
            if f"{cell.src}-{cell.dst}" in DOWN and cell.family == "mtu"} == set()  # fmt: skip


def test_policy_accept_needs_no_rule() -> None:
    """The FORWARD rules decide nothing while the policy is ACCEPT."""
    lab = variant((labs.FORWARD, "forward: {policy: ACCEPT, between: []}"))
    assert matrix(lab, tuple(Stage)).cells == matrix(TUTORIAL, tuple(Stage)).cells
    assert outcome(lab, "bbox4-bbox1", "udp") == "reached"


def test_without_masquerade_the_source_is_the_true_one() -> None:
    """In the VLAN that is left out; TTL 63 all the same."""
    expected = one(labs.NO_MASQUERADE, "routed-bbox1-to-bbox4-udp").expectation
    assert (expected.seen_source, expected.ttl) == ("172.16.10.10", 63)
    assert expected.why == "gateway routes VLAN 10 to VLAN 20, with the true source"
    half = variant(("masquerade: [10, 20]", "masquerade: [10]"))
    assert one(half, "routed-bbox1-to-bbox4-udp").expectation.seen_source == "172.16.10.10"
    assert one(half, "routed-bbox4-to-bbox1-udp").expectation.seen_source == "172.16.10.1"


def test_a_vlan_without_a_gateway_has_no_route() -> None:
    """Its endpoints say so themselves; to it, the gateway host says so."""
    lab = labs.NO_DEFAULT_ROUTE
    for stage in Stage:
        expected = one(lab, f"{stage}-bbox4-to-bbox1-icmp").expectation
        assert (expected.outcome, expected.via) == (Outcome.NO_ROUTE, ())
        assert expected.why == "VLAN 20 has no gateway"
    expected = one(lab, "routed-bbox1-to-bbox4-icmp").expectation
    assert (expected.outcome, expected.via) == (Outcome.NO_ROUTE, ("gateway",))
    assert expected.why == "gateway has no address in VLAN 20"
    assert outcome(lab, "bbox1-bbox4", "icmp", Stage.ISOLATED) == "no-neighbour"
    gateway = {cell.src for cell in cells_of(lab, Stage.ROUTED).values() if cell.dst == "gateway"}
    assert gateway == {"bbox1", "bbox3"}


def test_a_gateway_host_without_a_leg_in_the_source_vlan() -> None:
    """Nobody holds the gateway's address there, in `routed` too."""
    lab = variant(
        ("addresses: {10: 172.16.10.1, 20: 172.16.20.1}", "addresses: {10: 172.16.10.1}"),
        ("masquerade: [10, 20]", "masquerade: [10]"),
        (labs.FORWARD, "forward: {policy: ACCEPT}"),
    )
    assert outcome(lab, "bbox4-bbox1", "icmp") == "no-neighbour"
    assert outcome(lab, "bbox1-bbox4", "icmp") == "no-route"


def test_without_a_gateway_host_every_stage_is_isolated() -> None:
    """And two families have no cell."""
    for stage in Stage:
        assert outcome(labs.NO_GATEWAY, "bbox1-bbox4", "tcp", stage) == "no-neighbour"
    reason = "the topology has no gateway host"
    found = matrix(labs.NO_GATEWAY, tuple(Stage)).not_applicable
    assert found == (f"gateway-address: {reason}", f"cold: {reason}")


def test_one_vlan() -> None:
    """Nothing crosses, and there is no second VLAN whose tag a frame could carry."""
    found = matrix(labs.ONE_VLAN, (Stage.ISOLATED,))
    reached = {one.family for one in found.cells if one.expectation.outcome is Outcome.REACHED}
    assert reached == {"same-vlan", "mtu", "parent"}
    assert found.not_applicable == (
        "cross-vlan-l2: all endpoints are in one VLAN",
        "cross-vlan-l3: all endpoints are in one VLAN",
        "gateway-address: the topology has no gateway host",
        "cold: the topology has no gateway host",
        "own-tag: there is no second VLAN whose tag a frame could carry",
    )


def test_a_vlan_of_one_endpoint() -> None:
    """It has no pair of its own, and every cell across."""
    cells = cells_of(labs.LONELY, Stage.ISOLATED).values()
    assert {one.src for one in cells if one.dst == "bbox2"} == {"bbox1", "bbox3", "host1"}
    assert not [one for one in cells if "bbox2" in (one.src, one.dst) and one.family == "same-vlan"]
    assert matrix(labs.LONELY, tuple(Stage)).not_applicable == ()


def test_no_two_endpoints_share_a_vlan() -> None:
    """Then nothing reaches directly, and no packet can be too big for what reaches."""
    lab = variant(
        ("  bbox3: {host: host2, vlan: 10, address: 172.16.10.11}\n", ""),
        ("  bbox4: {host: host2, vlan: 20, address: 172.16.20.11}\n", ""),
    )
    assert matrix(lab, (Stage.ISOLATED,)).not_applicable == (
        "same-vlan: no two endpoints share a VLAN",
        "gateway-address: the gateway has addresses in the stage routed only",
        "cold: the gateway has addresses in the stage routed only",
        "mtu: no pair of endpoints reaches each other",
    )


def test_the_mtu_is_the_trunks() -> None:
    """Data of an echo request: 28 octets less, and one more is too much."""
    lab = variant(("mtu: 1500", "mtu: 9000"))
    probes = {str(c.probe) for c in matrix(lab, tuple(Stage)).cells if c.family == "mtu"}
    assert probes == {"icmp:8972", "icmp:8973"}
    why = one(lab, "isolated-bbox1-to-bbox3-icmp:8973").expectation.why
    assert why == "one octet more than the MTU of 9000, with DF"


def one(lab: Topology, cell_id: str) -> Cell:
    """A cell by its id."""
    return cells_of(lab, Stage(cell_id.partition("-")[0]))[cell_id]


def outcome(lab: Topology, pair: str, probe: str, stage: Stage = Stage.ROUTED) -> str:
    """What is expected of a probe between a pair."""
    return one(lab, f"{stage}-{pair.replace('-', '-to-')}-{probe}").expectation.outcome


def test_kinds_that_were_not_chosen_have_no_cells() -> None:
    """And the families that have no others are told so."""
    made = matrix(TUTORIAL, (Stage.ROUTED,), frozenset(("arp",)))
    assert kinds(made.cells) == {"arp"}
    assert "mtu: none of its probes was chosen" in made.not_applicable
    assert "cross-vlan-l3: none of its probes was chosen" in made.not_applicable
