"""Whether an engine that handles iptables, as people run it, touches what goes over macvlan."""

from __future__ import annotations

from dataclasses import dataclass

from harness.dockerstate import Rule, imposed
from harness.lab import Lab
from harness.lifecycle.changes import Container, Engine
from harness.matrix import matrix
from harness.verdict import judge_record
from harness.worker import calls

BRIDGE = "198.51.100.1/24"
"""docker0's address: TEST-NET-2 (RFC 5737), which no lab has."""


@dataclass(frozen=True)
class Imposed:
    """A lab in which one engine has rules."""

    about: str
    rules: tuple[Rule, ...]
    """The engine's, after everything was probed that has an end on its host."""
    cells: int
    wrong: tuple[str, ...]
    """What did not pass, explained."""

    @property
    def met(self) -> tuple[Rule, ...]:
        """The rules that some packet has met."""
        return tuple(rule for rule in self.rules if rule.packets)

    def __str__(self) -> str:
        found = f"{len(self.rules)} rules, {len(self.met)} of them met by a packet"
        return f"{self.about}: {found}; {self.cells - len(self.wrong)} of {self.cells} cells proved"


def beside_rules(lab: Lab) -> Imposed:
    """Restart a lab's first engine as people run it, and probe everything that ends on its host."""
    host = lab.engines[0]
    ends = [end.name for end in lab.topology.containers if end.host == host]
    # With live-restore it would leave its networks as they are while containers run.
    Engine(lab, host).restart(live_restore=False, bridge=BRIDGE)
    for name in ends:
        Container(lab, name).start()
    stages = (lab.stage,) if lab.stage else ()
    carried = {host, *ends}
    every = matrix(lab.topology, stages).cells
    chosen = [cell for cell in every if carried & {cell.src, cell.dst}]
    record = lab.sweep(chosen).record()
    verdicts = judge_record(lab.topology, record, every)
    wrong = tuple(verdict.explain() for verdict in verdicts if not verdict.ok)
    (reading,) = lab.call(calls.evidence, [(host, "firewall")])
    ruleset = lab.run(host, ["nft", "list", "ruleset"])["out"]
    rules = imposed(lab.topology, host, reading["parsed"], ruleset)
    return Imposed(f"{host}'s engine with docker0 and iptables", rules, len(verdicts), wrong)
