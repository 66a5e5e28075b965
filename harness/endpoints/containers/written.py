"""What an engine has written down of its containers: for when it does not answer.

A container outlives an engine that was killed: its shim (containerd-shim) keeps it. Engines write a
container's state down whenever it changes, and where is the same in all of them: `Container` of
moby's container/container.go, as config.v2.json. What is read here is believed only of a process
that is alive in the control group of the container.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.worker import engine

STATE = "config.v2.json"


def container(host: str, name: str, root: str = "") -> dict[str, Any] | None:
    """A container's `State` with its `ID`, `Running` and `Pid` as they are; None if there is none.

    One that ended when nobody was there to write it down does not run, and its exit code is None.
    `root` is where the lab's own file system begins, for who is outside of it.
    """
    for found in _containers(root + engine.path(host, "data")):
        if found["Name"] == f"/{name}":
            state: dict[str, Any] = {**found["State"], "ID": found["ID"]}
            if state["Running"] and not _lives(root, state["Pid"], found["ID"]):
                return {**state, "Running": False, "Pid": 0, "ExitCode": None}
            return state
    return None


def _containers(data: str) -> Iterator[dict[str, Any]]:
    for file in Path(data, "containers").glob(f"*/{STATE}"):
        with suppress(FileNotFoundError):  # it is being removed
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            yield found


def _lives(root: str, pid: int, identifier: str) -> bool:
    """Whether a process of the lab is in the control group of a container."""
    try:
        return identifier in Path(f"{root}/proc/{pid}/cgroup").read_text(encoding="ascii")
    except OSError:
        return False
