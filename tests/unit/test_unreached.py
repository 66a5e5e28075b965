"""Cells whose machine went away: none is taken for proved, and one diagnosis has them all."""

from __future__ import annotations

from harness.causes import Code
from harness.diagnosis.unreached import unreached
from harness.flow import Ruling, Stage
from tests.unit.labs import TUTORIAL, cells_of

CELLS = cells_of(TUTORIAL, Stage.ISOLATED)


def test_every_cell_is_unproved_for_the_one_reason() -> None:
    """What it was expected to do does not matter: nothing is known of it."""
    found = unreached(CELLS.values(), ("host2",), "its worker ended")
    assert [one.cell.id for one in found.verdicts] == list(CELLS)
    assert {one.ruling for one in found.verdicts} == {Ruling.UNPROVED}
    assert not any(one.proof.left or one.proof.absent for one in found.verdicts)
    (told,) = found.diagnoses
    assert (told.code, told.subject) == (Code.MACHINE_UNREACHABLE, "host2")
    assert told.message == (
        "host2, which carries the lab, could not be reached any more: its worker ended"
    )
    assert told.cells == tuple(CELLS)


def test_no_cell_is_no_diagnosis() -> None:
    """There is nothing to explain."""
    found = unreached((), ("host2",), "its worker ended")
    assert (found.verdicts, found.diagnoses) == ((), ())


def test_several_machines_are_named_together() -> None:
    """A cut between the controller and all of them is one fault."""
    (told,) = unreached(CELLS.values(), ("host1", "host2"), "gone").diagnoses
    assert told.subject == "host1, host2"
    assert told.message.startswith("host1, host2, which carry the lab, could not be reached")
