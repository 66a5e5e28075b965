"""The run folder: everything that a run leaves behind, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import RunFolderError
from harness.report.document import cell, outline
from harness.report.markdown import markdown
from harness.report.model import SCHEMA, RunReport

REPORT = "report.json"
PAGE = "report.html"
LATEST = "latest"
_SHAPE = {"run": dict, "cells": list, "diagnoses": list, "evidence": dict, "leftovers": list}
_JSON = json.JSONEncoder(separators=(",", ":"), default=str)


def write(
    report: RunReport,
    captures: Mapping[str, bytes],
    extra: Mapping[str, str],
    directory: Path,
    since: str = "",
) -> Path:
    """Write the run folder `<UTC time>-<id>` in `directory`, point `latest` at it, return it.

    `captures` are pcapng files by stage, `extra` texts by relative path. Everything is written
    under a hidden name beside the folder, then renamed, so that what bears a run folder's name is
    whole. `since` is what changed since a baseline, for report.md. Raises RunFolderError if the
    file system does not let it, ValueError for a path in `extra` that leads out of the folder.
    """
    target = directory / called(report.run.started, report.run.id)
    partial = directory / f".{target.name}.{os.getpid()}.partial"
    try:
        _sweep(directory)
        partial.mkdir(parents=True)
        _fill(partial, _files(report, captures, extra, since))
        partial.rename(target)
        _point(directory / LATEST, target.name)
    except OSError as error:
        found = f"{error.filename or target}: {error.strerror}"
        raise RunFolderError(f"the run folder cannot be written: {found}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def add(folder: Path, name: str, text: str) -> None:
    """Put one more file, whole, into a run folder that is written; RunFolderError as `write`."""
    partial = folder / f".{name}.{os.getpid()}.partial"
    try:
        partial.write_bytes(_octets(text))
        partial.replace(folder / name)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunFolderError(f"{folder / name}: {error.strerror}") from error


def point_latest(folder: Path) -> None:
    """Point `latest` to a run folder that is written; RunFolderError as `write`."""
    try:
        _point(folder.parent / LATEST, folder.name)
    except OSError as error:
        raise RunFolderError(f"{folder.parent / LATEST}: {error.strerror}") from error


def _sweep(directory: Path) -> None:
    """Remove what runs left half-written that were killed: their processes are gone."""
    for partial in directory.glob(".*.partial"):
        pid = partial.name.split(".")[-2]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(partial, ignore_errors=True)


def called(started: str, run: str) -> str:
    """What the folder of a run is called that began then (ISO 8601), and has this id."""
    return f"{began(started):%Y%m%dT%H%M%SZ}-{re.sub(r'[^A-Za-z0-9._-]', '-', run)}"


def began(started: str) -> datetime:
    """When a run began, of ISO 8601 as report.json has it, in UTC."""
    moment = datetime.fromisoformat(started)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _files(
    report: RunReport, captures: Mapping[str, bytes], extra: Mapping[str, str], since: str
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Every file of the folder: its relative path and its octets, in pieces."""
    found = outline(report)
    yield REPORT, map(_octets, _document({**found, "cells": map(cell, report.verdicts)}))
    yield "report.md", [_octets(markdown(report, since))]
    raw: dict[str, list[str]] = {}
    for entry in report.evidence:
        raw.setdefault(found["evidence"][entry.name]["raw_file"], []).append(entry.raw)
    yield from ((name, map(_octets, texts)) for name, texts in raw.items())
    for stage, octets in captures.items():
        yield f"captures/{stage}.pcapng", [octets]
    for path, text in extra.items():
        yield path, [_octets(text)]


def _fill(folder: Path, files: Iterator[tuple[str, Iterable[bytes]]]) -> None:
    """Write the files. The two folders of every run are there even if nothing is in them."""
    made = {folder, folder / "evidence", folder / "captures"}
    for parent in made - {folder}:
        parent.mkdir()
    for name, pieces in files:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise ValueError(f"{name!r} leads out of the run folder")
        path = folder / relative
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        with path.open("wb") as file:
            file.writelines(pieces)


def _octets(text: str) -> bytes:
    """UTF-8; what came in as an octet that is not UTF-8 goes out as its escape."""
    return text.encode(errors="backslashreplace")


def _point(link: Path, name: str) -> None:
    """Make a symbolic link that others may be reading at this moment."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    try:
        fresh.replace(link)
    finally:
        fresh.unlink(missing_ok=True)


def _document(found: Mapping[str, Any]) -> Iterator[str]:
    """Compact JSON with a line for each cell, reading and fact of the run: runs can be diffed.

    In pieces, because a large lab's cells are more text than anything else that a run holds.
    """
    yield "{"
    for place, (key, value) in enumerate(found.items()):
        yield f"{_between(place)}{_JSON.encode(key)}:"
        yield from _lines(value)
    yield "}\n"


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        members = (f"{_JSON.encode(key)}:{_JSON.encode(item)}" for key, item in value.items())
        yield from _enclosed("{", members, "}")
    elif isinstance(value, Iterator) or (isinstance(value, list) and value):
        yield from _enclosed("[", map(_JSON.encode, value), "]")
    else:
        yield _JSON.encode(value)


def _enclosed(opening: str, texts: Iterable[str], closing: str) -> Iterator[str]:
    yield f"{opening}\n"
    for place, text in enumerate(texts):
        yield f"{_between(place)}{text}"
    yield f"\n{closing}"


def _between(place: int) -> str:
    return ",\n" if place else ""


def read_document(folder: Path) -> dict[str, Any]:
    """Read a run folder's report.json; RunFolderError says in a line why it cannot be."""
    path = folder / REPORT
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise RunFolderError(_missing(folder)) from error
    except NotADirectoryError as error:
        raise RunFolderError(f"{folder}: a file, not a run folder") from error
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: not JSON: {error}") from error
    _check(path, found)
    checked: dict[str, Any] = found
    return checked


def _missing(folder: Path) -> str:
    if folder.is_dir():
        return f"{folder}: not a run folder: it has no {REPORT}"
    if folder.is_symlink():
        return f"{folder}: points at {folder.readlink()}, which is gone"
    return f"{folder}: no such run folder"


def _check(path: Path, found: object) -> None:
    """Check the schema's number and the outermost keys: what a reader needs to go on."""
    if not isinstance(found, dict) or "schema" not in found:
        raise RunFolderError(f"{path}: not a report: it names no schema")
    if found["schema"] != SCHEMA:
        other = f"{path}: schema {found['schema']!r:.40}; this version reads schema {SCHEMA}"
        raise RunFolderError(other)
    for key, kind in _SHAPE.items():
        if not isinstance(found.get(key), kind):
            raise RunFolderError(f"{path}: not a whole report: {key!r} is missing or malformed")
