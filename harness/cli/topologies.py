"""The verb about topology files: show one, make one, say what one may hold."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.runs import json_option

if TYPE_CHECKING:
    from harness.flow import Cell
    from harness.topology import Host, Topology


@click.command(
    epilog="""\b
    Example: harness topology topologies/macvlan-two-host.yaml
    Example: harness topology --generate vlans=20,hosts=5,endpoints=100 > large.yaml
    """
)
@click.argument("file", type=click.Path(), required=False)
@json_option
@click.option("--schema", "as_schema", is_flag=True, help="Print the format's JSON Schema instead.")
@click.option(
    "--generate",
    "wish",
    metavar="vlans=N,hosts=N,endpoints=N",
    help="Print a topology file of that size instead.",
)
def topology(file: str | None, as_json: bool, as_schema: bool, wish: str | None) -> None:  # noqa: FBT001 - click calls it by name
    """Show what a topology file describes, and what is expected of every pair.

    Nothing is built, and no privilege is needed.
    """
    if [file is not None, as_schema, wish is not None].count(True) != 1:
        raise click.UsageError("give one of FILE, --schema and --generate")
    if file is not None:
        _show(file, as_json=as_json)
    elif wish is not None:
        from harness.topology.generate import generate

        click.echo(generate(wish), nl=False)
    else:
        from harness.topology import schema

        click.echo(schema.text(), nl=False)


def _show(file: str, *, as_json: bool) -> None:
    from harness.matrix import matrix
    from harness.topology import read

    gc.disable()  # it would look again and again through 292,000 cells of 100 endpoints, in vain
    found = read(file)
    expected = matrix(found, found.stages)
    if as_json:
        made = _topology_json(found)
        made["cells"] = [_cell_json(cell) for cell in expected.cells]
        made["not_applicable"] = list(expected.not_applicable)
        click.echo(json.dumps(made, indent=2))
        return
    from tabulate import tabulate

    from harness.report.text import forecast

    click.echo(f"{found.name}: {found.purpose}")
    for heads, rows in _topology_tables(found):
        click.echo("\n" + tabulate(rows, headers=heads, tablefmt="simple"))
    click.echo("\nExpected:\n")
    # click takes the colours away where nobody would see them.
    click.echo(forecast(expected.cells, expected.not_applicable, colour=True))


def _cell_json(cell: Cell) -> dict[str, str]:
    """What is expected of a cell, by the keys of report.json."""
    return {
        "id": cell.id,
        "stage": str(cell.stage),
        "src": cell.src,
        "dst": cell.dst,
        "probe": str(cell.probe),
        "expected": str(cell.expectation.outcome),
        "why": cell.expectation.why,
    }


def _topology_json(found: Topology) -> dict[str, Any]:
    return {
        "name": found.name,
        "purpose": found.purpose,
        "trunk": found.trunk,
        "mtu": found.mtu,
        "hosts": [
            {
                "name": host.name,
                "management": str(host.management) if host.management else None,
                "mtu": host.mtu,
                "hairpin": host.hairpin,
                "external": host.external,
            }
            for host in found.hosts
        ],
        "vlans": [
            {
                "id": vlan.id,
                "subnet": str(vlan.subnet),
                "gateway": str(vlan.gateway) if vlan.gateway else None,
                "subnet6": str(vlan.subnet6) if vlan.subnet6 else None,
                "gateway6": str(vlan.gateway6) if vlan.gateway6 else None,
                "network": vlan.network,
                "mode": vlan.mode,
                "mtu": vlan.mtu,
                "internal": vlan.internal,
                "parent": vlan.parent,
                "ip_ranges": {host: str(given) for host, given in vlan.ip_ranges},
                "aux_addresses": {name: str(kept) for name, kept in vlan.aux_addresses},
            }
            for vlan in found.vlans
        ],
        "endpoints": [
            {
                "name": end.name,
                "container": end.container,
                "interface": end.interface,
                "host": end.host,
                "vlan": end.vlan,
                "address": str(end.address),
                "address6": str(end.address6) if end.address6 else None,
                "mac": end.mac,
            }
            for end in found.endpoints
        ],
        "gateways": [
            {
                "host": router.host,
                "addresses": {vlan: str(own) for vlan, own in router.addresses},
                "addresses6": {vlan: str(own) for vlan, own in router.addresses6},
                "forward_policy": router.forward_policy,
                "engine": router.engine.starts if router.engine else None,
            }
            for router in found.gateways
        ],
        "nodes": list(found.nodes),
    }


def _topology_tables(found: Topology) -> list[tuple[tuple[str, ...], Sequence[tuple[str, ...]]]]:
    """Hosts, VLANs and endpoints, each as (heads, rows)."""
    hosts = [
        (host.name, str(host.management or "external"), *_trunk(found, host))
        for host in found.hosts
    ]
    vlans = [
        (
            str(vlan.id), _both(vlan.subnet, vlan.subnet6),
            _both(vlan.gateway or "none", vlan.gateway6),
            f"{vlan.network} (internal)" if vlan.internal else vlan.network,
            vlan.mode, str(vlan.mtu),
        )
        for vlan in found.vlans
    ]  # fmt: skip
    endpoints = [
        (end.name, end.host, str(end.vlan), _both(end.address, end.address6), end.mac)
        for end in found.endpoints
    ]
    return [
        (("host", f"management ({found.management})", f"trunk ({found.trunk})", "MTU"), hosts),
        (("VLAN", "subnet", "gateway", "network", "macvlan mode", "MTU"), vlans),
        (("endpoint", "host", "VLAN", "address", "MAC"), endpoints),
    ]


def _both(ipv4: object, ipv6: object) -> str:
    """What stands in one column for both IP versions."""
    return f"{ipv4}, {ipv6}" if ipv6 else f"{ipv4}"


def _trunk(found: Topology, host: Host) -> tuple[str, str]:
    """The sub-interfaces of a host's trunk, and its MTU."""
    carried = [found.subinterface(vlan) for vlan in found.vlans_of_host(host.name)]
    parts = [", ".join(carried)] if carried else []
    for router in found.gateways:
        if router.host == host.name:
            legs = ", ".join(found.subinterface(vlan) for vlan, _ in router.addresses)
            parts.append(f"gateway: {legs}")
            parts += [f"engine starts {router.engine.starts}"] if router.engine else []
    if host.hairpin:
        parts.append("hairpin")
    return "; ".join(parts), str(host.mtu)


VERBS = (topology,)
