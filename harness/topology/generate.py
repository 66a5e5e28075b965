"""Make a topology of a wished size, as a file's text: the same wish gives the same text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.errors import InputError

MAX_VLANS = 1000
"""IEEE 802.1Q has 4094, but reading compares every two subnets, and no host carries so many."""
MAX_HOSTS = 199
"""Hosts that carry endpoints: a topology has at most 200, and one is the gateway."""
MAX_IN_VLAN = 200
"""Endpoints of one VLAN; its /24 has room for 253 beside the gateway."""
MAX_ENDPOINTS = 1000
"""A million pairs, a dozen cells each: more than a run could ask about."""
ROUND_IDS = 409
"""Up to so many VLANs have ids that are multiples of ten, as people number them."""
FIRST_SUBNET = int(IPv4Address("10.0.0.0"))
FIRST_NODE = 10
"""The host part of the first endpoint's address in each VLAN."""
KEYS = ("vlans", "hosts", "endpoints")
FORM = "vlans=20,hosts=5,endpoints=100"


@dataclass(frozen=True)
class Size:
    """How many VLANs, hosts that carry endpoints (the gateway comes on top) and endpoints."""

    vlans: int
    hosts: int
    endpoints: int


def size(wish: str) -> Size:
    """Read a wish of the form of `FORM`; InputError names all that is wrong with it."""
    found: dict[str, int] = {}
    for part in wish.split(","):
        key, _, number = part.strip().partition("=")
        if key not in KEYS or key in found or not re.fullmatch(r"[0-9]{1,9}", number):
            raise InputError(f"{part.strip()!r:.60} in a wish: it is of the form {FORM}")
        found[key] = int(number)
    missing = [key for key in KEYS if key not in found]
    if missing:
        raise InputError(f"{', '.join(missing)} missing in {wish!r:.60}: it is of the form {FORM}")
    made = Size(**found)
    wrong = _impossible(made)
    if wrong:
        raise InputError("; ".join(wrong))
    return made


def generate(wish: str) -> str:
    """Write a topology file of a wished size; InputError if there is no such lab.

    Endpoints go to the VLANs in turn, and those of one VLAN to the hosts in turn, so that a VLAN
    with two endpoints is on two hosts wherever there are two. The gateway host has an address in
    every VLAN; its policy is ACCEPT, so rules between pairs of VLANs would decide nothing.
    """
    wished = size(wish)
    ids = _ids(wished.vlans)
    rows = [
        "# yaml-language-server: $schema=schema.json",
        (
            f"# Made by: harness topology --generate vlans={wished.vlans},hosts={wished.hosts},"
            f"endpoints={wished.endpoints}"
        ),
        "",
        f"name: generated-{wished.vlans}x{wished.hosts}x{wished.endpoints}",
        (
            f"purpose: {_many(wished.endpoints, 'endpoint')} in {_many(wished.vlans, 'VLAN')} on"
            f" {_many(wished.hosts, 'host')}, a gateway host with source NAT"
        ),
        "",
        "management: {interface: eth1, subnet: 192.168.56.0/24}",
        "",
        "vlans:",
        *(
            f"  {vlan}: {{subnet: {_address(place, 0)}/24, gateway: {_address(place, 1)}}}"
            for place, vlan in enumerate(ids)
        ),
        "",
        "hosts:",
        *(f"  host{n}: {{management: 192.168.56.{n}}}" for n in range(1, wished.hosts + 1)),
        "  gateway: {management: 192.168.56.254}",
        "",
        "endpoints:",
        *(_endpoint(wished, ids, number) for number in range(wished.endpoints)),
        "",
        "gateway:",
        "  host: gateway",
        "  addresses:",
        *(f"    {vlan}: {_address(place, 1)}" for place, vlan in enumerate(ids)),
        f"  masquerade: [{', '.join(map(str, ids))}]",
        "  forward: {policy: ACCEPT}",
    ]
    return "\n".join(rows) + "\n"


def _impossible(made: Size) -> list[str]:
    wrong = [
        f"{key}={number} is not between 1 and {most}"
        for key, number, most in (
            ("vlans", made.vlans, MAX_VLANS),
            ("hosts", made.hosts, MAX_HOSTS),
            ("endpoints", made.endpoints, MAX_ENDPOINTS),
        )
        if not 1 <= number <= most
    ]
    if wrong:
        return wrong
    room = made.vlans * MAX_IN_VLAN
    if made.endpoints < made.vlans:
        return [f"endpoints={made.endpoints} leaves a VLAN empty; give at least {made.vlans}"]
    if made.endpoints > room:
        found = f"endpoints={made.endpoints} is more than vlans={made.vlans} take"
        return [f"{found}: {MAX_IN_VLAN} each, {room} together"]
    return []


def _ids(count: int) -> list[int]:
    step = 10 if count <= ROUND_IDS else 1
    return [step * place for place in range(1, count + 1)]


def _address(place: int, node: int) -> IPv4Address:
    """An address in the subnet of a VLAN, by the VLAN's place (from 0): 10.0.1.0/24 is first."""
    return IPv4Address(FIRST_SUBNET + ((place + 1) << 8) + node)


def _endpoint(wished: Size, ids: list[int], number: int) -> str:
    in_vlan, place = divmod(number, wished.vlans)
    host = (place + in_vlan) % wished.hosts + 1
    address = _address(place, FIRST_NODE + in_vlan)
    return f"  bbox{number + 1}: {{host: host{host}, vlan: {ids[place]}, address: {address}}}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
