"""From a stage's frames and readings to a cause a cell, and a diagnosis a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis import Diagnosed, diagnose, look
from harness.flow import Point, Stage
from harness.report.model import Evidence
from harness.sightings import find
from harness.topology import Topology
from harness.verdict import judge
from tests.unit import faults
from tests.unit.labs import TUTORIAL, cells_of, shipped
from tests.unit.play import Fault, play
from tests.unit.sick import Change, Readings, lab_of, named, route, rule

GW = "gateway"
ROUTED = "routed-bbox1-to-bbox4-icmp"
UDP, TCP = "routed-bbox1-to-bbox4-udp", "routed-bbox1-to-bbox4-tcp"
DIRECT = "routed-bbox1-to-bbox3-icmp"
LAYER2 = "routed-bbox1-to-bbox4-l2-unicast"
BEYOND = "routed-bbox1-to-bbox3-icmp:1473"
HAIRPIN = "routed-host1-to-bbox1-l2-unicast"
TOO_LATE = Point("bbox4", "eth0", "in")


def diagnosed(
    cells: tuple[str, ...],
    change: Change = lambda _: None,
    *wrong: Fault,
    alone: tuple[str, ...] = (),
    more: Callable[[tuple[Evidence, ...]], tuple[Evidence, ...]] = lambda entries: entries,
    lab: Topology = TUTORIAL,
) -> Diagnosed:
    """Play cells with faults, judge them, and diagnose from readings that were changed."""
    known = cells_of(lab, Stage.ROUTED)
    record = play(lab, [known[name] for name in cells], *wrong)
    sightings = find(record.frames, record.tokens)
    verdicts = judge(lab, record, sightings, known.values())
    lost = look(lab, record, sightings, verdicts)
    entries = more(lab_of(change, lab).state.evidence)
    return diagnose(lab, Stage.ROUTED, verdicts, lost, entries, alone=alone)


def only(found: Diagnosed) -> tuple[Code, str | None, str | None]:
    """The only diagnosis."""
    (one,) = found.diagnoses
    return one.code, one.node, one.subject


def translate(text: str) -> Change:
    """Put a rule before those of POSTROUTING."""
    return lambda readings: readings[GW, "firewall"].insert(1, rule("nat", text))


def no_rules(readings: Readings) -> None:
    """Nothing translates."""
    readings[GW, "firewall"] = [one for one in readings[GW, "firewall"] if one["table"] != "nat"]


def of(node: str, kind: str, **values: Any) -> Change:
    """Change a reading that is a mapping."""
    return lambda readings: readings[node, kind].update(values)


def of_link(node: str, name: str, **values: Any) -> Change:
    """Change an interface."""
    return lambda readings: named(readings, node, name).update(values)


def tc(port: str, direction: str) -> Change:
    """A filter on a switch port that nobody of the lab has put there."""
    one = {"interface": port, "direction": direction, "kind": "u32", "filter": True,
           "preference": 7, "handle": 1, "name": None}  # fmt: skip
    return lambda readings: readings["switch", "tc"].append(one)


def unmasked(cell: str) -> Fault:
    """It arrives with its own source address."""
    return faults.altered(cell, "bbox4:eth0 (in)", src_ip="172.16.10.10")


def readdressed(cell: str, at: str, **changes: Any) -> Fault:
    """It arrives with other fields."""
    return faults.altered(cell, at, **changes)


SAID: dict[str, tuple[str, Change, tuple[Fault, ...], Code, str | None, str | None]] = {
    "a place and a reading": (
        ROUTED, of(GW, "conf", **{"net.ipv4.ip_forward": "0"}),
        (faults.lost(ROUTED, "gateway:eth2.20 (out)"),), Code.IP_FORWARD_OFF, GW,
        "net.ipv4.ip_forward",
    ),
    "no NAT": (
        ROUTED, no_rules, (unmasked(ROUTED),), Code.MASQUERADE_MISSING, GW,
        "-A POSTROUTING -o eth2.20 -j MASQUERADE",
    ),
    "another NAT": (
        ROUTED, translate("-A POSTROUTING -o eth2.20 -j SNAT --to-source 172.16.20.99"),
        (readdressed(ROUTED, "bbox4:eth0 (in)", src_ip="172.16.20.99"),),
        Code.MASQUERADE_WRONG_ADDRESS, GW,
        "-A POSTROUTING -o eth2.20 -j SNAT --to-source 172.16.20.99",
    ),
    "NAT of what the router sends itself": (
        "routed-gateway-to-bbox4-icmp",
        translate("-A POSTROUTING -o eth2.20 -j SNAT --to-source 172.16.20.99"),
        (readdressed("routed-gateway-to-bbox4-icmp", "bbox4:eth0 (in)", src_ip="172.16.20.99"),),
        Code.MASQUERADE_WRONG_ADDRESS, GW,
        "-A POSTROUTING -o eth2.20 -j SNAT --to-source 172.16.20.99",
    ),
    "the source has another address": (
        DIRECT,
        lambda readings: readings["bbox1", "addresses"][0].update(address="172.16.10.50/24"),
        (readdressed(DIRECT, "bbox3:eth0 (in)", src_ip="172.16.10.50"),),
        Code.ENDPOINT_ADDRESS_WRONG, "bbox1", "172.16.10.50/24",
    ),
    "refused": (
        UDP, lambda _: None, (faults.reply_lost(UDP), faults.error(UDP, 3, 3, "172.16.20.11")),
        Code.SERVICE_REFUSED, "bbox4", "udp port 7",
    ),
    "led to where nobody listens": (
        UDP, lambda readings: readings["bbox4", "firewall"].append(
            rule("nat", "-A PREROUTING -p udp -m udp --dport 7 -j REDIRECT --to-ports 9")),
        (faults.reply_lost(UDP), faults.error(UDP, 3, 3, "172.16.20.11")), Code.SERVICE_REFUSED,
        "bbox4", "-A PREROUTING -p udp -m udp --dport 7 -j REDIRECT --to-ports 9",
    ),
    "NAT by another interface": (
        ROUTED, lambda readings: readings[GW, "firewall"].__setitem__(
            2, rule("nat", "-A POSTROUTING -o eth1 -j MASQUERADE")), (unmasked(ROUTED),),
        Code.WRONG_INTERFACE_IN_RULE, GW, "-A POSTROUTING -o eth1 -j MASQUERADE",
    ),
    "NAT of what is not to be translated": (
        DIRECT, lambda _: None, (readdressed(DIRECT, "bbox3:eth0 (in)", src_ip="172.16.10.77"),),
        Code.UNKNOWN, None, None,
    ),
    "an end of a blocked cell is down": (
        LAYER2, of_link("bbox4", "eth0", up=False), (faults.refused(LAYER2, 100),),
        Code.ENDPOINT_DOWN, "bbox4", "eth0",
    ),
    "two have the address of a blocked cell's end": (
        BEYOND, lambda readings: readings["host2", "addresses"].append(
            {"interface": "lo", "address": "172.16.10.10/32", "scope": "global"}),
        (faults.refused(BEYOND, 22),), Code.DUPLICATE_ADDRESS, "host2", "172.16.10.10/32",
    ),
    "it arrived in silence": (
        ROUTED, lambda readings: readings["bbox4", "firewall"].append(
            rule("filter", "-A INPUT -j DROP")), (faults.reply_lost(ROUTED),), Code.INPUT_DROP,
        "bbox4", "-A INPUT -j DROP",
    ),
    "rejected at the gateway": (
        UDP, lambda readings: readings[GW, "firewall"].insert(
            1, rule("filter", "-A FORWARD -p udp -j REJECT")),
        (faults.lost(UDP, "gateway:eth2.20 (out)"), faults.error(UDP, 3, 3, "172.16.10.1")),
        Code.REJECTED_BY_RULE, GW, "-A FORWARD -p udp -j REJECT",
    ),
    "rejected at the destination": (
        UDP, lambda readings: readings["bbox4", "firewall"].append(
            rule("filter", "-A INPUT -p udp -m udp --dport 1:100 -j REJECT")),
        (faults.reply_lost(UDP), faults.error(UDP, 3, 3, "172.16.20.11")),
        Code.REJECTED_BY_RULE, "bbox4", "-A INPUT -p udp -m udp --dport 1:100 -j REJECT",
    ),
    "its time ran out": (
        ROUTED, of("bbox1", "conf", **{"net.ipv4.ip_default_ttl": "1"}),
        (faults.lost(ROUTED, "gateway:eth2.20 (out)"), faults.error(ROUTED, 11, 0, "172.16.10.1")),
        Code.TTL_EXPIRED, "bbox1", "net.ipv4.ip_default_ttl",
    ),
    "its time ran out, nobody knows why": (
        ROUTED, lambda _: None,
        (faults.lost(ROUTED, "gateway:eth2.20 (out)"), faults.error(ROUTED, 11, 0, "172.16.10.1")),
        Code.TTL_EXPIRED, GW, "172.16.10.1",
    ),
    "too big for the gateway": (
        ROUTED, of_link(GW, "eth2.20", mtu=1000),
        (faults.lost(ROUTED, "gateway:eth2.20 (out)"), faults.error(ROUTED, 3, 4, "172.16.10.1")),
        Code.MTU_MISMATCH, GW, "eth2.20 mtu 1000",
    ),
    "too big for its source": (
        DIRECT, of_link("bbox1", "eth0", mtu=1000),
        (faults.lost(DIRECT, "bbox1:eth0 (out)"), faults.refused(DIRECT, 90)),
        Code.MTU_MISMATCH, "bbox1", "eth0 mtu 1000",
    ),
    "another TTL": (
        DIRECT, of("bbox1", "conf", **{"net.ipv4.ip_default_ttl": "32"}),
        (readdressed(DIRECT, "bbox3:eth0 (in)", ttl=32),), Code.TTL_EXPIRED, "bbox1",
        "net.ipv4.ip_default_ttl",
    ),
    "one hop more": (
        DIRECT, lambda readings: readings["bbox1", "tables"].append(
            route("172.16.10.11/32", "172.16.10.1", "eth0")),
        (readdressed(DIRECT, "bbox3:eth0 (in)", ttl=63),), Code.EXTRA_HOP, "bbox1",
        "172.16.10.11/32 via 172.16.10.1 dev eth0",
    ),
    "another way": (
        ROUTED, lambda readings: readings["bbox1", "tables"].__setitem__(
            1, route("default", "172.16.10.11", "eth0")),
        (faults.hidden(ROUTED, "gateway:eth2.10 (in)"),), Code.EXTRA_HOP, "bbox1",
        "default via 172.16.10.11 dev eth0",
    ),
    "no route": (
        ROUTED, lambda readings: readings["bbox1", "tables"].pop(),
        (faults.lost(ROUTED, "bbox1:eth0 (out)"), faults.refused(ROUTED, 101)),
        Code.DEFAULT_ROUTE_MISSING, "bbox1", "default",
    ),
    "no route for what must be too big": (
        "routed-bbox1-to-bbox4-icmp:1473", lambda readings: readings["bbox1", "tables"].pop(),
        (faults.refused("routed-bbox1-to-bbox4-icmp:1473", 101),), Code.DEFAULT_ROUTE_MISSING,
        "bbox1", "default",
    ),
    "it leaked: another parent": (
        LAYER2, of_link("bbox4", "eth0", parent_index=10),
        (faults.leaked(LAYER2, TOO_LATE),), Code.VLAN_ID_MISMATCH, "host2", "bbox4:eth0",
    ),
    "it leaked: the switch changed its tag": (
        LAYER2, lambda readings: readings["switch", "tc"].append({
            "interface": "host2", "direction": "egress", "kind": "bpf", "filter": True,
            "preference": 7, "handle": 1, "name": "x"}),
        (faults.altered(LAYER2, "switch:host2 (out)", tags=(20,)), faults.leaked(LAYER2, TOO_LATE)),
        Code.VLAN_LEAK, "switch", "host2",
    ),
    "it leaked: the switch took its tag off": (
        LAYER2, lambda _: None,
        (faults.altered(LAYER2, "switch:host2 (out)", tags=()), faults.leaked(LAYER2, TOO_LATE)),
        Code.NATIVE_VLAN_MISMATCH, "switch", "host2",
    ),
    "its host sends it without a tag": (
        DIRECT, lambda _: None,
        (faults.altered(DIRECT, "host1:eth2 (out)", tags=()),
         faults.lost(DIRECT, "switch:host2 (out)")),
        Code.UNTAGGED_LEAK, "host1", "eth2.10",
    ),
    "its host sends it with another tag": (
        DIRECT, lambda _: None,
        (faults.altered(DIRECT, "host1:eth2 (out)", tags=(30,)),
         faults.lost(DIRECT, "switch:host2 (out)")),
        Code.VLAN_ID_MISMATCH, "host1", "eth2.10",
    ),
    "the tag is another at the host": (
        DIRECT, lambda _: None,
        (faults.altered(DIRECT, "host2:eth2 (in)", tags=(20,)),
         faults.lost(DIRECT, "host2:eth2.10 (in)")),
        Code.VLAN_LEAK, "host2", "eth2",
    ),
    "a hairpin": (
        HAIRPIN, of_link("switch", "host1", hairpin=1),
        (faults.leaked(HAIRPIN, Point("bbox1", "eth0", "in")),),
        Code.MACVLAN_PARENT_ISOLATION, "switch", "host1",
    ),
    "a mirror": (
        HAIRPIN, tc("host1", "ingress"),
        (faults.leaked(HAIRPIN, Point("switch", "host1", "out"), 10),
         faults.leaked(HAIRPIN, Point("bbox1", "eth0", "in"))),
        Code.MACVLAN_PARENT_ISOLATION, "switch", "dev host1 ingress pref 7 u32",
    ),
    "a filter that sends nothing back": (
        HAIRPIN, tc("host1", "egress"),
        (faults.leaked(HAIRPIN, Point("switch", "host1", "out"), 10),
         faults.leaked(HAIRPIN, Point("bbox1", "eth0", "in"))),
        Code.UNKNOWN, None, None,
    ),
    "a filter where nothing came back": (
        HAIRPIN, tc("host1", "ingress"),
        (faults.leaked(HAIRPIN, Point("bbox1", "eth0", "in")),),
        Code.UNKNOWN, None, None,
    ),
    "one answers for all": (
        "routed-bbox1-to-bbox4-arp", of("bbox2", "conf", **{"net.ipv4.conf.all.proxy_arp": "1"}),
        (faults.leaked("routed-bbox1-to-bbox4-arp", TOO_LATE),), Code.PROXY_ARP_LEAK, "bbox2",
        "net.ipv4.conf.all.proxy_arp",
    ),
    "nobody knows": (
        ROUTED, lambda _: None, (faults.lost(ROUTED, "gateway:eth2.20 (out)"),), Code.UNKNOWN, GW,
        "gateway:eth2.20 (out)",
    ),
    "it was not sent": (
        DIRECT, lambda _: None, (faults.unsent(DIRECT),),
        Code.PROBE_NOT_SENT, "bbox1", None,
    ),
    "a tap was blind": (
        DIRECT, lambda _: None, (faults.tap("host2", "eth2", drops=3),), Code.TAP_DEAD, "host2",
        "eth2",
    ),
    "an end is down, and nothing can be told": (
        BEYOND, of_link("bbox1", "eth0", up=False), (faults.refused(BEYOND, 100),),
        Code.ENDPOINT_DOWN, "bbox1", "eth0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_a_cell_has_its_cause(case: str) -> None:
    """One cell is not green: its cause, and the only diagnosis, are these."""
    cell, change, wrong, code, node, subject = SAID[case]
    found = diagnosed((cell,), change, *wrong)
    (verdict,) = found.verdicts
    assert not verdict.ok
    assert verdict.cause is not None
    assert (verdict.cause.code, verdict.cause.node, verdict.cause.subject) == (code, node, subject)
    assert only(found) == (code, node, subject)


def test_what_is_green_has_no_cause() -> None:
    """And no diagnosis is made."""
    found = diagnosed((ROUTED, DIRECT))
    assert found.diagnoses == ()
    assert all(one.cause is None for one in found.verdicts)


def test_one_fault_is_one_diagnosis_of_all_its_cells() -> None:
    """Message and fix are said once; each cell says where it was lost, and what shows it."""
    cells = (ROUTED, UDP, TCP)
    wrong = [faults.lost(cell, "gateway:eth2.20 (out)") for cell in cells]
    found = diagnosed((*cells, DIRECT), of(GW, "conf", **{"net.ipv4.ip_forward": "0"}), *wrong)
    (one,) = found.diagnoses
    assert set(one.cells) == set(cells)
    assert one.fix == "sysctl -w net.ipv4.ip_forward=1"
    assert one.message == "gateway does not forward: net.ipv4.ip_forward is 0"
    for verdict in found.verdicts:
        if verdict.cell.id in cells:
            assert verdict.cause is not None
            assert verdict.cause.detail.startswith("the probe came in at gateway:eth2.10 (in)")
            assert "routed/gateway/conf/asked" in verdict.evidence


def test_two_faults_are_two_diagnoses() -> None:
    """Each explains the cells that it touches, the larger one first."""
    back = "routed-bbox4-to-bbox1-icmp"

    def change(readings: Readings) -> None:
        readings[GW, "firewall"].insert(1, rule("filter", "-A FORWARD -s 172.16.10.10/32 -j DROP"))
        readings["bbox4", "tables"].pop()

    wrong = [faults.lost(cell, "gateway:eth2.20 (out)") for cell in (ROUTED, UDP)]
    found = diagnosed(
        (ROUTED, UDP, back), change, *wrong, faults.lost(back, "bbox4:eth0 (out)"),
        faults.refused(back, 101),
    )  # fmt: skip
    assert [(one.code, len(one.cells)) for one in found.diagnoses] == [
        (Code.FORWARD_RULE_DROP, 2),
        (Code.DEFAULT_ROUTE_MISSING, 1),
    ]


def test_what_was_counted_while_a_cell_was_sent_alone_names_the_rule() -> None:
    """Of two rules with a condition that nobody can answer, the one that counted it."""
    texts = [f"-A FORWARD -m u32 --u32 {number} -j DROP" for number in (1, 2)]

    def change(readings: Readings) -> None:
        readings[GW, "firewall"][1:1] = [rule("filter", text) for text in texts]

    def more(entries: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        (asked,) = [one for one in entries if one.name == "routed/gateway/firewall/asked"]
        after = [dict(one) for one in asked.parsed]
        next(one for one in after if one.get("rule") == texts[1])["packets"] = 1
        name = f"routed/gateway/firewall/after-{ROUTED}"
        return (*entries, replace(asked, name=name, parsed=after))

    wrong = faults.lost(ROUTED, "gateway:eth2.20 (out)")
    found = diagnosed((ROUTED,), change, wrong, alone=(ROUTED,), more=more)
    assert only(found) == (Code.FORWARD_RULE_DROP, GW, texts[1])


def test_a_cell_without_its_control_shares_the_fault_of_the_control() -> None:
    """What would have vouched for it was lost for a reason that was found."""
    blocked, control = "routed-bbox2-to-bbox3-l2-unicast", "routed-bbox1-to-bbox3-l2-unicast"
    wrong = faults.lost(control, "host2:eth2.10 (in)")
    found = diagnosed((blocked, control), of_link("host2", "eth2.10", up=False), wrong)
    assert only(found) == (Code.PARENT_DOWN, "host2", "eth2.10")


def test_what_nothing_explains_shares_the_only_fault_of_its_way() -> None:
    """A stray at a node that is known to be sick."""
    stray = faults.leaked(DIRECT, Point("bbox4", "eth0", "in"))
    found = diagnosed((DIRECT,), of_link("bbox4", "eth0", parent_index=10), stray)
    assert only(found) == (Code.VLAN_ID_MISMATCH, "host2", "bbox4:eth0")


def test_unknown_says_what_was_ruled_out() -> None:
    """So that nobody has to ask the same again."""
    found = diagnosed((ROUTED,), lambda _: None, faults.lost(ROUTED, "gateway:eth2.20 (out)"))
    (one,) = found.diagnoses
    ruled_out = one.message.partition("ruled out: ")[2].split(", ")
    assert {"ip-forward-off", "forward-policy-drop", "rp-filter-drop"} <= set(ruled_out)
    assert one.fix == ""


JUMBO = "routed-bbox1-to-bbox2-icmp:8972"


def test_what_a_router_must_say_may_be_dropped_by_its_own_rule() -> None:
    """The black hole of path MTU discovery: it went no further, and nobody is told."""
    text = "-A OUTPUT -p icmp -m icmp --icmp-type fragmentation-needed -j DROP"

    def change(readings: Readings) -> None:
        readings[GW, "firewall"].append(rule("filter", text))

    lab = shipped("jumbo")
    silent = faults.reply_lost(JUMBO, "error")
    found = diagnosed((JUMBO,), change, silent, lab=lab)
    assert only(found) == (Code.OUTPUT_DROP, GW, text)
    found = diagnosed((JUMBO,), lambda _: None, silent, lab=lab)
    assert only(found) == (Code.UNKNOWN, None, None)


def test_an_external_router_is_not_looked_into() -> None:
    """Between its ports is the honest answer."""
    lost = faults.lost(ROUTED, "switch:router (in)")
    found = diagnosed((ROUTED,), lambda _: None, lost, lab=shipped("external-router"))
    (one,) = found.diagnoses
    assert one.code is Code.UNKNOWN
    assert "between switch:router (out) and switch:router (in)" in one.message
