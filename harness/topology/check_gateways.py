"""Whether the gateways of a topology file fit to its VLANs, to its hosts and to each other."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from harness.topology.check import check_node, unknown
from harness.topology.parts import DOCKER0
from harness.topology.shape import File, Gateway, stations
from harness.topology.source import Source

Path = tuple[object, ...]

POOLS = (
    *(IPv4Network(f"172.{number}.0.0/16") for number in range(17, 32)),
    *(IPv4Network(f"192.168.{number}.0/20") for number in range(0, 256, 16)),
)
"""The subnets that Docker takes for bridges, in its order (moby's libnetwork/ipamutils)."""


def docker0(shape: File) -> IPv4Interface | None:
    """The address of an engine's own bridge: of the first pool that the lab has no part of."""
    taken = [shape.management.subnet, *(vlan.subnet for vlan in shape.vlans.values())]
    free = (pool for pool in POOLS if not any(pool.overlaps(subnet) for subnet in taken))
    pool = next(free, None)
    return IPv4Interface(f"{pool[1]}/{pool.prefixlen}") if pool else None


def check_gateways(shape: File, source: Source) -> None:
    """Note every mistake in `source`."""
    gateways = shape.gateway or ()
    hosts: set[str] = set()
    legs: dict[tuple[int, IPv4Address], str] = {}
    listed = ("gateway", "0") in source.lines
    for number, gateway in enumerate(gateways):
        path: Path = ("gateway", str(number)) if listed else ("gateway",)
        if gateway.host not in shape.hosts:
            source.mistake((*path, "host"), unknown("host", gateway.host, shape.hosts))
        if gateway.host in hosts:
            source.mistake((*path, "host"), f"{gateway.host} is a gateway already; say it once")
        hosts.add(gateway.host)
        _check_legs(shape, gateway, path, legs, source)
        _check_legs6(shape, gateway, path, source)
        _check_rules(gateway, path, source)
        if gateway.engine:
            _check_engine(shape, gateway, path, source)
    _check_defaults(shape, legs, source)
    for number, gateway in enumerate(gateways):
        path = ("gateway", str(number)) if listed else ("gateway",)
        _check_routes(shape, gateway, path, legs, source)


def _check_legs(
    shape: File,
    gateway: Gateway,
    path: Path,
    legs: dict[tuple[int, IPv4Address], str],
    source: Source,
) -> None:
    """Check each of its addresses, and that it can have an interface of its own there."""
    for vlan_id, address in gateway.addresses.items():
        where = (*path, "addresses", vlan_id)
        if vlan_id not in shape.vlans:
            source.mistake(where, unknown("VLAN", vlan_id, shape.vlans))
            continue
        vlan = shape.vlans[vlan_id]
        if vlan.gateway is None:
            found = f"VLAN {vlan_id} names no gateway; give it `gateway: {address}`"
            source.mistake(where, found)
        elif len(shape.gateway or ()) == 1 and address != vlan.gateway:
            source.mistake(where, f"{address} is not the VLAN's gateway {vlan.gateway}")
        else:
            check_node(address, vlan.subnet, f"{vlan.subnet}", where, source)
        holder = legs.get((vlan_id, address)) or _holder(shape, vlan_id, address)
        if holder and holder != gateway.host:
            source.mistake(where, f"{address} is {holder}'s already")
        legs[vlan_id, address] = gateway.host
        if vlan.mode == "passthru" and _carries(shape, gateway.host, vlan_id):
            found = f"the passthru endpoint there takes every frame that is for {gateway.host}"
            source.mistake(where, f"{found}; take another host for it")


def _holder(shape: File, vlan_id: int, address: IPv4Address) -> str | None:
    """The endpoint that has an address which is not the VLAN's gateway."""
    if address == shape.vlans[vlan_id].gateway:
        return None  # the endpoint is told of it
    ends = ((name, station.spec) for name, station in stations(shape).items())
    return next((name for name, end in ends if (end.vlan, end.address) == (vlan_id, address)), None)


def _carries(shape: File, host: str, vlan_id: int) -> bool:
    ends = (station.spec for station in stations(shape).values())
    return any((end.host, end.vlan) == (host, vlan_id) for end in ends)


def _check_legs6(shape: File, gateway: Gateway, path: Path, source: Source) -> None:
    for vlan_id, address in gateway.addresses6.items():
        where = (*path, "addresses6", vlan_id)
        if vlan_id not in gateway.addresses:
            source.mistake(where, unknown("VLAN", vlan_id, gateway.addresses))
            continue
        vlan = shape.vlans.get(vlan_id)
        if vlan and vlan.gateway6 is None:
            found = f"VLAN {vlan_id} names no IPv6 gateway; give it `gateway6: {address}`"
            source.mistake(where, found)
        elif vlan and address != vlan.gateway6:
            source.mistake(where, f"{address} is not the VLAN's gateway {vlan.gateway6}")


def _check_rules(gateway: Gateway, path: Path, source: Source) -> None:
    named: list[tuple[Path, int]]
    named = [((*path, "masquerade"), vlan_id) for vlan_id in gateway.masquerade]
    for number, pair in enumerate(gateway.forward.between):
        named += [((*path, "forward", "between", str(number)), vlan_id) for vlan_id in pair]
    for where, vlan_id in named:
        if vlan_id not in gateway.addresses:
            source.mistake(where, unknown("VLAN", vlan_id, gateway.addresses))


def _check_engine(shape: File, gateway: Gateway, path: Path, source: Source) -> None:
    """What an engine makes of the host itself is not said a second time, and has room there."""
    host = shape.hosts.get(gateway.host)
    if host and host.role == "external":
        found = f"{gateway.host} is external, and nobody here starts an engine on it"
        source.mistake((*path, "engine"), f"{found}; leave `engine` out")
    if "policy" in gateway.forward.model_fields_set:
        found = "the engine sets the policy, by when it `starts`; leave `policy` out"
        source.mistake((*path, "forward", "policy"), found)
    if gateway.addresses6:
        found = "what an engine does to ip6tables depends on its version"
        source.mistake((*path, "addresses6"), f"{found}; leave `addresses6` out, or `engine`")
    if docker0(shape) is None:
        found = f"the lab leaves {DOCKER0} no subnet of Docker's ({POOLS[0]} to {POOLS[-1]})"
        source.mistake((*path, "engine"), f"{found}; make one of its own smaller")
    for section in ("trunk", "management"):
        if getattr(shape, section).interface == DOCKER0:
            found = f"{DOCKER0} is the bridge of {gateway.host}'s engine; take another name"
            source.mistake((section, "interface"), found)


def _check_defaults(shape: File, legs: dict[tuple[int, IPv4Address], str], source: Source) -> None:
    """Where several gateways have a leg, one of them has the address that endpoints send to."""
    for vlan_id, vlan in shape.vlans.items():
        held = [str(address) for leg, address in legs if leg == vlan_id]
        if len(shape.gateway or ()) > 1 and held and str(vlan.gateway) not in held:
            found = f"{vlan.gateway} is nobody's address; gateways have {', '.join(held)} here"
            source.mistake(("vlans", vlan_id, "gateway"), found)


def _check_routes(
    shape: File,
    gateway: Gateway,
    path: Path,
    legs: dict[tuple[int, IPv4Address], str],
    source: Source,
) -> None:
    for vlan_id, via in gateway.routes.items():
        where = (*path, "routes", vlan_id)
        reached = [leg for leg in gateway.addresses if (leg, via) in legs]
        if vlan_id not in shape.vlans:
            source.mistake(where, unknown("VLAN", vlan_id, shape.vlans))
        elif vlan_id in gateway.addresses:
            found = f"{gateway.host} has an address in VLAN {vlan_id} itself; leave it out"
            source.mistake(where, found)
        elif not reached or legs[reached[0], via] == gateway.host:
            found = f"{via} is the address of no other gateway in a VLAN of {gateway.host}"
            source.mistake(where, f"{found}; known: {_others(gateway, legs)}")
        elif _goes_round(shape, gateway, vlan_id, legs):
            found = f"what is for VLAN {vlan_id} goes round between gateways for ever"
            source.mistake(where, found)


def _others(gateway: Gateway, legs: dict[tuple[int, IPv4Address], str]) -> str:
    """The addresses that a gateway could send to, in words."""
    others = [str(address) for (vlan_id, address), host in legs.items()
              if vlan_id in gateway.addresses and host != gateway.host]  # fmt: skip
    return ", ".join(others) or "none"


def _goes_round(
    shape: File, gateway: Gateway, vlan_id: int, legs: dict[tuple[int, IPv4Address], str]
) -> bool:
    """Whether routes for a VLAN lead back to a gateway that they have passed."""
    by_host = {one.host: one for one in shape.gateway or ()}
    passed: set[str] = set()
    while vlan_id in gateway.routes:
        if gateway.host in passed:
            return True
        passed.add(gateway.host)
        via = gateway.routes[vlan_id]
        following = [legs[leg, via] for leg in gateway.addresses if (leg, via) in legs]
        if not following:
            return False
        gateway = by_host[following[0]]
    return False
