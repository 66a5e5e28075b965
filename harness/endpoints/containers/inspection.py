"""What a lab's engines say of themselves, their networks and their containers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from harness.endpoints.containers.client import connected
from harness.endpoints.containers.image import MADE_OF
from harness.worker import engine
from harness.worker import evidence as worker_evidence

PATIENCE_S = 10 * engine.SLOWER
"""An engine that has work to do answers in that time."""
LOG = "docker-log"
"""The kind of reading that no engine is asked for."""


def evidence(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Read (node, kind) pairs, the kinds of `READERS` included; see `worker.evidence.read`."""
    own = [(node, kind) for node, kind in wanted if kind in READERS]
    found = worker_evidence.read([(node, kind) for node, kind in wanted if kind not in READERS])
    silent = set()
    for node, kind in own:
        command, read = READERS[kind]
        if node in silent and kind != LOG:
            continue
        try:
            parsed, raw = read(node)
        except ConnectionError:  # who looks for the containers says so; it is not asked again
            silent.add(node)
            continue
        except OSError:
            continue
        found.append({"node": node, "kind": kind, "command": command, "parsed": parsed, "raw": raw})
    return found


def known(host: str, image: str) -> dict[str, Any]:
    """The names of an engine's `containers` and `networks`, and whether it has an `image`.

    `{"failed": why}` if it does not answer.
    """
    try:
        with connected(host, PATIENCE_S) as client:
            import docker

            names = [one["Names"] for one in client.api.containers(all=True)]
            networks = [one["Name"] for one in client.api.networks()]
            try:
                client.api.inspect_image(image)
                has_image = True
            except docker.errors.NotFound:
                has_image = False
    except OSError as error:
        return {"failed": str(error.args[-1])}
    containers = [name.lstrip("/") for each in names for name in each or ()]
    return {"containers": containers, "networks": networks, "image": has_image}


def objects(host: str) -> Any:
    """An engine's networks, containers, images and volumes: names, identities, states.

    None if it does not answer.
    """
    try:
        with connected(host, PATIENCE_S) as client:
            api = client.api
            networks = [(one["Name"], one["Id"], one["Driver"]) for one in api.networks()]
            containers = [("".join(one["Names"] or ()).lstrip("/"), one["Id"], one["State"])
                          for one in api.containers(all=True)]  # fmt: skip
            images = [(" ".join(one["RepoTags"] or ()), one["Id"].partition(":")[2], "")
                      for one in api.images()]  # fmt: skip
            volumes = [(one["Name"], "", "") for one in api.volumes()["Volumes"] or ()]
    except OSError:
        return None
    found = {"network": networks, "container": containers, "image": images, "volume": volumes}
    return {kind: [{"name": name, "id": number, "state": state} for name, number, state in every]
            for kind, every in found.items()}  # fmt: skip


def versions(hosts: Sequence[str]) -> list[str]:
    """The engine that runs on each of these hosts, and its containers' image, in a line."""
    found = []
    for host in hosts:
        try:
            with connected(host, PATIENCE_S) as client:
                said, image = client.version(), _made_of(client)
        except OSError:
            found.append(f"{host}: Docker, which does not answer")
            continue
        parts = {part["Name"]: part["Version"] for part in said.get("Components", ())}
        below = ", ".join(
            f"{name} {parts[name]}" for name in ("containerd", "runc") if name in parts
        )
        found.append(f"{host}: Docker {said['Version']} ({below}){image}")
    return found


def _made_of(client: Any) -> str:
    """The images that an engine's containers were made from: names, and the engine's ids."""
    found = {}
    for one in client.api.containers(all=True):
        own = one["Labels"].get(MADE_OF)
        found[one["ImageID"]] = one["Image"] + (f" made of {own}" if own else "")
    return "".join(f"; {name}, {image}" for image, name in found.items())


def _networks(host: str) -> tuple[Any, str]:
    with connected(host, PATIENCE_S) as client:
        found = client.api.networks(filters={"driver": "macvlan"})
        return _json([client.api.inspect_network(network["Id"]) for network in found])


def _containers(host: str) -> tuple[Any, str]:
    with connected(host, PATIENCE_S) as client:
        found = client.api.containers(all=True)
        return _json([client.api.inspect_container(one["Id"]) for one in found])


def _images(host: str) -> tuple[Any, str]:
    with connected(host, PATIENCE_S) as client:
        return _json([client.api.inspect_image(one["Id"]) for one in client.api.images()])


def _engine(host: str) -> tuple[Any, str]:
    with connected(host, PATIENCE_S) as client:
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
    "docker-images": ("docker image inspect", _images),
    "docker-engine": ("docker version; docker info", _engine),
    LOG: (f"cat {engine.DIRECTORY}/HOST/log", _log),
}
