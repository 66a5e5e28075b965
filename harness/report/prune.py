"""Old run folders go; what is not one, whole and named as one, is never touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.errors import RunFolderError
from harness.report.baselines import FOLDER
from harness.report.folder import LATEST, REPORT

NAME = re.compile(r"(\d{8}T\d{6}Z)-[A-Za-z0-9._-]+")
"""`<UTC time>-<id>`."""
FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Run:
    """A run folder: where it is, and when its run began."""

    folder: Path
    began: datetime


def runs(directory: Path) -> tuple[Run, ...]:
    """The run folders of a directory, newest first; RunFolderError if it cannot be read."""
    try:
        entries = sorted(directory.iterdir(), reverse=True)
    except OSError as error:
        raise RunFolderError(f"{directory}: {error.strerror}") from error
    found = []
    for folder in entries:
        named = NAME.fullmatch(folder.name)
        if named and not folder.is_symlink() and (folder / REPORT).is_file():
            began = datetime.strptime(named[1], FORMAT).replace(tzinfo=UTC)
            found.append(Run(folder, began))
    return tuple(found)


def outdated(
    found: Iterable[Run], keep: int, age: timedelta | None, now: datetime
) -> tuple[Run, ...]:
    """Those to remove: not among the `keep` newest and, if an `age` is given, begun before that.

    What `latest` points at stays as well, and a baseline.
    """
    old = []
    for place, run in enumerate(found):
        kept = place < keep or _is_pointed_at(run) or (age is not None and now - run.began <= age)
        if not kept:
            old.append(run)
    return tuple(old)


def _is_pointed_at(run: Run) -> bool:
    links = (run.folder.with_name(LATEST), *(run.folder.with_name(FOLDER)).glob("[!.]*"))
    return any(link.is_symlink() and link.readlink().name == run.folder.name for link in links)


def octets(run: Run) -> int:
    """What its files take, in octets; links are not followed."""
    return sum(
        Path(path, name).lstat().st_size for path, _, names in os.walk(run.folder) for name in names
    )


def remove(run: Run) -> None:
    """Remove one, under another name first: what bears a run folder's name is whole.

    RunFolderError if the file system does not let it.
    """
    gone = run.folder.with_name(f".{run.folder.name}.{os.getpid()}.partial")
    try:
        run.folder.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise RunFolderError(f"{error.filename or run.folder}: {error.strerror}") from error
