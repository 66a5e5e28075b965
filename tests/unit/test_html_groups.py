"""Large labs on the page: groups of nodes, and what their pairs have in common."""

from __future__ import annotations

from typing import Any

import pytest

from harness.flow import Probe, Stage
from harness.report.html import groups
from harness.report.html.groups import Group
from harness.topology import parse
from harness.topology.generate import generate
from tests.unit.builders import cell, failed, passed, unproved
from tests.unit.labs import TUTORIAL

NAMED = (Group("left", ("a", "b")), Group("right", ("c",)))


def sent(*verdicts: Any) -> dict[tuple[str, str], groups.Between]:
    """What the groups send to each other."""
    found = groups.senders(verdicts, NAMED)
    return {(row.src, to.dst): to for row in found for to in row.to}


def test_nodes_are_grouped_by_vlan_and_host() -> None:
    """Those that are no endpoints apart: gateways, and hosts."""
    names = ("bbox1", "bbox2", "bbox3", "gateway", "host1", "host2")
    assert groups.groups(TUTORIAL, names) == (
        Group("VLAN 10, host1", ("bbox1",)),
        Group("VLAN 20, host1", ("bbox2",)),
        Group("VLAN 10, host2", ("bbox3",)),
        Group("gateways", ("gateway",)),
        Group("hosts", ("host1", "host2")),
    )


def test_too_many_groups_are_joined() -> None:
    """Twenty VLANs on five hosts are twenty groups, not a hundred."""
    lab = parse(generate("vlans=20,hosts=5,endpoints=200"), "large.yaml")
    found = groups.groups(lab, [end.name for end in lab.endpoints])
    assert [group.name for group in found][:2] == ["VLAN 10", "VLAN 20"]
    assert sum(len(group.nodes) for group in found) == 200


def test_a_field_says_what_all_its_pairs_have_in_common() -> None:
    """One word where they read the same; how many failed, or could not be told, where some did."""
    good = [passed(cell(src, dst)) for src, dst in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"))]
    found = sent(*good, passed(cell("b", "c")), failed(cell("c", "b")))
    assert {key: one.word for key, one in found.items()} == {
        ("left", "left"): "reach",
        ("left", "right"): "reach",
        ("right", "left"): "FAIL 1/2",
    }
    assert found["left", "left"].told == "2 pairs: 2 reach"
    assert found["right", "left"].told == "2 pairs: 1 reach, 1 FAIL 1/1"
    assert sent(*good, unproved(cell("b", "c")))["left", "right"].word == "?? 1"
    routed = passed(cell("b", "c", via=("gateway",)))
    assert sent(passed(cell("a", "c")), routed)["left", "right"].word == groups.MIXED


def test_the_word_of_each_pair_is_kept_in_runs() -> None:
    """In the order of the members: sources one after the other."""
    found = sent(passed(cell("a", "b")), passed(cell("b", "a")), failed(cell("c", "b")))
    assert found["left", "left"].runs == "1 .|2 reach|1 ."
    assert found["right", "left"].runs == "1 .|1 FAIL 1/1"


def test_runs_that_have_no_room_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page stays small, whatever a network does."""
    monkeypatch.setattr(groups, "MAX_RUNS", 20)
    found = sent(passed(cell("a", "b")), passed(cell("a", "c")), passed(cell("c", "a")))
    assert [one.runs for one in found.values()] == ["1 .|1 reach|2 .", "", ""]


def test_several_probes_of_a_pair_are_one_word() -> None:
    """As in a matrix of single nodes, stage by stage and layer by layer."""
    both = [passed(cell("a", "c", probe)) for probe in ("icmp", "tcp")]
    routed = passed(cell("a", "c", stage=Stage.ROUTED))
    frame = passed(cell("a", "c", str(Probe("arp"))))
    found = list(groups.senders((*both, failed(cell("a", "c", "udp")), routed, frame), NAMED))
    assert [(row.stage, row.layer, row.kind, row.to[0].told) for row in found] == [
        ("isolated", 3, "fail", "1 pair: 1 FAIL 1/3"),
        ("routed", 3, "pass", "1 pair: 1 reach"),
        ("isolated", 2, "pass", "1 pair: 1 reach"),
    ]


def test_matrices_of_groups_are_square() -> None:
    """What nobody asked about is a field too."""
    found = groups.grids(groups.senders((passed(cell("a", "c")),), NAMED), NAMED)
    (grid,) = found
    assert grid.destinations == ("left", "right")
    assert [[field.word for field in fields] for _, fields in grid.rows] == [[".", "reach"]]
