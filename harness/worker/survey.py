"""What is on a lab host before anything is made there: what to take care of, and to set back."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from harness.worker import engine, evidence, firewall, namespaces, process, steps

STATE = {
    "links": "links", "addresses": "addresses", "tables": "routes", "rules": "rules",
    "tc": "filters", "firewall": "firewall",
}  # fmt: skip
"""Kinds of reading, and what there is of each."""
SYSCTLS = "/proc/sys/net"


def settle(node: str, trunk: str, docker: str) -> None:
    """Be the worker of a lab host, whose engine has the socket `docker`."""
    namespaces.settle(node, trunk)
    engine.settle(node, docker)


def known_as(node: str, name: str) -> None:
    """Be the worker of a host by another name too, which the topology of another lab has for it."""
    namespaces.known_as(node, name)
    engine.settle(name, engine.path(node, "sock"))


def survey(node: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What a host has of what is `asked`: {"trunk", "links", "sysctls", "rules"}.

    `{"mac", "mtu", "up"}` of the trunk (of none if there is none), `links` that are there already,
    values of `sysctls` that it knows, the policies of `FORWARD`, and whether its rules can have
    `comments`, if it is asked for rules.
    """
    names = [name for _, name in socket.if_nameindex()]
    found: dict[str, Any] = {"links": [name for name in asked["links"] if name in names]}
    if asked["trunk"] in names:
        link = namespaces.route(node).get_links(ifname=asked["trunk"])[0]
        found["mac"] = link.get("address")
        found["mtu"] = link.get("mtu")
        found["up"] = bool(link["flags"] & 1)
    found["sysctls"] = {
        key: value for key, value in zip(asked["sysctls"], map(_sysctl, asked["sysctls"])) if value
    }
    found["policies"] = _policies(node)
    found["comments"] = bool(asked["rules"]) and firewall.comments()
    return found


def state(node: str) -> dict[str, Any]:
    """All that a run could change of a host's network, by kinds of thing; see `evidence.read`."""
    found = {one["kind"]: one["parsed"] for one in evidence.read([(node, kind) for kind in STATE])}
    return {**{STATE[kind]: parsed for kind, parsed in found.items()}, "sysctls": _all_sysctls()}


def _all_sysctls() -> dict[str, str]:
    """What every sysctl of the network says that can be read."""
    found = {}
    for folder, _, files in os.walk(SYSCTLS):
        for name in files:
            path = os.path.join(folder, name)
            with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
                key = os.path.relpath(path, "/proc/sys").translate(str.maketrans("./", "/."))
                found[key] = " ".join(file.read().split())
    return found


def named(node: str, name: str) -> bool:
    """Take the namespace that ip-netns(8) knows by a name as a node; False if there is none."""
    path = f"/run/netns/{name}"
    if not os.path.exists(path):
        return False
    namespaces.adopt_file(node, path)
    return True


def _sysctl(key: str) -> str:
    try:
        with open(steps.sysctl_path(key), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _policies(node: str) -> dict[str, str]:
    """The policy of FORWARD by the program that sets it."""
    own = firewall.backend() or "iptables"
    found = {}
    for name in ("iptables", "ip6tables"):
        said = process.run(node, [own.replace("iptables", name), "-S", "FORWARD"])["out"]
        words = said.split()
        if words[:2] == ["-P", "FORWARD"]:
            found[name] = words[2]
    return found
