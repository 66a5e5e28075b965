"""What an oracle of plain sockets says, and what verdicts it contradicts."""

from __future__ import annotations

import pytest

from harness.faults.opinion import Answers, compared, read
from harness.faults.predict import cells, shipped
from harness.flow import Observation, Outcome, Proof, Ruling, Stage, Verdict

TUTORIAL = shipped("macvlan-two-host")
CELLS = {cell.id: cell for cell in cells("macvlan-two-host", Stage.ROUTED)}
ADDRESSES = {end.name: str(end.address) for end in TUTORIAL.endpoints}
KEY = ("icmp", "bbox1", "bbox4")
RIGHT: Answers = {KEY: ("172.16.20.1", 63), ("tcp", "bbox1", "bbox4"): None}


def verdict(
    name: str, ruling: Ruling, outcome: Outcome = Outcome.REACHED, why: str = "it says so"
) -> Verdict:
    """A judged cell of the tutorial lab."""
    seen = Observation(outcome, "", left=True, arrived=True)
    proof = Proof(left=True, absent=False, control=None, taps_lossless=True, outcome=True)
    return Verdict(CELLS[f"routed-{name}"], seen, ruling, why, proof, "")


def test_prints_are_put_together() -> None:
    """Who was answered, and as whom the question came in; of TCP nobody says that."""
    answered = {"bbox1": "icmp 172.16.20.11\ntcp 172.16.20.11\ndone\n", "bbox4": "done\n"}
    came = {
        "bbox4": "listening\nicmp 172.16.20.1 63 172.16.10.10>172.16.20.11\ntcp 172.16.20.1 63 -\n",
    }
    assert read(ADDRESSES, answered, came) == RIGHT


@pytest.mark.parametrize(
    ("found", "answers", "said"),
    [
        (verdict("bbox1-to-bbox4-icmp", Ruling.PASS), RIGHT, None),
        (verdict("bbox1-to-bbox4-tcp", Ruling.PASS), RIGHT, None),
        (verdict("bbox1-to-bbox4-icmp", Ruling.PASS), {}, "false pass"),
        (verdict("bbox1-to-bbox4-icmp", Ruling.PASS), {KEY: ("172.16.10.10", 63)}, "false pass"),
        (verdict("bbox1-to-bbox4-icmp", Ruling.PASS), {KEY: ("172.16.20.1", 64)}, "false pass"),
        (verdict("bbox1-to-bbox4-icmp", Ruling.FAIL, Outcome.SILENT), RIGHT, "plain sockets"),
        (verdict("bbox1-to-bbox4-icmp", Ruling.UNPROVED, Outcome.SILENT), RIGHT, "plain sockets"),
        (verdict("bbox1-to-bbox4-icmp", Ruling.FAIL), RIGHT, "plain sockets"),
        (verdict("bbox1-to-bbox4-icmp", Ruling.FAIL, Outcome.SILENT), {}, None),
        (verdict("bbox1-to-bbox4-tcp", Ruling.FAIL), RIGHT, None),
        (
            verdict("bbox1-to-bbox4-icmp", Ruling.FAIL, why="seen where it must not be"),
            RIGHT,
            None,
        ),
        (verdict("bbox1-to-bbox4-icmp:1472", Ruling.PASS), {}, None),
        (verdict("bbox1-to-bbox4-l2-unicast", Ruling.PASS), {}, None),
        (verdict("gateway-to-bbox4-icmp", Ruling.PASS), {}, None),
    ],
)
def test_verdict_against_the_oracle(found: Verdict, answers: Answers, said: str | None) -> None:
    """A pass that sockets deny is told, and a failure that they deny, where they can know."""
    told = compared(TUTORIAL, found, answers)
    assert (
        [said in one for one in told if said] == [True] * len(told) == [True] * (said is not None)
    )
