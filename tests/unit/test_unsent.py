"""What keeps a node's own kernel from sending: no port to send from, no room in its queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis.scene import Finding, Scene
from harness.diagnosis.unsent import NO_PORT, PORT_RANGE, RESERVED, no_port
from tests.unit.sick import AT_RECEIVER, AT_SENDER, Change, found, lab_of, verdict_of

QUEUE = {"interface": "eth0", "direction": "out", "kind": "pfifo", "filter": False, "dropped": 7}


def with_ports(reserved: str, detail: str = NO_PORT) -> Finding | None:
    """What is found of bbox1's ports, of which some are reserved, after a failure to send."""
    conf = {PORT_RANGE: "32768\t60999", RESERVED: reserved}
    lab = lab_of(lambda readings: readings["bbox1", "conf"].update(conf))
    verdict = verdict_of("bbox1-to-bbox4-udp")
    refused = replace(verdict.observation, detail=f"the source's kernel refused: {detail} (...)")
    empty: Any = frozenset()
    return no_port(
        Scene(lab, replace(verdict, observation=refused), AT_SENDER, {}, passed=empty, lost=empty)
    )


@pytest.mark.parametrize("reserved", ["32768-60999", "7,32768-40000,40001-61000", "1-65535"])
def test_all_ports_are_reserved(reserved: str) -> None:
    """Each port that it may choose is one that it may not: the sysctl is named, and lifted."""
    finding = with_ports(reserved)
    assert finding is not None
    assert (finding.code, finding.node) == (Code.PROBE_NOT_SENT, "bbox1")
    assert (finding.subject, finding.fix) == (RESERVED, f"sysctl -w {RESERVED}=")
    assert finding.shown == ("routed/bbox1/conf/asked",)


@pytest.mark.parametrize(
    ("reserved", "detail"),
    [("32768-60998", NO_PORT), ("", NO_PORT), ("32768-60999", "EPERM")],
)
def test_a_port_is_left_or_nobody_asked_for_one(reserved: str, detail: str) -> None:
    """One port is enough; and who was refused for another reason had one."""
    assert with_ports(reserved, detail) is None


def queue(**more: Any) -> Change:
    """A queue on bbox1's and bbox4's interface."""

    def change(readings: Any) -> None:
        for node in ("bbox1", "bbox4"):
            readings[node, "tc"].append({**QUEUE, **more})

    return change


@pytest.mark.parametrize("at", [AT_SENDER, AT_RECEIVER])
def test_a_queue_without_room(at: Any) -> None:
    """It has dropped what the node sends, or answers; without it the usual one is there again."""
    finding, lab = found(at, queue())
    assert finding is not None
    assert (finding.code, finding.node) == (Code.PROBE_NOT_SENT, at.node)
    assert (finding.subject, finding.fix) == (
        "dev eth0 qdisc pfifo",
        "tc qdisc delete dev eth0 root",
    )
    assert "dropped 7 frames" in finding.message
    assert {lab.state.by_name[name].kind for name in finding.shown} == {"tc"}


@pytest.mark.parametrize(
    "more", [{"dropped": 0}, {"interface": "eth1"}, {"filter": True, "preference": 1}]
)
def test_a_queue_that_dropped_nothing_there_is_no_cause(more: dict[str, Any]) -> None:
    """Whoever shapes what leaves does not drop it; filters are asked about elsewhere."""
    assert found(AT_SENDER, queue(**more))[0] is None


FILTER = {"interface": "eth0", "direction": "egress", "kind": "bpf", "filter": True, "name": None,
          "preference": 49152}  # fmt: skip


@pytest.mark.parametrize("at", [AT_SENDER, AT_RECEIVER])
def test_a_filter_where_it_should_have_left(at: Any) -> None:
    """What a node sends or answers was not seen on its interface, and a tc filter is there."""
    finding, lab = found(at, queue(**FILTER))
    assert finding is not None
    assert (finding.code, finding.node) == (Code.OUTPUT_DROP, at.node)
    assert finding.subject == "dev eth0 egress pref 49152 bpf"
    assert finding.fix == "tc filter delete dev eth0 egress pref 49152"
    assert {lab.state.by_name[name].kind for name in finding.shown} == {"tc"}


@pytest.mark.parametrize("more", [{"direction": "ingress"}, {"interface": "eth1"}])
def test_a_filter_elsewhere_drops_nothing_there(more: dict[str, Any]) -> None:
    """Of what comes in, or on another interface."""
    assert found(AT_SENDER, queue(**{**FILTER, **more}))[0] is None
