"""Where a lab comes from: made for one run, made to stay up, or up already."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import topology
from harness.backends import Backend
from harness.errors import HarnessError, InputError, LabExists, MachineError
from harness.flow import Stage
from harness.kernel_log import KernelEvent
from harness.lab import Lab
from harness.machines import registry
from harness.machines.local import HeldMachine, PrivateMachine
from harness.plan import EndpointKind

NETNS = Backend()


@dataclass(frozen=True)
class Source:
    """A lab to be had. `stage` is where an attached one is; None for one yet to be built."""

    topology: topology.Topology
    topology_text: str
    stage: Stage | None
    open: Callable[[], Lab]
    backend: str = "netns"
    """How its endpoints are made."""
    kept: Callable[[], str] = lambda: ""
    """The name under which the lab is still up after its run; empty if it is gone."""
    kernel: str = ""
    """The kernel that it runs on in a virtual machine; empty where it is this machine's."""
    told: Callable[[], tuple[tuple[KernelEvent, ...], str]] = lambda: ((), "")
    """What such a kernel did that no healthy one does, and its console, once the lab is closed."""
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    """What the run is called, in its folder's name and on what it makes."""


def private(path: str, backend: Backend = NETNS, kernel: str | None = None) -> Source:
    """A lab for one run, gone with it, on a kernel as `kernels.find` has it or this machine's.

    TopologyError if the file has mistakes, InputError or Unsupported if the backend cannot make
    this topology's endpoints on this machine, or there is no such kernel.
    """
    text = topology.text(path)
    read = topology.parse(text, path)
    kind = backend.kind(read, own_kernel=kernel is None)
    virtual = None
    if kernel is not None:
        from harness import kernels
        from harness.machines.vm import VirtualMachine

        engines = kind.engines(read) or read.engines
        carries = VirtualMachine.with_engines if engines else VirtualMachine
        virtual = carries(kernels.find(kernel))

    def build() -> Lab:
        lab = Lab(read, virtual or PrivateMachine(), text, kind, watched=virtual is None)
        try:
            lab.build()
        except BaseException:
            lab.close()
            raise
        return lab

    made = Source(read, text, None, build, kind.name)
    return replace(made, kernel=virtual.kernel.name, told=virtual.told) if virtual else made


def on_hosts(path: str, backend: Backend) -> Source:
    """A lab on the machines of a topology's hosts, taken back after its run. Errors as there."""
    from harness.hosted import HostedLab, machines

    text = topology.text(path)
    read = topology.parse(text, path)
    kind = backend.on_hosts(read)
    run = secrets.token_hex(4)

    def build() -> Lab:
        lab = HostedLab(read, machines(read), text, kind, run)
        try:
            lab.build()
        except BaseException as error:
            lab.close()
            if isinstance(error, HarnessError):
                error.leftovers = lab.leftovers
            raise
        return lab

    return Source(read.on_machines({}), text, None, build, kind.name, run=run)


def observes(path: str) -> bool:
    """Whether a topology's lab is to be tested as it is. TopologyError if the file has mistakes."""
    return topology.read(path).observed


def observed(path: str, backend: Backend, stage: str | None) -> Source:
    """A lab that stands on the machines of a topology's hosts, as it is; `stage` as it is named.

    Errors as `private`, and MachineError if a host cannot be reached.
    """
    from harness.hosted import HostedLab, machines

    text = topology.text(path)
    read = topology.parse(text, path)
    lab = HostedLab(read, machines(read), text, backend.on_hosts(read))
    try:
        lab.observe(Stage(stage) if stage else None)
    except BaseException:
        lab.close()
        raise
    return Source(lab.topology, text, lab.stage, lambda: lab, lab.backend)


def kept(path: str, backend: Backend = NETNS) -> Source:
    """A lab made for one run that stays up afterwards, in its last stage, until `harness down`."""
    text = topology.text(path)
    read = topology.parse(text, path)
    kind = backend.kind(read)
    up: list[KeptLab] = []

    def build() -> Lab:
        with ExitStack() as undo:
            pending = undo.enter_context(_start(read.name))
            lab = KeptLab(read, pending, (text, path), kind)
            undo.callback(lab.give_up)
            lab.build()
            undo.pop_all()
        up.append(lab)
        return lab

    return Source(read, text, None, build, kind.name, lambda: up[0].name if up else "")


class KeptLab(Lab):
    """A lab that outlives its run. `name` is empty while it would end with this process."""

    def __init__(
        self,
        read: topology.Topology,
        pending: registry.PendingLab,
        file: tuple[str, str],
        kind: EndpointKind,
    ) -> None:
        self.name = ""
        text, self._path = file
        self._pending = pending
        super().__init__(read, HeldMachine(pending.init_pid), text, kind)

    def close(self) -> None:
        """Leave the lab up; it ends with its worker if that was lost."""
        if self.stage is None:
            self.give_up()
            return
        try:
            self.write_note()
            self._pending.commit(_description(self, self._path, self.stage))
            self.name = self._pending.name
            super().close()
        except MachineError:
            self.give_up()

    def give_up(self) -> None:
        """End the lab."""
        super().close()
        self._pending.abort()


def _start(name: str) -> registry.PendingLab:
    """The namespaces of a new lab, under another name if that one is taken."""
    try:
        return registry.start(name)
    except LabExists:
        return registry.start(f"{name[:22]}-{secrets.token_hex(4)}")


def attached(name: str, *, facts: bool = True) -> Source:
    """The lab that is up under a name, its `facts` known or not. LabNotFound if there is none."""
    lab = Lab.attached(HeldMachine(registry.find(name).init_pid), facts=facts)
    return Source(lab.topology, lab.topology_text, lab.stage, lambda: lab, lab.backend)


def bring_up(
    path: str, name: str | None, stage: str | None, backend: Backend = NETNS
) -> registry.LabRecord:
    """Build a lab that stays up until `registry.stop`; nothing is left of it if that fails.

    `stage` as `stage_of` has it.
    """
    text = topology.text(path)
    read = topology.parse(text, path)
    wanted = stage_of(read, stage)
    kind = backend.kind(read)
    with registry.start(name or read.name) as pending:
        lab = Lab(read, HeldMachine(pending.init_pid), text, kind)
        try:
            lab.build()
            lab.enter(wanted)
            lab.write_note()
            pending.commit(_description(lab, path, wanted))
        finally:
            lab.close()
    return registry.find(name or read.name)


def stage_of(read: topology.Topology, named: str | None) -> Stage:
    """The stage to take a lab to: the named one, else `routed`, or the only one that it has.

    InputError if it does not have the one that is named.
    """
    stage = Stage(named or Stage.ROUTED)
    if stage in read.stages:
        return stage
    if named:
        known = ", ".join(read.stages)
        raise InputError(f"the lab {read.name} has no stage {named}, only {known}")
    return read.stages[-1]


def _description(lab: Lab, path: str, stage: Stage) -> registry.Description:
    return registry.Description(
        topology=lab.topology.name,
        topology_file=str(Path(path).resolve()),
        backend=lab.backend,
        stage=str(stage),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        nodes=lab.topology.nodes,
        vlan_datapath=lab.facts["vlan_datapath"],
        firewall_backend=lab.facts["firewall_backend"],
        engines=lab.every_engine,
        containers=dict(lab.topology.endpoint_hosts) if lab.engines else {},
    )
