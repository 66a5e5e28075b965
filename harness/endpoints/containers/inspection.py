"""What a lab's engines say of themselves, their networks and their containers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from harness.endpoints.containers.client import connected
from harness.worker import engine
from harness.worker import evidence as worker_evidence

FAILED = "docker-failed"
"""What stands for the readings of an engine that does not answer."""


def evidence(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Read (node, kind) pairs, the kinds of `READERS` included; see `worker.evidence.read`.

    Of an engine that does not answer there is a reading of the kind `docker-failed` instead.
    """
    own = [(node, kind) for node, kind in wanted if kind in READERS]
    found = worker_evidence.read([(node, kind) for node, kind in wanted if kind not in READERS])
    for node, kind in own:
        command, read = READERS[kind]
        said = kind
        try:
            parsed, raw = read(node)
        except OSError as error:
            said, parsed, raw = FAILED, [str(error)], f"{error}\n"
        found.append({"node": node, "kind": said, "command": command, "parsed": parsed, "raw": raw})
    return found


def versions(hosts: Sequence[str]) -> list[str]:
    """The engine that runs on each of these hosts, in a line."""
    found = []
    for host in hosts:
        with connected(host) as client:
            said = client.version()
        parts = {part["Name"]: part["Version"] for part in said.get("Components", ())}
        below = ", ".join(
            f"{name} {parts[name]}" for name in ("containerd", "runc") if name in parts
        )
        found.append(f"{host}: Docker {said['Version']} ({below})")
    return found


def _networks(host: str) -> tuple[Any, str]:
    with connected(host) as client:
        found = client.api.networks(filters={"driver": "macvlan"})
        return _json([client.api.inspect_network(network["Id"]) for network in found])


def _containers(host: str) -> tuple[Any, str]:
    with connected(host) as client:
        found = client.api.containers(all=True)
        return _json([client.api.inspect_container(one["Id"]) for one in found])


def _engine(host: str) -> tuple[Any, str]:
    with connected(host) as client:
        return _json({"version": client.version(), "info": client.info()})


def _log(host: str) -> tuple[Any, str]:
    raw = engine.log(host)
    return [
        line for line in raw.splitlines() if "level=warning" in line or "level=err" in line
    ], raw


def _json(found: Any) -> tuple[Any, str]:
    return found, json.dumps(found, indent=2)


READERS: dict[str, tuple[str, Callable[[str], tuple[Any, str]]]] = {
    "docker-networks": ("docker network inspect", _networks),
    "docker-containers": ("docker inspect", _containers),
    "docker-engine": ("docker version; docker info", _engine),
    "docker-log": (f"cat {engine.DIRECTORY}/HOST/log", _log),
}
