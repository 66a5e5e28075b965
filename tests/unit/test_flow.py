"""The words: how they read, and what counts as ok."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.flow import KINDS, Point, Probe, Ruling
from tests.unit.builders import cell, failed, hop, passed, unproved


@pytest.mark.parametrize("text", [*KINDS, "icmp:1472", "icmp6:1452", "l2-broadcast:20", "icmp:0"])
def test_a_probe_reads_as_it_is_written(text: str) -> None:
    """The two forms are each other's inverse."""
    assert str(Probe.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ping",
        "ICMP",
        "icmp:",
        "icmp:x",
        "icmp: 5",
        "icmp:1_0",
        "icmp:05",
        "icmp:+5",
        "icmp:5:6",
        ":5",
        "ndp6",
        "icmp4",
    ],
)
def test_what_is_no_probe_is_refused(text: str) -> None:
    """An unknown kind, and every argument that `str` would write differently."""
    with pytest.raises(ValueError, match=r"probe|invalid literal"):
        Probe.parse(text)


@pytest.mark.parametrize(
    ("text", "layer2", "frame_class"),
    [
        ("arp", True, "arp"),
        ("l2-unicast", True, "l2-unicast"),
        ("l2-unicast:20", True, "l2-unicast+tag"),
        ("l2-broadcast:10", True, "l2-broadcast+tag"),
        ("l2-multicast", True, "l2-multicast"),
        ("icmp", False, "icmp"),
        ("icmp:1473", False, "icmp"),
        ("tcp", False, "tcp"),
        ("udp", False, "udp"),
        ("ndp", True, "ndp"),
        ("icmp6:1453", False, "icmp6"),
        ("relay", False, "icmp"),
    ],
)
def test_classes_of_frames(text: str, layer2: bool, frame_class: str) -> None:
    """A size changes no class, a tag of its own does."""
    probe = Probe.parse(text)
    assert (probe.is_layer2, probe.frame_class) == (layer2, frame_class)


def test_a_cell_has_a_name() -> None:
    """Without a `>`, which would break `pytest -k`."""
    assert cell("bbox1", "bbox3", "icmp:1472").id == "isolated-bbox1-to-bbox3-icmp:1472"


def test_cells_are_equal_by_question() -> None:
    """What is expected of them is no part of it."""
    assert cell("bbox1", "bbox3") == cell("bbox1", "bbox3", why="another reason")
    assert cell("bbox1", "bbox3") != cell("bbox1", "bbox3", "udp")


def test_a_point_reads_as_a_place() -> None:
    """Node, interface, direction."""
    assert str(Point("host1", "eth2.10", "in")) == "host1:eth2.10 (in)"


def test_only_a_pass_is_ok() -> None:
    """What could not be told is not."""
    one = cell("bbox1", "bbox3")
    assert [verdict.ok for verdict in (passed(one), failed(one), unproved(one))] == [
        True, False, False,
    ]  # fmt: skip
    assert [str(ruling) for ruling in Ruling] == ["pass", "fail", "unproved"]


def test_an_explanation_says_where_it_was_lost() -> None:
    """Expected, observed, last seen, lost, and where else it was."""
    verdict = failed(cell("bbox1", "bbox4"), strays=(hop("host2", vlan=20),))
    assert verdict.explain() == (
        "isolated-bbox1-to-bbox4-icmp: fail: lost in the gateway\n"
        "  expected reached (same VLAN)\n"
        "  observed silent (no reply)\n"
        "  last seen at gateway:eth2 (in)\n"
        "  lost before gateway:eth2 (out)\n"
        "  also seen at host2:eth2 (in), VLAN 20"
    )


def test_an_explanation_of_a_pass_is_short() -> None:
    """Nothing was lost or strayed."""
    verdict = replace(passed(cell("bbox1", "bbox3")), why="it arrived")
    assert verdict.explain() == (
        "isolated-bbox1-to-bbox3-icmp: pass: it arrived\n"
        "  expected reached (same VLAN)\n"
        "  observed reached (as it should be)"
    )
