"""What carries a lab is killed in the middle of a sweep: nothing is proved, and it is said why.

Machines that are cut off, or lose their power, are in `tests/ssh/test_runs.py`.
"""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterable, Iterator

import pytest

from harness import labs
from harness.causes import Code
from harness.conductor import Conductor
from harness.faults.predict import cells, path_of, shipped
from harness.flow import Cell, Ruling, Stage
from harness.lab import Lab
from harness.machines import control_groups
from harness.swept import Swept
from harness.worker import calls

TUTORIAL = "macvlan-two-host"


def open_mortal() -> Lab:
    """A lab whose worker is killed once its first sweep is under way."""
    lab = labs.private(path_of(TUTORIAL)).open()
    sweeps, worker = lab.sweeps, control_groups.first_process(lab.call(calls.namespace))
    assert worker is not None

    def killed(chosen: Iterable[Cell]) -> Iterator[Swept]:
        for swept in sweeps(chosen):
            os.kill(worker, signal.SIGKILL)
            yield swept

    lab.sweeps = killed  # type: ignore[method-assign,assignment]
    return lab


def test_killed_worker_is_named_as_a_machine_that_is_gone() -> None:
    """Every cell of the stage is unproved, for this one cause."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    asked = cells(TUTORIAL, Stage.ISOLATED)
    conductor = Conductor(shipped(TUTORIAL), open_mortal, asked, (Stage.ISOLATED,))
    try:
        found = conductor.result(Stage.ISOLATED)
    finally:
        conductor.close()
    assert found.broken
    assert {one.ruling for one in found.verdicts.values()} == {Ruling.UNPROVED}
    assert found.verdicts.keys() == {one.id for one in asked}
    (told,) = found.diagnoses
    assert (told.code, told.subject) == (Code.MACHINE_UNREACHABLE, platform.node())
    assert (told.fix, len(told.cells)) == ("harness doctor", len(asked))
