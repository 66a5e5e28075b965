"""Whether what a topology file says of Docker's networks fits to its VLANs, hosts and addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from harness.topology.check import check_node, unknown
from harness.topology.shape import File, stations
from harness.topology.source import Source

Path = tuple[object, ...]


def check_networks(shape: File, source: Source) -> None:
    """Note every mistake in `source`."""
    for vlan_id in shape.vlans:
        _check_parent(shape, vlan_id, source)
        _check_ranges(shape, vlan_id, source)
        _check_aux(shape, vlan_id, source)


def _check_parent(shape: File, vlan_id: int, source: Source) -> None:
    """An engine gives a sub-interface the MTU of the trunk that it is on."""
    vlan = shape.vlans[vlan_id]
    if vlan.parent is None or vlan.mtu is None:
        return
    mtus = {shape.hosts[host].mtu or shape.trunk.mtu for host in _carriers(shape, vlan_id)}
    for mtu in sorted(mtu for mtu in mtus if mtu > vlan.mtu):
        found = f"an engine makes the sub-interface with its trunk's MTU, {mtu}"
        source.mistake(("vlans", vlan_id, "mtu"), f"{found}; leave `mtu` out, or `parent`")


def _check_ranges(shape: File, vlan_id: int, source: Source) -> None:
    """What an engine may give away is in the subnet, and nobody's that it does not know of."""
    vlan, ranges = shape.vlans[vlan_id], shape.vlans[vlan_id].ip_ranges
    for position, (host, given) in enumerate(ranges.items()):
        where = ("vlans", vlan_id, "ip_ranges", host)
        if host not in shape.hosts:
            source.mistake(where, unknown("host", host, shape.hosts))
        elif host not in _carriers(shape, vlan_id):
            found = f"{host} carries no endpoint of VLAN {vlan_id}, so it has no network there"
            source.mistake(where, f"{found}; leave it out")
        if not given.subnet_of(vlan.subnet):
            source.mistake(where, f"{given} is outside {vlan.subnet}")
            continue
        for other, its in list(ranges.items())[:position]:
            if given.overlaps(its):
                found = f"{given} overlaps {its} of {other}: two engines would give one address"
                source.mistake(where, f"{found}; give each its own range")
        _check_strangers(shape, vlan_id, host, given, source)


def _check_strangers(
    shape: File, vlan_id: int, host: str, given: IPv4Network, source: Source
) -> None:
    where = ("vlans", vlan_id, "ip_ranges", host)
    for name, station in stations(shape).items():
        end = station.spec
        if end.vlan == vlan_id and end.host != host and end.address in given:
            found = f"{end.address} in {given} is {name}'s, on {end.host}"
            source.mistake(where, f"{found}; take a range without it")
    kept = {*shape.vlans[vlan_id].aux_addresses.values(), shape.vlans[vlan_id].gateway}
    for gateway in shape.gateway or ():
        address = gateway.addresses.get(vlan_id)
        if address in given and address not in kept:
            found = f"{address} in {given} is {gateway.host}'s"
            source.mistake(where, f"{found}; name it in `aux_addresses`, or take another range")


def _check_aux(shape: File, vlan_id: int, source: Source) -> None:
    """An engine keeps such an address, so nobody can ask it for that."""
    vlan = shape.vlans[vlan_id]
    ends = {
        station.spec.address: name
        for name, station in stations(shape).items()
        if station.spec.vlan == vlan_id
    }
    holders: dict[IPv4Address, str] = {}
    for name, address in vlan.aux_addresses.items():
        where = ("vlans", vlan_id, "aux_addresses", name)
        check_node(address, vlan.subnet, f"{vlan.subnet}", where, source)
        if address == vlan.gateway:
            found = f"{address} is the gateway's address, which no engine gives away anyway"
            source.mistake(where, f"{found}; leave it out")
        if address in ends:
            found = f"{address} is {ends[address]}'s, and its engine would refuse it"
            source.mistake(where, f"{found}; leave it out")
        if address in holders:
            source.mistake(where, f"{address} is {holders[address]}'s already")
        holders[address] = name


def _carriers(shape: File, vlan_id: int) -> set[str]:
    """The hosts that carry endpoints of a VLAN."""
    ends = (station.spec for station in stations(shape).values())
    named = {end.host for end in ends if end.vlan == vlan_id}
    return named & set(shape.hosts)
