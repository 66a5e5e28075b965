"""Judge a run again from its folder alone: captures, records, topology."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import pcapng, topology
from harness.errors import RunFolderError
from harness.flow import Ruling, Stage, Verdict
from harness.matrix import matrix
from harness.record import Record
from harness.report import folder
from harness.report.document import cell
from harness.verdict import judge_record

NOT_JUDGED = ("attempts", "cause", "evidence")
"""What a cell of report.json says beside its verdict."""


@dataclass(frozen=True)
class Rejudged:
    """Whether the second judgement is the first one."""

    cells: int
    differences: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Every cell was judged again, with the same verdict."""
        return self.cells > 0 and not self.differences


def rejudge(run: Path) -> Rejudged:
    """Judge a run folder's cells again; RunFolderError if something of it is missing."""
    document = folder.read_document(run)
    reported, stages = _reported(run / folder.REPORT, document)
    names = [name for name, _ in reported]
    known = dict(reported)
    unsent = {name for name, cell in reported if _is_unsent(cell)}
    swept = [stage for stage in stages if not _is_lost(stage, known, unsent)]
    judged = {one.cell.id: one for one in _verdicts(run, swept)}
    differences = [f"{name}: stands twice in report.json" for name in _twice(names)]
    differences += [
        f"{name}: not in the captures" for name in known.keys() - judged.keys() - unsent
    ]
    differences += [f"{name}: not in report.json" for name in judged.keys() - known.keys()]
    for name in known.keys() & judged.keys():
        differences += _compared(known[name], judged[name])
    return Rejudged(len(judged), tuple(sorted(differences)))


def _is_unsent(reported: dict[str, Any]) -> bool:
    """Whether no sweep says anything of a cell, and the report claims nothing of it."""
    return not reported.get("token") and reported.get("verdict") == Ruling.UNPROVED


def _is_lost(stage: Stage, known: dict[str, dict[str, Any]], unsent: set[str]) -> bool:
    """Whether the worker was lost before any sweep of a stage came home: it has no record."""
    cells = {name for name, cell in known.items() if cell.get("stage") == stage}
    return bool(cells) and cells <= unsent


def _reported(
    path: Path, document: dict[str, Any]
) -> tuple[list[tuple[str, dict[str, Any]]], list[Stage]]:
    """The cells of report.json with their ids, and its stages."""
    try:
        cells = [(str(found["id"]), dict(found)) for found in document["cells"]]
        return cells, [Stage(name) for name in document["run"]["stages"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path}: not a whole report: {error!r:.80}") from error


def _twice(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _verdicts(run: Path, stages: list[Stage]) -> Iterator[Verdict]:
    evidence = run / "evidence"
    modelled = topology.parse(_text(evidence / "topology.yaml"), str(evidence / "topology.yaml"))
    for stage in stages:
        cells = {one.id: one for one in matrix(modelled, (stage,)).cells}
        for name in _parts(evidence, stage):
            frames = pcapng.load(_octets(run / "captures" / f"{name}.pcapng"))
            path = evidence / f"{name}-record.json"
            record = Record.from_json(_json(path), tuple(frames))
            as_found = record.found(modelled)
            strange = record.cells - cells.keys()
            if record.stage is not stage or strange:
                found = f"{record.stage}, {', '.join(sorted(strange))}" if strange else record.stage
                raise RunFolderError(f"{path}: not of stage {stage} of the topology: {found:.120}")
            yield from judge_record(as_found, record, cells.values())


def _parts(evidence: Path, stage: Stage) -> Iterator[str]:
    """The names of a stage's sweeps, of which there is always one."""
    name, number = str(stage), 1
    while number == 1 or (evidence / f"{name}-record.json").exists():
        yield name
        number += 1
        name = f"{stage}-{number}"


def _compared(reported: dict[str, Any], again: Verdict) -> list[str]:
    """What of a cell the captures say otherwise; links to evidence are no part of a verdict."""
    return [
        f"{again.cell.id}: {key} is {reported.get(key)} in report.json, {value} by the captures"
        for key, value in cell(again).items()
        if key not in NOT_JUDGED and reported.get(key) != value
    ]


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return _octets(path).decode()
    except UnicodeDecodeError as error:
        raise RunFolderError(f"{path}: not UTF-8 text") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: not JSON: {error}") from error
    return found
