"""A lab: built on a machine, taken through its stages, swept, read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from harness import plan, walk
from harness.commands import command
from harness.controls import lenders
from harness.endpoints import engine_errors
from harness.endpoints.containers import calls as of_containers
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.gateway import with_engines
from harness.endpoints.lab_host import LabHostEndpoints
from harness.endpoints.namespace import NamespaceEndpoints
from harness.engines import Engines
from harness.errors import BuildError, InputError, MachineError, Unsupported
from harness.flow import Cell, Stage
from harness.machines import control_groups
from harness.machines.worker import Machine, Worker
from harness.matrix import kinds, matrix
from harness.schedule import parts, schedule, taps
from harness.swept import Look, Swept, nothing
from harness.topology import Topology, parse
from harness.worker import calls

EVERYWHERE = ("links", "addresses", "routes", "sysctls", "firewall")
"""What is read of every node before a sweep; neighbours are read at the end of each wave."""
COUNTING = ("links", "firewall", "conntrack")
"""What is read of every host after a sweep too, because a sweep makes it count."""
MOMENT_S = 0.006
"""How long a probe that was lost before is waited for when it is sent again to count it."""
PINGS = ("icmp", "icmp6")
"""The probes that a route is read for."""

ORDER = tuple(Stage)
KINDS: dict[str, Callable[[], plan.EndpointKind]] = {
    "netns": NamespaceEndpoints,
    "docker": DockerEndpoints,
    "ssh": LabHostEndpoints,
}


class Lab:
    """One lab. `stage` is where it is; it only ever goes forward."""

    def __init__(
        self,
        topology: Topology,
        machine: Machine,
        topology_text: str = "",
        endpoints: plan.EndpointKind | None = None,
        *,
        watched: bool = True,
    ) -> None:
        """Start its worker. `watched` is whether something of its engines could outlive it here."""
        self.topology, self.topology_text = topology, topology_text
        self._endpoints = endpoints or NamespaceEndpoints()
        self.stage: Stage | None = None
        self.facts: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        """What commands said that ask about the machine under the lab."""
        self.leftovers: tuple[str, ...] = ()
        """What could not be taken back."""
        self._worker = machine.start()
        self._look = Look()
        self._may_change, self._watched = True, watched

    @classmethod
    def attached(cls, machine: Machine, *, facts: bool = True) -> Lab:
        """A lab that is up, as it is: nothing of it will be changed or repaired.

        Without `facts` it is not asked for its kernel, versions and engines, which takes 0.1 s.
        """
        worker = machine.start()
        noted = worker.call(calls.noted)
        if noted is None:
            worker.close()
            raise MachineError("these namespaces hold no finished lab; `harness down` and `up`")
        text = noted["topology_text"]
        read = parse(text, noted["topology"])
        kind = with_engines(KINDS[noted["backend"]](), read)
        lab = cls(read, Started(worker), text, kind)
        lab._look = lab._own().look()
        if facts:
            found = worker.call(calls.facts, noted.get("vlan_datapath"))
            lab.facts = {**found, "engines": lab._versions()}
        lab.stage = Stage(noted["stage"])
        lab._may_change = False
        return lab

    def build(self) -> None:
        """Make the lab in its first stage; BuildError names the step that failed.

        Unsupported if no step of its kind could be carried out here.
        """
        self._worker.call(calls.prepare)
        if self.every_engine and self._watched:
            control_groups.watch(self._worker.call(of_containers.control_group))
        self._apply(plan.build(self.topology, self._endpoints))
        self.facts = {**self._worker.call(calls.facts), "engines": self._versions()}
        self.stage = self.topology.stages[0]

    def write_note(self) -> None:
        """Write down in the lab what it is, for those who attach to it."""
        description = {
            "topology": self.topology.name,
            "topology_text": self.topology_text,
            "stage": str(self.stage),
            "backend": self._endpoints.name,
            "vlan_datapath": self.facts["vlan_datapath"],
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
        for following in ORDER[ORDER.index(self.stage) + 1 : ORDER.index(stage) + 1]:
            self._go_on(following)
            self.stage = following

    def _go_on(self, stage: Stage) -> None:
        """Make of the stage before a stage the next."""
        gateway = plan.gateway(self.topology)
        self._apply(gateway if stage is Stage.ROUTED else plan.undo(gateway))

    def change(self, steps: Iterable[plan.Step], apply: Callable[..., Any]) -> None:
        """Carry out steps that are in no plan of a lab; BuildError names the one that failed.

        `apply` carries them out where the lab is. InputError in a lab that was attached to.
        """
        if not self._may_change:
            raise InputError("a lab that is attached is tested as it is; run without --lab-attach")
        self._apply(tuple(steps), apply)

    def sweep(self, chosen: Iterable[Cell]) -> Swept:
        """Start one sweep of cells of the current stage, with readings of every node around it."""
        stage = self.stage or Stage.ISOLATED
        chosen = list(chosen)
        self._look = self._own().look()
        before = self._worker.begin(calls.evidence, self._first())
        swept = self._begin(stage, chosen, self._lenders(stage, chosen))
        wanted = [*self._last(), *sorted(self._routes(chosen))]
        after = self._worker.begin(self._endpoints.evidence, wanted)
        return replace(swept, before=before, after=after)

    def sweeps(self, chosen: Iterable[Cell], *, readings: bool = True) -> Iterator[Swept]:
        """Sweep cells of the current stage in parts, each started when it is asked for.

        The readings before come with the first, those after with the last, if they are wanted. A
        route comes with the first part that has a cell for it: all at once they would be many.
        """
        stage = self.stage or Stage.ISOLATED
        chosen = list(chosen)
        self._look = self._own().look()
        before = self._worker.begin(calls.evidence, self._first()) if readings else nothing
        lent_by = self._lenders(stage, chosen)
        found = parts(chosen) or [chosen]
        read: set[tuple[str, str]] = set()
        for number, part in enumerate(found, 1):
            if number > 1 and self.engines:
                self._look = self._own().look()
                lent_by = self._lenders(stage, chosen)
            swept = replace(self._begin(stage, part, lent_by), before=before, number=number)
            before = nothing
            if readings:
                last = number == len(found)
                routes = self._routes(part) - read
                read |= routes
                wanted = [*(self._last() if last else ()), *sorted(routes)]
                swept = replace(swept, after=self._worker.begin(self._endpoints.evidence, wanted))
                if last:
                    pinged = self._own().pings(chosen, self._look, self._nodes())
                    swept = replace(swept, pinged=pinged)
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
        every = matrix(self.topology, (stage,), kinds(chosen)).cells
        return lenders(self.topology, every, self._look.nodes)

    def _begin(
        self,
        stage: Stage,
        part: list[Cell],
        lent_by: tuple[Cell, ...],
        wait_s: float | None = None,
    ) -> Swept:
        absent = self._look.nodes
        sweep = schedule(self.topology, part, lent_by, absent)
        for wave in sweep["waves"] if wait_s else ():
            wave["quiet"] = wait_s
        links = plan.subinterfaces(self.topology, routed=stage is Stage.ROUTED)
        sweep["taps"] = taps(self.topology, links, absent)
        answer = self._worker.begin(calls.sweep, sweep)
        return Swept(
            self.topology, stage, sweep, (*part, *lent_by), answer,
            look=self._look, stayed=self._own().stayed(),
        )  # fmt: skip

    def _nodes(self) -> list[str]:
        return [node for node in self.topology.nodes if node not in self._look.nodes]

    def _first(self) -> list[tuple[str, str]]:
        hosts = [host.name for host in self.topology.hosts]
        nodes = [node for node in self.topology.namespaces if node not in self._look.nodes]
        return [*product(nodes, EVERYWHERE), *product(hosts, ("conntrack",))]

    def _last(self) -> list[tuple[str, str]]:
        hosts = [host.name for host in self.topology.hosts]
        readings, silent = self._endpoints.readings(self.topology), self._look.silent
        own = [one for one in readings if one[0] not in silent]
        switch = [("switch", "fdb")] if self.topology.switched else []
        return [*product(hosts, COUNTING), *switch, *own]

    def run(self, node: str, argv: list[str]) -> dict[str, Any]:
        """Run a command on a node; `{"code", "out", "err"}`."""
        answer: dict[str, Any] = self._worker.call(calls.run, node, argv)
        return answer

    def before(self, host: str) -> dict[str, Any] | None:
        """What a host had when the lab came, as `calls.survey` has it; None if it is the lab's."""
        del host
        return None

    def iptables(self, host: str) -> str:
        """The iptables that the rules of a host are made with."""
        facts: dict[str, Any] = self.facts.get("hosts", {}).get(host, self.facts)
        return str(facts["firewall_backend"])

    def missing(self, node: str) -> str:
        """Why a node is not there; empty if it is."""
        return next((one.why for one in self._look.absent if one.node == node), "")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of `harness.worker.calls` where the lab is."""
        return self._worker.call(function, *arguments)

    def close(self) -> None:
        """End the worker; a lab of its own goes with it, one that is held stays up."""
        with contextlib.suppress(MachineError):  # it may be lost already
            self._worker.call(calls.end)
        self._worker.close()

    @property
    def endpoints(self) -> plan.EndpointKind:
        """The way that its endpoints were made."""
        return self._endpoints

    @property
    def backend(self) -> str:
        """How its endpoints are made."""
        return self._endpoints.name

    @property
    def engines(self) -> tuple[str, ...]:
        """The hosts whose container engines carry its endpoints."""
        return self._endpoints.engines(self.topology)

    @property
    def every_engine(self) -> tuple[str, ...]:
        """The hosts that run a container engine: those, then gateway hosts."""
        return tuple(dict.fromkeys([*self.engines, *self.topology.engines]))

    def _apply(self, steps: tuple[plan.Step, ...], apply: Callable[..., Any] | None = None) -> None:
        done = self._worker.call(apply or self._endpoints.apply, list(steps))
        if "unsupported" in done:
            raise Unsupported(done["unsupported"])
        if "reason" in done:
            failed = done.get("step") or steps[done["done"]]
            raise BuildError(command(failed), engine_errors.named(failed, done["reason"]))

    def _own(self) -> Engines:
        return Engines(self._worker, self.engines, self.topology)

    def _versions(self) -> list[str]:
        """Which engine runs on which host, in a line each."""
        if not self.every_engine:
            return []
        found: list[str] = self._worker.call(of_containers.versions, list(self.every_engine))
        return found

    def _routes(self, chosen: list[Cell]) -> set[tuple[str, str]]:
        """The route questions of the cells at hand: of each source, and of the router."""
        asked: set[tuple[str, str]] = set()
        for cell in chosen:
            if cell.probe.kind not in PINGS or cell.dst not in self.topology.endpoint_vlans:
                continue
            address = self.topology.over(cell.probe).endpoint(cell.dst).address
            by = walk.leaving_by(self.topology, cell.src)
            asked.add((cell.src, f"route-get {address}{' ' if by else ''}{by}"))
            asked |= {(node, f"route-get {address}") for node in cell.expectation.via}
        return {one for one in asked if one[0] not in self._look.nodes}


class Started:
    """A worker that runs already, as a machine."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def start(self) -> Worker:
        """See Machine."""
        return self._worker
