"""A lab on which faults are tried one after another: inject, sweep, compare, undo, green again."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable

from harness import labs
from harness.backends import Backend
from harness.causes import Diagnosis
from harness.diagnosis import diagnose, look
from harness.diagnosis.diagnose import Diagnosed
from harness.endpoints.containers import lifecycle
from harness.errors import MachineError, Unsupported
from harness.faults.change import PYTHON, Command
from harness.faults.fault import Fault
from harness.faults.predict import cells, path_of, predict
from harness.faults.tried import Tried
from harness.flow import Cell, Stage, Verdict
from harness.inquiry import Inquiry, inquire, named
from harness.lab import Lab
from harness.machines.vm_guest import MACHINE_NET
from harness.normal import RULES
from harness.plan import Step
from harness.report.model import Evidence
from harness.sightings import find
from harness.verdict import judge, judge_record
from harness.worker import calls, engine

State = dict[str, object]
"""What was read of the nodes, by the reading's name, without what changes by itself."""
DOCKER = re.compile(r"\bdocker\b(?= [a-z])")
"""The program, where a fix runs it."""
SYSTEMCTL = "systemctl"
"""Engines of a lab are the worker's, and no service: what this would do with them it does."""
OF_MACHINE = re.compile(
    r"sysctl -w net\.(ipv[46]\.neigh\.default\.gc_thresh|netfilter\.nf_conntrack_max)"
)
"""A fix of what the kernel sets for all namespaces, in the machine's own."""
ANEW = ("index", "parent_index")
"""What of a link is another when it was deleted and made again; of the far end of a sub-interface
that is no 802.1Q link (`vlan20`) its MAC address as well."""


class Bench:
    """A private lab of a topology, in one stage, on which faults are tried.

    It is on a kernel as `labs.private` has it.
    """

    def __init__(
        self, topology: str, stage: Stage, backend: str = "netns", kernel: str | None = None
    ) -> None:
        self._cells = cells(topology, stage)
        self.lab = labs.private(path_of(topology), Backend(backend), kernel).open()
        try:
            self.lab.enter(stage)
            self._before = self._green()
        except BaseException:
            self.lab.close()
            raise

    def close(self) -> None:
        """End the lab."""
        self.lab.close()

    def _green(self) -> State:
        """How the nodes are before any fault; MachineError if a cell is not green."""
        verdicts, state = self._swept(self._cells)
        found = [verdict.explain() for verdict in verdicts if not verdict.ok]
        if found:
            raise MachineError(f"the lab is not green before any fault: {found[0]}")
        return state

    def tried(self, fault: Fault) -> Tried:
        """Inject a fault, sweep, mend it as the diagnosis says, undo it, sweep again.

        Unsupported if this lab's VLAN sub-interfaces are of another kind than it takes.
        """
        datapath = self.lab.facts["vlan_datapath"]
        if fault.datapath not in ("", datapath):
            raise Unsupported(f"{fault.name} takes {fault.datapath}, and here is {datapath}")
        began = time.monotonic()
        unmended: tuple[str, ...] = ()
        mended = False
        saved = self.saved(fault)
        try:
            inject(self.lab, fault.change.do)
            found = self.diagnosed()
            red = tuple(one.cell.id for one in found.verdicts if not one.ok)
            mended = bool(found.diagnoses)
            unmended = self._mended(found.diagnoses, red if fault.mended else ())
        finally:
            self.undone(fault, saved, mended=mended)
        prediction = predict(fault)
        return Tried(
            fault=fault,
            prediction=prediction,
            rulings={one.cell.id: one.ruling for one in found.verdicts},
            causes={one.cell.id: one.cause.code for one in found.verdicts if one.cause},
            diagnoses=found.diagnoses,
            unmended=unmended,
            unhealed=self.unhealed({*red, *prediction.red}),
            ms=round(1000 * (time.monotonic() - began)),
        )

    def diagnosed(self) -> Diagnosed:
        """Sweep, judge, ask the lab about what failed, and name its causes."""
        swept = self.lab.sweep(self._cells)
        record = swept.record()
        sightings = find(record.frames, record.tokens)
        verdicts = judge(self.lab.topology, record, sightings, self._cells)
        lost = look(self.lab.topology, record, sightings, verdicts)
        evidence = swept.evidence(record)
        wrong = [one for one in verdicts if not one.ok]
        inquiry = inquire(self.lab, wrong) if wrong else Inquiry()
        everything = (*evidence, *inquiry.evidence)
        return diagnose(
            self.lab.topology, record.stage, verdicts, lost, everything, alone=inquiry.alone
        )

    def _mended(self, diagnoses: tuple[Diagnosis, ...], red: tuple[str, ...]) -> tuple[str, ...]:
        """Do what the diagnoses say; what is still wrong then of cells that it must mend.

        Where it must mend none, nothing must be said.
        """
        if not red:
            return tuple(f"{one.code} has a fix: {one.fix}" for one in diagnoses if one.fix)
        unsaid = [f"{one.code} at {one.node} has no fix" for one in diagnoses if not one.fix]
        return (*unsaid, *self.carry_out(diagnoses), *self._still_red(red))

    def carry_out(self, diagnoses: Iterable[Diagnosis]) -> list[str]:
        """Do what diagnoses say, the same once; what could not be done."""
        failed = []
        for one in {(one.node, one.fix): one for one in diagnoses}.values():
            node = one.node if one.node in self.lab.topology.nodes else "switch"
            said = self._typed(str(node), one.fix)
            if said:
                failed.append(f"{one.node}# {one.fix}: {said}")
        return failed

    def _typed(self, node: str, fix: str) -> str:
        """Do what a fix says on a node; what is said of it where it fails."""
        if fix.startswith(SYSTEMCTL):
            first, _, fix = fix.partition(" && ")
            service(self.lab, node, first.split())
        done = self.lab.run(node, ["sh", "-c", self._possible(node, fix)])
        return str(done["err"]).strip() if done["code"] else ""

    @staticmethod
    def _possible(node: str, fix: str) -> str:
        """A command as it is given from here: to the lab's engine, by this interpreter."""
        if fix.startswith("docker "):
            return DOCKER.sub(f"docker --host {_engine(node)}", fix)
        if OF_MACHINE.match(fix):
            return f"nsenter --net={MACHINE_NET} {fix}"
        return fix.replace(f"{PYTHON} -m ", f"{sys.executable} -m ")

    def _still_red(self, red: tuple[str, ...]) -> tuple[str, ...]:
        again = [cell for cell in self._cells if cell.id in red]
        return tuple(verdict.explain() for verdict in self._judged(again) if not verdict.ok)

    def _judged(self, chosen: Iterable[Cell]) -> tuple[Verdict, ...]:
        """Sweep cells, as many parts as they take, and judge them."""
        found: list[Verdict] = []
        for swept in self.lab.sweeps(chosen, readings=False):
            found += judge_record(self.lab.topology, swept.record(), self._cells)
        return tuple(found)

    def saved(self, fault: Fault) -> dict[str, str]:
        """The iptables rules of the nodes that a fault changes, before it."""
        nodes = dict.fromkeys(node for node, *_ in fault.change.do)
        return {node: self.lab.run(node, ["iptables-save"])["out"] for node in nodes}

    def undone(self, fault: Fault, saved: dict[str, str], *, mended: bool) -> None:
        """Undo a fault; where a fix has done so, some of it is undone already."""
        try:
            inject(self.lab, fault.change.undo)
        except MachineError:
            if not mended:
                raise
        for node, rules in saved.items() if mended else ():
            self.lab.call(calls.run, node, ["iptables-restore"], rules)

    def unhealed(self, red: set[str]) -> tuple[str, ...]:
        """What is still wrong: of the cells that were or should have been red, and of the nodes."""
        again = [cell for cell in self._cells if cell.id in red]
        self.lab.call(calls.forget, list(self.lab.topology.nodes))
        verdicts, after = self._swept(again or self._cells[:1])
        left = [verdict.explain() for verdict in verdicts if not verdict.ok]
        changed = [name for name, was in self._before.items() if after.get(name) != was]
        return (*left, *(name for name in changed if self._lasts(name)))

    def _lasts(self, reading: str) -> bool:
        """Whether what was read is to be as before: a container started anew has new sysctls."""
        node = reading.split("/")[1]
        return not self.lab.engines or node not in self.lab.topology.endpoint_vlans

    def _swept(self, chosen: Iterable[Cell]) -> tuple[tuple[Verdict, ...], State]:
        verdicts = self._judged(chosen)
        nodes = [node for node in self.lab.topology.nodes if not self.lab.missing(node)]
        read = self.lab.read([(node, kind) for node in nodes for kind in RULES])
        return verdicts, _state(named(str(self.lab.stage), "after", read))


def inject(lab: Lab, commands: Iterable[Command]) -> None:
    """Run commands on nodes; MachineError for the first that fails, once all were run."""
    failed = []
    for node, *argv in commands:
        if argv[0] == SYSTEMCTL:
            service(lab, node, argv)
            continue
        words = [sys.executable if word == PYTHON else word for word in argv]
        if argv[0] == "docker":
            words[1:1] = ["--host", _engine(node)]
        done = lab.run(node, words)
        if done["code"]:
            failed.append(f"{node}# {' '.join(argv)}: {done['err'].strip()}")
    if failed:
        raise MachineError(failed[0])


def service(lab: Lab, host: str, argv: list[str]) -> None:
    """Do with a lab's engine what systemctl(1) would; BuildError if it does not come up."""
    step: Step = {"do": "engine-service", "node": host, "verb": argv[1], "argv": argv}
    lab.change((step,), lifecycle.apply)


def _engine(host: str) -> str:
    """Where a host's engine is asked."""
    return f"unix://{engine.path(host, 'sock')}"


def _state(evidence: Iterable[Evidence]) -> State:
    found: State = {}
    for one in evidence:
        parsed = RULES[one.kind](one.parsed)
        if one.kind == "links":
            parsed = [_lasting(link) for link in parsed]
        found[one.name] = parsed
    return found


def _lasting(link: dict[str, object]) -> dict[str, object]:
    anew = (*ANEW, "mac") if str(link["name"]).startswith("vlan") else ANEW
    return {key: value for key, value in link.items() if key not in anew}
