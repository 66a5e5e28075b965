"""A lab on machines of its own: built between their trunks and undone, or tested as it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness import clean, plan_on_hosts
from harness.commands import command
from harness.endpoints.containers import calls as of_containers
from harness.endpoints.containers import image
from harness.endpoints.lab_host import LabHostEndpoints
from harness.errors import BuildError, InputError, MachineError
from harness.flow import Stage
from harness.lab import Lab, Started
from harness.machines.fleet import Machines
from harness.machines.ssh import SshMachine
from harness.plan import Step
from harness.restored import differences
from harness.tenants import carries
from harness.topology import Topology
from harness.worker import calls


def machines(topology: Topology) -> Machines:
    """The machines of a topology's hosts, which all say how they are reached."""
    reached = {
        host.name: SshMachine(
            host.reach.ssh, name=host.name, sudo=host.reach.sudo, python=host.reach.python
        )
        for host in topology.hosts
        if host.reach
    }
    nodes = {name: name for name in reached} | topology.endpoint_hosts
    return Machines(reached, nodes, topology.floor_ms / 1000)


class HostedLab(Lab):
    """A lab on lab hosts. What was made there is taken back when it is closed."""

    def __init__(
        self,
        topology: Topology,
        machine: Machines,
        text: str,
        kind: LabHostEndpoints,
        run: str = "",
    ) -> None:
        """`run` is the name of the run that it is built for."""
        self._fleet = machine.start()
        super().__init__(topology.on_machines({}), Started(self._fleet), text, kind)
        self._kind, self._run = kind, run
        self._found: dict[str, dict[str, Any]] = {}
        self._before: dict[str, Any] = {}
        self._made: list[Step] = []

    def build(self) -> None:
        """See Lab; BuildError too where a host has something already that the lab would make.

        MachineError where another run holds a host.
        """
        self._settle()
        self._claim()
        self._survey()
        self._before = self._state()
        said = plan_on_hosts.unusable(self.topology, self._found)
        if said:
            raise BuildError("the lab", "; ".join(said))
        self._make(plan_on_hosts.build(self.topology, self._kind, self._found, self._run))
        self.facts = {**self._worker.call(calls.facts), "engines": self._versions()}
        self.facts["not_applicable"] = plan_on_hosts.unmarked(self.topology, self._found)
        self.stage = self.topology.stages[0]

    def observe(self, stage: Stage | None) -> None:
        """Take the lab as it is found, to change nothing of it.

        `stage` is the one that it is to be tested for; by itself `routed`, if a gateway host has
        any of the addresses that it has then. MachineError if an endpoint is a bare namespace that
        is not there.
        """
        self._may_change = False
        self._settle()
        self._survey()
        for end in self.topology.endpoints:
            if end.host in self.engines or self._worker.call(calls.named, end.name, end.name):
                continue
            raise MachineError(f"{end.host} has no network namespace {end.name} (ip netns list)")
        self._look = self._own().look()
        self._know_endpoints()
        self.facts = {**self._worker.call(calls.facts), "engines": self._versions()}
        self.stage = stage or self._stage()

    def _know_endpoints(self) -> None:
        """Take the MAC addresses of endpoints as they are: Docker makes them up."""
        nodes = [end.name for end in self.topology.endpoints if end.name not in self._look.nodes]
        found = dict(self.topology.macs or {})
        for reading in self._worker.call(calls.evidence, [(node, "links") for node in nodes]):
            node = reading["node"]
            own = self.topology.endpoint(node).interface
            found[node] = next(one["mac"] for one in reading["parsed"] if one["name"] == own)
        self.topology = self.topology.on_machines(found)

    def _stage(self) -> Stage:
        if not self.topology.configured:
            return self.topology.stages[0]
        routers = {spec.host: {f"{address}" for _, address in spec.addresses}
                   for spec in self.topology.configured}  # fmt: skip
        said = self._worker.call(calls.evidence, [(host, "addresses") for host in routers])
        held = [one for reading in said for one in reading["parsed"]
                if one["address"].partition("/")[0] in routers[reading["node"]]]  # fmt: skip
        return Stage.ROUTED if held else Stage.ISOLATED

    def close(self) -> None:
        """See Lab."""
        if self._made:
            try:
                self._take_back(self._made)
                self._compare()
            except MachineError as error:
                self.leftovers += (f"of the lab, not taken back: {error}",)
        super().close()

    def _state(self) -> dict[str, Any]:
        """What is on the hosts, by name: what they are to be again when the lab is gone."""
        asked = {host.name: (host.name, self._kind.image * (host.name in self.engines))
                 for host in self.topology.hosts if host.reach}  # fmt: skip
        return self._fleet.each(of_containers.state, asked)

    def _compare(self) -> None:
        after = self._state()
        for host, before in self._before.items():
            self.leftovers += differences(host, before, after[host])

    def change(self, steps: Iterable[Step], apply: Callable[..., Any]) -> None:
        """See Lab; InputError, whatever the steps: nothing would take them back."""
        del steps, apply
        raise InputError("lab hosts are not changed but by the stages; use --lab-backend docker")

    def before(self, host: str) -> dict[str, Any] | None:
        """See Lab."""
        return self._found[host]

    def _settle(self) -> None:
        trunk = self.topology.trunk
        self._fleet.each(
            calls.settle,
            {host.name: (host.name, trunk, host.reach.docker)
             for host in self.topology.hosts if host.reach},
        )  # fmt: skip

    def _claim(self) -> None:
        """Hold the hosts, which take back first what a run has left that was cut off."""
        who = {"who": clean.who(), "lab": self.topology.name, "run": self._run}
        asked = {host.name: (host.name, who, self._kind.image * (host.name in self.engines))
                 for host in self.topology.hosts if host.reach}  # fmt: skip
        said = self._fleet.each(of_containers.claim, asked)
        taken = [carries(name, one["taken"]) for name, one in said.items() if "taken" in one]
        if taken:
            raise MachineError(f"{'; '.join(taken)}; run again when it has ended")
        self._fleet.keep_alive(calls.alive)
        left = [f"{name}: {command(failure['step'])}: {failure['reason']}"
                for name, one in said.items() for failure in one["failed"]
                if not failure["foreign"]]  # fmt: skip
        if left:
            raise BuildError("what an earlier run has left", "; ".join(left))

    def _survey(self) -> None:
        """Know the hosts: their trunks, and what is there already."""
        fleet = self._fleet
        reached = [host for host in self.topology.hosts if host.reach]
        asked = {host.name: (host.name, plan_on_hosts.asked(self.topology, host))
                 for host in reached}  # fmt: skip
        self._found = fleet.each(calls.survey, asked)
        engines = {host: (host, self._kind.image) for host in self.engines}
        for host, known in fleet.each(of_containers.known, engines).items():
            if "failed" in known:
                raise BuildError(f"{host}# docker version", known["failed"])
            self._found[host] |= known
        macs = {host: found["mac"] for host, found in self._found.items() if "mac" in found}
        self.topology = self.topology.on_machines(macs)

    def _make(self, steps: tuple[Step, ...]) -> None:
        """Carry steps out; those that may have been are taken back in the end."""
        self._made += steps
        self._apply(tuple(map(_with_image, steps)))

    def _take_back(self, steps: list[Step]) -> None:
        failed = self._worker.call(of_containers.undo, list(plan_on_hosts.undo(steps)))
        self._made = [step for step in self._made if step not in steps]
        self.leftovers += tuple(f"{command(one['step'])}: {one['reason']}" for one in failed)

    def _go_on(self, stage: Stage) -> None:
        if stage is Stage.ROUTED:
            self._routed = len(self._made)
            self._make(plan_on_hosts.gateway(self.topology, self._found, self._run))
        else:
            self._take_back(self._made[self._routed :])


def _with_image(step: Step) -> Step:
    """The step that brings an image, with the image: the engine's machine has no such file."""
    if step["do"] != "image":
        return step
    if step["archive"]:
        return {**step, "octets": Path(step["archive"]).read_bytes()}
    return {**step, "octets": image.busybox(), "made_of": image.program()}
