"""Several machines as one: a worker made of the workers of a lab's hosts.

What is asked of nodes goes to the machines that carry them, side by side, and comes back as from
one. A sweep goes in rounds (`worker.rounds`): all taps are open before anything is sent anywhere,
all that must not arrive is sent before any control is, with a floor of time between them. So which
came first never rests on clocks; each machine's stamps are moved to the controller's by half a
round trip, which cannot put anything after what followed it a round later.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.endpoints.containers import calls as of_containers
from harness.errors import MachineError, WorkerLost
from harness.machines.worker import Machine, Worker
from harness.worker import calls, rounds

ROUND_S = 0.02
"""How long machines answer and drain before it is asked whether all is there."""
APART = 2
"""So many times as long as on one machine nothing may move before a wait is given up."""
BEAT_S = 10.0
"""How often machines hear of their controller; see `worker.keeping`."""
SAMPLES = 3
"""Times that a clock is read; the one with the shortest round trip counts."""

Function = Callable[..., Any]
Asked = dict[str, tuple[Any, ...]]
"""The arguments of a call by machine."""


class Machines:
    """The machines of a lab's hosts by name, as one; `nodes` says who carries each node."""

    def __init__(
        self, machines: Mapping[str, Machine], nodes: Mapping[str, str], floor_s: float
    ) -> None:
        self._machines, self._nodes, self._floor_s = machines, nodes, floor_s

    def start(self) -> Fleet:
        """See Machine: all are started side by side; the first error ends those that did start."""
        pool = ThreadPoolExecutor(len(self._machines), "machine")
        waiting = {name: pool.submit(one.start) for name, one in self._machines.items()}
        problems = [one.exception() for one in waiting.values()]
        if any(problems):
            for one in waiting.values():
                if not one.exception():
                    one.result().close()
            pool.shutdown()
            said = [problem for problem in problems if problem]
            if all(isinstance(problem, MachineError) for problem in said):
                raise MachineError("; ".join(map(str, said)))
            raise said[0]
        workers = {name: one.result() for name, one in waiting.items()}
        return Fleet(workers, self._nodes, self._floor_s, pool)


class Fleet:
    """See Worker. Calls are carried out in the order in which they were begun."""

    def __init__(
        self,
        workers: Mapping[str, Worker],
        nodes: Mapping[str, str],
        floor_s: float,
        starters: ThreadPoolExecutor,
    ) -> None:
        """`starters` started the workers: mitogen ends a worker with the thread that did."""
        self._workers, self._nodes, self._floor_s = dict(workers), dict(nodes), floor_s
        self._starters = starters
        self._thread = ThreadPoolExecutor(1, "fleet")
        self._beating, self._closed = ThreadPoolExecutor(1, "heartbeat"), threading.Event()
        self._handles: list[tuple[str, int]] = []
        """Processes and taps: (machine, its number there) by the number that it has here."""
        self._ways: dict[Function, Callable[..., Any]] = {
            calls.apply: self._apply_of(calls.apply),
            of_containers.apply: self._apply_of(of_containers.apply),
            calls.undo: self._undo_of(calls.undo),
            of_containers.undo: self._undo_of(of_containers.undo),
            calls.settle: self._one(calls.settle),
            calls.survey: self._one(calls.survey),
            calls.named: self._one(calls.named),
            of_containers.known: self._one(of_containers.known),
            calls.run: self._one(calls.run),
            calls.evidence: self._evidence_of(calls.evidence),
            of_containers.evidence: self._evidence_of(of_containers.evidence),
            calls.facts: self._facts,
            calls.unanswered: lambda: sum(self._every(calls.unanswered).values()),
            calls.end: lambda: self._every(calls.end) and None,
            calls.watch_drops: lambda: any(self._every(calls.watch_drops).values()),
            calls.unwatch_drops: lambda: self._every(calls.unwatch_drops) and None,
            calls.sweep: self._sweep,
            of_containers.versions: self._versions,
            of_containers.look: self._look_of(of_containers.look),
            of_containers.still: self._look_of(of_containers.still),
            of_containers.ping: self._ping,
            calls.start: self._started_by(calls.start, "pid"),
            calls.watch: self._started_by(calls.watch, "tap"),
            calls.said: self._by_handle(calls.said),
            calls.stop: self._by_handle(calls.stop),
            calls.seen: self._by_handle(calls.seen),
        }

    def call(self, function: Function, *arguments: Any) -> Any:
        """See Worker."""
        return self.begin(function, *arguments)()

    def begin(self, function: Function, *arguments: Any) -> Callable[[], Any]:
        """See Worker. MachineError where several machines cannot do as one."""
        way = self._ways.get(function)
        if way is None:
            raise MachineError(f"a lab on machines of its own has no {function.__name__}()")
        return self._thread.submit(way, *arguments).result

    def each(self, function: Function, asked: Asked) -> dict[str, Any]:
        """Call a function on machines side by side, each with its arguments; answers by machine."""
        done: dict[str, Any] = self._thread.submit(self._each, function, asked).result()
        return done

    def keep_alive(self, beat: Function) -> None:
        """Call a function on every machine every few seconds, whatever else is called there."""
        self._beating.submit(self._beat, beat)

    def _beat(self, beat: Function) -> None:
        while not self._closed.wait(BEAT_S):
            for worker in self._workers.values():
                with contextlib.suppress(MachineError):  # who calls it next is told
                    worker.begin(beat)

    def close(self) -> None:
        """See Worker."""
        self._closed.set()
        self._beating.shutdown()
        self._thread.shutdown()
        with ThreadPoolExecutor(len(self._workers)) as pool:
            list(pool.map(lambda worker: worker.close(), self._workers.values()))
        self._starters.shutdown()

    def _each(self, function: Function, asked: Asked) -> dict[str, Any]:
        waiting = {name: self._workers[name].begin(function, *args) for name, args in asked.items()}
        found, lost = {}, {}
        for name, answer in waiting.items():
            try:
                found[name] = answer()
            except MachineError as error:
                lost[name] = error
        if lost:
            said = "; ".join(f"{name}: {error}" for name, error in lost.items())
            gone = tuple(name for name, error in lost.items() if isinstance(error, WorkerLost))
            raise WorkerLost(said, gone)
        return found

    def _every(self, function: Function, *arguments: Any) -> dict[str, Any]:
        return self._each(function, dict.fromkeys(self._workers, arguments))

    def _split(self, items: Iterable[Any], node_of: Callable[[Any], str]) -> dict[str, list[Any]]:
        """Items by the machine that carries their node; those of no machine are left out."""
        found: dict[str, list[Any]] = {}
        for item in items:
            machine = self._nodes.get(node_of(item))
            if machine:
                found.setdefault(machine, []).append(item)
        return found

    def _one(self, function: Function) -> Callable[..., Any]:
        """A call about one node, which is the first argument."""

        def call(node: str, *arguments: Any) -> Any:
            machine = self._nodes[node]
            return self._each(function, {machine: (node, *arguments)})[machine]

        return call

    def _apply_of(self, function: Function) -> Callable[..., Any]:
        def apply(steps: list[dict[str, Any]]) -> dict[str, Any]:
            parts = self._split(steps, _node_of)
            done = self._each(function, {name: (part,) for name, part in parts.items()})
            for said in done.values():
                if "reason" in said or "unsupported" in said:
                    return dict(said)
            return {"done": len(steps)}

        return apply

    def _undo_of(self, function: Function) -> Callable[..., Any]:
        def undo(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
            parts = self._split(steps, _node_of)
            done = self._each(function, {name: (part,) for name, part in parts.items()})
            return [failure for said in done.values() for failure in said]

        return undo

    def _evidence_of(self, function: Function) -> Callable[..., Any]:
        def evidence(wanted: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
            parts = self._split(wanted, lambda one: one[0])
            done = self._each(function, {name: (part,) for name, part in parts.items()})
            return [reading for readings in done.values() for reading in readings]

        return evidence

    def _facts(self) -> dict[str, Any]:
        found = self._every(calls.facts)
        one = {key: _together({name: said[key] for name, said in found.items()})
               for key in ("kernel", "machine", "vlan_datapath", "firewall_backend")}  # fmt: skip
        versions = {tool for said in found.values() for tool in said["versions"]}
        said_of = {
            tool: _together({name: said["versions"].get(tool, "none")
                             for name, said in found.items()})
            for tool in sorted(versions)
        }  # fmt: skip
        cpus = min(said["cpus"] for said in found.values())
        return {**one, "versions": said_of, "cpus": cpus, "hosts": found}

    def _versions(self, hosts: list[str]) -> list[str]:
        asked: Asked = {self._nodes[host]: ([host],) for host in hosts}
        done = self._each(of_containers.versions, asked)
        return [line for said in done.values() for line in said]

    def _look_of(self, function: Function) -> Callable[..., Any]:
        def look(carried: list[tuple[str, ...]], hosts: list[str]) -> dict[str, Any]:
            by_host = self._split(carried, lambda one: one[1])
            asked: Asked = {self._nodes[host]: (by_host.get(self._nodes[host], []), [host])
                            for host in hosts}  # fmt: skip
            done = self._each(function, asked).values()
            keys = ("absent", "anew", "readings", "silent")
            return {key: [one for said in done for one in said[key]] for key in keys}

        return look

    def _ping(self, scripts: list[tuple[str, ...]], nodes: list[str]) -> list[dict[str, Any]]:
        parts, theirs = self._split(scripts, lambda one: one[1]), self._split(nodes, str)
        asked: Asked = {name: (parts.get(name, []), own) for name, own in theirs.items()}
        return [one for said in self._each(of_containers.ping, asked).values() for one in said]

    def _started_by(self, function: Function, key: str) -> Callable[..., Any]:
        def start(node: str, *arguments: Any) -> dict[str, Any]:
            machine = self._nodes[node]
            said = self._each(function, {machine: (node, *arguments)})[machine]
            if key not in said:
                return dict(said)
            self._handles.append((machine, said[key]))
            return {key: len(self._handles) - 1}

        return start

    def _by_handle(self, function: Function) -> Callable[..., Any]:
        def call(handle: int, *arguments: Any) -> Any:
            machine, number = self._handles[handle]
            return self._each(function, {machine: (number, *arguments)})[machine]

        return call

    def _sweep(self, plan: dict[str, Any]) -> dict[str, Any]:
        """See `calls.sweep`."""
        parts = {name: self._part(plan, name) for name in self._workers}
        begun = self._each(rounds.begin, {name: (part,) for name, part in parts.items()})
        failed = [f"{name}: {said['failed']}" for name, said in begun.items() if "failed" in said]
        if failed:
            return {"failed": "; ".join(failed)}
        ahead = self._clocks()
        waves = [self._wave(wave, ahead) for wave in plan["waves"]]
        frames, counts = [], []
        for name, said in self._every(rounds.end).items():
            numbers = parts[name]["numbers"]
            counts += said["taps"]
            frames += [(numbers[number], t_ns - ahead[name], outgoing, raw)
                       for number, t_ns, outgoing, raw in said["frames"]]  # fmt: skip
        return {"waves": waves, "frames": frames, "taps": counts}

    def _part(self, plan: dict[str, Any], machine: str) -> dict[str, Any]:
        """What one machine opens; `numbers` are those that its taps have in the whole plan."""
        taps = [(number, tap) for number, tap in enumerate(plan["taps"])
                if self._nodes.get(tap[0]) == machine]  # fmt: skip
        return {
            "taps": [tap for _, tap in taps],
            "macs": plan["macs"],
            "numbers": [number for number, _ in taps],
            "responders": [one for one in plan["responders"]
                           if self._nodes[one["node"]] == machine],
            "nodes": [node for node in plan["nodes"] if self._nodes.get(node) == machine],
            "routers": [node for node in plan["routers"] if self._nodes.get(node) == machine],
        }  # fmt: skip

    def _clocks(self) -> dict[str, int]:
        """How far each machine's clock is ahead of this one's, in ns, by half a round trip."""
        best: dict[str, tuple[int, int]] = {}
        for _ in range(SAMPLES):
            for name, worker in self._workers.items():
                asked = time.time_ns()
                there = worker.call(rounds.clock)
                trip = time.time_ns() - asked
                if name not in best or trip < best[name][0]:
                    best[name] = (trip, there - asked - trip // 2)
        return {name: ahead for name, (_, ahead) in best.items()}

    def _wave(self, wave: dict[str, Any], ahead: dict[str, int]) -> dict[str, Any]:
        self._every(rounds.open_wave)
        first = [probe for probe in wave["probes"] if not probe["await"]]
        controls = [probe for probe in wave["probes"] if probe["await"]]
        if first:
            self._send(first)
            self._every(rounds.serve, self._floor_s, True)
        self._send(controls)
        self._wait(wave["deadline"], APART * wave["quiet"])
        closed = self._every(rounds.close_wave, wave["name"], wave["quiet"])
        sent = [(probe, t_ns - ahead[name], refusal)
                for name, said in closed.items()
                for probe, t_ns, refusal in said["sent"]]  # fmt: skip
        joined = {key: [one for said in closed.values() for one in said[key]]
                  for key in ("neighbours", "routes", "unheard", "unrouted")}  # fmt: skip
        return {
            "name": wave["name"], "sent": sorted(sent, key=lambda one: one[1]),
            "opened_ns": min(said["opened_ns"] - ahead[name] for name, said in closed.items()),
            "closed_ns": max(said["closed_ns"] - ahead[name] for name, said in closed.items()),
            **joined,
        }  # fmt: skip

    def _send(self, wanted: list[dict[str, Any]]) -> None:
        """Send from every machine what leaves there; a beacon is awaited where it is to arrive."""
        here = [{**probe, "await": False} if probe["kind"] == "beacon" else probe
                for probe in wanted]  # fmt: skip
        parts = self._split(here, lambda probe: probe["node"])
        arrivals = self._split(
            [(probe["dst"], probe["token"]) for probe in wanted if probe["kind"] == "beacon"],
            lambda one: one[0],
        )
        names = parts.keys() | arrivals.keys()
        self._each(
            rounds.send,
            {name: (parts.get(name, []), arrivals.get(name, [])) for name in names},
        )

    def _wait(self, deadline: float, quiet: float) -> None:
        """Let machines answer until all has come, or nothing has moved for `quiet` seconds."""
        began = moved = time.monotonic()
        while True:
            said = self._every(rounds.serve, min(ROUND_S, quiet), False).values()
            now = time.monotonic()
            moved = now if any(one["moved"] for one in said) else moved
            if not sum(one["pending"] for one in said):
                return
            if now - began >= deadline or now - moved >= quiet:
                return


def _node_of(step: dict[str, Any]) -> str:
    return str(step["node"])


def _together(said: dict[str, Any]) -> str:
    """What all machines say; where they differ, what each does."""
    values = set(said.values())
    if len(values) == 1:
        return str(next(iter(values)))
    return ", ".join(f"{name} {value}" for name, value in said.items())
