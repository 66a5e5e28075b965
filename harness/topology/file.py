"""Read a topology file: YAML, then its shape (pydantic), then its cross-references.

Every mistake is one line, `FILE:LINE: where: what was found; what would be right`, and all that
can be told in one reading are told together.
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path

from pydantic import ValidationError

from harness.topology import shape
from harness.topology.check import check, mac_of
from harness.topology.check_gateways import check_gateways, docker0
from harness.topology.check_legs import check_legs
from harness.topology.check_networks import check_networks
from harness.topology.model import Topology
from harness.topology.parts import Endpoint, Engine, Gateway, Host, Reach, Vlan
from harness.topology.source import Source, load, text


def read(path: str | Path) -> Topology:
    """Read and check a topology file.

    Raises TopologyError, with a message for each mistake.
    """
    return parse(text(path), str(path))


def parse(content: str, name: str) -> Topology:
    """Check a topology's text; `name` stands before the line in each message."""
    source = Source(name)
    data = load(content, source)
    try:
        made = shape.File.model_validate(data)
    except ValidationError as error:
        for detail in error.errors():
            source.mistake(_location(detail["loc"], data), shape.message(detail))
        raise source.error() from error
    check(made, source)
    check_gateways(made, source)
    check_networks(made, source)
    check_legs(made, source)
    source.raise_mistakes()
    return _resolve(made)


def _location(loc: tuple[int | str, ...], data: object) -> tuple[object, ...]:
    """Where it stands in the file: a lone gateway is no list there."""
    path = tuple(part for part in loc if part != "[key]")
    alone = isinstance(data, dict) and isinstance(data.get("gateway"), dict)
    return (path[0], *path[2:]) if alone and path[:1] == ("gateway",) else path


def _resolve(made: shape.File) -> Topology:
    prefix = made.management.subnet.prefixlen
    return Topology(
        name=made.name,
        purpose=made.purpose,
        trunk=made.trunk.interface,
        mtu=made.trunk.mtu,
        management=made.management.interface,
        vlans=tuple(_vlan(made, vlan_id, vlan) for vlan_id, vlan in made.vlans.items()),
        hosts=tuple(
            Host(
                name,
                IPv4Interface(f"{host.management}/{prefix}") if host.management else None,
                host.mtu or made.trunk.mtu,
                hairpin=host.port == "hairpin",
                external=host.role == "external",
                reach=_reach(host),
            )
            for name, host in made.hosts.items()
        ),
        endpoints=tuple(
            _endpoint(made, name, station) for name, station in shape.stations(made).items()
        ),
        gateways=tuple(_gateway(made, gateway) for gateway in made.gateway or ()),
        floor_ms=made.trunk.floor_ms,
    )


def _endpoint(made: shape.File, name: str, station: shape.Station) -> Endpoint:
    end, of = station.spec, station.of
    number = 0 if name == of else 1 + list(made.endpoints[of].also).index(end.vlan)
    return Endpoint(
        name,
        end.host,
        end.vlan,
        end.address,
        mac_of(made, end),
        end.address6,
        interface=f"eth{number}",
        leg_of=of if number else None,
    )


def _reach(host: shape.Host) -> Reach | None:
    if host.ssh is None:
        return None
    given = {key: getattr(host, key) for key in ("python", "docker", "may", "endpoints")}
    said = {key: value for key, value in given.items() if value}
    return Reach(host.ssh, sudo=host.become == "sudo", **said)


def _vlan(made: shape.File, vlan_id: int, vlan: shape.Vlan) -> Vlan:
    return Vlan(
        id=vlan_id,
        subnet=vlan.subnet,
        gateway=vlan.gateway,
        network=shape.network(vlan_id, vlan),
        mtu=vlan.mtu or made.trunk.mtu,
        mode=vlan.mode,
        subnet6=vlan.subnet6,
        gateway6=vlan.gateway6,
        internal=vlan.access == "internal",
        parent=vlan.parent,
        ip_ranges=tuple(vlan.ip_ranges.items()),
        aux_addresses=tuple(vlan.aux_addresses.items()),
    )


def _gateway(made: shape.File, gateway: shape.Gateway) -> Gateway:
    bridge = docker0(made)
    engine = Engine(gateway.engine.starts, bridge) if gateway.engine and bridge else None
    return Gateway(
        host=gateway.host,
        addresses=tuple(gateway.addresses.items()),
        masquerade=gateway.masquerade,
        forward_policy=engine.forward_policy if engine else gateway.forward.policy,
        forward=gateway.forward.between,
        routes=tuple(gateway.routes.items()),
        rp_filter=gateway.rp_filter,
        addresses6=tuple(gateway.addresses6.items()),
        engine=engine,
    )
