"""A VLAN's macvlan network on an engine: what it is made of, and the docker(1) that makes it."""

from __future__ import annotations

from typing import Any

from harness.topology import Topology, Vlan


def is_internal(vlan: Vlan) -> bool:
    """Whether it is without a gateway: Docker would choose one otherwise."""
    return vlan.internal or not (vlan.gateway or vlan.gateway6)


def options(topology: Topology, vlan: Vlan) -> dict[str, str]:
    """The options of its driver."""
    return {"parent": topology.subinterface(vlan.id), "macvlan_mode": vlan.mode}


def pools(host: str, vlan: Vlan) -> list[dict[str, Any]]:
    """What addresses of a network come from: of IPv4, and of IPv6 where it has both."""
    found: list[dict[str, Any]] = [
        {
            "subnet": str(vlan.subnet), "gateway": _text(vlan.gateway),
            "range": _text(dict(vlan.ip_ranges).get(host)),
            "aux": {name: str(address) for name, address in vlan.aux_addresses},
        }
    ]  # fmt: skip
    if vlan.subnet6:
        pool6 = {"subnet": str(vlan.subnet6), "gateway": _text(vlan.gateway6)}
        found.append({**pool6, "range": None, "aux": {}})
    return found


def create(topology: Topology, host: str, vlan: Vlan) -> list[str]:
    """The command that makes it."""
    driver = options(topology, vlan).items()
    return [
        "docker", "network", "create", "--driver", "macvlan",
        *(["--internal"] if is_internal(vlan) else []),
        *(word for pool in pools(host, vlan) for word in _words(pool)),
        *(word for key, value in driver for word in ("-o", f"{key}={value}")),
        vlan.network,
    ]  # fmt: skip


def option(name: str, value: str | None) -> list[str]:
    """An option of docker(1), if there is a value for it."""
    return [name, value] if value else []


def _words(pool: dict[str, Any]) -> list[str]:
    """A pool in docker(1)'s options; which is of which, it finds out by the subnet."""
    words = ["--ipv6"] if ":" in pool["subnet"] else []
    words += ["--subnet", pool["subnet"], *option("--gateway", pool["gateway"])]
    words += option("--ip-range", pool["range"])
    return words + [
        word for name, kept in pool["aux"].items() for word in ("--aux-address", f"{name}={kept}")
    ]


def _text(value: object) -> str | None:
    return str(value) if value else None
