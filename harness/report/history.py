"""Many runs together: what became of each lab and each cell over time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from harness.errors import RunFolderError
from harness.report.folder import began, read_document
from harness.report.prune import NAME

ENDS = ("pass", "fail", "error")
MADE_OF = re.compile(r": (?P<engine>[^(;]+)")
"""The engine in a run's line of it, `host1: Docker 20.10 (containerd 1.6); busybox`."""


@dataclass(frozen=True)
class Past:
    """What is remembered of a run."""

    folder: str
    id: str
    began: datetime
    seconds: float
    topology: str
    backend: str
    kernel: str
    engine: str
    """Empty without engines."""
    exit: str
    cells: frozenset[str]
    wrong: dict[str, str]
    """The verdict of each cell that did not pass."""
    faults: tuple[str, ...]
    """The codes of what was diagnosed."""

    @property
    def failed(self) -> int:
        """How many cells failed."""
        return sum(verdict == "fail" for verdict in self.wrong.values())

    @property
    def unproved(self) -> int:
        """How many cells could not be told."""
        return len(self.wrong) - self.failed


@dataclass(frozen=True)
class Kind:
    """Runs of one topology and backend on one kernel with one engine."""

    kernel: str
    engine: str
    runs: tuple[Past, ...]

    def ended(self, how: str) -> int:
        """How many of them ended so."""
        return sum(run.exit == how for run in self.runs)

    @property
    def seconds(self) -> float:
        """The median duration."""
        return median(run.seconds for run in self.runs)


@dataclass(frozen=True)
class Red:
    """Cells that turned red in the same run, and green again in the same, if they did."""

    since: Past
    before: Past | None
    """The last run in which they passed; None if they were red from the first on."""
    until: Past | None
    """The first in which they passed again; None while they are red."""
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Flaky:
    """A cell that changed its verdict again and again while nothing that is known of changed."""

    cell: str
    kernel: str
    engine: str
    wrong: int
    runs: int
    changes: int
    last: Past
    """The last run in which it did not pass."""


@dataclass(frozen=True)
class History:
    """All runs of one topology and backend, oldest first."""

    topology: str
    backend: str
    runs: tuple[Past, ...]
    kinds: tuple[Kind, ...]
    reds: tuple[Red, ...]
    """Still red first, then the newest."""
    flaky: tuple[Flaky, ...]
    """What changed most often first."""


def folders(directory: Path) -> tuple[Path, ...]:
    """Everything in a directory that is named as a run folder; RunFolderError if it has no list."""
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise RunFolderError(f"{directory}: {error.strerror}") from error
    return tuple(
        path for path in entries
        if NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )  # fmt: skip


def read(folder: Path) -> Past:
    """What is remembered of a run folder; RunFolderError says in a line why it cannot be."""
    document = read_document(folder)
    try:
        return _past(folder.name, document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"{type(error).__name__} {error}"
        raise RunFolderError(f"{folder}: not as a report is: {said}") from error


def _past(folder: str, document: dict[str, Any]) -> Past:
    run, cells = document["run"], document["cells"]
    return Past(
        folder=folder,
        id=run["id"],
        began=began(run["started"]),
        seconds=float(run["duration_s"]),
        topology=run["topology"],
        backend=run["backend"],
        kernel=run["kernel"],
        engine=_engine(run["engines"]),
        exit=run["exit"] if run["exit"] in ENDS else "error",
        cells=frozenset(cell["id"] for cell in cells),
        wrong={cell["id"]: cell["verdict"] for cell in cells if cell["verdict"] != "pass"},
        faults=tuple(dict.fromkeys(one["code"] for one in document["diagnoses"])),
    )


def _engine(lines: Iterable[str]) -> str:
    found = (MADE_OF.search(line) for line in lines)
    return ", ".join(dict.fromkeys(one["engine"].strip() for one in found if one))


def histories(runs: Iterable[Past]) -> tuple[History, ...]:
    """Each lab's own, the one that was run last first."""
    found: dict[tuple[str, str], list[Past]] = {}
    for run in sorted(runs, key=lambda run: (run.began, run.folder)):
        found.setdefault((run.topology, run.backend), []).append(run)
    made = [_history(*key, tuple(own)) for key, own in found.items()]
    return tuple(sorted(made, key=lambda one: one.runs[-1].began, reverse=True))


def _history(topology: str, backend: str, runs: tuple[Past, ...]) -> History:
    found: dict[tuple[str, str], list[Past]] = {}
    for run in runs:
        found.setdefault((run.kernel, run.engine), []).append(run)
    kinds = tuple(Kind(*key, tuple(own)) for key, own in found.items())
    reds = sorted(_reds(runs), key=lambda red: red.since.began, reverse=True)
    flaky = [one for kind in kinds for one in _flaky(kind)]
    return History(
        topology,
        backend,
        runs,
        kinds,
        tuple(sorted(reds, key=lambda red: red.until is not None)),
        tuple(sorted(flaky, key=lambda one: -one.changes)),
    )


def _verdicts(runs: tuple[Past, ...]) -> Iterator[tuple[str, list[tuple[Past, bool]]]]:
    """Each cell that was ever red: the runs that asked it, and whether it passed there."""
    for name in sorted({name for run in runs for name in run.wrong}):
        yield name, [(run, name not in run.wrong) for run in runs if name in run.cells]


def _reds(runs: tuple[Past, ...]) -> Iterator[Red]:
    found: dict[tuple[str, str, str], tuple[Past, Past | None, Past | None, list[str]]] = {}
    for name, asked in _verdicts(runs):
        for since, before, until in _streaks(asked):
            ends = (since.folder, before.folder if before else "", until.folder if until else "")
            found.setdefault(ends, (since, before, until, []))[3].append(name)
    for since, before, until, names in found.values():
        yield Red(since, before, until, tuple(names))


def _streaks(asked: list[tuple[Past, bool]]) -> Iterator[tuple[Past, Past | None, Past | None]]:
    """Each time in which a cell was red: the first run, the last good one, the next good one."""
    before: Past | None = None
    since: Past | None = None
    for run, passed in asked:
        if not passed:
            since = since or run
            continue
        if since:
            yield since, before, run
        before, since = run, None
    if since:
        yield since, before, None


def _flaky(kind: Kind) -> Iterator[Flaky]:
    """It went and came back: two changes at least, of which a mistake that was mended has one."""
    for name, asked in _verdicts(kind.runs):
        states = [passed for _, passed in asked]
        changes = sum(one != other for one, other in pairwise(states))
        went = states[0] or changes > 2  # noqa: PLR2004 - red, green, red: broken, mended, broken
        if changes > 1 and went:
            last = [run for run, passed in asked if not passed][-1]
            yield Flaky(
                name, kind.kernel, kind.engine, states.count(False), len(asked), changes, last
            )


def as_json(found: Iterable[History], unread: Iterable[str]) -> dict[str, Any]:
    """The same as lists, strings and numbers."""
    return {"labs": [_lab(history) for history in found], "unread": list(unread)}


def _lab(history: History) -> dict[str, Any]:
    return {
        "topology": history.topology,
        "backend": history.backend,
        "runs": [
            {
                "folder": run.folder, "began": run.began.isoformat(), "duration_s": run.seconds,
                "kernel": run.kernel, "engine": run.engine, "exit": run.exit,
                "cells": len(run.cells), "failed": run.failed, "unproved": run.unproved,
                "faults": list(run.faults),
            }
            for run in history.runs
        ],
        "red": [
            {
                "since": red.since.folder, "before": red.before and red.before.folder,
                "until": red.until and red.until.folder, "cells": list(red.cells),
            }
            for red in history.reds
        ],
        "flaky": [
            {
                "cell": one.cell, "kernel": one.kernel, "engine": one.engine, "wrong": one.wrong,
                "runs": one.runs, "changes": one.changes, "last": one.last.folder,
            }
            for one in history.flaky
        ],
    }  # fmt: skip
