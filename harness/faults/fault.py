"""What a fault is, and what is predicted of it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.causes import Code
from harness.faults.change import Change, together
from harness.flow import Ruling, Stage

TUTORIAL = "macvlan-two-host"

OWN_KERNEL = "needs a virtual machine: `pytest suites/faults --lab-kernel 6.1`"


@dataclass(frozen=True)
class Fault:
    """A way in which a lab can be wrong; or, without causes, a change that breaks nothing."""

    name: str
    sentence: str
    change: Change
    causes: tuple[Code, ...] = ()
    """What a diagnosis must name: one for each of the faults that it is made of."""
    topology: str = TUTORIAL
    """The name of a shipped topology."""
    backend: str = "netns"
    stage: Stage = Stage.ROUTED
    steady: bool = True
    """Whether it is the same each time; else the cells that turn red differ, but some do."""
    datapath: str = ""
    """The VLAN datapath that it takes; any where empty."""
    mended: bool = True
    """Whether the fix that is printed mends it; else none is: no reading says who does it."""
    machine: bool = False
    """Whether it is of the kernel itself, and takes one of its own: a virtual machine."""
    parts: tuple[Fault, ...] = ()
    """Of a pair: the two faults."""

    @property
    def is_benign(self) -> bool:
        """Whether every cell must stay green, with no diagnosis."""
        return not self.causes


@dataclass(frozen=True)
class Prediction:
    """What becomes of every cell of a fault's stage."""

    rulings: dict[str, Ruling]
    """By the id of the cell."""
    causes: dict[str, tuple[Code, ...]]
    """What may be named as the cause of each cell that is not green: of a pair's cells that both
    faults turn red, either."""

    @property
    def red(self) -> tuple[str, ...]:
        """The cells that are not green: failed, or not to be told."""
        return tuple(self.causes)


def pair(one: Fault, other: Fault) -> Fault:
    """Two faults at once."""
    return Fault(
        name=f"{one.name}+{other.name}",
        sentence=f"Both: {one.sentence} {other.sentence}",
        change=together(one.change, other.change),
        causes=one.causes + other.causes,
        topology=one.topology,
        backend=one.backend,
        stage=one.stage,
        parts=(one, other),
    )
