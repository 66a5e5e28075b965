"""What people ask of engines that cannot be, asked on purpose, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from harness.endpoints.containers import lifecycle
from harness.errors import BuildError
from harness.lab import Lab
from harness.lifecycle.changes import Container, changed, made_by
from harness.lifecycle.healing import subject
from harness.topology import Endpoint
from harness.worker import calls

NEW = "another"
"""What the network or container is called that is not to be had."""
OUTSIDE, UNUSED = "192.0.2.7", "192.0.2.0/24"
"""TEST-NET-1 (RFC 5737): an address and a subnet that no lab has."""
NOWHERE = "none0.10"
"""A parent that no host has, nor what to make it on."""


@dataclass(frozen=True)
class Refusal:
    """What was said of a mistake, and the words with which that must be named."""

    said: str
    """"" if nobody complained."""
    wanted: str


def parent_down(lab: Lab, end: Endpoint) -> Refusal:
    """A container is restarted while its parent is down."""
    parent = lab.topology.subinterface(end.vlan)
    _set(lab, end.host, parent, "down")
    try:
        said = _said(Container(lab, end.name).restart)
    finally:
        _set(lab, end.host, parent, "up")
    return Refusal(said, f"{end.name} on {end.host} runs, but its interface has no carrier: the "
                         f"parent {parent} is down")  # fmt: skip


def parent_missing(lab: Lab, end: Endpoint) -> Refusal:
    """A network is made on a parent that there is not."""
    said = _network(lab, end, UNUSED, NOWHERE)
    trunk = NOWHERE.partition(".")[0]
    return Refusal(said, f"{NEW} on {end.host}: there is no interface {trunk} that its parent "
                         f"{NOWHERE} could be made on")  # fmt: skip


def subnet_used(lab: Lab, end: Endpoint) -> Refusal:
    """A network is made with the subnet that another has on the same parent."""
    subnet = str(lab.topology.vlan(end.vlan).subnet)
    said = _network(lab, end, subnet, lab.topology.subinterface(end.vlan))
    return Refusal(said, f"{NEW} on {end.host}: its subnet {subnet} overlaps with")


def address_outside(lab: Lab, end: Endpoint) -> Refusal:
    """A container is made with an address that its network has not."""
    like = made_by(lab, end.host, "container", end.name)
    made = changed(like, name=NEW, address=OUTSIDE, mac="02:6e:73:ff:00:02")
    said = _said(lambda: lab.change((made,), lifecycle.apply))
    remove = {"do": "docker", "node": end.host, "verb": "remove", "name": NEW}
    _said(lambda: lab.change(({**remove, "argv": ["docker", "rm", NEW]},), lifecycle.apply))
    network = lab.topology.vlan(end.vlan).network
    return Refusal(said, f"{NEW} on {end.host}: its address {OUTSIDE} is in no subnet of {network}")


MISTAKES: dict[str, Callable[[Lab, Endpoint], Refusal]] = {
    "parent-down": parent_down,
    "parent-missing": parent_missing,
    "subnet-used": subnet_used,
    "address-outside": address_outside,
}


def refusal(lab: Lab, mistake: str) -> Refusal:
    """Make a mistake of `MISTAKES` on the engine of a lab's first container."""
    return MISTAKES[mistake](lab, subject(lab.topology)[0])


def _network(lab: Lab, end: Endpoint, subnet: str, parent: str) -> str:
    like = made_by(lab, end.host, "network", lab.topology.vlan(end.vlan).network)
    gateway = str(ip_network(subnet)[-2])
    pool: dict[str, Any] = {"subnet": subnet, "gateway": gateway, "range": None, "aux": {}}
    options: dict[str, Any] = {**like["options"], "parent": parent}
    argv = ["docker", "network", "create", "--driver", "macvlan", "--subnet", subnet]
    argv += ["-o", f"parent={parent}", NEW]
    made = {
        **like, "name": NEW, "pools": [pool], "ipv6": False, "internal": False,
        "options": options, "argv": argv,
    }  # fmt: skip
    return _said(lambda: lab.change((made,), lifecycle.apply))


def _said(ask: Callable[[], None]) -> str:
    try:
        ask()
    except BuildError as error:
        return error.reason
    return ""


def _set(lab: Lab, host: str, link: str, state: str) -> None:
    done = lab.call(calls.run, host, ["ip", "link", "set", link, state])
    if done["code"]:
        raise BuildError(f"{host}# ip link set {link} {state}", done["err"].strip())
