"""The network that a FakeMachine plays does as the model says, and each fault shows as it must."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import topology
from harness.endpoints.gateway import with_engines
from harness.endpoints.namespace import NamespaceEndpoints
from harness.errors import BuildError, MachineError, WorkerLost
from harness.flow import Outcome, Point, Ruling, Stage, Verdict
from harness.lab import Lab
from harness.matrix import matrix
from harness.sightings import find
from harness.testing import FakeMachine, Faults, Passing, Tap
from harness.verdict import judge

FILE = Path(__file__).parents[2] / "topologies" / "macvlan-two-host.yaml"
TUTORIAL = topology.parse(topology.text(str(FILE)), FILE.name)
ROUTED = "routed-bbox1-to-bbox4-icmp"
APART = "routed-bbox1-to-bbox4-l2-unicast"
DIRECT = "routed-bbox1-to-bbox3-udp"


def verdicts(
    stage: Stage, faults: Faults | None = None, lab_topology: topology.Topology = TUTORIAL
) -> dict[str, Verdict]:
    """Every verdict of a stage."""
    kind = with_engines(NamespaceEndpoints(), lab_topology)
    lab = Lab(lab_topology, FakeMachine(faults), endpoints=kind)
    lab.build()
    lab.enter(stage)
    cells = matrix(lab_topology, (stage,)).cells
    record = lab.sweep(cells).record()
    found = judge(lab_topology, record, find(record.frames, record.tokens), cells)
    return {verdict.cell.id: verdict for verdict in found}


def rulings(found: Iterable[Verdict]) -> set[Ruling]:
    """Which rulings there are."""
    return {verdict.ruling for verdict in found}


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        (path.stem, stage)
        for path in sorted(FILE.parent.glob("*.yaml"))
        for stage in topology.read(path).stages
    ],
)
def test_perfect_network_is_as_expected(name: str, stage: Stage) -> None:
    """Every cell of every stage passes: model and simulation were written apart, and agree."""
    found = verdicts(stage, lab_topology=topology.read(FILE.with_stem(name)))
    assert [one.explain() for one in found.values() if not one.ok] == []


def test_rules_decide_when_the_policy_drops() -> None:
    """With policy DROP and rules for one way only, new packets of the other way are dropped."""
    (gateway,) = TUTORIAL.gateways
    one_way = replace(gateway, forward_policy="DROP", forward=((10, 20),), masquerade=())
    found = verdicts(Stage.ROUTED, lab_topology=replace(TUTORIAL, gateways=(one_way,)))
    assert rulings(found.values()) == {Ruling.PASS}
    assert found[ROUTED].observation.seen_source == "172.16.10.10"
    assert found["routed-bbox4-to-bbox1-icmp"].observation.outcome is Outcome.SILENT


@pytest.mark.parametrize(
    ("starts", "outcome"),
    [("before-forwarding", Outcome.SILENT), ("after-forwarding", Outcome.REACHED)],
)
def test_an_engine_decides_when_there_are_no_rules(starts: str, outcome: Outcome) -> None:
    """What it does to forwarding and policy was played from what dockerd does, not from the model.

    In the other stages it changes nothing.
    """
    path = FILE.with_stem("gateway-runs-docker")
    text = topology.text(str(path)).replace("between: [[10, 20], [20, 10]]", "between: []")
    read = topology.parse(text.replace("before-forwarding}", f"{starts}}}"), path.name)
    (router,) = read.gateways
    assert router.engine
    assert router.engine.starts == starts
    found = verdicts(Stage.ROUTED, lab_topology=read)
    assert rulings(found.values()) == {Ruling.PASS}
    assert found[ROUTED].observation.outcome is outcome
    assert rulings(verdicts(Stage.UNDONE, lab_topology=read).values()) == {Ruling.PASS}


def out_of_gateway(passing: Passing) -> bool:
    """The frame leaves the gateway towards VLAN 20."""
    return passing.point == Point("gateway", "eth2.20", "out")


def at_bbox4(passing: Passing) -> bool:
    """The frame comes in at bbox4."""
    return passing.point == Point("bbox4", "eth0", "in")


def into_other_vlan(passing: Passing) -> Tap | None:
    """What comes to host2 in VLAN 10 also gets into VLAN 20."""
    return ("host2", "eth2.20") if passing.point == Point("host2", "eth2.10", "in") else None


@pytest.mark.parametrize(
    ("faults", "cell", "ruling"),
    [
        (Faults(lose=out_of_gateway), ROUTED, Ruling.FAIL),
        (Faults(leak=into_other_vlan), APART.replace("unicast", "broadcast"), Ruling.FAIL),
        (Faults(unseen=at_bbox4), APART, Ruling.UNPROVED),
        (Faults(blind=frozenset({("bbox4", "eth0")})), APART, Ruling.UNPROVED),
        (Faults(lose=at_bbox4), APART, Ruling.UNPROVED),
        (Faults(drops={("bbox4", "eth0"): 1}), APART, Ruling.UNPROVED),
        (Faults(drops={("bbox4", "eth0"): 1}), ROUTED, Ruling.UNPROVED),
        (Faults(down=frozenset({("host2", "eth2.20")})), APART, Ruling.UNPROVED),
        (Faults(refused={ROUTED: errno.EPERM}), ROUTED, Ruling.UNPROVED),
        (Faults(refused={APART: errno.ENOBUFS}), APART, Ruling.UNPROVED),
        (Faults(refused={ROUTED: errno.ENETUNREACH}), ROUTED, Ruling.FAIL),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_no_fault_passes(faults: Faults, cell: str, ruling: Ruling) -> None:
    """A network that is wrong fails; one that could not be seen, or asked, is unproved."""
    verdict = verdicts(Stage.ROUTED, faults)[cell]
    assert verdict.ruling is ruling, verdict.explain()


def test_late_frame_is_no_arrival() -> None:
    """A frame seen after the end of its wave does not make its cell pass."""
    found = verdicts(Stage.ROUTED, Faults(late=lambda passing: passing.probe == DIRECT))
    assert not found[DIRECT].ok


def test_foreign_token_is_nobodys_arrival() -> None:
    """A probe frame with a token that nobody sent stands in for no other."""
    faults = Faults(foreign=(("bbox4", "eth0"),), lose=at_bbox4)
    found = verdicts(Stage.ROUTED, faults)
    towards = [one for one in found.values() if one.cell.dst == "bbox4"]
    assert not [one.explain() for one in towards if one.ok or one.observation.arrived]


def test_step_fails_on_demand() -> None:
    """The n-th step fails, and the error is the step in a person's words."""
    lab = Lab(TUTORIAL, FakeMachine(Faults(fails=(1, "No space left on device"))))
    with pytest.raises(BuildError, match=r"^ip netns add host1: No space left on device$"):
        lab.build()


def test_sweep_is_refused_on_demand() -> None:
    """A sweep that cannot start says why."""
    with pytest.raises(MachineError, match=r"^bbox1: no port 7$"):
        verdicts(Stage.ISOLATED, Faults(refuses_sweep="bbox1: no port 7"))


def test_worker_is_lost_on_demand() -> None:
    """A worker that is lost in a sweep is no verdict."""
    with pytest.raises(WorkerLost):
        verdicts(Stage.ISOLATED, Faults(lost=("sweep", 1)))
