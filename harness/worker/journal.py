"""What a lab has made on a lab host, written down on its disk before it is made.

Each line is a step that takes something back, as JSON. A line goes when its step has been carried
out; with the last one the file goes. So what a run leaves that was killed, or whose machine was
switched off, is known to whoever comes next.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

DIRECTORY = "/var/lib/macvlan-harness"
FILE = os.path.join(DIRECTORY, "journal")

_kept: list[bool] = [False]


def keep() -> None:
    """Write down from now on what is made here."""
    _kept[0] = True


def add(undo: dict[str, Any] | None) -> None:
    """Write down how to take back what is about to be made; on the disk when this returns."""
    if undo is None or not _kept[0]:
        return
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    line = (json.dumps(undo, sort_keys=True) + "\n").encode()
    descriptor = os.open(FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        before = _whole(descriptor)
        if not before:
            _to_disk(DIRECTORY)
        if os.write(descriptor, line) < len(line):
            os.ftruncate(descriptor, before)
            raise OSError(f"{FILE}: the disk is full, so nothing is made")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop(undo: dict[str, Any]) -> None:
    """Take a line away whose step has been carried out; of equal ones the last."""
    lines = _lines()
    gone = json.dumps(undo, sort_keys=True)
    if gone not in lines:
        return
    del lines[len(lines) - 1 - lines[::-1].index(gone)]
    if lines:
        part = f"{FILE}.new"
        with open(part, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, FILE)
        _to_disk(DIRECTORY)
        return
    os.unlink(FILE)
    with contextlib.suppress(OSError):
        os.rmdir(DIRECTORY)


def entries() -> list[dict[str, Any]]:
    """The steps that take back what is here, in the order in which to carry them out."""
    return [json.loads(line) for line in reversed(_lines())]


def _whole(descriptor: int) -> int:
    """Cut off a last line that is not whole, or the next would be none; how many octets stay."""
    there = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    kept = there.rfind(b"\n") + 1
    if kept < len(there):
        os.ftruncate(descriptor, kept)
    return kept


def _to_disk(directory: str) -> None:
    """That a file is there is on the disk only when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lines() -> list[str]:
    """Whole lines: one that was being written when the machine was switched off made nothing."""
    try:
        with open(FILE, encoding="utf-8") as file:
            return [line.rstrip("\n") for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []
