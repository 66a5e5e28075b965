"""Parts of the page: the sentence on top, the drawing, the evidence."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest

from harness import topology
from harness.report.html import overview, readings
from harness.report.html.drawing import MAX_ENDPOINTS, draw
from harness.report.html.states import Note, State, notes, states
from harness.topology.generate import generate
from tests.unit.builders import cell, failed, reading, report, unproved
from tests.unit.labs import FILE, NO_GATEWAY, ONE_VLAN, TUTORIAL, shipped
from tests.unit.pages import EVIDENCE, bad, good

VOID = {"meta", "br", "rect", "path"}
GOOD = good()


def test_a_good_run_is_told_in_a_sentence() -> None:
    """Who knows nothing of cells learns what holds: separation, the way, translation."""
    assert overview.sentence(GOOD, TUTORIAL) == (
        f"All {len(GOOD.verdicts)} cells proved. VLAN 10 and VLAN 20 are separate at layer 2. "
        "Routed traffic goes through gateway, which puts its own address in the place of the "
        "source's. In the stages isolated and undone nothing gets from one VLAN into another."
    )


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        (NO_GATEWAY, "In the stage isolated nothing gets from one VLAN into another."),
        (ONE_VLAN, "cells proved."),
        (shipped("dual-stack"), "Routed traffic goes through gateway, which puts its own"),
        (shipped("external-router"), "Routed traffic goes through"),
    ],
)
def test_the_sentence_says_what_the_cells_show(lab: topology.Topology, said: str) -> None:
    """Nothing is said of gateways or VLANs that a lab does not have."""
    assert said in overview.sentence(good(lab), lab)


def test_a_run_that_went_wrong_is_told_by_its_counts() -> None:
    """What failed and what could not be told are different sentences."""
    lost, untold = failed(cell("bbox1", "bbox3")), unproved(cell("bbox1", "bbox3"))
    assert overview.sentence(report(lost), TUTORIAL).startswith(
        "The network does not do what the topology says. 1 cell: 0 proved, 1 failed"
    )
    assert overview.sentence(replace(report(untold), errors=2), TUTORIAL) == (
        "It could not be told whether the network is right. "
        "1 cell: 0 proved, 0 failed, 1 unproved; 2 tests could not be carried out."
    )


def test_many_vlans_are_counted() -> None:
    """A sentence does not list twenty names."""
    lab = topology.parse(generate("vlans=20,hosts=2,endpoints=20"), "large.yaml")
    assert overview.vlans(lab) == "The 20 VLANs"
    assert overview.vlans(shipped("three-vlans")) == "VLAN 10, VLAN 20 and VLAN 30"


def test_nodes_have_the_state_of_their_cells() -> None:
    """The worst of a node's cells is its state, in a sign and in words."""
    found = states(bad())
    assert (found["bbox1"].kind, found["bbox3"].kind, found["host1"].kind) == (
        "fail",
        "unproved",
        "pass",
    )
    assert str(State(proved=2, failed=1, unproved=1)) == "✗ 2/4"
    assert State(2, 1, 1).words == "2 of 4 cells proved, 1 failed, 1 unproved"
    assert (str(State()), State().words) == ("-", "no cell")


def test_the_drawing_shows_where_and_why() -> None:
    """The cause at its node, and where the packet was last seen."""
    found = bad()
    told = notes(found)
    assert told["gateway"] == (
        ("fault", "✗ forward-policy-drop"),
        ("seen", "◎ 1 last seen at eth2.10 (in)"),
    )
    drawn = draw(TUTORIAL, states(found), told)
    box = next(box for box in drawn.boxes if box.name == "gateway")
    assert box.noted
    assert "gateway (host): " in " ".join(drawn.words)
    assert next(line.text for line in box.lines if line.kind == "fault") == "✗ forward-policy-drop"


def test_notes_of_the_switch_are_on_the_trunk() -> None:
    """And no more of them than fit; the rest is counted."""
    drawn = draw(TUTORIAL, {}, {"switch": tuple(Note("seen", text) for text in "abcde")})
    assert [line.text for line in drawn.trunks[-1].lines if line.kind == "seen"] == [
        "a",
        "b",
        "c",
        "and 2 more",
    ]


@pytest.mark.parametrize(
    "lab",
    [
        topology.parse(generate("vlans=20,hosts=9,endpoints=100"), "large.yaml"),
        *(shipped(path.stem) for path in FILE.parent.glob("*.yaml")),
        replace(TUTORIAL, name="real-switch", switched=False),
    ],
    ids=lambda lab: lab.name,
)
def test_nothing_is_drawn_over_anything(lab: topology.Topology) -> None:
    """Boxes and lines are beside or below each other, inside of the drawing, at any size."""
    drawn = draw(lab, {}, {})
    boxes = [*drawn.boxes, *drawn.trunks]
    assert [box.name for box in drawn.boxes] == [host.name for host in lab.hosts]
    for box in boxes:
        assert 0 <= box.x <= box.x + box.width <= drawn.width
        assert 0 <= box.y <= box.y + box.height <= drawn.height
        assert all(box.y < line.y < box.y + box.height for line in box.lines)
        assert len({(line.x, line.y) for line in box.lines}) == len(box.lines)
        assert all(box.x <= x <= box.x + box.width for x, _, _ in box.strands)
    for one in boxes:
        for other in boxes:
            apart = (
                one.x + one.width < other.x or other.x + other.width < one.x
                or one.y + one.height < other.y or other.y + other.height < one.y
            )  # fmt: skip
            assert one is other or apart


def test_many_endpoints_are_counted_by_vlan() -> None:
    """A host of fifty containers is a box that fits a screen."""
    lab = topology.parse(generate("vlans=2,hosts=2,endpoints=100"), "large.yaml")
    box = draw(lab, {}, {}).boxes[0]
    assert len([line for line in box.lines if line.kind == "node"]) == len(lab.vlans)
    assert len(box.lines) < MAX_ENDPOINTS * 3


def test_evidence_says_what_a_stage_changed() -> None:
    """Lines of only one side; comments with their dates are none."""
    found = readings.differences(list(EVIDENCE[:2]))
    assert [one.lines for one in found] == [
        (
            ("-", "[0:0] -A FORWARD -j ACCEPT"),
            ("-", ":INPUT"),
            ("+", "[3:252] -A INPUT -j ACCEPT"),
            ("+", ":FORWARD DROP [7:588]"),
            ("+", ":OUTPUT"),
        )
    ]
    only_dates = [EVIDENCE[0], replace(EVIDENCE[1], raw=EVIDENCE[0].raw.replace("head", "foot"))]
    assert readings.differences(only_dates) == ()


def test_many_changes_are_counted() -> None:
    """A table that grew by a hundred entries does not fill the page."""
    before = reading("routed/g/x/before", raw="")
    after = reading("routed/g/x/after", raw="\n".join(map(str, range(100))))
    (found,) = readings.differences([before, after])
    assert (len(found.lines), found.more) == (20, 80)


@pytest.mark.parametrize(
    ("parsed", "lines"),
    [
        ([{"name": "eth0", "mtu": 1500}, "lo"], ["name=eth0 mtu=1500", "lo"]),
        ({"via": "10.0.0.1"}, ["via=10.0.0.1"]),
    ],
)
def test_messages_of_the_kernel_are_shown_by_their_meaning(parsed: Any, lines: list[str]) -> None:
    """Nobody reads a netlink message of four thousand characters."""
    assert readings.lines(reading("x", parsed=parsed, raw="x" * 4000)) == lines


def test_of_messages_only_the_values_that_differ_are_told() -> None:
    """One counter of an interface among its twenty attributes, with the name of the interface."""
    before, after = (
        reading(f"routed/g/links/{moment}", raw=f"{moment} {'x' * 400}", parsed=[
            {"name": "eth2", "mtu": 1500, "rx_dropped": dropped}, "lo"])
        for moment, dropped in (("before", 0), ("after", 48))
    )  # fmt: skip
    (found,) = readings.differences([before, after])
    assert found.lines == (("-", "eth2 rx_dropped=0"), ("+", "eth2 rx_dropped=48"))


def test_equal_texts_are_there_once_and_long_ones_in_their_file() -> None:
    """A page does not repeat itself, nor grow without end."""
    every = tuple(reading(f"routed/gateway/x/{n}", raw="same\n") for n in range(3))
    long = reading("routed/gateway/x/long", raw="line\n" * 5000)
    (node,) = readings.by_node((*every, long), (*every, long), {})
    assert [text.names for text in node.kinds[0].texts] == [tuple(one.name for one in every)]
    assert node.count == "4 readings"


def test_no_more_text_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes later is in its file."""
    monkeypatch.setattr(readings, "MAX_ALL_FOLDED", 5)
    every = tuple(reading(f"routed/gateway/x/{n}", raw=f"{n}{n}{n}\n") for n in range(3))
    (node,) = readings.by_node(every, every, {})
    assert [text.text for text in node.kinds[0].texts] == ["000"]


def test_files_are_linked_by_names_that_a_browser_takes() -> None:
    """Of a name with `#` and `?` nothing is taken for something else."""
    every = (
        reading("routed/a b#?%/x", node="a"),
        reading("routed/a/route-get/x", node="\udcff", kind="route-get"),
    )
    assert [node.kinds[0].readings[0].href for node in readings.by_node(every, every, {})] == [
        "evidence/routed-a%20b%23%3F%25-x.txt",
        "evidence/routed-%FF-route-get.txt",
    ]


TEXT_ON = {
    "ink": ("bg", "soft", "bad-soft", "marked"),
    "muted": ("bg", "soft", "bad-soft"),
    "link": ("bg", "soft"),
    "ok": ("bg", "soft"),
    "bad": ("bg", "soft", "bad-soft"),
    "untold": ("bg", "soft", "untold-soft"),
}
"""Colours that text of the page has, by name, and what it stands on."""


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_its_ground(scheme: int) -> None:
    """Every text has the contrast of WCAG 2.1 AA, 4.5 to 1, in both schemes (its 1.4.3)."""
    style = resources.files("harness.report.html").joinpath("base.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6})", blocks[scheme]))
    for text, grounds in TEXT_ON.items():
        for ground in grounds:
            one, other = sorted(_luminance(colours[name]) for name in (text, ground))
            assert (other + 0.05) / (one + 0.05) >= 4.5, (text, ground)


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.1 defines it."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_only_a_fault_marks_a_host() -> None:
    """Where packets were seen last nothing need be wrong."""
    told: dict[str, tuple[Note, ...]] = {
        "host1": (Note("seen", "a"),),
        "bbox3": (Note("fault", "b"),),
    }
    drawn = draw(TUTORIAL, {}, told)
    assert [box.name for box in (*drawn.boxes, *drawn.trunks) if box.noted] == ["host2"]


def test_nothing_is_said_of_what_is_not_looked_into() -> None:
    """Somebody else's router has addresses; its rules are not ours to tell."""
    drawn = draw(shipped("external-router"), {}, {})
    (box,) = [box for box in drawn.boxes if box.dashed]
    assert [line.text for line in box.lines if line.kind == "plain"] == [
        "somebody else's: not looked into"
    ]
