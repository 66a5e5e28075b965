"""Networks and containers of a lab's engines, through the Docker SDK.

This runs where the worker runs, because that is where the engines' sockets are; the SDK, which is
pure Python, comes over the call channel like pyroute2. It is imported when it is first needed: the
controller imports this module to name its functions only.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.worker import engine, namespaces, steps
from harness.worker import evidence as worker_evidence

READINGS = ("docker-networks", "docker-containers", "docker-engine", "docker-log")
WAITING = ("sleep", "1000000000")
"""What a container does: nothing, for 31 years."""
DEADLINE_S = 30
"""An engine answers in milliseconds, and starts a container in 0.3 s."""
PT_INTERP = 3
"""<elf.h>: the program header of what needs a dynamic loader."""

Step = dict[str, Any]


def apply(plan: list[Step]) -> dict[str, Any]:
    """Carry out steps; see `worker.steps.apply`."""
    return steps.apply(plan, OPERATIONS)


def evidence(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Read (node, kind) pairs, the kinds of `READINGS` included; see `worker.evidence.read`."""
    own = [(node, kind) for node, kind in wanted if kind in READINGS]
    found = worker_evidence.read([(node, kind) for node, kind in wanted if kind not in READINGS])
    for node, kind in own:
        command, read = _READERS[kind]
        parsed, raw = read(node)
        found.append({"node": node, "kind": kind, "command": command, "parsed": parsed, "raw": raw})
    return found


def enter_again(carried: Sequence[tuple[str, str]]) -> str:
    """Name the namespaces of containers that were started anew since; what prevents it, or "".

    `carried` are (container, host) pairs.
    """
    try:
        for name, host in carried:
            pid = _pid(host, name)
            if not namespaces.is_of(name, pid):
                namespaces.adopt(name, pid)
    except OSError as error:
        return str(error.args[-1])
    return ""


def control_group() -> str:
    """The name of the lab's control groups."""
    return engine.control_group()


def versions(hosts: Sequence[str]) -> list[str]:
    """The engine that runs on each of these hosts, in a line."""
    found = []
    for host in hosts:
        with _client(host) as client:
            said = client.version()
        parts = {part["Name"]: part["Version"] for part in said.get("Components", ())}
        below = ", ".join(
            f"{name} {parts[name]}" for name in ("containerd", "runc") if name in parts
        )
        found.append(f"{host}: Docker {said['Version']} ({below})")
    return found


@contextmanager
def _client(host: str) -> Iterator[Any]:
    """A client of a host's engine; what the engine or the SDK complain of is an OSError."""
    import docker
    from requests.exceptions import RequestException

    client = None
    try:
        client = docker.DockerClient(
            base_url=f"unix://{engine.path(host, 'sock')}", version="auto", timeout=DEADLINE_S
        )
        yield client
    except docker.errors.APIError as error:
        raise OSError(f"the engine says: {error.explanation}") from error
    except (docker.errors.DockerException, RequestException) as error:
        raise OSError(f"no answer from the engine: {error}") from error
    finally:
        if client is not None:
            client.close()


def _side_by_side(step: Step) -> None:
    """Carry out groups of steps, each in its own thread; none of them enters a namespace."""
    import docker  # noqa: F401 - once, not in several threads at the same time

    with ThreadPoolExecutor(len(step["groups"])) as pool:
        for done in [pool.submit(_group, group) for group in step["groups"]]:
            done.result()


def _group(group: list[Step]) -> None:
    for step in group:
        try:
            OPERATIONS[step["do"]](step)
        except OSError as error:
            raise steps.PartFailed(step, str(error.args[-1])) from error


def _ready(step: Step) -> None:
    engine.wait(step["node"])


def _image(step: Step) -> None:
    with _client(step["node"]) as client:
        if step["archive"]:
            with Path(step["archive"]).open("rb") as file:
                client.images.load(file)[0].tag(step["image"])
        else:
            client.api.import_image_from_data(_busybox(), *step["image"].split(":", 1))


def _network(step: Step) -> None:
    from docker.types import IPAMConfig, IPAMPool

    pool = IPAMPool(subnet=step["subnet"], gateway=step["gateway"])
    with _client(step["node"]) as client:
        client.networks.create(
            step["name"], driver="macvlan", options=step["options"],
            ipam=IPAMConfig(pool_configs=[pool]), internal=step["gateway"] is None,
        )  # fmt: skip


def _container(step: Step) -> None:
    with _client(step["node"]) as client:
        api = client.api
        own = api.create_endpoint_config(ipv4_address=step["address"], mac_address=step["mac"])
        made = api.create_container(
            step["image"], list(WAITING), name=step["name"], mac_address=step["mac"],
            stop_signal="SIGKILL", host_config=api.create_host_config(network_mode=step["network"]),
            networking_config=api.create_networking_config({step["network"]: own}),
        )  # fmt: skip
        api.start(made["Id"])


def _adopt(step: Step) -> None:
    namespaces.adopt(step["node"], _pid(step["host"], step["node"]))


def _pid(host: str, name: str) -> int:
    """The first process of a container; OSError if it does not run."""
    with _client(host) as client:
        state = client.api.inspect_container(name)["State"]
    if not state["Running"]:
        ended = f"it has ended with code {state['ExitCode']} {state['Error']}".strip()
        raise OSError(f"the container {name} on {host} does not run: {ended}")
    return int(state["Pid"])


def _busybox() -> bytes:
    """An image's file system as a tar: the machine's static busybox under all of its names."""
    program = shutil.which("busybox")
    if program is None or not _static(program):
        raise OSError(
            "no static busybox on this machine to make the image of; "
            "apt-get install busybox-static, or give --lab-image"
        )
    listed = subprocess.run([program, "--list-full"], capture_output=True, check=True, text=True)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        with Path(program).open("rb") as file:
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = os.fstat(file.fileno()).st_size, 0o755
            tar.addfile(entry, file)
        for name in sorted({*listed.stdout.split(), "bin/sh"} - {"bin/busybox"}):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            tar.addfile(link)
    return made.getvalue()


def _static(program: str) -> bool:
    """Whether a program of this machine's word length needs no dynamic loader (elf(5))."""
    with Path(program).open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        start, size, count = (
            *struct.unpack_from("=Q", head, 32),
            *struct.unpack_from("=HH", head, 54),
        )
        file.seek(start)
        table = file.read(size * count)
    kinds = [struct.unpack_from("=I", table, place)[0] for place in range(0, len(table), size)]
    return PT_INTERP not in kinds


def _networks(host: str) -> tuple[Any, str]:
    with _client(host) as client:
        found = client.api.networks(filters={"driver": "macvlan"})
        return _json([client.api.inspect_network(network["Id"]) for network in found])


def _containers(host: str) -> tuple[Any, str]:
    with _client(host) as client:
        found = client.api.containers(all=True)
        return _json([client.api.inspect_container(one["Id"]) for one in found])


def _engine(host: str) -> tuple[Any, str]:
    with _client(host) as client:
        return _json({"version": client.version(), "info": client.info()})


def _log(host: str) -> tuple[Any, str]:
    raw = engine.log(host)
    return [
        line for line in raw.splitlines() if "level=warning" in line or "level=err" in line
    ], raw


def _json(found: Any) -> tuple[Any, str]:
    return found, json.dumps(found, indent=2)


OPERATIONS: dict[str, Callable[[Step], None]] = {
    "side-by-side": _side_by_side,
    "engine-ready": _ready,
    "image": _image,
    "network": _network,
    "container": _container,
    "adopt": _adopt,
}
_READERS: dict[str, tuple[str, Callable[[str], tuple[Any, str]]]] = {
    "docker-networks": ("docker network inspect", _networks),
    "docker-containers": ("docker inspect", _containers),
    "docker-engine": ("docker version; docker info", _engine),
    "docker-log": (f"cat {engine.DIRECTORY}/HOST/log", _log),
}
