"""Files of a lab host that outlast a run: looked at, and written one by one, each whole or not."""

from __future__ import annotations

import os
import stat
from typing import Any

INTERFACES = "/etc/network/interfaces"


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """How files are that are to be written: {"mark": first line, "files": [[path, content]]}.

    {"states": {path: `absent`, `same`, `ours` or `foreign`}}, and `others`: files in their folders
    that have the mark too, and are none of them. {"folders"} are looked through besides. `sources`
    is whether ifup(8) reads /etc/network/interfaces.d.
    """
    mark, wanted = asked["mark"], dict(asked["files"])
    states = {path: _state(path, content, mark) for path, content in wanted.items()}
    folders = {os.path.dirname(path) for path in wanted} | set(asked["folders"])
    others = [path for folder in sorted(folders) for path in _paths(folder)
              if path not in wanted and (_text(path) or "").startswith(f"{mark}\n")]  # fmt: skip
    return {"states": states, "others": others, "sources": _sources()}


def write(files: list[list[str]], mark: str) -> dict[str, Any]:
    """Write files that are absent or have the mark; {"written": paths}, and `failed`: why not."""
    written: list[str] = []
    for path, content in files:
        try:
            if _state(path, content, mark) == "foreign":
                raise FileExistsError("it is somebody else's now")
            _write(path, content)
        except OSError as error:
            return {"written": written, "failed": f"{path}: {error.strerror or error}"}
        written.append(path)
    return {"written": written}


def _state(path: str, content: str, mark: str) -> str:
    if not os.path.lexists(path):
        return "absent"
    there = _text(path)
    if there is None or not there.startswith(f"{mark}\n"):
        return "foreign"
    return "same" if there == content else "ours"


def _text(path: str) -> str | None:
    """What a file has; None for what is no file, or not text."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def _paths(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


def _write(path: str, content: str) -> None:
    """On the disk, under its name, when this returns; before, under a name that nobody reads."""
    folder, name = os.path.split(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    part = os.path.join(folder, f".{name}.new")
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        if os.path.lexists(part):
            os.unlink(part)
        raise
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sources() -> bool:
    lines = [line.split() for line in (_text(INTERFACES) or "").splitlines()]
    return any(
        words[0] in ("source", "source-directory") and "interfaces.d" in words[1]
        for words in lines
        if len(words) > 1
    )
