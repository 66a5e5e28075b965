"""Parts of an opened cell: its way over the drawing, what it used, what its cause rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Cause, Code
from harness.flow import Hop, Point, Verdict
from harness.report.html import hops, used
from harness.report.html.cited import MOST, Citations
from harness.report.html.drawing import draw
from harness.report.html.way import Ways
from harness.report.model import Evidence
from harness.topology import Topology, parse
from harness.topology.generate import generate
from tests.unit.builders import cell, failed, hop, passed, reading
from tests.unit.labs import TUTORIAL, shipped
from tests.unit.pages import LOST, bad, good

ROUTED = next(one for one in good().verdicts if one.cell.id == LOST)
FORWARD = "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"


def ways(lab: Topology = TUTORIAL) -> Ways:
    """The ways of a page that has told nothing yet."""
    return Ways(lab, draw(lab, {}, {}))


def test_a_routed_way_goes_through_every_box() -> None:
    """Letters are the table's, steps the tutorial's, and the router's NAT is marked."""
    path = ROUTED.observation.path
    found = ways().of(ROUTED, hops.steps(ROUTED.cell, path))
    assert found
    assert "".join(mark.label for mark in found.marks) == "abcdefghijklmn"
    assert [(mark.label, mark.step) for mark in found.marks if mark.step] == [
        ("a", 1), ("g", 2), ("h", 3), ("n", 4),
    ]  # fmt: skip
    assert [mark.label for mark in found.marks if mark.nat] == ["h"]
    assert len(found.line.split()) == len(path)
    assert len({(mark.x, mark.y) for mark in found.marks}) == len(path)


def test_marks_are_at_what_they_mark() -> None:
    """An endpoint's beside its name, on the side that frames come in or go out by."""
    drawn = draw(TUTORIAL, {}, {})
    boxes = {box.name: box for box in drawn.boxes}
    line = next(line for line in boxes["host2"].lines if line.pick == "node bbox4")
    found = Ways(TUTORIAL, drawn)
    assert found.place(Point("bbox4", "eth0", "in")) == (boxes["host2"].x, line.y - 4)
    out = found.place(Point("bbox4", "eth0", "out"))
    assert out == (boxes["host2"].x + boxes["host2"].width, line.y - 4)
    down, up = (found.place(Point("host2", "eth2", way)) for way in ("out", "in"))
    assert down and up and up[0] < down[0]  # noqa: PT018 - one place
    at_switch = found.place(Point("switch", "host2", "in"))
    assert at_switch == (down[0], drawn.trunks[0].y)
    assert found.place(Point("host2", "eth1", "in")) == (boxes["host2"].x, boxes["host2"].y + 20)
    assert found.place(Point("nobody", "eth0", "in")) is None


def test_where_it_was_lost_is_marked_and_where_it_was_seen_last() -> None:
    """Of a failing cell in the colours of a fault; of one that must end there, as its end."""
    lost = next(one for one in bad().verdicts if one.cell.id == LOST)
    found = ways().of(lost, {})
    assert found
    assert [(mark.kind, mark.label) for mark in found.marks[-2:]] == [("last", "g"), ("lost", "✗")]
    blocked = next(one for one in good().verdicts if one.ok and one.observation.lost_at
                   and one.observation.path)  # fmt: skip
    ended = ways().of(blocked, {})
    assert ended
    assert [mark.kind for mark in ended.marks[-2:]] == ["hop", "stop"]


def test_a_way_is_drawn_once() -> None:
    """Cells that went the same way refer to it; where nobody saw anything nothing is drawn."""
    drawn = ways()
    assert [drawn.of(ROUTED, {}).first for _ in range(2)] == [True, False]  # type: ignore[union-attr]
    assert drawn.of(replace(ROUTED, observation=replace(ROUTED.observation, path=())), {}) is None


def test_two_marks_are_never_at_one_place() -> None:
    """Of a host that has too many endpoints to draw, all are at the line of their VLAN."""
    lab = parse(generate("vlans=2,hosts=2,endpoints=60"), "large.yaml")
    names = [end.name for end in lab.endpoints if end.host == "host1" and end.vlan == 10][:3]
    path = tuple(_hop(name, "eth0", "out") for name in names)
    one = passed(cell(names[0], names[1]))
    found = ways(lab).of(replace(one, observation=replace(one.observation, path=path)), {})
    assert found
    assert len({(mark.x, mark.y) for mark in found.marks}) == 3


def test_a_node_that_is_not_drawn_is_left_out() -> None:
    """The line goes on without it, and so does the comparison of addresses."""
    path = (_hop("bbox1", "eth0", "out"), _hop("nobody", "eth0", "in", src_ip="172.16.20.1"),
            _hop("bbox3", "eth0", "in", src_ip="172.16.20.1"))  # fmt: skip
    one = failed(cell("bbox1", "bbox3"), path=path, lost_at=Point("nobody", "eth0", "out"))
    found = ways().of(one, {})
    assert found
    assert [(mark.label, mark.nat) for mark in found.marks] == [("a", False), ("c", False)]


def _hop(node: str, interface: str, direction: str, **fields: Any) -> Hop:
    return replace(hop(node, direction, **fields), point=Point(node, interface, direction))


def test_changes_are_told_in_words() -> None:
    """Tags that are put on, taken off and turned into others; NAT of both addresses."""
    path = (hop("a", vlan=None), hop("b", vlan=10), hop("c", vlan=20, dst_ip="10.0.0.1"))
    assert [row.change for row in hops.rows(path, {}, None)] == [
        "", "tag 10 on", "tag 10 → 20, destination NAT",
    ]  # fmt: skip
    assert [hops.label(number) for number in (0, 25, 26)] == ["a", "z", "a2"]


def test_the_timeline_goes_from_the_first_sighting_to_the_reply() -> None:
    """Of a millisecond that the reply took, a sighting after half of it is in the middle."""
    path = (hop("a"), hop("b", t_ns=500_000))
    assert [row.part for row in hops.rows(path, {}, 1.0)] == [0, 10]
    assert [row.part for row in hops.rows(path, {}, None)] == [0, 20]
    assert list(hops.rows((), {}, None)) == []


# --- what a probe used ----------------------------------------------------------------------------


def tables(**changed: Any) -> tuple[Evidence, ...]:
    """What is read around a routed ping of the tutorial lab."""
    rule = {"table": "filter", "chain": "FORWARD", "rule": FORWARD}
    other = {**rule, "rule": FORWARD.replace("eth2.10", "eth2.30"), "packets": 9}
    policy = {"table": "filter", "chain": "FORWARD", "policy": "ACCEPT"}
    negated = {**rule, "rule": "-A FORWARD ! -i eth9 -j ACCEPT", "packets": 2}
    flow = {"src": "172.16.10.10", "dst": "172.16.20.11", "protocol": 1}
    parsed: dict[str, tuple[str, str, Any]] = {
        "routed/bbox1/route-get/172.16.20.11/after": (
            "bbox1", "route-get", {"via": "172.16.10.1", "interface": "eth0"}),
        "routed/gateway/route-get/172.16.20.11/after": (
            "gateway", "route-get", {"via": None, "interface": "eth2.20"}),
        "routed/bbox1/neighbours/main": (
            "bbox1", "neighbours", [{"address": "172.16.10.1", "mac": "02:01", "state": "DELAY"}]),
        "routed/gateway/neighbours/main": (
            "gateway", "neighbours", [{"address": "172.16.20.11", "mac": None, "state": "FAILED"}]),
        "routed/gateway/firewall/before": (
            "gateway", "firewall", [{**rule, "packets": 1}, {**policy, "packets": 4}]),
        "routed/gateway/firewall/after": (
            "gateway", "firewall",
            [{**rule, "packets": 3}, {**policy, "packets": 5}, other, negated, {"chain": "X"}]),
        "routed/gateway/conntrack/after": (
            "gateway", "conntrack",
            [{"original": {**flow, "protocol": 6}, "reply": {}},
             {"original": flow, "reply": {"src": "172.16.20.11", "dst": "172.16.20.1"}}]),
    }  # fmt: skip
    parsed = {name: changed.get(entry[1], entry) for name, entry in parsed.items()}
    return tuple(
        reading(name, node=node, kind=kind, parsed=value)
        for name, (node, kind, value) in parsed.items()
    )


def told(one: Verdict, evidence: tuple[Evidence, ...]) -> list[str]:
    """What a probe used, in words."""
    found = used.tables(TUTORIAL, (*evidence, reading("routed/x/links/after", kind="links")))
    return [f"{each.node} {each.what} {each.text}" for each in found["routed"].of(one)]


def test_a_routed_probe_used_routes_entries_rules_and_a_flow() -> None:
    """At its source and at its router; rules of other interfaces are none of its."""
    assert told(ROUTED, tables()) == [
        "bbox1 route 172.16.20.11 via 172.16.10.1 dev eth0",
        "bbox1 neighbour 172.16.10.1 is at 02:01 (DELAY)",
        "gateway route 172.16.20.11 dev eth2.20",
        "gateway neighbour 172.16.20.11 is at nobody (FAILED)",
        f"gateway rule filter: {FORWARD}  (matched 2 of this stage's packets)",
        "gateway rule filter: policy of FORWARD: ACCEPT  (matched 1 of this stage's packets)",
        ("gateway rule filter: -A FORWARD ! -i eth9 -j ACCEPT  "
        "(matched 2 of this stage's packets)"),
        ("gateway flow 172.16.10.10 to 172.16.20.11; "
        "its reply comes from 172.16.20.11 to 172.16.20.1"),
    ]  # fmt: skip


def test_what_was_not_read_is_not_told() -> None:
    """No reading, no line; a router that did not see the packet has used no rule."""
    only = tuple(entry for entry in tables() if entry.node == "bbox1")
    assert [line.split()[0] for line in told(ROUTED, only)] == ["bbox1", "bbox1"]
    seen = ROUTED.observation
    short = replace(ROUTED, observation=replace(seen, path=seen.path[:1]))
    assert not [line for line in told(short, tables()) if "rule" in line or "flow" in line]
    assert told(replace(ROUTED, observation=replace(seen, path=(), left=False)), tables()) == []
    elsewhere: dict[str, Any] = {
        "conntrack": ("gateway", "conntrack", []),
        "route-get": ("bbox1", "route-get", {}),
    }
    assert [line.split()[1] for line in told(ROUTED, tables(**elsewhere))] == [
        "neighbour", "rule", "rule", "rule",
    ]  # fmt: skip


def test_frames_use_no_route() -> None:
    """ARP and frames of layer 2 do not ask for one; nor is a router's own address an endpoint."""
    frame = next(one for one in good().verdicts if one.cell.id == "routed-bbox1-to-bbox3-arp")
    assert told(frame, tables()) == []
    own = next(one for one in good().verdicts if one.cell.id == "routed-gateway-to-bbox1-icmp")
    assert told(own, tables()) == []
    to = next(one for one in good().verdicts if one.cell.id == "routed-bbox1-to-gateway-icmp")
    assert told(to, tables()) == []


# --- what a cause rests on ------------------------------------------------------------------------

POLICY = Cause(Code.FORWARD_POLICY_DROP, "gateway", "FORWARD", "the policy of FORWARD is DROP")


def cited(cause: Cause | None, *raw: str) -> list[tuple[str, bool]] | None:
    """The excerpt of readings `routed/gateway/firewall/N` for a cause."""
    evidence = [reading(f"routed/gateway/firewall/{n}", raw=text) for n, text in enumerate(raw)]
    names = (*(entry.name for entry in evidence), "not/in/it")
    one = replace(failed(cell("bbox1", "bbox4")), cause=cause, evidence=names)
    found = Citations(evidence).of(one)
    return list(found.lines) if found else None


def test_the_line_that_a_cause_rests_on_is_marked() -> None:
    """With what stands around it."""
    text = ":INPUT ACCEPT [0:0]\n:FORWARD DROP [7:588]\n:OUTPUT ACCEPT [0:0]\n-A X\n-A Y\n"
    assert cited(POLICY, text) == [
        (":INPUT ACCEPT [0:0]", False), (":FORWARD DROP [7:588]", True),
        (":OUTPUT ACCEPT [0:0]", False), ("-A X", False),
    ]  # fmt: skip


def test_the_newest_reading_is_cited() -> None:
    """What was read after the probes has their counters."""
    assert cited(POLICY, ":FORWARD DROP [0:0]", ":FORWARD DROP [7:588]") == [
        (":FORWARD DROP [7:588]", True)
    ]


@pytest.mark.parametrize(
    ("cause", "raw"),
    [
        (None, ":FORWARD DROP [0:0]"),
        (POLICY, ":INPUT ACCEPT [0:0]"),
        (POLICY, ":FORWARD DROP\n" * (MOST + 1)),
        (replace(POLICY, node="host1"), ":FORWARD DROP [0:0]"),
        (replace(POLICY, code=Code.IP_FORWARD_OFF), ":FORWARD DROP [0:0]"),
    ],
    ids=["no-cause", "no-line", "too-many", "another-node", "another-kind"],
)
def test_nothing_is_cited_that_does_not_say_it(cause: Cause | None, raw: str) -> None:
    """A line is shown as the reason only where it is that."""
    assert not cited(cause, raw)


def test_a_value_is_cited_without_a_subject() -> None:
    """The names and values of the sentence are enough."""
    cause = Cause(Code.FORWARD_POLICY_DROP, None, None, "the policy of FORWARD is DROP")
    assert cited(cause, ":INPUT DROP [0:0]\n:FORWARD DROP [0:0]") == [
        (":INPUT DROP [0:0]", False), (":FORWARD DROP [0:0]", True),
    ]  # fmt: skip


def test_external_routers_have_ways_too() -> None:
    """What the harness does not look into is a box, and its switch port a place."""
    lab = shipped("external-router")
    for one in good(lab).verdicts:
        if one.observation.path:
            assert ways(lab).of(one, {})
