"""What a Docker engine would refuse of a topology, or make something else of."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from itertools import combinations, product

from harness.errors import InputError
from harness.topology import Address, Topology, Vlan

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""What Docker takes for a container's name (daemon/names.RestrictedNamePattern)."""


def refuse(topology: Topology, hosts: tuple[str, ...]) -> None:
    """InputError if the engines of these hosts cannot make the networks or the containers."""
    for endpoint in topology.containers:
        if not NAME.fullmatch(endpoint.name):
            raise InputError(
                f"--backend docker: {endpoint.name!r} cannot be a container's name: "
                "Docker wants at least two characters"
            )
    for host in hosts:
        vlans = [topology.vlan(vlan_id) for vlan_id in topology.vlans_of_host(host)]
        for vlan in vlans:
            _refuse_one_gateway(vlan)
            _refuse_kept(topology, host, vlan)
        for one, other in combinations(vlans, 2):
            _refuse_overlap(host, one, other)


def _refuse_one_gateway(vlan: Vlan) -> None:
    """Docker chooses a gateway for the subnet that has none, and makes a default route of it."""
    if vlan.internal or vlan.subnet6 is None or bool(vlan.gateway) is bool(vlan.gateway6):
        return
    missing, subnet = ("gateway", vlan.subnet) if vlan.gateway6 else ("gateway6", vlan.subnet6)
    raise InputError(
        f"--backend docker: an engine would choose a gateway of its own in {subnet} for "
        f"{vlan.network}; give VLAN {vlan.id} a `{missing}`, or leave out the other, or say "
        "`access: internal`"
    )


def _refuse_kept(topology: Topology, host: str, vlan: Vlan) -> None:
    """Without a gateway Docker keeps the first address for one, of an internal network too."""
    kept = [first for first in (_first_address(vlan, host), _first_address6(vlan)) if first]
    ends = [end for end in topology.endpoints if (end.host, end.vlan) == (host, vlan.id)]
    named = [(end.name, end.address) for end in ends] + [(end.name, end.address6) for end in ends]
    named += vlan.aux_addresses
    for (name, address), first in product(named, kept):
        if address == first:
            raise InputError(
                f"--backend docker: the engine of {host} would keep {first} for a gateway of "
                f"{vlan.network}, and it is {name}'s; give VLAN {vlan.id} a gateway, or {name} "
                "another address"
            )


def _first_address(vlan: Vlan, host: str) -> Address | None:
    """What Docker takes for a gateway where none is named."""
    if vlan.gateway:
        return None
    given = dict(vlan.ip_ranges).get(host, vlan.subnet)
    return _first(given, vlan.subnet)


def _first_address6(vlan: Vlan) -> Address | None:
    return None if vlan.gateway6 or not vlan.subnet6 else _first(vlan.subnet6, vlan.subnet6)


def _first(given: IPv4Network | IPv6Network, subnet: IPv4Network | IPv6Network) -> Address:
    """The first address of a range that is not the name of the subnet itself."""
    first: Address = given.network_address
    return first + 1 if first == subnet.network_address else first


def _refuse_overlap(host: str, one: Vlan, other: Vlan) -> None:
    for own, its in ((one.subnet, other.subnet), (one.subnet6, other.subnet6)):
        if own and its and own.overlaps(its):
            raise InputError(
                f"--backend docker: the engine of {host} would refuse {other.network}: its subnet "
                f"{its} overlaps with {own} of {one.network}; put endpoints of "
                f"VLAN {one.id} and {other.id} on different hosts, or use --backend netns"
            )
