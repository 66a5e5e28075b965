"""What a worker brought home from one stage: frames, send log, tap counters, neighbour tables.

A record and the topology are all that verdicts are made from. The run folder keeps both, so that
`harness judge` can make them again.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

from harness.errors import RunFolderError
from harness.flow import Absent, Stage
from harness.frame import Frame
from harness.topology import Topology

CONTROL, BEACON = "control/", "beacon/"
"""What stands before a cell's id where a probe vouches for cells and is none of the report's."""
TOKEN_OCTETS = 16
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Sent:
    """One probe as its source's kernel took it."""

    id: str
    """The cell's id, with `control/` before it where the probe is no more than a control."""
    token: str
    """16 octets in hexadecimal."""
    t_ns: int
    errno: int | None
    """What the kernel refused the probe with, or None."""

    @property
    def cell(self) -> str:
        """The id of the cell that the probe is, or stands in for."""
        return self.id.removeprefix(CONTROL).removeprefix(BEACON)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One neighbour entry at the end of a wave; `state` as ip-neighbour(8) has it."""

    node: str
    address: str
    mac: str | None
    state: str


@dataclass(frozen=True, slots=True)
class Route:
    """What a router says of packets that came in at one of its interfaces, at a wave's end."""

    node: str
    interface: str
    src: str
    dst: str
    answer: str
    """The type of its route to them, as ip-route(8) has it, or the name of an errno."""


@dataclass(frozen=True, slots=True)
class Unrouted:
    """How many packets a router's kernel ended in a wave for want of a route (IpExtInNoRoutes)."""

    node: str
    packets: int


@dataclass(frozen=True)
class Wave:
    """Probes that were under way together. Neighbours were flushed before and after."""

    name: str
    opened_ns: int
    closed_ns: int
    sent: tuple[Sent, ...]
    neighbours: tuple[Neighbour, ...]
    routes: tuple[Route, ...] = ()
    """Of routers that some packet must end at for want of a route."""
    unrouted: tuple[Unrouted, ...] = ()
    """Of the same routers."""
    unheard: tuple[str, ...] = ()
    """Ids of probes whose reply came in at their source, and did not get to the socket there that
    had asked: rules of the source's own see a packet after its taps do."""

    @cached_property
    def states(self) -> dict[tuple[str, str], str]:
        """The state of each (node, address); of more than one the first."""
        return {(one.node, one.address): one.state for one in reversed(self.neighbours)}


@dataclass(frozen=True, slots=True)
class TapCount:
    """What a tap got and lost; `down` if its interface went down under it."""

    node: str
    interface: str
    packets: int
    drops: int
    down: bool
    shut: bool = False
    """Whether its interface was down, or not there, all the time: then nothing passed it."""

    @property
    def lossless(self) -> bool:
        """Whether the absence of a frame at this tap means anything."""
        return not self.drops and (self.shut or not self.down)


@dataclass(frozen=True)
class Record:
    """One stage."""

    stage: Stage
    waves: tuple[Wave, ...]
    taps: tuple[TapCount, ...]
    frames: tuple[Frame, ...] = ()
    """In the order of their time."""
    absent: tuple[Absent, ...] = ()
    """Endpoints that were not there, whose taps were not open either."""
    macs: dict[str, str] | None = None
    """Of trunks and endpoints by node, where hosts are machines of their own; None elsewhere."""

    def found(self, topology: Topology) -> Topology:
        """The topology as it was found: what these frames are judged by."""
        return topology if self.macs is None else topology.on_machines(self.macs)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of all probes, controls included, in hexadecimal."""
        return tuple(sent.token for wave in self.waves for sent in wave.sent)

    @property
    def cells(self) -> set[str]:
        """The ids of the cells that the probes are, or stand in for."""
        return {sent.cell for wave in self.waves for sent in wave.sent}

    def as_json(self) -> dict[str, Any]:
        """Everything but the frames, which the capture file holds."""
        return asdict(replace(self, frames=()))

    @classmethod
    def from_json(cls, data: dict[str, Any], frames: tuple[Frame, ...]) -> Record:
        """The inverse of `as_json`; RunFolderError if `data` is not of that form."""
        try:
            waves = tuple(_wave(wave) for wave in data["waves"])
            taps = tuple(_typed(TapCount(**tap)) for tap in data["taps"])
            absent = tuple(_typed(Absent(**one)) for one in data["absent"])
            macs = data.get("macs")
            if macs is not None:
                macs = {str(host): _mac(mac) for host, mac in macs.items()}
            return cls(Stage(data["stage"]), waves, taps, frames, absent, macs)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"not a record of a stage: {error!r}") from error


Part = TypeVar("Part", Sent, Neighbour, Route, Unrouted, Wave, TapCount, Absent)


def _mac(text: str) -> str:
    if not MAC.fullmatch(text):
        raise ValueError(f"not a MAC address: {text!r:.40}")
    return text


def _wave(data: dict[str, Any]) -> Wave:
    sent = tuple(_typed(Sent(**entry)) for entry in data["sent"])
    for one in sent:
        if len(bytes.fromhex(one.token)) != TOKEN_OCTETS:
            raise ValueError(f"not a token: {one.token}")
    neighbours = tuple(_typed(Neighbour(**entry)) for entry in data["neighbours"])
    routes = tuple(_typed(Route(**entry)) for entry in data["routes"])
    unrouted = tuple(_typed(Unrouted(**entry)) for entry in data["unrouted"])
    times = (data["opened_ns"], data["closed_ns"])
    unheard = tuple(data["unheard"])
    if not all(isinstance(one, str) for one in unheard):
        raise TypeError(f"unheard is {unheard!r:.40}")
    return _typed(Wave(data["name"], *times, sent, neighbours, routes, unrouted, unheard))


_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "bool": bool, "int | None": (int, type(None)),
    "str | None": (str, type(None)),
}  # fmt: skip


def _typed(made: Part) -> Part:
    """The value again; TypeError if one of its plain fields is of another type than it says."""
    for each in fields(made):
        value, kinds = getattr(made, each.name), _TYPES.get(str(each.type), object)
        if not isinstance(value, kinds):
            raise TypeError(f"{each.name} is {value!r:.40}")
    return made
