"""The proof rule: what a verdict says of its proof (for what must not pass see false passes)."""

from __future__ import annotations

import pytest

from harness.flow import Outcome, Point, Proof, Ruling, Stage, Verdict
from harness.topology import Topology
from tests.unit import faults, labs
from tests.unit.labs import LONELY, TUTORIAL, cells_of
from tests.unit.play import Fault, judged, play

LAYER2 = "isolated-bbox1-to-bbox4-l2-unicast"
DIRECT = "isolated-bbox1-to-bbox3-icmp"
ROUTED = "routed-bbox1-to-bbox4-tcp"
LABS = [name for name in vars(labs) if isinstance(getattr(labs, name), Topology)]


def verdict(cell_id: str, *wrong: Fault, lab: Topology = TUTORIAL) -> Verdict:
    """The verdict of one cell that was played with faults."""
    known = cells_of(lab, Stage(cell_id.partition("-")[0]))
    return judged(lab, [known[cell_id]], *wrong)[cell_id]


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", LABS)
def test_a_network_that_does_what_it_must_passes(name: str, stage: Stage) -> None:
    """Every cell of every lab and stage, proved."""
    lab: Topology = getattr(labs, name)
    cells = cells_of(lab, stage)
    found = judged(lab, cells.values())
    assert [one.explain() for one in found.values() if not one.ok] == []
    assert sorted(found) == sorted(cells)
    for one in found.values():
        reached = one.cell.expectation.outcome is Outcome.REACHED
        assert one.proof.outcome
        assert one.proof.taps_lossless
        assert one.proof.absent is not reached
        assert bool(one.proof.control) is not reached


def test_the_proof_of_a_negative_names_its_control() -> None:
    """With a reason in words."""
    one = verdict(LAYER2)
    control = "control/isolated-bbox2-to-bbox4-l2-unicast"
    assert one.proof == Proof(
        left=True, absent=True, control=control, taps_lossless=True, outcome=True
    )
    assert one.why == f"it did not arrive, and {control}, sent after it, did"
    assert (one.ruling, one.attempts, one.evidence) == (Ruling.PASS, 1, ())


def test_a_beacon_is_named_as_control() -> None:
    """Where no endpoint can send one."""
    one = verdict("isolated-bbox1-to-bbox2-udp", lab=LONELY)
    assert one.proof.control == "beacon/isolated-bbox1-to-bbox2-udp"


def test_controls_are_no_cells_of_the_report() -> None:
    """They are judged by nobody."""
    cells = cells_of(TUTORIAL, Stage.ISOLATED)
    assert list(judged(TUTORIAL, [cells[LAYER2]])) == [LAYER2]


def test_a_verdict_has_the_token_of_its_probe() -> None:
    """So that it can be found in the capture."""
    cells = [cells_of(TUTORIAL, Stage.ISOLATED)[DIRECT]]
    token = judged(TUTORIAL, cells)[DIRECT].token
    assert len(bytes.fromhex(token)) == 16
    assert len(play(TUTORIAL, cells).tokens) == 1


WHY: dict[str, tuple[str, tuple[Fault, ...], Ruling, str]] = {
    "reached": (
        DIRECT, (), Ruling.PASS, "it arrived by the expected path, and its reply came back",
    ),
    "lost": (
        DIRECT, (faults.lost(DIRECT, "host2:eth2 (in)"),), Ruling.FAIL,
        "it must reach, but: it left, and nothing came back",
    ),
    "not sent": (
        DIRECT, (faults.refused(DIRECT, 1),), Ruling.UNPROVED,
        "it could not be told: the source's kernel refused: EPERM (Operation not permitted)",
    ),
    "no tap": (
        DIRECT, (faults.tap("host1", "eth1", drops=2), faults.no_tap("switch", "host2")),
        Ruling.UNPROVED,
        "taps lost frames, went down or were not open: host1:eth1, switch:host2",
    ),
    "around": (
        ROUTED, (faults.hidden(ROUTED, "switch:gateway (in)"),), Ruling.FAIL,
        "it arrived, but not by way of switch:gateway (in)",
    ),
    "ttl": (
        ROUTED, (faults.altered(ROUTED, "bbox4:eth0 (in)", ttl=61),), Ruling.FAIL,
        "it arrived with TTL 61, not 63",
    ),
    "source": (
        ROUTED, (faults.altered(ROUTED, "bbox4:eth0 (in)", src_ip="9.9.9.9"),), Ruling.FAIL,
        "it arrived from 9.9.9.9, not 172.16.20.1",
    ),
    "no control": (
        LAYER2, (faults.no_control("bbox4", "l2-unicast"),), Ruling.UNPROVED,
        "no control of class l2-unicast arrived at bbox4 after it",
    ),
    "another reason": (
        LAYER2, (faults.refused(LAYER2, 101),), Ruling.FAIL,
        ("it did not reach, but for another reason: "
        "the source's kernel refused: ENETUNREACH (Network is unreachable)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHY)
def test_a_verdict_says_why(name: str) -> None:
    """In one sentence, with what was found."""
    cell_id, wrong, ruling, why = WHY[name]
    one = verdict(cell_id, *wrong)
    assert (one.ruling, one.why) == (ruling, why)


def test_a_failed_proof_says_which_point_is_missing() -> None:
    """Each of the five by itself."""
    lost = verdict(LAYER2, faults.tap("bbox4", "eth0", drops=1)).proof
    assert (lost.taps_lossless, lost.left, lost.absent, lost.outcome) == (False, True, True, True)
    unsent = verdict(LAYER2, faults.unsent(LAYER2)).proof
    assert (unsent.left, unsent.outcome, unsent.absent) == (False, False, True)
    stray = verdict(LAYER2, faults.leaked(LAYER2, Point("host2", "eth1", "in"))).proof
    assert (stray.absent, stray.outcome) == (False, True)
    assert verdict(LAYER2, faults.no_control("bbox4", "l2-unicast")).proof.control is None
