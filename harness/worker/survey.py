"""What is on a lab host before anything is made there: what to take care of, and to set back."""

from __future__ import annotations

import os
import socket
from typing import Any

from harness.worker import engine, firewall, namespaces, process, steps


def settle(node: str, trunk: str, docker: str) -> None:
    """Be the worker of a lab host, whose engine has the socket `docker`."""
    namespaces.settle(node, trunk)
    engine.settle(node, docker)


def survey(node: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What a host has of what is `asked`: {"trunk", "links", "sysctls"}.

    `{"mac", "mtu", "up"}` of the trunk (of none if there is none), `links` that are there already,
    values of `sysctls` that it knows, and the policies of `FORWARD`.
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
