"""What was found of a fault on a lab, against what was predicted."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.fault import Fault, Prediction
from harness.flow import Ruling


@dataclass(frozen=True)
class Tried:
    """A fault that was injected and undone."""

    fault: Fault
    prediction: Prediction
    rulings: dict[str, Ruling]
    """Of each cell while the fault was there."""
    unhealed: tuple[str, ...]
    """What is not as before after the undo: cells, and readings of nodes."""
    ms: int

    @property
    def wrong(self) -> tuple[str, ...]:
        """The cells that are not as predicted."""
        if not self.fault.steady:
            return () if self.red else ("nothing turned red",)
        return tuple(
            f"{name}: predicted {ruling}, found {self.rulings.get(name)}"
            for name, ruling in self.prediction.rulings.items()
            if self.rulings.get(name) is not ruling
        )

    @property
    def red(self) -> int:
        """How many cells were not green."""
        return sum(ruling is not Ruling.PASS for ruling in self.rulings.values())

    @property
    def named(self) -> tuple[str, ...]:
        """The causes that a diagnosis named."""
        return ()

    @property
    def right(self) -> bool:
        """Everything is as predicted, and green again."""
        return not self.wrong and not self.unhealed

    def explain(self) -> str:
        """What is not as predicted."""
        lines = [f"{self.fault.name}: {self.fault.sentence}", *self.wrong]
        return "\n  ".join([*lines, *(f"after the undo: {one}" for one in self.unhealed)])
