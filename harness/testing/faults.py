"""What can be wrong with a FakeMachine and the network that it plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.flow import Point

Tap = tuple[str, str]
"""(node, interface)"""


@dataclass(frozen=True)
class Passing:
    """A frame about to pass a point of the network."""

    probe: str
    """The id of the probe that it is there for: its own frame, a reply, or ARP on its behalf."""
    point: Point
    raw: bytes


def _never(_passing: Passing) -> bool:
    return False


def _nowhere(_passing: Passing) -> None:
    return None


@dataclass(frozen=True)
class Faults:
    """Each field is one fault; without any, everything works."""

    fails: tuple[int, str] | None = None
    """The n-th step of all (the first is 1) fails, and what the kernel says of it."""
    lost: tuple[str, int] | None = None
    """The worker is lost in the n-th call (the first is 1) of this function, and stays lost."""
    refuses_sweep: str = ""
    """Why no sweep can start."""
    lose: Callable[[Passing], bool] = _never
    """Whether the frame is lost on its way to a point: not seen there, nor anywhere behind it."""
    unseen: Callable[[Passing], bool] = _never
    """Whether the tap at a point misses a frame, which goes on."""
    late: Callable[[Passing], bool] = _never
    """Whether the tap at a point has a frame from after the end of its wave."""
    leak: Callable[[Passing], Tap | None] = _nowhere
    """Where else a frame comes in that passes a point. What has leaked does not leak again."""
    drops: Mapping[Tap, int] = field(default_factory=dict)
    """What taps say that they lost."""
    down: frozenset[Tap] = frozenset()
    """Taps whose interface went down under them."""
    blind: frozenset[Tap] = frozenset()
    """Taps that see nothing, and do not know it."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Errnos with which the kernel refuses to send a probe, by the probe's id."""
    foreign: tuple[Tap, ...] = ()
    """Taps at which each wave sees a probe whose token is nobody's."""
