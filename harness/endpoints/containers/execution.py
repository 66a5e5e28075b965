"""Run a script in containers, side by side, as `docker exec` does."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.endpoints.containers.client import connected
from harness.worker import neighbours

AT_ONCE = 8
"""Containers that ping together; each pings all of its targets at once."""


def ping(asked: Sequence[Sequence[str]], nodes: Sequence[str]) -> list[dict[str, Any]]:
    """What scripts print that make a container's processes send: `{"node", "out"}` of each.

    `{"node", "failed"}` where it could not be run. `asked` are (container, host, script). The
    neighbours that the kernels of `nodes` learned by it, or ask for, are flushed: what waits for
    one of them must not be sent when the lab is in its next stage.
    """
    if asked:
        import docker  # noqa: F401 - once, not in several threads at the same time

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(_run, asked))
    finally:
        neighbours.flush(list(nodes))


def _run(asked: Sequence[str]) -> dict[str, Any]:
    name, host, script = asked
    try:
        with connected(host) as client:
            made = client.api.exec_create(name, ["sh", "-c", script])
            out = client.api.exec_start(made["Id"])
    except OSError as error:
        return {"node": name, "failed": str(error.args[-1])}
    return {"node": name, "out": out.decode(errors="backslashreplace")}
