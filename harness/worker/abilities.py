"""Ask the kernel what a lab needs of it, by doing it once in namespaces that end with this process.

`python -m harness.worker.abilities` prints one JSON object, `{question: [answer, problem]}`: the
answer is a word or null, the problem what the kernel said. It must run as the first process of
network, mount and PID namespaces of its own.

Asking for a link kind, a classifier or a firewall table may make the kernel load its module. Every
question here is one that a run asks too, in the same words and the same order, so nothing is loaded
that a run would not load; br_netfilter is never asked for.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from harness.worker import firewall, namespaces, taps, vlan

NODE = "ask"
TRUNK = "eth2"
RULES = {
    "nat": [f"-A POSTROUTING -o {TRUNK} -j MASQUERADE"],
    "filter": [f"-A FORWARD -i {TRUNK} -m state --state RELATED,ESTABLISHED -j ACCEPT"],
}
"""One rule of each kind that the gateway of a lab has."""


def answers() -> dict[str, list[str | None]]:
    """Every answer and problem, in the order of the questions; later ones build on earlier ones."""
    return {question: _answer(ask) for question, ask in QUESTIONS.items()}


def _namespaces() -> str:
    namespaces.prepare()
    namespaces.create(NODE)
    return "yes"


def _link(name: str, kind: str, **attributes: Any) -> str:
    namespaces.route(NODE).link("add", ifname=name, kind=kind, **attributes)
    return "yes"


def _veth() -> str:
    said = _link(TRUNK, "veth", peer={"ifname": "port"})
    netlink = namespaces.route(NODE)
    netlink.link("set", index=netlink.link_lookup(ifname=TRUNK)[0], state="up")
    return said


def _bridge() -> str:
    return _link("switch", "bridge")


def _vlan() -> str:
    try:
        vlan.add(NODE, TRUNK, vlan.SubInterface(10, f"{TRUNK}.10", 1500))
    except vlan.NotAllowed:
        raise
    except (NetlinkError, OSError, LookupError) as error:
        what = "neither an 802.1Q link nor a BPF classifier on clsact can be made"
        raise OSError(f"{what} ({error})") from None
    return vlan.datapath()


def _macvlan() -> str:
    netlink = namespaces.route(NODE)
    parents = netlink.link_lookup(ifname=f"{TRUNK}.10") or netlink.link_lookup(ifname=TRUNK)
    return _link("mac0", "macvlan", link=parents[0], macvlan_mode="bridge")


def _packet() -> str:
    with namespaces.entered(NODE), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tap:
        tap.bind((TRUNK, 0))
        return f"{taps.enlarge(tap) >> 11} KiB a tap"  # the kernel says the double (socket(7))


def _masquerade() -> str:
    for table, lines in RULES.items():
        done = firewall.restore(NODE, table, lines, {})
        if done["code"] != 0:
            raise OSError(" ".join(done["err"].split()) or f"exit code {done['code']}")
    return str(firewall.backend())


QUESTIONS: dict[str, Callable[[], str]] = {
    "namespaces": _namespaces,
    "veth": _veth,
    "bridge": _bridge,
    "vlan": _vlan,
    "macvlan": _macvlan,
    "packet": _packet,
    "masquerade": _masquerade,
}


def _answer(ask: Callable[[], str]) -> list[str | None]:
    try:
        return [ask(), None]
    except NetlinkError as error:
        return [None, os.strerror(error.code)]
    except OSError as error:
        return [None, error.strerror or str(error)]
    except Exception as error:  # noqa: BLE001 - a question that breaks is a problem to be told
        return [None, str(error) or type(error).__name__]


if __name__ == "__main__":
    json.dump(answers(), sys.stdout)
