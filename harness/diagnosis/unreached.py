"""What is said of cells whose machine went away before anything could be told of them."""

from __future__ import annotations

from collections.abc import Iterable

from harness.causes import Cause, Code, Diagnosis
from harness.diagnosis.diagnose import Diagnosed
from harness.flow import Cell, Observation, Outcome, Proof, Ruling, Verdict

FIX = "harness doctor"
"""A lab that was the run's own is gone with its worker: what is left to look at is the machine."""
NOTHING_PROVED = Proof(left=False, absent=False, control=None, taps_lossless=False, outcome=False)


def unreached(cells: Iterable[Cell], machines: tuple[str, ...], why: str) -> Diagnosed:
    """Nothing is known of these cells, for one reason. They have no token: no record has them."""
    machine = ", ".join(machines)
    carries = "which carries the lab" if len(machines) == 1 else "which carry the lab"
    message = f"{machine}, {carries}, could not be reached any more: {why}"
    cause = Cause(Code.MACHINE_UNREACHABLE, None, machine, message)
    seen = Observation(Outcome.INCONCLUSIVE, message, left=False, arrived=False)
    verdicts = tuple(
        Verdict(
            cell, seen, Ruling.UNPROVED, f"it could not be told: {message}", NOTHING_PROVED,
            token="", attempts=0, cause=cause,
        )
        for cell in cells
    )  # fmt: skip
    if not verdicts:
        return Diagnosed((), ())
    explained = tuple(one.cell.id for one in verdicts)
    found = Diagnosis(cause.code, None, machine, message, FIX, explained)
    return Diagnosed(verdicts, (found,))
