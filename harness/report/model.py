"""RunReport: one run as frozen values. report.json is its exact image; the rest are views of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harness.causes import Diagnosis
from harness.flow import Verdict
from harness.kernel_log import NO_BOOT, KernelEvent

SCHEMA = 1


@dataclass(frozen=True)
class Evidence:
    """One reading of one node: what was asked, what came back raw, and what it means."""

    name: str
    """Unique in the run: `routed/gateway/firewall/after`."""
    node: str
    stage: str
    kind: str
    """`links` `addresses` `routes` `neighbours` `firewall` `conntrack` `sysctls` `versions` ..."""
    command: str
    """The command that shows the same to a person, as ip(8) and iptables(8) have it."""
    parsed: Any
    """The reading as plain lists, dicts, strings and numbers."""
    raw: str
    """The reading as the kernel or the tool gave it, as text."""


def joined(first: Evidence, second: Evidence) -> Evidence:
    """Two readings of one name, both lists, as one: what the second adds comes after the first."""
    lines = dict.fromkeys(first.raw.splitlines(keepends=True))
    lines |= dict.fromkeys(second.raw.splitlines(keepends=True))
    parsed = [*first.parsed, *(entry for entry in second.parsed if entry not in first.parsed)]
    return replace(first, parsed=parsed, raw="".join(lines))


@dataclass(frozen=True)
class Run:
    """What was run, where, and how it ended."""

    id: str
    started: str
    """ISO 8601, UTC."""
    duration_s: float
    topology: str
    backend: str
    vlan_datapath: str
    """`8021q` or `tc-bpf`."""
    firewall_backend: str
    """`iptables-nft` or `iptables-legacy`."""
    stages: tuple[str, ...]
    kernel: str
    engines: tuple[str, ...]
    versions: dict[str, str]
    not_applicable: tuple[str, ...]
    """Classes of cells that this topology does not have, with the reason: never silently empty."""
    argv: tuple[str, ...]
    kernel_events: tuple[KernelEvent, ...] = ()
    """What a kernel in a virtual machine did that no healthy one does."""


@dataclass(frozen=True)
class RunReport:
    """Everything that a run found."""

    run: Run
    verdicts: tuple[Verdict, ...]
    evidence: tuple[Evidence, ...]
    leftovers: tuple[str, ...]
    other_failures: int = 0
    """Tests that failed without a cell (host state); they count for the exit, not as cells."""

    errors: int = 0
    """Tests that could not be carried out (a stage not made, a worker that ended), an interrupt,
    and what could not be taken back of a lab."""

    diagnoses: tuple[Diagnosis, ...] = ()
    """Each fault that was found, with the cells that it explains."""

    @property
    def exit(self) -> str:
        """`fail` if something is wrong, `error` if something could not be told, else `pass`."""
        rulings = {str(verdict.ruling) for verdict in self.verdicts}
        broken = any(event.kind != NO_BOOT for event in self.run.kernel_events)
        if "fail" in rulings or self.other_failures or broken:
            return "fail"
        untold = "unproved" in rulings or self.errors or not self.verdicts
        return "error" if untold else "pass"
