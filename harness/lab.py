"""A lab: built on a machine, taken through its stages, swept, read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from harness import plan
from harness.commands import command
from harness.endpoints.containers import inspection, operations
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.namespace import NamespaceEndpoints
from harness.errors import BuildError, InputError, MachineError, Unsupported
from harness.flow import Cell, Stage
from harness.machines import control_groups
from harness.machines.worker import Machine, Worker
from harness.matrix import kinds, matrix
from harness.schedule import lenders, parts, schedule, taps
from harness.swept import Swept, nothing
from harness.topology import Topology, parse
from harness.worker import calls

EVERYWHERE = ("links", "addresses", "routes", "sysctls", "firewall")
"""What is read of every node before a sweep; neighbours are read at the end of each wave."""
COUNTING = ("links", "firewall", "conntrack")
"""What is read of every host after a sweep too, because a sweep makes it count."""
MOMENT_S = 0.02
"""How long a probe that was lost before is waited for when it is sent again to count it."""
PINGS = ("icmp", "icmp6")
"""The probes that a route is read for."""

ORDER = tuple(Stage)
KINDS: dict[str, Callable[[], plan.EndpointKind]] = {
    "netns": NamespaceEndpoints,
    "docker": DockerEndpoints,
}


class Lab:
    """One lab. `stage` is where it is; it only ever goes forward."""

    def __init__(
        self,
        topology: Topology,
        machine: Machine,
        topology_text: str = "",
        endpoints: plan.EndpointKind | None = None,
    ) -> None:
        self.topology, self.topology_text = topology, topology_text
        self._endpoints = endpoints or NamespaceEndpoints()
        self.stage: Stage | None = None
        self.facts: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        """What commands said that ask about the machine under the lab."""
        self._worker = machine.start()
        self._may_change = True

    @classmethod
    def attached(cls, machine: Machine) -> Lab:
        """A lab that is up, as it is: nothing of it will be changed or repaired."""
        worker = machine.start()
        noted = worker.call(calls.noted)
        if noted is None:
            worker.close()
            raise MachineError("these namespaces hold no finished lab; `harness down` and `up`")
        text = noted["topology_text"]
        read = parse(text, noted["topology"])
        lab = cls(read, _Started(worker), text, KINDS[noted["backend"]]())
        lab._enter_again()
        lab.facts = {**worker.call(calls.facts), "engines": lab._engines()}
        lab.stage = Stage(noted["stage"])
        lab._may_change = False
        return lab

    def build(self) -> None:
        """Make the lab in its first stage; BuildError names the step that failed.

        Unsupported if no step of its kind could be carried out here.
        """
        self._worker.call(calls.prepare)
        if self.engines:
            control_groups.watch(self._worker.call(operations.control_group))
        self._apply(plan.build(self.topology, self._endpoints))
        self.facts = {**self._worker.call(calls.facts), "engines": self._engines()}
        self.stage = self.topology.stages[0]

    def write_note(self) -> None:
        """Write down in the lab what it is, for those who attach to it."""
        description = {
            "topology": self.topology.name,
            "topology_text": self.topology_text,
            "stage": str(self.stage),
            "backend": self._endpoints.name,
        }
        self._worker.call(calls.note, description)

    def enter(self, stage: Stage) -> None:
        """Go on to a stage, through those between."""
        if stage is self.stage:
            return
        backwards = self.stage and ORDER.index(self.stage) > ORDER.index(stage)
        known = stage in self.topology.stages
        if self.stage is None or not self._may_change or backwards or not known:
            raise InputError(f"the lab is in the stage {self.stage} and cannot go to {stage}")
        gateway = plan.gateway(self.topology)
        for following in ORDER[ORDER.index(self.stage) + 1 : ORDER.index(stage) + 1]:
            self._apply(gateway if following is Stage.ROUTED else plan.undo(gateway))
            self.stage = following

    def sweep(self, chosen: Iterable[Cell]) -> Swept:
        """Start one sweep of cells of the current stage, with readings of every node around it."""
        stage = self.stage or Stage.ISOLATED
        chosen = list(chosen)
        before = self._worker.begin(calls.evidence, self._first())
        swept = self._begin(stage, chosen, self._lenders(stage, chosen))
        after = self._worker.begin(self._endpoints.evidence, self._last(chosen))
        return replace(swept, before=before, after=after)

    def sweeps(self, chosen: Iterable[Cell], *, readings: bool = True) -> Iterator[Swept]:
        """Sweep cells of the current stage in parts, each started when it is asked for.

        The readings before come with the first, those after with the last, if they are wanted.
        """
        stage = self.stage or Stage.ISOLATED
        chosen = list(chosen)
        lent_by = self._lenders(stage, chosen)
        before = self._worker.begin(calls.evidence, self._first()) if readings else nothing
        found = parts(chosen)
        for number, part in enumerate(found, 1):
            swept = replace(self._begin(stage, part, lent_by), before=before, number=number)
            before = nothing
            if readings and number == len(found):
                swept = replace(
                    swept, after=self._worker.begin(self._endpoints.evidence, self._last(chosen))
                )
            yield swept

    def unanswered(self) -> int:
        """How many awaited replies did not come in the sweeps since this was last asked."""
        found: int = self._worker.call(calls.unanswered)
        return found

    def ask(self, cell: Cell) -> None:
        """Send one cell's probe alone, and give what it makes move a moment; nothing is judged."""
        stage = self.stage or Stage.ISOLATED
        swept = self._begin(stage, [cell], (), wait_s=MOMENT_S)
        swept.answer()

    def read(self, wanted: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """Readings (node, kind) of the lab as it is now."""
        found: list[dict[str, Any]] = self._worker.call(self._endpoints.evidence, wanted)
        return found

    def own_readings(self) -> tuple[tuple[str, str], ...]:
        """What is to be read of what carries the endpoints: (node, kind) pairs."""
        return self._endpoints.readings(self.topology)

    def _lenders(self, stage: Stage, chosen: list[Cell]) -> tuple[Cell, ...]:
        return lenders(self.topology, matrix(self.topology, (stage,), kinds(chosen)).cells)

    def _begin(
        self,
        stage: Stage,
        part: list[Cell],
        lent_by: tuple[Cell, ...],
        wait_s: float | None = None,
    ) -> Swept:
        sweep = schedule(self.topology, part, lent_by)
        for wave in sweep["waves"] if wait_s else ():
            wave["quiet"] = wait_s
        links = plan.subinterfaces(self.topology, routed=stage is Stage.ROUTED)
        sweep["taps"] = taps(self.topology, links)
        cells = (*part, *lent_by)
        return Swept(self.topology, stage, sweep, cells, self._worker.begin(calls.sweep, sweep))

    def _first(self) -> list[tuple[str, str]]:
        hosts = [host.name for host in self.topology.hosts]
        return [*product(self.topology.nodes, EVERYWHERE), *product(hosts, ("conntrack",))]

    def _last(self, chosen: list[Cell]) -> list[tuple[str, str]]:
        hosts = [host.name for host in self.topology.hosts]
        own = self._endpoints.readings(self.topology)
        return [*product(hosts, COUNTING), ("switch", "fdb"), *own, *self._routes(chosen)]

    def run(self, node: str, argv: list[str]) -> dict[str, Any]:
        """Run a command on a node; `{"code", "out", "err"}`."""
        answer: dict[str, Any] = self._worker.call(calls.run, node, argv)
        return answer

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of `harness.worker.calls` where the lab is."""
        return self._worker.call(function, *arguments)

    def close(self) -> None:
        """End the worker; a lab of its own goes with it, one that is held stays up."""
        with contextlib.suppress(MachineError):  # it may be lost already
            self._worker.call(calls.end)
        self._worker.close()

    @property
    def backend(self) -> str:
        """How its endpoints are made."""
        return self._endpoints.name

    @property
    def engines(self) -> tuple[str, ...]:
        """The hosts that run a container engine."""
        return self._endpoints.engines(self.topology)

    def _apply(self, steps: tuple[plan.Step, ...]) -> None:
        done = self._worker.call(self._endpoints.apply, list(steps))
        if "unsupported" in done:
            raise Unsupported(done["unsupported"])
        if "reason" in done:
            failed = done.get("step") or steps[done["done"]]
            raise BuildError(command(failed), done["reason"])

    def _enter_again(self) -> None:
        """Find the namespaces of containers that were started anew; MachineError if one is down."""
        if self.engines:
            carried = list(self.topology.endpoint_hosts.items())
            problem = self._worker.call(operations.enter_again, carried)
            if problem:
                self.close()
                raise MachineError(f"{problem}; `docker start` it, or `harness down` and `up`")

    def _engines(self) -> list[str]:
        """Which engine runs on which host, in a line each."""
        if not self.engines:
            return []
        found: list[str] = self._worker.call(inspection.versions, list(self.engines))
        return found

    def _routes(self, chosen: list[Cell]) -> list[tuple[str, str]]:
        """The route questions of the cells at hand: of each source, and of the router."""
        asked = []
        for cell in chosen:
            if cell.probe.kind not in PINGS or cell.dst not in self.topology.endpoint_vlans:
                continue
            address = self.topology.over(cell.probe).endpoint(cell.dst).address
            asked += [(node, f"route-get {address}") for node in (cell.src, *cell.expectation.via)]
        return sorted(set(asked))


class _Started:
    """A worker that runs already, as a machine."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def start(self) -> Worker:
        """See Machine."""
        return self._worker
