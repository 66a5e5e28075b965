"""A finished run -> its report and its folder."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__, topology
from harness.causes import merged
from harness.conductor import StageResult
from harness.diff import compare
from harness.diff.page import told
from harness.diff.text import markdown, text
from harness.errors import CannotCompare
from harness.report import folder
from harness.report.document import document
from harness.report.html import render, skeleton
from harness.report.html.changes import Changes
from harness.report.model import Run, RunReport
from harness.report.repeats import Found, repeats
from harness.report.summary import clean

TEXT, MARKDOWN = "diff.txt", "diff.md"
"""Of a run folder: what changed since the baseline."""


@dataclass(frozen=True)
class Head:
    """What is known of a run when it starts."""

    topology: topology.Topology
    topology_text: str
    backend: str
    not_applicable: tuple[str, ...]
    argv: tuple[str, ...]
    id: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)


def prepare() -> None:
    """Have ready what a report takes and no run decides: causes, and the page's templates."""
    importlib.import_module("harness.diagnosis")
    skeleton.compile_ahead(render.TEMPLATES)


def report(
    head: Head,
    facts: dict[str, Any],
    results: Sequence[StageResult],
    leftovers: tuple[str, ...],
    failures: tuple[int, int],
) -> RunReport:
    """Put a run together.

    `facts` are the lab's, empty if it could not be built; `failures` counts the tests that failed
    without a cell, and those that could not be carried out.
    """
    run = Run(
        id=head.id,
        started=head.started.isoformat(timespec="milliseconds"),
        duration_s=round(time.monotonic() - head.clock, 3),
        topology=head.topology.name,
        backend=head.backend,
        vlan_datapath=facts.get("vlan_datapath", "none"),
        firewall_backend=facts.get("firewall_backend", "none"),
        stages=tuple(str(result.stage) for result in results),
        kernel=facts.get("kernel", os.uname().release),
        engines=tuple(facts.get("engines", ())),
        versions={"harness": __version__, **facts.get("versions", {})},
        not_applicable=(*head.not_applicable, *facts.get("not_applicable", ())),
        argv=head.argv,
        kernel_events=facts.get("kernel_events", ()),
    )
    return RunReport(
        run=run,
        verdicts=tuple(one for result in results for one in result.verdicts.values()),
        evidence=tuple(entry for result in results for entry in result.evidence),
        leftovers=leftovers,
        other_failures=failures[0],
        errors=failures[1],
        diagnoses=merged(one for result in results for one in result.diagnoses),
    )


@dataclass(frozen=True)
class Compared:
    """What changed since a baseline; nothing where there is none."""

    texts: dict[str, str] = field(default_factory=dict)
    """The files of the run folder that say it."""
    page: Changes | None = None


def compared(baseline: Found | None, found: RunReport) -> Compared:
    """Compare a run with its baseline, if it has one."""
    if baseline is None:
        return Compared()
    try:
        difference = compare(baseline.document, document(found), repeats(baseline))
    except CannotCompare as error:
        names = (baseline.folder.name, found.run.id)
        said = Changes(*names, "it cannot be compared", untold=str(error))
        return Compared({TEXT: f"{error}\n"}, said)
    texts = {
        TEXT: f"{text(difference)}\n",
        MARKDOWN: f"{markdown(difference)}\n",
        "diff.json": json.dumps(difference.as_json(), indent=1),
    }
    return Compared(texts, told(difference))


def write(
    head: Head,
    found: RunReport,
    captures: Mapping[str, bytes],
    texts: Mapping[str, str],
    directory: Path,
) -> Path:
    """Write the run folder; all that `harness judge` needs is in it, and `texts` by their path."""
    extra = {"evidence/topology.yaml": head.topology_text, **texts}
    since = texts.get(MARKDOWN) or texts.get(TEXT, "")
    return folder.write(found, captures, extra, directory, since)


def add_page(head: Head, found: RunReport, target: Path, since: Changes | None = None) -> str:
    """Add the page to a run folder, which is whole without it; why there is none, if there is none.

    The page is a view of what is written already: whatever is wrong with it costs a run nothing.
    """
    try:
        folder.add(target, folder.PAGE, render.html(found, head.topology, since))
    except Exception as error:  # noqa: BLE001 - told, and the run counts as it ended
        return (
            f"none could be made ({type(error).__name__}: {clean(str(error))}); the rest is whole"
        )
    return ""


def recorded(records: Mapping[str, bytes]) -> dict[str, str]:
    """What verdicts were made of, as files of the run folder."""
    return {f"evidence/{name}-record.json": octets.decode() for name, octets in records.items()}
