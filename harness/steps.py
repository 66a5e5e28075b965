"""The four steps of the tutorial for a routed packet, as measured: route, router, ARP, delivery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.flow import Cell, Hop, Verdict
from harness.report.model import Evidence
from harness.topology import Endpoint, Topology
from harness.walk import leaving_by

Step = tuple[bool | None, str]
"""Whether path and tables agree, and what was measured; None where there are no tables to read, and
the path is not against it: at a router that the harness does not look into."""


@dataclass(frozen=True)
class FourSteps:
    """Each step is what was measured, in words, and whether path and tables agree on it."""

    source_route: Step
    router_route: Step
    router_neighbour: Step
    delivery: Step


def four_steps(topology: Topology, verdict: Verdict, evidence: Iterable[Evidence]) -> FourSteps:
    """Follow one routed probe, table by table and hop by hop."""
    topology = topology.over(verdict.cell.probe)
    tables = {reading.name: reading.parsed for reading in evidence}
    hops = {(hop.point.node, hop.point.interface, hop.point.direction): hop
            for hop in verdict.observation.path}  # fmt: skip
    cell, stage = verdict.cell, verdict.cell.stage
    asked = _route(
        stage, cell.src, topology.endpoint(cell.dst).address, leaving_by(topology, cell.src)
    )
    src, dst = topology.endpoint(cell.src), topology.endpoint(cell.dst)
    first = hops.get((src.name, src.interface, "out"))
    # A container makes itself known with any address of its own in any of its VLANs.
    elsewhere = {leg.mac for leg in topology.legs[dst.name] if leg != dst}
    routed: list[Step] = []
    found: list[Step] = []
    for router, into, out, next_hop in _legs(topology, cell, dst):
        if topology.host(router).external:
            port = topology.port(router)
            at_port = (hops.get(("switch", port, "out")), hops.get(("switch", port, "in")))
            routed.append(_outside_route(router, *at_port))
            found.append(_outside_neighbour(router, at_port[1]))
            continue
        left = hops.get((router, out, "out"))
        taken = hops.get((router, into, "in"))
        route = tables.get(_route(stage, router, dst.address), {})
        routed.append(_router_route(route, taken, left, (router, into, out)))
        found.append(_neighbour(tables, (stage, router), next_hop, left, elsewhere))
    return FourSteps(
        _source_route(
            topology, tables.get(asked, {}), cell, src, first
        ),
        _all(routed),
        _all(found),
        _delivery(
            hops.get((dst.host, topology.subinterface(dst.vlan), "in")),
            hops.get((dst.name, dst.interface, "in")), dst, topology.subinterface(dst.vlan),
        ),
    )  # fmt: skip


def _legs(topology: Topology, cell: Cell, dst: Endpoint) -> list[tuple[str, str, str, str]]:
    """(router, interface in, interface out, whom it hands the packet to) for each router."""
    via, vlans = cell.expectation.via, cell.expectation.vlans
    routers = {router.host: router for router in topology.gateways}
    following = zip(via[1:], vlans[1:-1], strict=True)
    next_hops = [str(routers[name].address_in(vlan)) for name, vlan in following]
    named = [topology.subinterface(vlan) for vlan in vlans]
    return list(zip(via, named[:-1], named[1:], [*next_hops, str(dst.address)], strict=True))


def _all(steps: list[Step]) -> Step:
    """One step at several routers: they agree if each does, and disagree if one does."""
    agreed = {agree for agree, _ in steps}
    agree = False if False in agreed else None if None in agreed else True
    return agree, "; then ".join(said for _, said in steps)


def _route(stage: str, node: str, address: object, by: str = "") -> str:
    way = f"{address}/{by}" if by else f"{address}"
    return f"{stage}/{node}/route-get/{way}/after"


def _source_route(
    topology: Topology, route: dict[str, Any], cell: Cell, src: Endpoint, first: Hop | None
) -> Step:
    gateway = str(topology.vlan(src.vlan).gateway)
    mac = topology.trunk_mac(cell.expectation.via[0])
    sent_to = first.dst_mac if first else "nobody"
    via, interface = route.get("via"), route.get("interface")
    said = f"{src.name} {_leads(route)}, and sends to {sent_to}"
    agree = via == gateway and interface == src.interface
    return agree and sent_to == mac, said


def _leads(route: dict[str, Any]) -> str:
    """A node's answer to `ip route get`, in words."""
    if not route.get("interface"):
        return "has no route that was read"
    return f"routes{' via ' + route['via'] if route.get('via') else ''} dev {route['interface']}"


def _router_route(
    route: dict[str, Any], came: Hop | None, left: Hop | None, where: tuple[str, str, str]
) -> Step:
    router, into, out = where
    seen_in, seen_out = came is not None, left is not None
    took, sent = "took" if seen_in else "did not take", "sent" if seen_out else "did not send"
    said = f"{router} {took} it from {into}, {_leads(route)}, and {sent} it out of {out}"
    return seen_in and seen_out and route.get("interface") == out, said


def _outside_route(router: str, taken: Hop | None, left: Hop | None) -> Step:
    """Of a router whose switch port is all that can be seen."""
    was, sent = "was" if taken else "was not", "sent it on" if left else "did not send it on"
    said = f"{router} is not looked into; at its switch port it {was} given it, and {sent}"
    return (None if taken and left else False), said


def _outside_neighbour(router: str, left: Hop | None) -> Step:
    sent_to = left.dst_mac if left else "nobody"
    said = f"{router}'s ARP table cannot be read; sent to {sent_to}"
    return (None if left else False), said


def _neighbour(
    tables: dict[str, Any],
    where: tuple[str, str],
    address: str,
    left: Hop | None,
    elsewhere: set[str],
) -> Step:
    stage, router = where
    prefix = f"{stage}/{router}/neighbours/"
    entries = [
        entry
        for name, table in tables.items()
        if name.startswith(prefix)
        for entry in table
        if entry["address"] == address and entry["mac"]
    ]
    known = {entry["mac"] for entry in entries} - elsewhere
    sent_to = left.dst_mac if left else None
    table = "NDP" if ":" in address else "ARP"
    at = ", ".join(sorted(known)) or "no MAC address"
    said = f"{router}'s {table} table has {address} at {at}; sent to {sent_to or 'nobody'}"
    return known == {sent_to}, said


def _delivery(came: Hop | None, arrived: Hop | None, dst: Endpoint, out: str) -> Step:
    took, got = "took" if came else "did not take", "got" if arrived else "did not get"
    said = f"{dst.host} {took} it from {out}, and {dst.name} {got} it"
    right = came is not None and arrived is not None and arrived.dst_mac == dst.mac
    return right and arrived is not None and arrived.dst_ip == str(dst.address), said
