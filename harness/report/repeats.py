"""Runs beside a run that were made alike: how much of a difference between times is noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from harness.errors import RunFolderError
from harness.report.folder import read_document
from harness.report.prune import runs

Document = dict[str, Any]
LIMIT = 10
"""So many say enough of noise."""
LOOKED_AT = 40
"""So many of the newest run folders of a directory are read for them."""
ALIKE = ("topology", "backend", "kernel", "vlan_datapath", "firewall_backend", "stages")
"""What runs must have in common. Which engine an image got which id of is no matter."""


@dataclass(frozen=True)
class Found:
    """A run folder, and what its report.json says."""

    folder: Path
    document: Document


def read(folder: Path) -> Found:
    """Read one; RunFolderError as `read_document`."""
    return Found(folder.resolve(), read_document(folder))


def repeats(old: Found, new: Found | None = None) -> tuple[list[Document], list[Document]]:
    """Good runs made as `old` was, and as `new` was, with nothing in them but what was measured.

    Where both were made alike, nobody can say whose repeat a run is: those before `new` are counted
    with `old`. Without `new` that is a run that is not written yet.
    """
    both = {old.folder, new.folder} if new else {old.folder}
    if new is None or _made(old.document) == _made(new.document):
        until = new.folder.name if new else ""
        return list(islice(_beside(old, both, until), LIMIT)), []
    return list(islice(_beside(old, both), LIMIT)), list(islice(_beside(new, both), LIMIT))


def _beside(of: Found, but: set[Path], until: str = "") -> Iterator[Document]:
    try:
        found = runs(of.folder.parent)
    except RunFolderError:
        return
    for run in found[:LOOKED_AT]:
        if run.folder not in but and not (until and run.folder.name > until):
            try:
                document = read_document(run.folder)
            except RunFolderError:
                continue
            if document["run"]["exit"] == "pass" and _made(document) == _made(of.document):
                yield _measured(document)


def _made(document: Document) -> tuple[Any, ...]:
    run = document["run"]
    return (*(run[key] for key in ALIKE), [line.partition(";")[0] for line in run["engines"]])


def _measured(document: Document) -> Document:
    keys = ("id", "probe", "rtt_ms")
    cells = [{key: cell[key] for key in keys} for cell in document["cells"]]
    return {"run": {"duration_s": document["run"]["duration_s"]}, "cells": cells}
