"""What was found of a fault on a lab, against what was predicted."""

from __future__ import annotations

from dataclasses import dataclass

from harness.causes import Code, Diagnosis
from harness.faults.fault import Fault, Prediction
from harness.flow import Ruling


@dataclass(frozen=True)
class Tried:
    """A fault that was injected and undone."""

    fault: Fault
    prediction: Prediction
    rulings: dict[str, Ruling]
    """Of each cell while the fault was there."""
    causes: dict[str, Code]
    """Of each cell that was not green: what was named."""
    diagnoses: tuple[Diagnosis, ...]
    unmended: tuple[str, ...]
    """What the fixes that were printed did not mend: cells, and fixes that could not be run."""
    unhealed: tuple[str, ...]
    """What is not as before after the undo: cells, and readings of nodes."""
    ms: int

    @property
    def wrong(self) -> tuple[str, ...]:
        """The cells that are not as predicted."""
        if not self.fault.steady and not self.red:
            return ("nothing turned red",)
        return tuple(
            f"{name}: predicted {ruling}, found {self.rulings.get(name)}"
            for name, ruling in self.prediction.rulings.items()
            if self.rulings.get(name) is not ruling and self._told(ruling)
        )

    def _told(self, predicted: Ruling) -> bool:
        """Whether a prediction holds for each cell; which turn red may be left open, or all."""
        return self.fault.steady or (self.fault.machine and predicted is Ruling.PASS)

    @property
    def red(self) -> int:
        """How many cells were not green."""
        return sum(ruling is not Ruling.PASS for ruling in self.rulings.values())

    @property
    def named(self) -> tuple[Code, ...]:
        """The causes that a diagnosis named."""
        return tuple(dict.fromkeys(one.code for one in self.diagnoses))

    @property
    def misnamed(self) -> tuple[str, ...]:
        """The causes that are not as predicted, of the fault and of its cells."""
        wanted = self.fault.causes
        unnamed = [code for code in wanted if code not in self.named]
        if not self.fault.steady and len(unnamed) < len(wanted):
            unnamed = []
        found = [f"{code} was not named" for code in unnamed]
        found += [
            f"{one.code} was named at {one.node}: {one.message}"
            for one in self.diagnoses
            if one.code not in wanted
        ]
        for name, code in self.causes.items():
            allowed = self.prediction.causes.get(name, wanted) if self.fault.steady else wanted
            if code not in allowed and code in wanted:
                found.append(f"{name}: named {code}, not {' or '.join(allowed)}")
        return tuple(found)

    @property
    def right(self) -> bool:
        """Everything is as predicted, mended by what was printed, and green again."""
        return not (self.wrong or self.misnamed or self.unmended or self.unhealed)

    def explain(self) -> str:
        """What is not as it must be."""
        lines = [f"{self.fault.name}: {self.fault.sentence}", *self.wrong, *self.misnamed]
        lines += [f"after the fix: {one}" for one in self.unmended]
        lines += [f"after the undo: {one}" for one in self.unhealed]
        return "\n  ".join(lines)
