"""Sightings along a path: what is on it, what strayed, what is missing."""

from __future__ import annotations

import pytest

from harness import walk
from harness.flow import Point, Stage
from harness.path import Trace, hop, trace
from harness.sightings import find
from tests.unit import faults
from tests.unit.labs import TUTORIAL, cells_of
from tests.unit.play import Fault, play

FLOODED = "isolated-bbox1-to-bbox4-l2-broadcast"
ROUTED = "routed-bbox1-to-bbox4-icmp"


def traced(cell_id: str, *wrong: Fault) -> Trace:
    """The trace of one cell that was played with faults."""
    cell = cells_of(TUTORIAL, Stage(cell_id.partition("-")[0]))[cell_id]
    record = play(TUTORIAL, [cell], *wrong)
    token = next(sent.token for wave in record.waves for sent in wave.sent if sent.id == cell_id)
    return trace(
        TUTORIAL,
        cell,
        walk.path(TUTORIAL, cell),
        find(record.frames, record.tokens).by_token[token],
    )


@pytest.mark.parametrize(
    ("point", "tags", "stray"),
    [
        (Point("switch", "gateway", "out"), (10,), False),
        (Point("gateway", "eth2", "in"), (10,), False),
        (Point("host2", "eth2.10", "in"), (), False),
        (Point("bbox3", "eth0", "in"), (), False),
        (Point("host1", "eth2.10", "in"), (), False),
        (Point("host1", "eth2", "out"), (10, 20), False),
        (Point("switch", "gateway", "out"), (20,), True),
        (Point("switch", "gateway", "out"), (20, 10), True),
        (Point("switch", "gateway", "out"), (), True),
        (Point("gateway", "eth2", "out"), (10,), True),
        (Point("host2", "eth2.10", "out"), (), True),
        (Point("bbox3", "eth0", "out"), (), True),
        (Point("host2", "eth2.20", "in"), (), True),
        (Point("bbox4", "eth0", "in"), (), True),
        (Point("bbox2", "eth0", "in"), (), True),
        (Point("host1", "eth1", "out"), (), True),
        (Point("switch", "host2-m", "out"), (), True),
    ],
)
def test_a_broadcast_goes_everywhere_in_its_vlan(
    point: Point, tags: tuple[int, ...], stray: bool
) -> None:
    """That is no leak; another VLAN is, and so is a node that sends on what is not its own."""
    found = traced(FLOODED, faults.leaked(FLOODED, point, *tags))
    assert [one.point for one in found.strays] == ([point] if stray else [])


@pytest.mark.parametrize(("ttl", "stray"), [(64, True), (65, True), (63, False)])
def test_what_no_router_forwarded_is_a_stray_in_the_other_vlan(ttl: int, stray: bool) -> None:
    """On the modelled path too: there it is the router's, with a TTL less."""
    at = Point("switch", "host2", "out")
    found = traced(ROUTED, faults.leaked(ROUTED, at, 20, ttl=ttl))
    assert [one.point for one in found.strays] == ([at] if stray else [])


def test_a_frame_without_ttl_was_not_forwarded() -> None:
    """In the other VLAN it is a stray, whatever it is."""
    at = Point("switch", "host2", "out")
    found = traced(ROUTED, faults.leaked(ROUTED, at, 20, kind="l2"))
    assert [one.point for one in found.strays] == [at]


def test_a_point_of_the_path_is_passed_in_its_own_vlan() -> None:
    """A frame in the path's other VLAN there is not the one that should have been."""
    at = "switch:gateway (out)"
    back = faults.leaked(ROUTED, Point("switch", "gateway", "out"), 20, ttl=63)
    found = traced(ROUTED, faults.hidden(ROUTED, at), back)
    assert [str(point) for point in found.missing] == [at]


def test_a_router_may_send_on() -> None:
    """It is a node of the path; another host is not."""
    there, elsewhere = Point("gateway", "eth2.10", "out"), Point("host2", "eth2.10", "out")
    assert traced(ROUTED, faults.leaked(ROUTED, there)).strays == ()
    assert [one.point for one in traced(ROUTED, faults.leaked(ROUTED, elsewhere)).strays] == [
        elsewhere
    ]


def test_replies_are_no_part_of_a_path() -> None:
    """They go the other way over the same interfaces."""
    found = traced(ROUTED)
    assert len(found.hops) == 14
    assert (found.strays, found.missing, found.lost_at) == ((), (), None)


def test_the_order_is_the_topologys_not_times() -> None:
    """A frame at the end of the path may carry the earliest time."""
    late = faults.moved_at(ROUTED, "bbox1:eth0 (out)", 10**6)
    assert [one.point for one in traced(ROUTED, late).hops] == [
        one.point for one in traced(ROUTED).hops
    ]


def test_lost_at_is_the_first_point_that_is_missing() -> None:
    """In the order of the path."""
    found = traced(ROUTED, faults.lost(ROUTED, "gateway:eth2 (out)"))
    assert str(found.lost_at) == "gateway:eth2 (out)"
    assert str(found.missing[1]) == "switch:gateway (in)"


def test_a_frame_without_addresses_has_a_hop_all_the_same() -> None:
    """A cut frame that still holds the token."""
    record = play(TUTORIAL, [cells_of(TUTORIAL, Stage.ROUTED)[ROUTED]])
    token = bytes.fromhex(record.tokens[0])
    cut = [type(record.frames[0])("bbox1", "eth0", "out", 7, token)]
    found = hop(find(cut, [token.hex()]).by_token[token.hex()][0])
    assert (found.vlan, found.src_ip, found.ttl, found.t_ns) == (None, None, None, 7)
