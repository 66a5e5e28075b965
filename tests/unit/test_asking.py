"""What tests ask of a lab: no cell is forgotten, none is asked for twice."""

from __future__ import annotations

import pytest

from harness import asking
from harness.flow import Stage
from harness.matrix import matrix
from tests.unit.labs import ONE_WAY, STRICT, TUTORIAL, cells_of, shipped

ALL = matrix(TUTORIAL, tuple(Stage))


def test_a_family_is_all_its_cells() -> None:
    """In the order of the matrix, each an ask that judges."""
    asks = asking.cells(ALL, ["cross-vlan-l2"], [], [])
    assert [ask.id for ask in asks] == [c.id for c in ALL.cells if c.family == "cross-vlan-l2"]
    assert len(asks) == 3 * 8 * 4
    assert all(ask.judged and not ask.live for ask in asks)
    assert asks[0].cells == (ALL.cells[0],)


def test_families_stages_and_kinds_narrow_it() -> None:
    """A kind counts with and without an argument."""
    asks = asking.cells(ALL, ["same-vlan", "mtu"], ["isolated"], ["icmp"])
    assert {ask.stage for ask in asks} == {Stage.ISOLATED}
    assert len(asks) == 4 + 4 * 2
    assert {str(ask.cells[0].probe) for ask in asks} == {"icmp", "icmp:1472", "icmp:1473"}


@pytest.mark.parametrize(
    ("families", "stages"), [(["same-vlans"], []), (["same-vlan"], ["isolation"])]
)
def test_a_word_that_is_none_is_refused(families: list[str], stages: list[str]) -> None:
    """A typing mistake in a suite never selects nothing."""
    with pytest.raises(ValueError, match="is not a valid"):
        asking.cells(ALL, families, stages, [])


def test_the_families_together_are_the_matrix() -> None:
    """Nothing is left out."""
    families = {cell.family for cell in ALL.cells}
    found = [ask.id for family in families for ask in asking.cells(ALL, [family], [], [])]
    assert sorted(found) == sorted(cell.id for cell in ALL.cells)
    assert len(found) == 424


def test_routed_pairs() -> None:
    """One ask a pair that reaches through a router."""
    asks = asking.routed(TUTORIAL, ALL)
    assert len(asks) == 8
    assert {(ask.stage, str(ask.cells[0].probe)) for ask in asks} == {(Stage.ROUTED, "icmp")}
    assert not any(ask.judged for ask in asks)


def test_routed_pairs_are_those_that_reach() -> None:
    """What the gateway drops takes no four steps."""
    asks = asking.routed(ONE_WAY, matrix(ONE_WAY, tuple(Stage)))
    assert {ask.cells[0].src for ask in asks} == {"bbox1", "bbox3"}


def test_hosts_are_looked_at_live() -> None:
    """Each host in each stage, while the lab is in it."""
    asks = asking.hosts(TUTORIAL, (Stage.ISOLATED, Stage.ROUTED))
    assert [ask.id for ask in asks] == [
        "isolated-host1", "isolated-host2", "isolated-gateway",
        "routed-host1", "routed-host2", "routed-gateway",
    ]  # fmt: skip
    assert all(ask.live and ask.node in ask.id and ask.stage in ask.id for ask in asks)


def test_engines_are_looked_at_once() -> None:
    """Networks, containers and hosts that carry some, live, in the last stage that is tested."""
    stages = (Stage.ISOLATED, Stage.ROUTED)
    carriers = ("host1", "host2")
    networks = asking.networks(TUTORIAL, stages, carriers)
    assert [(ask.id, ask.node, ask.kind) for ask in networks] == [
        (f"routed-{host}-{name}", host, name)
        for host in ("host1", "host2")
        for name in ("mac_net10", "mac_net20")
    ]
    containers, hosts = (
        asking.containers(TUTORIAL, stages, carriers), asking.imposed(stages, carriers)
    )  # fmt: skip
    assert [ask.id for ask in containers] == [f"routed-bbox{number}" for number in (1, 2, 3, 4)]
    assert [ask.id for ask in hosts] == ["routed-host1", "routed-host2"]
    assert all(ask.live for ask in (*networks, *containers, *hosts))
    bare = asking.containers(TUTORIAL, stages, ("host2",))
    assert [ask.node for ask in bare] == ["bbox3", "bbox4"]


def test_readings_are_compared_from_isolated_to_undone() -> None:
    """Each node and kind; none unless both stages run."""
    asks = asking.readings(TUTORIAL, Stage)
    assert len(asks) == 8 * 5
    assert asks[0].id == "undone-host1-links"
    assert {(ask.stage, ask.also) for ask in asks} == {(Stage.UNDONE, (Stage.ISOLATED,))}
    assert {ask.node for ask in asks} == set(TUTORIAL.nodes)
    assert asking.readings(TUTORIAL, (Stage.ISOLATED, Stage.ROUTED)) == []
    assert asking.readings(TUTORIAL, (Stage.UNDONE,)) == []


def test_twins_are_the_same_question_in_two_stages() -> None:
    """Every cell of `undone` has its cell of `isolated`."""
    asks = asking.twins(ALL, Stage)
    assert [ask.id for ask in asks] == list(cells_of(TUTORIAL, Stage.UNDONE))
    for ask in asks:
        before, after = ask.cells
        assert (before.stage, after.stage) == (Stage.ISOLATED, Stage.UNDONE)
        assert (before.src, before.dst, before.probe) == (after.src, after.dst, after.probe)
        assert ask.also == (Stage.ISOLATED,)
    assert asking.twins(ALL, (Stage.UNDONE,)) == []


def test_what_an_external_router_does_is_not_followed() -> None:
    """Its tables are nobody's to read: no four steps, no look at its state."""
    lab = shipped("external-router")
    assert asking.routed(lab, matrix(lab, lab.stages)) == []
    asked = [ask.node for ask in asking.hosts(lab, lab.stages)]
    assert asked == ["host1", "host2"]


def test_a_lab_of_one_stage_has_nothing_to_compare() -> None:
    """Neither readings nor twins, where nothing is undone."""
    lab = shipped("external-router")
    assert asking.readings(lab, lab.stages) == []
    assert asking.twins(matrix(lab, lab.stages), lab.stages) == []


def test_what_arrives_without_a_reply_is_not_followed() -> None:
    """Only what reaches through gateways goes the four steps."""
    asks = asking.routed(STRICT, matrix(STRICT, (Stage.ROUTED,)))
    pairs = {(ask.cells[0].src, ask.cells[0].dst) for ask in asks}
    assert ("bbox2", "bbox6") in pairs
    assert not {("bbox1", "bbox6"), ("bbox6", "bbox1")} & pairs


def test_routed_pairs_of_both_ip_versions() -> None:
    """A ping of each."""
    lab = shipped("dual-stack")
    asks = asking.routed(lab, matrix(lab, (Stage.ROUTED,)))
    assert [ask.cells[0].probe.kind for ask in asks] == ["icmp"] * 8 + ["icmp6"] * 8
