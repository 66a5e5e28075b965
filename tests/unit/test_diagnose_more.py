"""Rarer ways of cells: leaks by mode or by a host that routes, faults that several cells share."""

from __future__ import annotations

from harness.causes import Code
from harness.diagnosis import Lost, together
from harness.diagnosis.diagnose import Diagnosed, diagnose, look
from harness.flow import Point, Ruling, Stage
from harness.path import turned, way_back
from harness.sightings import find
from harness.topology import Topology
from harness.verdict import judge
from harness.walk import path
from tests.unit import faults
from tests.unit.labs import TUTORIAL, cells_of, shipped
from tests.unit.play import Fault, play
from tests.unit.sick import Change, Readings, lab_of, rule
from tests.unit.test_checks import nft, put
from tests.unit.test_diagnose import DIRECT, ROUTED, diagnosed, of, of_link, only, unmasked
from tests.unit.test_place import BBOX3, NOT_SENT, WAY, in_vain

BLOCKED = "routed-bbox1-to-bbox4-arp"
PARENT = "routed-host1-to-bbox1-l2-unicast"
DROP_ALL = nft("netdev", "ingress", {"drop": None}, dev="eth2.10")


def isolated(lab: Topology, cell: str, change: Change, *wrong: Fault) -> Diagnosed:
    """What is found of one cell of the stage isolated, in a lab that was changed."""
    known = cells_of(lab, Stage.ISOLATED)
    record = play(lab, [known[cell]], *wrong)
    sightings = find(record.frames, record.tokens)
    verdicts = judge(lab, record, sightings, known.values())
    lost = look(lab, record, sightings, verdicts)
    state = lab_of(change, lab, Stage.ISOLATED).state
    return diagnose(lab, Stage.ISOLATED, verdicts, lost, state.evidence)


def test_a_leak_by_another_mode() -> None:
    """Macvlan kept them apart, in another mode it does not."""
    cell = "isolated-private1a-to-private1b-l2-broadcast"
    leak = faults.leaked(cell, Point("private1b", "eth0", "in"))
    change = of_link("private1b", "eth0", macvlan_mode="bridge")
    found = isolated(shipped("macvlan-modes"), cell, change, leak)
    assert only(found) == (Code.MACVLAN_MODE_ISOLATES, "private1b", "eth0 mode bridge")


def test_a_leak_where_the_switch_may_send_back() -> None:
    """A hairpin port that the topology asks for is not what let it through."""
    cell = "isolated-bridge2a-to-private2a-l2-broadcast"
    leak = faults.leaked(cell, Point("private2a", "eth0", "in"))
    found = isolated(shipped("macvlan-modes"), cell, lambda _: None, leak)
    assert only(found)[0] is Code.UNKNOWN


def test_a_leak_by_a_host_that_routes() -> None:
    """Nobody must route in the stage isolated."""
    cell = "isolated-bbox1-to-bbox4-icmp"
    leak = (faults.stray_out(cell, "bbox1"), faults.leaked(cell, Point("bbox4", "eth0", "in")))
    change = of("host1", "conf", **{"net.ipv4.ip_forward": "1"})
    found = isolated(TUTORIAL, cell, change, *leak)
    assert only(found) == (Code.EXTRA_HOP, "host1", "net.ipv4.ip_forward")


def test_a_leak_that_nothing_explains() -> None:
    """Layer 2, no hairpin, no proxy, no mode: unknown is the honest answer."""
    leak = faults.leaked(PARENT, Point("bbox1", "eth0", "in"))
    assert only(diagnosed((PARENT,), lambda _: None, leak))[0] is Code.UNKNOWN
    other = faults.leaked(BLOCKED, Point("bbox4", "eth0", "in"))
    assert only(diagnosed((BLOCKED,), lambda _: None, other))[0] is Code.UNKNOWN


def test_a_question_with_another_tag() -> None:
    """What changed the tag of a kernel's question is the switch, and it is why nothing left."""
    retag = faults.altered("", "switch:host2 (out)", "kernel", tags=(20,))
    found = diagnosed((DIRECT,), lambda _: None, NOT_SENT, in_vain("bbox1", BBOX3, *WAY), retag)
    assert only(found) == (Code.VLAN_LEAK, "switch", "host2")


def test_a_question_that_one_wire_drops() -> None:
    """ARP is lost where other frames pass: seen by another cell, that passed there."""
    layer2 = "routed-bbox1-to-bbox3-l2-unicast"
    found = diagnosed((DIRECT, layer2), lambda _: None, NOT_SENT, in_vain("bbox1", BBOX3, *WAY[:5]))
    assert only(found) == (Code.ARP_FILTERED, "switch", "host2")


def test_a_blocked_cell_shares_what_took_its_control() -> None:
    """A rule on the wire to its destination: what would have vouched for it was lost there."""
    blocked, control = "routed-bbox2-to-bbox3-l2-unicast", "routed-bbox1-to-bbox3-l2-unicast"
    wrong = faults.lost(control, "bbox3:eth0 (in)")
    found = diagnosed((blocked, control), put("host2", "nftables", *DROP_ALL), wrong)
    assert only(found) == (Code.TRUNK_DROPS_VLAN, "host2", "netdev t c: drop")
    assert {one.ruling for one in found.verdicts} == {Ruling.FAIL, Ruling.UNPROVED}


def test_a_blocked_cell_without_a_control_and_without_a_reason() -> None:
    """Its control has a place, and nothing that was read says more."""
    blocked, control = "routed-bbox2-to-bbox3-l2-unicast", "routed-bbox1-to-bbox3-l2-unicast"
    wrong = faults.lost(control, "bbox3:eth0 (in)")
    found = diagnosed((blocked, control), lambda _: None, wrong)
    assert {one.code for one in found.diagnoses} == {Code.UNKNOWN}


def test_a_stray_shares_the_only_fault_of_its_source() -> None:
    """Nothing says why it strayed; its source is known to be sick."""

    def change(readings: Readings) -> None:
        readings["bbox1", "tables"].pop()

    stray = faults.leaked(DIRECT, Point("bbox2", "eth0", "in"))
    lost = (faults.lost(ROUTED, "bbox1:eth0 (out)"), faults.refused(ROUTED, 101))
    found = diagnosed((DIRECT, ROUTED), change, stray, *lost)
    assert only(found) == (Code.DEFAULT_ROUTE_MISSING, "bbox1", "default")


def test_a_cell_that_passed_alone_says_nothing_of_others() -> None:
    """It was sent again, and has no place."""
    wrong = faults.lost(ROUTED, "gateway:eth2.20 (out)")
    found = diagnosed((ROUTED, DIRECT), lambda _: None, wrong, alone=(DIRECT,))
    assert only(found)[0] is Code.UNKNOWN


def test_a_nat_rule_that_is_wrong_and_the_only_one_is_replaced() -> None:
    """Taken away alone it would leave none."""

    def change(readings: Readings) -> None:
        text = "-A POSTROUTING -o eth2.20 -j SNAT --to-source 172.16.20.99"
        readings["gateway", "firewall"][2] = rule("nat", text)

    found = diagnosed((ROUTED,), change, unmasked(ROUTED))
    (one,) = found.diagnoses
    assert one.code is Code.MASQUERADE_WRONG_ADDRESS
    assert one.fix.endswith("&& iptables -t nat -A POSTROUTING -o eth2.20 -j MASQUERADE")


def test_ttls_and_ways_that_nothing_explains() -> None:
    """More than it was sent with, or another way that no route says."""
    more = faults.altered(DIRECT, "bbox3:eth0 (in)", ttl=128)
    assert only(diagnosed((DIRECT,), lambda _: None, more))[0] is Code.UNKNOWN
    hidden = faults.hidden(ROUTED, "gateway:eth2.10 (in)")
    assert only(diagnosed((ROUTED,), lambda _: None, hidden))[0] is Code.UNKNOWN
    unmasked_ = unmasked(ROUTED)
    assert only(diagnosed((ROUTED,), lambda _: None, unmasked_))[0] is Code.MASQUERADE_WRONG_ADDRESS


def test_too_big_where_nothing_is_small() -> None:
    """Somebody says so whose interfaces are as they must be."""
    said = (faults.lost(ROUTED, "gateway:eth2.20 (out)"), faults.error(ROUTED, 3, 4, "172.16.10.1"))
    assert only(diagnosed((ROUTED,), lambda _: None, *said))[0] is Code.UNKNOWN


def test_what_several_sweeps_found_is_one() -> None:
    """A stage may be swept in parts."""
    known = cells_of(TUTORIAL, Stage.ROUTED)
    parts: list[Lost] = []
    for cell in (ROUTED, DIRECT):
        record = play(TUTORIAL, [known[cell]], faults.reply_lost(cell))
        sightings = find(record.frames, record.tokens)
        verdicts = judge(TUTORIAL, record, sightings, known.values())
        parts.append(look(TUTORIAL, record, sightings, verdicts))
    assert set(together(parts).places) == {ROUTED, DIRECT}


def test_a_reply_may_have_a_way_of_its_own() -> None:
    """Two gateways lead to each other's VLANs: the answer goes by the other one alone."""
    lab = shipped("two-gateways")
    cell = cells_of(lab, Stage.ROUTED)["routed-bbox3-to-bbox1-icmp"]
    there = path(lab, cell)
    back = way_back(lab, cell, there)
    assert "gw1" not in {way.point.node for way in there}
    assert "gw1" in {way.point.node for way in back}
    here = cells_of(TUTORIAL, Stage.ROUTED)[ROUTED]
    assert way_back(TUTORIAL, here, path(TUTORIAL, here)) == turned(path(TUTORIAL, here))


def test_rules_and_routes_that_are_not_why() -> None:
    """A rule that leads elsewhere, but not this; a router that says so has no small interface."""
    udp = "routed-bbox1-to-bbox4-udp"

    def change(readings: Readings) -> None:
        others = ("-A PREROUTING -p tcp -j REDIRECT --to-ports 9", "-A PREROUTING -p udp -j ACCEPT")
        readings["bbox4", "firewall"] += [rule("nat", text) for text in others]
        readings["bbox4", "firewall"].append(rule("filter", "-A INPUT -p tcp -j ACCEPT"))

    said = (faults.reply_lost(udp), faults.error(udp, 3, 3, "172.16.20.11"))
    assert only(diagnosed((udp,), change, *said)) == (Code.SERVICE_REFUSED, "bbox4", "udp port 7")
