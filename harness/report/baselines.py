"""The last good run of each topology, backend and machine: a link beside the run folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from harness.errors import RunFolderError
from harness.report.folder import read_document

FOLDER = "baselines"
GOOD = "good"
"""What `--lab-baseline` calls the one that is kept."""


def machine() -> str:
    """What this machine is called."""
    return os.uname().nodename


def find(directory: Path, topology: str, backend: str) -> Path | None:
    """The run that is kept for this machine among the run folders of a directory."""
    link = directory / FOLDER / _name(topology, backend)
    return link.resolve() if link.exists() else None


def keep(run: Path, *, failed_too: bool = False) -> Path:
    """Keep a run, in place of what was kept before of its topology and backend; the link.

    RunFolderError if it is not whole, or not all of it was proved.
    """
    folder = run.resolve()
    found = read_document(folder)["run"]
    if found["exit"] != "pass" and not failed_too:
        raise RunFolderError(
            f"{run}: it ended with {found['exit']}, and a baseline is a good run; --force keeps it"
        )
    link = folder.parent / FOLDER / _name(found["topology"], found["backend"])
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        link.parent.mkdir(exist_ok=True)
        fresh.symlink_to(Path("..", folder.name))
        fresh.replace(link)
    except OSError as error:
        raise RunFolderError(f"{link}: {error.strerror}") from error
    return link


def kept(directory: Path) -> Iterator[tuple[str, Path]]:
    """What is kept: the name of each, and the run folder that it is."""
    for link in sorted((directory / FOLDER).glob("[!.]*")):
        if link.is_symlink():
            yield link.name, link.resolve()


def _name(topology: str, backend: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", f"{topology}.{backend}.{machine()}")
