"""One change of a lab: the commands that make it and undo it, and what it alters in the model.

What it alters is a function of the fake network's state (`harness.testing`), which was written
apart from the expectations: a prediction is what that network does once it is altered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_interface, ip_network

from harness.frame import Packet
from harness.testing.state import EVERYTHING, Link, State

Command = tuple[str, ...]
"""A node, and the words of a command that a person would type there."""
Alter = Callable[[State], None]
Lost = Callable[[Packet], bool]
"""Whether a frame is lost, by what its headers say."""
PYTHON = "python3"
"""Stands for the interpreter that runs the harness."""


@dataclass(frozen=True)
class Change:
    """A change, its undo, and what of the modelled network it alters."""

    do: tuple[Command, ...]
    undo: tuple[Command, ...]
    alter: Alter
    gone: frozenset[str] = frozenset()
    """Endpoints that are not there to be asked: what must reach them or come from them fails, and
    of what must not nothing is proved."""


def together(*changes: Change) -> Change:
    """Several changes as one, undone in reverse order."""

    def alter(state: State) -> None:
        for change in changes:
            change.alter(state)

    do = tuple(command for change in changes for command in change.do)
    undo = tuple(command for change in changes[::-1] for command in change.undo)
    return Change(do, undo, alter, frozenset().union(*(change.gone for change in changes)))


def without(nodes: str, *commands: Command, undo: tuple[Command, ...]) -> Change:
    """A change after which endpoints, one or more words, are not there, as their engine says."""
    return replace(nothing(*commands, undo=undo), gone=frozenset(nodes.split()))


def nothing(*commands: Command, undo: tuple[Command, ...]) -> Change:
    """A change that no modelled packet meets."""
    return Change(commands, undo, lambda _state: None)


def sysctl(node: str, key: str, value: str, was: str) -> Change:
    """Set a parameter of a node's kernel: a name, or one with `{}` and an interface behind it."""
    key, _, name = key.partition(" ")

    def alter(state: State) -> None:
        state.nodes[node].sysctls[key.format(name)] = value

    written = key.format(name.replace(".", "/"))
    return Change(
        ((node, "sysctl", "-w", f"{written}={value}"),),
        ((node, "sysctl", "-w", f"{written}={was}"),),
        alter,
    )


def link(node: str, name: str, words: str, back: str, alter: Callable[[Link], None]) -> Change:
    """Set something of a link (ip-link(8)), with what it alters of it."""
    head = (node, "ip", "link", "set", name)
    return Change(
        ((*head, *words.split()),),
        ((*head, *back.split()),),
        lambda state: alter(state.link((node, name))),
    )


def down(node: str, name: str, *after: Command) -> Change:
    """Set a link down; `after` are the commands that bring back what it takes along."""

    def alter(changed: Link) -> None:
        changed.up = False

    made = link(node, name, "down", "up", alter)
    return Change(made.do, (*made.undo, *after), made.alter)


def mtu(node: str, name: str, octets: int, was: int = 1500) -> Change:
    """Change the MTU of a link."""

    def alter(changed: Link) -> None:
        changed.mtu = octets

    return link(node, name, f"mtu {octets}", f"mtu {was}", alter)


def no_arp(node: str, name: str) -> Change:
    """Have a link neither ask nor answer by ARP."""

    def alter(changed: Link) -> None:
        changed.arp = False

    return link(node, name, "arp off", "arp on", alter)


def mode(node: str, name: str, value: str, was: str = "bridge") -> Change:
    """Put a macvlan interface into another mode."""

    def alter(changed: Link) -> None:
        changed.mode = value

    return link(node, name, f"type macvlan mode {value}", f"type macvlan mode {was}", alter)


def mac(node: str, name: str, value: str, was: str) -> Change:
    """Give a link another MAC address."""

    def alter(changed: Link) -> None:
        changed.mac = value

    return link(node, name, f"address {value}", f"address {was}", alter)


def unplugged(port: str) -> Change:
    """Take a port out of the switch."""

    def alter(changed: Link) -> None:
        changed.master = None

    return link("switch", port, "nomaster", "master trunk", alter)


def hairpin(port: str, *, on: bool) -> Change:
    """Have a switch port send back what it got, or not."""

    def alter(changed: Link) -> None:
        changed.hairpin = on

    words = "type bridge_slave hairpin"
    values = ("on", "off") if on else ("off", "on")
    return link("switch", port, f"{words} {values[0]}", f"{words} {values[1]}", alter)


def port_state(port: str, number: int) -> Change:
    """Have a switch port be in a state of spanning tree in which nothing passes (1: listening)."""

    def alter(changed: Link) -> None:
        changed.loses_in.append(lambda _packet: True)
        changed.loses_out.append(lambda _packet: True)

    words = "type bridge_slave state"
    return link("switch", port, f"{words} {number}", f"{words} 3", alter)


def address_gone(node: str, name: str, cidr: str, *after: Command) -> Change:
    """Take an address away; `after` brings back what goes along with it."""

    def alter(state: State) -> None:
        state.link((node, name)).addresses.remove(ip_interface(cidr))

    return Change(
        ((node, "ip", "address", "delete", cidr, "dev", name),),
        ((node, "ip", "address", "replace", cidr, "dev", name), *after),
        alter,
    )


def address_more(node: str, name: str, cidr: str) -> Change:
    """Give a link one address more."""

    def alter(state: State) -> None:
        state.link((node, name)).addresses.append(ip_interface(cidr))

    return Change(
        ((node, "ip", "address", "add", cidr, "dev", name),),
        ((node, "ip", "address", "delete", cidr, "dev", name),),
        alter,
    )


def route(node: str, dst: str, via: str, was: str | None = None) -> Change:
    """Have a route lead by a next hop; `was` is the one that it led by, None if there was none."""
    network = _network(dst)

    def alter(state: State) -> None:
        state.nodes[node].routes[network] = via

    back = (node, "ip", "route", "replace", dst, "via", was) if was else None
    return Change(
        ((node, "ip", "route", "replace", dst, "via", via),),
        (back or (node, "ip", "route", "delete", dst, "via", via),),
        alter,
    )


def route_gone(node: str, dst: str, via: str) -> Change:
    """Take a route away."""

    def alter(state: State) -> None:
        del state.nodes[node].routes[_network(dst)]

    return Change(
        ((node, "ip", "route", "delete", dst, "via", via),),
        ((node, "ip", "route", "replace", dst, "via", via),),
        alter,
    )


def route_again(node: str, dst: str, via: str) -> Change:
    """Add a route that went along with an address; its undo needs none."""

    def alter(state: State) -> None:
        state.nodes[node].routes[_network(dst)] = via

    return Change(((node, "ip", "route", "replace", dst, "via", via),), (), alter)


def dead_end(node: str, kind: str, dst: str) -> Change:
    """Add a route of a type that leads nowhere."""

    def alter(state: State) -> None:
        state.nodes[node].dead_ends[_network(dst)] = kind

    head = (node, "ip", "route")
    return Change(((*head, "add", kind, dst),), ((*head, "delete", kind, dst),), alter)


def policy_rule(node: str, words: str, diverts: Callable[[str, str], bool]) -> Change:
    """Add a rule that leads packets into a blackhole; `diverts` says which, as the model has it."""

    def alter(state: State) -> None:
        state.nodes[node].diverted.append(diverts)

    head = (node, "ip", "rule")
    return Change(((*head, "add", *words.split()),), ((*head, "delete", *words.split()),), alter)


def route_moved(node: str, network: str, name: str, was: str, source: str) -> Change:
    """Have the route of a network that an address is in lead out of another interface."""

    def alter(state: State) -> None:
        state.nodes[node].moved[network] = name

    # A link that came up meanwhile has made it a second time.
    back = f"ip route flush exact {network} && ip route add {network} dev {was} "
    kernels = f"{back}proto kernel scope link src {source}"
    return Change(
        ((node, "ip", "route", "replace", network, "dev", name),),
        ((node, "sh", "-c", kernels),),
        alter,
    )


def neighbour(node: str, name: str, address: str, lladdr: str) -> Change:
    """Set a neighbour entry that stays."""

    def alter(state: State) -> None:
        state.nodes[node].permanent[address] = lladdr

    head = (node, "ip", "neighbour")
    return Change(
        ((*head, "replace", address, "lladdr", lladdr, "dev", name, "nud", "permanent"),),
        ((*head, "delete", address, "dev", name),),
        alter,
    )


def _network(dst: str) -> str:
    return EVERYTHING[4] if dst == "default" else str(ip_network(dst))


SUBINTERFACE = (PYTHON, "-m", "harness.worker.subinterface")


def revlan(node: str, name: str, was: int, vlan: int) -> Change:
    """Have a sub-interface be of another VLAN."""
    trunk = name.partition(".")[0]
    head = (node, *SUBINTERFACE, "move", trunk, name)

    def alter(state: State) -> None:
        state.link((node, name)).vlan = vlan

    return Change(((*head, str(was), str(vlan)),), ((*head, str(vlan), str(was)),), alter)


def deleted(node: str, name: str, *after: Command, on: tuple[str, ...] = ()) -> Change:
    """Delete a sub-interface; `after` brings back what goes with it, on the nodes `on` as well."""
    trunk, _, vlan = name.partition(".")

    def alter(state: State) -> None:
        del state.nodes[node].links[name]
        for child in on:
            del state.nodes[child].links["eth0"]

    return Change(
        ((node, "ip", "link", "delete", name),),
        ((node, *SUBINTERFACE, "add", trunk, name, vlan, "1500"), *after),
        alter,
    )
