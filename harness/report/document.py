"""report.json: a RunReport as plain dicts and lists, and the JSON Schema of that form.

The keys are a promise to programs. `schema.json` beside this file describes each of them and is
what the tests hold every report against.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from importlib import resources
from typing import Any

from harness.causes import Cause, Diagnosis
from harness.flow import Hop, Verdict
from harness.kernel_log import CONSOLE
from harness.report.model import SCHEMA, Evidence, Run, RunReport


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of report.json."""
    text = resources.files("harness.report").joinpath("schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def document(report: RunReport) -> dict[str, Any]:
    """The report as `schema()` has it, with nothing in it but JSON's own kinds of value."""
    return {**outline(report), "cells": [cell(verdict) for verdict in report.verdicts]}


def outline(report: RunReport) -> dict[str, Any]:
    """The same without its cells, of which there may be too many to hold as dicts all at once."""
    files = raw_files(report.evidence)
    return {
        "schema": SCHEMA,
        "run": _run(report.run, report.exit),
        "cells": [],
        "diagnoses": [_diagnosis(one) for one in report.diagnoses],
        "evidence": {entry.name: _evidence(entry, files[entry.name]) for entry in report.evidence},
        "leftovers": list(report.leftovers),
    }


def raw_files(evidence: tuple[Evidence, ...]) -> dict[str, str]:
    """Where the raw text of each reading goes, by its name: a path relative to the run folder.

    `/` becomes `-`, as does the `:` of IPv6 addresses, which not every file system takes; a name
    that would then share another's file gets a number. A node's answers to `ip route get`, of which
    there is one for each pair, share a file on purpose.
    """
    files: dict[str, str] = {}
    taken: set[str] = set()
    for entry in evidence:
        if entry.kind == "route-get":
            files[entry.name] = f"evidence/{entry.stage}-{entry.node}-route-get.txt"
            continue
        stem = re.sub(r"[/:\\\x00-\x1f\ud800-\udfff]", "-", entry.name)[:200]
        path, number = f"evidence/{stem}.txt", 1
        while path in taken:
            number += 1
            path = f"evidence/{stem}-{number}.txt"
        taken.add(path)
        files[entry.name] = path
    return files


def _run(run: Run, ended: str) -> dict[str, Any]:
    events = [
        {"kind": one.kind, "text": one.text, "evidence": CONSOLE} for one in run.kernel_events
    ]
    return {
        "id": run.id,
        "started": run.started,
        "duration_s": run.duration_s,
        "topology": run.topology,
        "backend": run.backend,
        "vlan_datapath": run.vlan_datapath,
        "firewall_backend": run.firewall_backend,
        "stages": list(run.stages),
        "kernel": run.kernel,
        "engines": list(run.engines),
        "versions": dict(run.versions),
        "not_applicable": list(run.not_applicable),
        "argv": list(run.argv),
        "exit": ended,
        **({"kernel_events": events} if events else {}),
    }


def cell(verdict: Verdict) -> dict[str, Any]:
    """One judged cell as report.json has it."""
    asked, seen = verdict.cell, verdict.observation
    return {
        "id": asked.id,
        "stage": asked.stage.value,
        "src": asked.src,
        "dst": asked.dst,
        "probe": str(asked.probe),
        "expected": asked.expectation.outcome.value,
        "observed": seen.outcome.value,
        "verdict": verdict.ruling.value,
        "why": verdict.why,
        "rtt_ms": seen.rtt_ms,
        "attempts": verdict.attempts,
        "token": verdict.token,
        "proof": asdict(verdict.proof),
        "seen_source": seen.seen_source,
        "path": [_hop(hop, seen.path[0].t_ns) for hop in seen.path],
        "lost_at": str(seen.lost_at) if seen.lost_at else None,
        "cause": _cause(verdict.cause) if verdict.cause else None,
        "evidence": list(verdict.evidence),
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "code": cause.code.value,
        "node": cause.node,
        "subject": cause.subject,
        "detail": cause.detail,
    }


def _diagnosis(one: Diagnosis) -> dict[str, Any]:
    return {
        "code": one.code.value,
        "node": one.node,
        "subject": one.subject,
        "message": one.message,
        "fix": one.fix,
        "cells": list(one.cells),
    }


def _hop(hop: Hop, first_ns: int) -> dict[str, Any]:
    return {
        "node": hop.point.node,
        "interface": hop.point.interface,
        "direction": hop.point.direction,
        "vlan": hop.vlan,
        "src_mac": hop.src_mac,
        "dst_mac": hop.dst_mac,
        "src_ip": hop.src_ip,
        "dst_ip": hop.dst_ip,
        "ttl": hop.ttl,
        "t_us": (hop.t_ns - first_ns) / 1000,
    }


def _evidence(entry: Evidence, raw_file: str) -> dict[str, Any]:
    return {
        "node": entry.node,
        "stage": entry.stage,
        "kind": entry.kind,
        "command": entry.command,
        "parsed": entry.parsed,
        "raw_file": raw_file,
    }
