"""What Docker engines say, taken apart into facts: networks, containers, images, options.

Ids, times, paths and counts that an engine makes up are left out, and what a run says of its
engines in a line: that is told there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness import marks

Facts = dict[str, str]
Inspected = Mapping[str, Any]

OF_CONTAINER = (
    "NetworkMode", "Runtime", "Privileged", "CapAdd", "CapDrop", "SecurityOpt", "Sysctls",
    "CgroupnsMode", "PidMode", "IpcMode", "UsernsMode", "Dns", "ExtraHosts", "PortBindings",
)  # fmt: skip
"""The keys of `HostConfig` that bear on a container's network, and on who it is."""
OF_ENGINE = (
    "Driver", "DriverStatus", "LoggingDriver", "CgroupDriver", "CgroupVersion", "IPv4Forwarding",
    "BridgeNfIptables", "BridgeNfIp6tables", "FirewallBackend", "DefaultRuntime",
    "LiveRestoreEnabled", "ExperimentalBuild", "SecurityOptions", "DefaultAddressPools", "Labels",
    "Warnings",
)  # fmt: skip
"""The keys of `docker info` that say how an engine is set up, not what it does at the moment."""
TOLD_BY_RUN = ("Engine", "containerd", "runc")
"""The parts of an engine whose versions a run names in its own line of it."""
MADE = re.compile(r"( made of [^,;]+), sha256:[0-9a-f]+")
NONE = "-"
"""What stands for a fact that is not there."""


def without_made_ids(line: str) -> str:
    """A run's line of an engine without ids of images that are made anew for each lab.

    They differ by the moment of making; the reading `docker-images` has the layers, which differ
    by what is in them.
    """
    return MADE.sub(r"\1", line)


def networks(parsed: Iterable[Inspected]) -> Facts:
    """Each network's driver, reach, pools and options; who is on it, its containers tell."""
    found: Facts = {}
    for one in parsed:
        name = one["Name"]
        pools = [_words(pool) for pool in one["IPAM"]["Config"] or ()]
        found |= {
            name: "there",
            f"{name} driver": one["Driver"],
            f"{name} internal": str(one["Internal"]),
            f"{name} IPv6": str(one["EnableIPv6"]),
            f"{name} pools": "; ".join(sorted(pools)),
            **{f"{name} option {key}": str(value) for key, value in _of(one, "Options").items()},
            **_labels(name, _of(one, "Labels")),
        }
    return found


def containers(parsed: Iterable[Inspected]) -> Facts:
    """Each container's state, image, command and options, and its address on each network."""
    found: Facts = {}
    for one in parsed:
        name, config, host = one["Name"].lstrip("/"), one["Config"], one["HostConfig"]
        joined = _of(one["NetworkSettings"], "Networks")
        found |= {
            name: "there",
            f"{name} state": one["State"]["Status"],
            f"{name} image": config["Image"],
            f"{name} command": " ".join([one["Path"], *one["Args"]]),
            **{f"{name} {key}": _text(host.get(key)) for key in OF_CONTAINER},
            **{f"{name} on {network}": _leg(leg) for network, leg in joined.items()},
            **_labels(name, _of(config, "Labels")),
        }
    return found


def images(parsed: Iterable[Inspected]) -> Facts:
    """Of each name the layers: an image made anew of the same files has another id, but those."""
    return {
        tag: ", ".join(one["RootFS"].get("Layers") or ())
        for one in parsed
        for tag in one["RepoTags"] or ()
    }


def engine(parsed: Inspected) -> Facts:
    """How it is set up, which network drivers it has, and versions that a run does not name."""
    info, version = parsed["info"], parsed["version"]
    parts = {one["Name"]: one["Version"] for one in version.get("Components") or ()}
    return {
        **{key: _text(info.get(key)) for key in OF_ENGINE},
        "network drivers": _text(sorted(_of(info, "Plugins").get("Network") or ())),
        "runtimes": _text(sorted(_of(info, "Runtimes"))),
        "API": _text(version.get("ApiVersion")),
        **{f"version of {name}": said for name, said in parts.items() if name not in TOLD_BY_RUN},
    }


RULES: dict[str, Callable[[Any], Facts]] = {
    "docker-networks": networks,
    "docker-containers": containers,
    "docker-images": images,
    "docker-engine": engine,
}
"""The rule of each kind of reading; an engine's log and what ping says there are no state."""


def _of(one: Inspected, key: str) -> Inspected:
    """A table that an engine may also leave out, or say is null."""
    return one.get(key) or {}


def _labels(name: str, labels: Inspected) -> Facts:
    """But marks of a run, which are others each time."""
    own = (marks.LABEL, marks.IMAGE_LABEL)
    return {f"{name} label {key}": str(value) for key, value in labels.items() if key not in own}


def _leg(leg: Inspected) -> str:
    keys = ("IPAddress", "IPPrefixLen", "Gateway", "GlobalIPv6Address", "IPv6Gateway", "MacAddress")
    return _words({key: leg.get(key) for key in keys})


def _words(table: Inspected) -> str:
    """`Subnet 172.16.10.0/24, Gateway 172.16.10.1`."""
    return ", ".join(f"{key} {_text(value)}" for key, value in table.items() if value) or NONE


def _text(value: object) -> str:
    """Engines say nothing in several ways: null, an empty list, or not at all."""
    if value in (None, "", [], {}):
        return NONE
    if isinstance(value, dict):
        return _words(value)
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
