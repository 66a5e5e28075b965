"""Containers in several networks, when something is wrong: what happened, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnosis import legs, routing
from harness.diagnosis.outcomes import flow_of
from harness.diagnosis.scene import Lab, Scene, further
from harness.diagnosis.state import State
from harness.flow import Cell, Outcome, Point, Ruling, Stage
from harness.record import Neighbour
from tests.unit.builders import failed, reading
from tests.unit.labs import cells_of, shipped
from tests.unit.play import Draft, Fault, Seen, judged, of_shot, question
from tests.unit.sick import AT_SENDER, route
from tests.unit.wire import mirror

LAB = shipped("two-legs")
CELLS = cells_of(LAB, Stage.ROUTED)
DEFAULT = route("default", "172.16.10.1", "eth0")
IN_10, IN_20 = route("172.16.10.0/24", None, "eth0"), route("172.16.20.0/24", None, "eth1")


def asked(cell_id: str, *tables: dict[str, object], is_reply: bool = False) -> Scene:
    """A cell that failed at its source, or its reply at its destination; bbox1's routes."""
    cell = CELLS[f"routed-{cell_id}"]
    entry = reading("routed/bbox1/tables/after", kind="tables", node="bbox1", parsed=list(tables))
    lab = Lab(LAB, Stage.ROUTED, State((entry,), further(LAB)))
    flow = replace(flow_of(lab, cell), is_reply=is_reply)
    place = replace(AT_SENDER, node=cell.src, flow=flow)
    return Scene(lab, failed(cell), place, {}, frozenset(), frozenset())


def test_a_probe_has_the_routes_of_its_leg() -> None:
    """What another leg leads to is none of its, but for a default route that is to be by it."""
    scene = asked("bbox1-to-bbox4-icmp", DEFAULT, IN_10, IN_20)
    assert legs.routes(scene, "bbox1", "172.16.20.11") == [DEFAULT]
    elsewhere = route("default", "172.16.20.1", "eth1")
    scene = asked("bbox1-to-bbox4-icmp", elsewhere, IN_10, IN_20)
    assert legs.routes(scene, "bbox1", "172.16.20.11") == [elsewhere]
    found = routing.route(scene, "bbox1", replace(scene.place.flow, dst="172.16.20.11"))
    assert found
    assert found.message == "bbox1's default route leads to 172.16.20.1, not 172.16.10.1"
    assert found.fix == "ip route replace default via 172.16.10.1"


def test_a_leg_without_a_route_needs_none() -> None:
    """It asks for whom it does not know, so a missing route is no finding; nor another leg's."""
    scene = asked("bbox1.20-to-bbox3-icmp", DEFAULT, IN_10, IN_20)
    assert legs.routes(scene, "bbox1.20", "172.16.10.11") is None
    assert routing.route(scene, "bbox1.20", replace(scene.place.flow, dst="172.16.10.11")) is None
    assert legs.routes(scene, "bbox1.20", "172.16.20.10") == [IN_20]


def test_a_reply_has_all_routes() -> None:
    """So has whoever has one leg, and a router."""
    scene = asked("bbox1-to-bbox4-icmp", DEFAULT, IN_10, IN_20, is_reply=True)
    assert legs.routes(scene, "bbox1", "172.16.20.11") == [IN_20, DEFAULT]
    assert legs.bound(scene, "gateway") is None
    assert legs.bound(asked("bbox2-to-bbox4-icmp"), "bbox2") is None


@pytest.mark.parametrize(
    ("node", "dst", "kept_to", "way"),
    [
        ("bbox1", "172.16.20.11", None, (None, "eth1")),
        ("bbox1", "172.16.30.11", None, ("172.16.10.1", "eth0")),
        ("bbox1", "172.16.20.11", "bbox1", ("172.16.10.1", "eth0")),
        ("bbox1.20", "172.16.10.11", "bbox1.20", (None, "eth1")),
        ("bbox2", "172.16.10.11", None, ("172.16.20.1", "eth0")),
    ],
)
def test_how_an_endpoint_must_send(
    node: str, dst: str, kept_to: str | None, way: tuple[str | None, str]
) -> None:
    """By the leg that a probe is kept to; a reply by what its container's routes must say."""
    leg = LAB.endpoint(kept_to) if kept_to else None
    assert routing.expected_way(LAB, node, dst, leg) == way


def without(draft: Draft, cell: Cell) -> None:
    """Take all that was seen of a probe out of a draft."""
    draft.seen = [seen for seen in draft.seen if seen.probe != cell.id]


def test_a_probe_that_arrives_at_another_leg_went_another_way() -> None:
    """It is told where it arrived, and that is not by the expected path."""
    cell = CELLS["routed-bbox1-to-bbox4-icmp"]

    def direct(draft: Draft) -> None:
        first = draft.of(cell.id)[0]
        without(draft, cell)
        wire = of_shot(draft, draft.shots[cell.id])
        at = replace(first, point=Point("bbox4.10", "eth1", "in"), t_ns=first.t_ns + 5)
        back = replace(first, leg="reply", point=Point("bbox1", "eth0", "in"), t_ns=first.t_ns + 9)
        draft.seen += [first, at, replace(back, wire=mirror(wire, LAB.endpoint("bbox4.10").mac))]

    verdict = judged(LAB, CELLS.values(), direct)[cell.id]
    assert (verdict.observation.outcome, verdict.ruling) == (Outcome.REACHED, Ruling.FAIL)
    assert verdict.observation.detail == "the token arrived at bbox4.10, and its reply came back"
    assert verdict.why == "it arrived, but not by way of host1:eth2.10 (out)"


@pytest.mark.parametrize(("state", "outcome"), [("FAILED", Outcome.NO_NEIGHBOUR),
                                                ("REACHABLE", Outcome.INCONCLUSIVE)])  # fmt: skip
def test_a_leg_that_lost_its_route_asks_for_the_destination(state: str, outcome: Outcome) -> None:
    """Out of one of several legs a kernel does so; that it asked in vain is why nothing left."""
    cell = CELLS["routed-bbox1-to-bbox2-icmp"]

    def without_route(address: str) -> Fault:
        def fault(draft: Draft) -> None:
            without(draft, cell)
            ask = question(LAB.endpoint("bbox1").mac, "172.16.10.10", address)
            t_ns = draft.shots[cell.id].t_ns
            draft.seen.append(Seen("", "kernel", Point("bbox1", "eth0", "out"), t_ns, ask))
            draft.neighbours["main", "bbox1", address] = Neighbour("bbox1", address, None, state)

        return fault

    verdict = judged(LAB, [cell], without_route("172.16.20.10"))[cell.id]
    assert verdict.observation.outcome is outcome
    assert "172.16.20.10" in verdict.observation.detail
    verdict = judged(LAB, [cell], without_route("172.16.20.99"))[cell.id]
    assert verdict.observation.outcome is Outcome.INCONCLUSIVE
