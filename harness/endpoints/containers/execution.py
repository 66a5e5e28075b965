"""Run a script in containers, side by side, as `docker exec` does."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.endpoints.containers.client import connected
from harness.worker import neighbours

FRAME = struct.Struct(">B3xI")
"""application/vnd.docker.raw-stream: before each piece which stream it is of, and its length."""
AT_ONCE = 8
"""Containers that ping together; each pings all of its targets at once."""


def ping(asked: Sequence[Sequence[str]], nodes: Sequence[str]) -> list[dict[str, Any]]:
    """What scripts print that make a container's processes send: `{"node", "out"}` of each.

    `{"node", "failed"}` where it could not be run. `asked` are (node, host, script, container). The
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
    name, host, script, container = asked
    try:
        with connected(host) as client:
            made = client.api.exec_create(container, ["sh", "-c", script])
            out = payload(_started(client.api, made["Id"]))
    except OSError as error:
        return {"node": name, "failed": str(error.args[-1])}
    return {"node": name, "out": out.decode(errors="backslashreplace")}


def _started(api: Any, exec_id: str) -> bytes:
    """Start it; what it prints until it ends, as the engine has it.

    The SDK's `exec_start` reads from the socket past what has been read with the answer's head, and
    on a machine that has other work too that is all of it (docker-py's issue 3332).
    """
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{exec_id}/start",
        json={"Detach": False, "Tty": False}, stream=True, timeout=api.timeout,
    )  # fmt: skip
    with answer:
        answer.raise_for_status()
        octets: bytes = answer.raw.read()
    return octets


def payload(octets: bytes) -> bytes:
    """Standard output and error as they came, without the head of each piece (`FRAME`)."""
    pieces, start = [], 0
    while start + FRAME.size <= len(octets):
        _, length = FRAME.unpack_from(octets, start)
        start += FRAME.size
        pieces.append(octets[start : start + length])
        start += length
    return b"".join(pieces)
