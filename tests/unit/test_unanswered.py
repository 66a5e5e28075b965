"""Endpoints without a default route: what arrives there, and no reply that leaves them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from harness.endpoints.namespace import NamespaceEndpoints
from harness.flow import Expectation, Outcome, Point, Ruling, Stage, Verdict
from harness.schedule import schedule
from harness.topology import Topology
from tests.unit import faults
from tests.unit.labs import altered, cells_of, shipped, variant
from tests.unit.play import Draft, Fault, judged
from tests.unit.wire import mirror

LAB = shipped("docker-options")
CELLS = cells_of(LAB, Stage.ROUTED)
UNANSWERED = "routed-bbox1-to-bbox3-udp"
CONTROL = "control/routed-bbox6-to-bbox3-udp"


def expected(pair: str, lab: Topology = LAB, kind: str = "icmp") -> Expectation:
    """What is expected of a pair when the lab is routed."""
    return cells_of(lab, Stage.ROUTED)[f"routed-{pair}-{kind}"].expectation


def verdict(*wrong: Fault) -> Verdict:
    """The verdict of the one cell, played with faults."""
    return judged(LAB, [CELLS[UNANSWERED]], *wrong)[UNANSWERED]


def test_an_internal_network_has_no_way_out() -> None:
    """Its router's address is in the file all the same, and nothing is sent there."""
    vlan = LAB.vlan(20)
    assert (vlan.gateway, vlan.way_out) == (IPv4Address("172.16.20.1"), None)
    assert LAB.vlan(10).way_out == LAB.vlan(10).gateway
    found = expected("bbox2-to-bbox1")
    assert (found.outcome, found.next_hop) == (Outcome.NO_ROUTE, None)
    assert found.why == "VLAN 20 is internal: its endpoints have no default route"


def test_a_namespace_of_an_internal_network_gets_no_default_route() -> None:
    """Neither of IPv4 nor of IPv6."""
    kind = NamespaceEndpoints()
    assert "route" not in [step["do"] for step in kind.steps(LAB, LAB.endpoint("bbox2"))]
    before = "    subnet6: 2001:db8:10::/64\n"
    dual = altered("dual-stack", (before, f"    access: internal\n{before}"))
    assert "route" not in [step["do"] for step in kind.steps(dual, dual.endpoint("bbox1"))]
    assert dual.ipv6.next_hop(dual.ipv6.endpoint("bbox1"), dual.ipv6.endpoint("bbox2")) is None


def test_what_comes_with_the_routers_own_address_is_answered() -> None:
    """That is in the subnet, so no route is needed."""
    found = expected("bbox1-to-bbox2")
    assert (found.outcome, found.via, found.seen_source) == (
        Outcome.REACHED, ("gateway",), "172.16.20.1",
    )  # fmt: skip


def test_what_comes_with_its_true_source_is_not() -> None:
    """It arrives, and no reply leaves."""
    found = expected("bbox1-to-bbox3")
    assert (found.outcome, found.arrives, found.unanswered) == (Outcome.SILENT, True, True)
    assert found.why == (
        "it arrives, but its reply does not: "
        "VLAN 30 is internal: its endpoints have no default route"
    )


@pytest.mark.parametrize(("masquerade", "fate"), [("[20]", "silent"), ("[30]", "reached")])
def test_only_the_last_router_is_a_neighbour(masquerade: str, fate: str) -> None:
    """The address of one before it is in another VLAN."""
    at_gw1, at_gw2 = "    rp_filter: 1\n", "    rp_filter: 0\n"
    where = at_gw1 if masquerade == "[20]" else at_gw2
    lab = altered("two-gateways", (where, f"{where}    masquerade: {masquerade}\n"))
    vlans = tuple(replace(vlan, internal=vlan.id == 30) for vlan in lab.vlans)
    found = expected("bbox1-to-bbox6", replace(lab, vlans=vlans))
    assert found.via == ("gw1", "gw2")
    assert (found.outcome, found.unanswered) == (fate, fate == "silent")


def test_a_reply_that_a_router_ends_did_leave() -> None:
    """Whoever has a default route answers, whatever becomes of that."""
    lab = variant(
        ("addresses: {10: 172.16.10.1, 20: 172.16.20.1}", "addresses: {20: 172.16.20.1}"),
        ("masquerade: [10, 20]", "masquerade: []"),
        ("forward: {policy: ACCEPT, between: [[10, 20], [20, 10]]}", "forward: {policy: ACCEPT}"),
    )
    assert [
        one.id for one in cells_of(lab, Stage.ROUTED).values() if one.expectation.unanswered
    ] == []


def test_it_arrives_and_a_later_probe_of_its_kind_is_answered() -> None:
    """By the destination: it does answer where it has a route."""
    found = verdict()
    assert found.ruling is Ruling.PASS
    assert found.why == f"no reply left bbox3, which answered {CONTROL} after it"
    assert (found.observation.arrived, found.observation.answered) == (True, False)
    assert found.proof.control == CONTROL
    assert (found.proof.left, found.proof.absent, found.proof.outcome) == (True, True, True)
    assert found.blocked


def test_its_control_is_lent() -> None:
    """One for all that is sent to the destination of the kind; no beacon could be answered."""
    also = "routed-bbox4-to-bbox3-udp"
    plan = schedule(LAB, [CELLS[UNANSWERED], CELLS[also]], CELLS.values())
    sent = [probe["id"] for wave in plan["waves"] for probe in wave["probes"]]
    assert sent == [UNANSWERED, also, CONTROL]
    alone = schedule(LAB, [CELLS[UNANSWERED]], [CELLS[UNANSWERED]])
    assert [probe["id"] for probe in alone["waves"][0]["probes"]] == [UNANSWERED]


def replied(draft: Draft) -> None:
    """The destination sends a reply, which gets no further."""
    arrived = draft.of(UNANSWERED)[-1]
    reply = mirror(arrived.wire, LAB.endpoint("bbox3").mac)
    point = Point("bbox3", "eth0", "out")
    draft.seen.append(replace(arrived, leg="reply", point=point, t_ns=arrived.t_ns + 1, wire=reply))


WRONG: dict[str, tuple[Fault, Ruling, str]] = {
    "it did not arrive": (
        faults.lost(UNANSWERED, "bbox3:eth0 (in)"), Ruling.FAIL,
        "it must arrive, but: it left, and nothing came back",
    ),
    "a reply left": (replied, Ruling.FAIL, "no reply must leave bbox3, but one did"),
    "its control has no reply": (
        faults.reply_lost(CONTROL), Ruling.UNPROVED,
        "it arrived, and no reply left bbox3; nor did bbox3 answer any udp that was sent after it",
    ),
    "its control came first": (
        faults.moved(CONTROL, -2 * 10**6), Ruling.UNPROVED,
        "it arrived, and no reply left bbox3; nor did bbox3 answer any udp that was sent after it",
    ),
    "a tap lost frames": (
        faults.tap("gateway", "eth2", drops=1), Ruling.UNPROVED,
        "taps lost frames, went down or were not open: gateway:eth2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong(name: str) -> None:
    """A failure where the network is wrong; unproved where nobody can tell."""
    fault, ruling, why = WRONG[name]
    found = verdict(fault)
    assert (found.ruling, found.why) == (ruling, why)
