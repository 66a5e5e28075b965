"""A sweep under way, and what comes home of it: a record of frames, and readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import MachineError
from harness.flow import Absent, Cell, Stage
from harness.frame import Frame
from harness.record import Neighbour, Record, Route, Sent, TapCount, Unrouted, Wave
from harness.report.model import Evidence
from harness.topology import Topology


def nothing() -> list[dict[str, Any]]:
    """No readings."""
    return []


@dataclass(frozen=True)
class Look:
    """Which endpoints were not there when it was looked; `readings` say it of all of them."""

    absent: tuple[Absent, ...] = ()
    anew: tuple[Absent, ...] = ()
    """Those that were there, but another time than when it was looked before."""
    readings: tuple[dict[str, Any], ...] = ()
    silent: tuple[str, ...] = ()
    """Hosts whose engine does not answer."""

    @classmethod
    def of(cls, said: dict[str, Any]) -> Look:
        """What a worker said of it."""
        absent, anew = (tuple(Absent(**one) for one in said[key]) for key in ("absent", "anew"))
        return cls(absent, anew, tuple(said["readings"]), tuple(said["silent"]))

    @property
    def nodes(self) -> frozenset[str]:
        """Who is not there."""
        return frozenset(one.node for one in self.absent)


@dataclass(frozen=True)
class Swept:
    """A sweep under way: `record` waits for the frames, `evidence` for the readings."""

    topology: Topology
    stage: Stage
    plan: dict[str, Any]
    """What the worker was told to do."""
    cells: tuple[Cell, ...]
    """The cells of its probes, and others of the stage that could have lent it a control."""
    answer: Callable[[], dict[str, Any]]
    before: Callable[[], list[dict[str, Any]]] = nothing
    after: Callable[[], list[dict[str, Any]]] = nothing
    number: int = 1
    """Which of the sweeps of its stage it is."""
    look: Look = Look()
    """What was there before it."""
    stayed: Callable[[], Look] = Look
    """What is there no more after it, or was started anew meanwhile."""
    pinged: Callable[[], list[dict[str, Any]]] = nothing
    """What ping(1) said in the containers, after all else."""

    @property
    def name(self) -> str:
        """What the files of the sweep are called."""
        return str(self.stage) if self.number == 1 else f"{self.stage}-{self.number}"

    def record(self) -> Record:
        """What the worker brought home; MachineError if the sweep could not start."""
        answer = self.answer()
        if "failed" in answer:
            raise MachineError(answer["failed"])
        tokens = {
            probe["id"]: probe["token"].hex()
            for wave in self.plan["waves"]
            for probe in wave["probes"]
        }
        return Record(
            stage=self.stage,
            waves=tuple(_wave(self.topology, wave, tokens) for wave in answer["waves"]),
            taps=tuple(TapCount(**tap) for tap in answer["taps"]),
            frames=_frames(answer["frames"], self.plan["taps"]),
            absent=self._absent(),
            macs=self.topology.macs,
        )

    def _absent(self) -> tuple[Absent, ...]:
        """Who was not there before the sweep, or did not stay; the first word of each."""
        after = self.stayed()
        said = (*after.anew, *after.absent, *self.look.absent)
        return tuple({one.node: one for one in said}.values())

    def evidence(self, record: Record) -> tuple[Evidence, ...]:
        """The readings, and the neighbours as they were at the end of each wave."""
        found = [self._reading(reading, "before") for reading in self.look.readings]
        found += [self._reading(reading, "after") for reading in self.stayed().readings]
        found += [self._reading(reading, "before") for reading in self.before()]
        found += [self._reading(reading, "after") for reading in self.after()]
        found += [self._reading(reading, "after") for reading in self.pinged()]
        for wave in record.waves:
            entries: dict[str, list[Neighbour]] = {node: [] for node in self.plan["nodes"]}
            for entry in wave.neighbours:
                entries[entry.node].append(entry)
            found += [self._neighbours(wave, node, of_node) for node, of_node in entries.items()]
            found += [self._routes(wave, counted) for counted in wave.unrouted]
        return tuple(found)

    def _reading(self, reading: dict[str, Any], when: str) -> Evidence:
        name = f"{self.stage}/{reading['node']}/{reading['kind'].replace(' ', '/')}/{when}"
        return Evidence(
            name=name,
            node=reading["node"],
            stage=str(self.stage),
            kind=reading["kind"].partition(" ")[0],
            command=reading["command"],
            parsed=reading["parsed"],
            raw=reading["raw"],
        )

    def _neighbours(self, wave: Wave, node: str, entries: list[Neighbour]) -> Evidence:
        raw = "".join(f"{entry.address} lladdr {entry.mac} {entry.state}\n" for entry in entries)
        return Evidence(
            name=f"{self.stage}/{node}/neighbours/{wave.name}",
            node=node,
            stage=str(self.stage),
            kind="neighbours",
            command="ip neighbour show",
            parsed=[
                {"address": entry.address, "mac": entry.mac, "state": entry.state}
                for entry in entries
            ],
            raw=raw,
        )

    def _routes(self, wave: Wave, counted: Unrouted) -> Evidence:
        """What a router said of all that came in, and how much it had no route for."""
        part = "" if self.number == 1 else f"-{self.number}"
        routes = [asdict(one) for one in wave.routes if one.node == counted.node]
        raw = "".join(
            "{dst} from {src} iif {interface}: {answer}\n".format(**one) for one in routes
        )
        return Evidence(
            name=f"{self.stage}/{counted.node}/no-routes/{wave.name}{part}",
            node=counted.node,
            stage=str(self.stage),
            kind="no-routes",
            command="ip route get DST from SRC iif INTERFACE; nstat -z IpExtInNoRoutes",
            parsed={"routes": routes, "packets": counted.packets},
            raw=f"{raw}IpExtInNoRoutes +{counted.packets}\n",
        )


def _wave(topology: Topology, data: dict[str, Any], tokens: dict[str, str]) -> Wave:
    sent = tuple(
        Sent(probe_id, tokens[probe_id], t_ns, errno) for probe_id, t_ns, errno in data["sent"]
    )
    neighbours = tuple(
        Neighbour(entry["node"], entry["address"], entry["mac"], entry["state"])
        for entry in data["neighbours"]
        if not _is_of_other_leg(topology, entry)
    )
    routes = tuple(Route(**entry) for entry in data["routes"])
    unrouted = tuple(Unrouted(**entry) for entry in data["unrouted"])
    times = (data["opened_ns"], data["closed_ns"])
    unheard = tuple(data["unheard"])
    return Wave(data["name"], *times, sent, neighbours, routes, unrouted, unheard)


def _is_of_other_leg(topology: Topology, entry: dict[str, Any]) -> bool:
    """Whether a node's neighbour entry is of an interface that goes by another node's name."""
    legs = topology.legs.get(entry["node"], ())
    return any(leg.name != entry["node"] and leg.interface == entry["interface"] for leg in legs)


def _frames(
    sightings: list[tuple[int, int, int, bytes]], where: list[tuple[str, str]]
) -> tuple[Frame, ...]:
    frames = [
        Frame(*where[number], direction="out" if outgoing else "in", t_ns=t_ns, raw=raw)
        for number, t_ns, outgoing, raw in sightings
    ]
    return tuple(sorted(frames, key=lambda frame: frame.t_ns))
