"""FakeMachine and its worker: they answer what a controller calls, without any privilege."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import WorkerFailed, WorkerLost
from harness.testing.faults import Faults
from harness.testing.held import Held
from harness.testing.network import LATE_NS, Clock, Network
from harness.testing.readings import FACTS, Readings
from harness.testing.stack import Refusal, Stacks
from harness.testing.state import Refused, State
from harness.worker import wire


class FakeMachine:
    """A Machine without a kernel. `workers` are those that it has started, also the closed ones."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.workers: list[FakeWorker] = []

    def start(self) -> FakeWorker:
        """See Machine: a worker in namespaces of its own, so one that knows of no other."""
        worker = FakeWorker(self.faults)
        self.workers.append(worker)
        return worker


class FakeWorker:
    """A Worker that answers the functions of `harness.worker.calls` by their names.

    `steps` are those that were carried out, `sweeps` the plans of those that were started, `called`
    the names of the functions called, all in order.
    """

    def __init__(self, faults: Faults) -> None:
        self.steps: list[dict[str, Any]] = []
        self.sweeps: list[dict[str, Any]] = []
        self.called: list[str] = []
        self.closed = False
        self._faults, self._clock = faults, Clock()
        self.state = State()
        """What the steps have made of the nodes. Who changes it breaks the lab."""
        self._readings = Readings(self.state)
        self._held = Held(self.state)
        self._note: dict[str, Any] | None = None
        self._count: Counter[str] = Counter()
        self._is_lost = False
        self._answers: dict[str, Callable[..., Any]] = {
            "prepare": lambda: None,
            "facts": _facts,
            "apply": self._apply,
            "sweep": self._sweep,
            "unanswered": lambda: 1,
            "taint": lambda: 0,
            "evidence": self._readings.read,
            "run": self._readings.run,
            "start": self._held.start,
            "said": self._held.said,
            "stop": self._held.stop,
            "watch": self._held.watch,
            "seen": self._held.seen,
            "watch_drops": lambda: False,
            "unwatch_drops": lambda: None,
            "forget": lambda _nodes: None,  # each sweep tracks connections anew
            "namespace": lambda: 0,
            "note": self._write_note,
            "noted": lambda: self._note,
            "control_group": lambda: "harness-0",
            "versions": lambda hosts: [f"{host}: Docker (fake)" for host in hosts],
            "end": lambda: None,
        }

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """See Worker."""
        return self.begin(function, *arguments)()

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """See Worker. The work is done at once, and errors are kept for who waits."""
        if self.closed:
            raise WorkerLost("the worker is gone: it was closed")
        name = function.__name__
        self.called.append(name)
        self._count[name] += 1
        self._is_lost |= self._faults.lost == (name, self._count[name])
        if self._is_lost:
            return self._ended
        try:
            answer = self._answers[name](*arguments)
        except Exception as error:  # noqa: BLE001 - whatever breaks in a worker comes as WorkerFailed
            problem = WorkerFailed(f"the worker failed: {type(error).__name__}: {error}")
            return lambda: _raise(problem)
        return lambda: answer

    def close(self) -> None:
        """See Worker. Closing twice is closing once."""
        self.closed = True

    def _ended(self) -> Any:
        raise WorkerLost("the worker ended before it answered; run again")

    def _apply(self, steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
        for number, step in enumerate(steps):
            if self._faults.fails and len(self.steps) + 1 == self._faults.fails[0]:
                return {"done": number, "reason": self._faults.fails[1]}
            try:
                self.state.apply(step)
            except Refused as refused:
                return {"done": number, "reason": str(refused)}
            self.steps.append(step)
        return {"done": len(steps)}

    def _write_note(self, description: dict[str, Any]) -> None:
        self._note = description

    def _sweep(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The form of `harness.worker.sweep.sweep`."""
        self.sweeps.append(plan)
        if self._faults.refuses_sweep:
            return {"failed": self._faults.refuses_sweep}
        taps = [(node, interface) for node, interface in plan["taps"]]
        network = Network(self.state, self._faults, taps, self._clock)
        stacks = self._readings.stacks = Stacks(network, plan["responders"])
        waves = [self._wave(wave, network, stacks, plan["nodes"]) for wave in plan["waves"]]
        self._held.passed += [(taps[number], each) for number, *each in network.sightings]
        seen = Counter(number for number, *_ in network.sightings)
        counts = [self._counted(tap, seen[number]) for number, tap in enumerate(taps)]
        return {"waves": waves, "frames": network.sightings, "taps": counts}

    def _counted(self, tap: tuple[str, str], packets: int) -> dict[str, Any]:
        """What a tap says at the end; one whose interface is down or gone is shut."""
        node, interface = tap
        link = self.state.nodes[node].links.get(interface)
        shut = link is None or not link.up
        flapped, flooded = (link.flaps, link.floods) if link else (False, False)
        return {
            "node": node, "interface": interface, "packets": packets,
            "drops": self._faults.drops.get(tap, int(flooded)),
            "down": shut or flapped or tap in self._faults.down, "shut": shut,
        }  # fmt: skip

    def _wave(
        self, wave: dict[str, Any], network: Network, stacks: Stacks, nodes: Sequence[str]
    ) -> dict[str, Any]:
        opened = self._clock.tick()
        stacks.arp.forget()
        sent = [self._send(probe, network, stacks) for probe in wave["probes"]]
        unheard = stacks.came - stacks.heard
        for tap in self._faults.foreign:
            token = bytes([0xF0]) * wire.TOKEN_OCTETS
            ends = wire.BROADCAST, bytes(6)
            network.see(tap, "in", wire.layer2(*ends, token, wire.REQUEST, None))
        table = [entry for node in nodes for entry in self._readings.neighbours(node)]
        closed = self._clock.tick()
        self._clock.now_ns += 2 * LATE_NS
        stacks.arp.forget()
        return {
            "name": wave["name"], "opened_ns": opened, "closed_ns": closed, "sent": sent,
            "unheard": [one["id"] for one in wave["probes"] if one["id"] in unheard],
            "neighbours": table, "routes": [], "unrouted": [],
        }  # fmt: skip

    def _send(
        self, probe: dict[str, Any], network: Network, stacks: Stacks
    ) -> tuple[str, int, int | None]:
        network.probe, time_ns = probe["id"], self._clock.tick()
        number = errno.ENODEV if probe["absent"] else self._faults.refused.get(probe["id"])
        if number is None:
            try:
                stacks.send(probe)
            except Refusal as refusal:
                number = refusal.errno
        return probe["id"], time_ns, number


def _facts(vlan_datapath: str | None = None) -> dict[str, Any]:
    return {**FACTS, "vlan_datapath": vlan_datapath or FACTS["vlan_datapath"]}


def _raise(error: Exception) -> Any:
    raise error
