"""Carry out the steps of a plan that are the engines': images, networks, containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.endpoints.containers import image
from harness.endpoints.containers.client import connected, pid
from harness.worker import engine, namespaces, steps, vlan

Step = dict[str, Any]

NAMES_INTERFACES = (1, 49)
"""The API, of Docker 28.1, in which a network can be told the name of a container's interface. From
1.44 on a container can be created in several networks, but which of them gets eth0 is not said."""
IFNAME = "com.docker.network.endpoint.ifname"


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
    with connected(step["node"]) as client:
        if step["archive"]:
            _load(client, step["image"], step.get("octets") or Path(step["archive"]).read_bytes())
        else:
            octets = step.get("octets") or image.busybox()
            said = [f"LABEL {image.MADE_OF}={step.get('made_of') or image.program()}"]
            said += [f"LABEL {key}={value}" for key, value in step.get("labels", {}).items()]
            client.api.import_image_from_data(octets, *step["image"].split(":", 1), said)


def _load(client: Any, name: str, octets: bytes) -> None:
    """Load an archive's image under a name of ours alone.

    Names that it brings along go again, and one that it took from another image goes back.
    """
    before = {tag: found.id for found in client.images.list() for tag in found.tags}
    loaded = client.images.load(octets)[0]
    loaded.tag(name)
    loaded.reload()
    for tag in loaded.tags:
        if tag not in before and tag != name:
            client.api.remove_image(tag)
        elif before.get(tag, loaded.id) != loaded.id:
            client.images.get(before[tag]).tag(tag)


def _network(step: Step) -> None:
    from docker.types import IPAMConfig, IPAMPool

    pools = [
        IPAMPool(pool["subnet"], pool["range"], pool["gateway"], pool["aux"] or None)
        for pool in step["pools"]
    ]
    with connected(step["node"]) as client:
        client.networks.create(
            step["name"], driver="macvlan", options=step["options"],
            ipam=IPAMConfig(pool_configs=pools), internal=step["internal"],
            enable_ipv6=step["ipv6"], labels=step.get("labels"),
        )  # fmt: skip


def _container(step: Step) -> None:
    """Start a container, with its further legs where an engine can be told which is which.

    28.5 takes a MAC address for a leg at no other time, and makes one up when it connects.
    """
    with connected(step["node"]) as client:
        api = client.api
        version = tuple(map(int, api.api_version.split(".")))
        joined = {step["network"]: _own(api, step)}
        for leg in step.get("legs", []) if version >= NAMES_INTERFACES else []:
            joined[leg["network"]] = _own(api, leg, {IFNAME: leg["interface"]})
        made = api.create_container(
            step["image"], step["command"], name=step["name"], mac_address=step["mac"],
            stop_signal="SIGKILL", labels=step.get("labels"),
            host_config=api.create_host_config(network_mode=step["network"]),
            networking_config=api.create_networking_config(joined),
        )  # fmt: skip
        api.start(made["Id"])


def _own(api: Any, step: Step, options: dict[str, str] | None = None) -> Any:
    """What one network is told of a container."""
    return api.create_endpoint_config(
        ipv4_address=step["address"], ipv6_address=step["address6"], mac_address=step["mac"],
        driver_opt=options,
    )  # fmt: skip


def _connect(step: Step) -> None:
    """Give a container that runs another leg, unless it was started with it."""
    name, network = step["name"], step["network"]
    with connected(step["node"]) as client:
        if network not in _networks(client, name):
            client.api.connect_container_to_network(
                name, network, ipv4_address=step["address"], ipv6_address=step["address6"],
                mac_address=step["mac"],
            )  # fmt: skip
        given = _networks(client, name)[network]["MacAddress"]
    if given != step["mac"]:
        raise OSError(
            f"the engine of {step['node']} gave {name} the MAC address {given} in {network}, not "
            f"{step['mac']}; take an engine from 28.1 on, or leave `mac` out"
        )


def _networks(client: Any, name: str) -> dict[str, Any]:
    """What a container has of each of its networks."""
    found: dict[str, Any] = client.api.inspect_container(name)["NetworkSettings"]["Networks"]
    return found


def _adopt(step: Step) -> None:
    namespaces.adopt(step["node"], pid(step["host"], step.get("container") or step["node"]))


def _container_delete(step: Step) -> None:
    steps.let_go(step["name"])
    with connected(step["node"]) as client, _may_be_gone():
        found = client.api.inspect_container(step["name"])
        _check_ours(step, found["Config"]["Labels"])
        client.api.remove_container(found["Id"], force=True, v=True)


def _network_delete(step: Step) -> None:
    with connected(step["node"]) as client, _may_be_gone():
        found = client.api.inspect_network(step["name"])
        _check_ours(step, found["Labels"])
        client.api.remove_network(found["Id"])


def _image_delete(step: Step) -> None:
    with connected(step["node"]) as client, _may_be_gone():
        if "labels" in step:
            found = client.api.inspect_image(step["image"])
            _check_ours({**step, "name": step["image"]}, found["Config"]["Labels"])
        client.api.remove_image(step["image"])


@contextmanager
def _may_be_gone() -> Iterator[None]:
    """What is to be removed need not be there any more."""
    import docker

    with suppress(docker.errors.NotFound):
        yield


def _check_ours(step: Step, labels: dict[str, str] | None) -> None:
    """Somebody may have made another of the same name since."""
    if not step["labels"].items() <= (labels or {}).items():
        wanted = " ".join(f"{key}={value}" for key, value in step["labels"].items())
        raise vlan.NotOurs(
            f"{step['name']} on {step['node']} has not the label {wanted}: it is somebody else's"
        )


OPERATIONS: dict[str, Callable[[Step], None]] = {
    "side-by-side": _side_by_side,
    "engine-ready": _ready,
    "image": _image,
    "network": _network,
    "container": _container,
    "connect": _connect,
    "adopt": _adopt,
    "container-delete": _container_delete,
    "network-delete": _network_delete,
    "image-delete": _image_delete,
}
