"""Cells -> what a worker sends: probes with fresh tokens, in waves, controls among them.

In a wave, what must not reach is sent first and what must reach after it, so the reaching cells are
the controls of the others and cost nothing. Where the chosen cells do not hold a control for each
class and destination, the matrix lends one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from harness import beacon, walk
from harness.flow import Cell, Family, Outcome
from harness.observe import address_of
from harness.record import BEACON, CONTROL, TOKEN_OCTETS
from harness.sightings import ECHO_PORT
from harness.topology import Topology

DEADLINE_S = 3.0
"""The longest wait for a reply that must come: three of the kernel's ARP retries (1 s each)."""
QUIET_S = 0.3
"""A lab in which nothing moved for so long is not going to answer. A healthy one never waits it."""

BROADCAST = "ff:ff:ff:ff:ff:ff"
GROUP = "03:88:b5:00:00:01"
"""The multicast group that the worker's responders join."""


def schedule(
    topology: Topology, chosen: Iterable[Cell], stage_cells: Iterable[Cell]
) -> dict[str, Any]:
    """The waves and responders of a sweep; `stage_cells` are all cells of the stage."""
    cells = list(chosen)
    probes = [(cell.id, cell) for cell in cells]
    probes += [(CONTROL + cell.id, cell) for cell in _lent(topology, cells, stage_cells)]
    probes += [(BEACON + cell.id, cell) for cell in _unvouched(topology, cells, stage_cells)]
    waves = [
        ("cold", [probe for probe in probes if probe[1].family is Family.COLD]),
        ("main", [probe for probe in probes if probe[1].family is not Family.COLD]),
    ]
    tokens = {probe_id: secrets.token_bytes(TOKEN_OCTETS) for probe_id, _ in probes}
    return {
        "waves": [_wave(topology, name, members, tokens) for name, members in waves if members],
        "responders": _responders(topology, probes, tokens),
        "nodes": list(topology.nodes),
        "routers": _without_route(topology, cells),
    }


def _without_route(topology: Topology, cells: list[Cell]) -> list[str]:
    """The routers that must end some cell for want of a route, and that can be asked."""
    last = {
        cell.expectation.via[-1]
        for cell in cells
        if cell.expectation.outcome is Outcome.NO_ROUTE and cell.expectation.via
    }
    return [node for node in topology.nodes if node in last]


def taps(topology: Topology, links: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Every (node, interface) that a packet may cross; `links` are the sub-interfaces in use."""
    found = [(end.name, end.interface) for end in topology.endpoints]
    for host in topology.hosts:
        found.append(("switch", topology.port(host.name)))
        if not host.external:
            found += [(host.name, topology.trunk), (host.name, topology.management)]
    return [*found, *links]


def _lent(topology: Topology, cells: list[Cell], stage_cells: Iterable[Cell]) -> list[Cell]:
    """A control from the matrix for each blocked cell that none of the chosen can vouch for."""
    reaching = [cell for cell in cells if _reaches(cell)]
    candidates = [cell for cell in stage_cells if _reaches(cell)]
    lent: list[Cell] = []
    for cell in cells:
        if _reaches(cell) or any(_can_vouch(topology, cell, one) for one in reaching + lent):
            continue
        lent += [one for one in candidates if _can_vouch(topology, cell, one)][:1]
    return lent


def _unvouched(topology: Topology, cells: list[Cell], stage_cells: Iterable[Cell]) -> list[Cell]:
    """A blocked cell for each destination and class that no endpoint can send a control to."""
    candidates = [cell for cell in stage_cells if _reaches(cell)]
    found = {
        (cell.dst, cell.probe.frame_class): cell
        for cell in cells
        if not _reaches(cell)
        and not cell.expectation.arrives
        and cell.family is not Family.COLD
        and not any(_can_vouch(topology, cell, one) for one in candidates)
    }
    return list(found.values())


def _reaches(cell: Cell) -> bool:
    return cell.expectation.outcome is Outcome.REACHED and cell.family is not Family.COLD


def _can_vouch(topology: Topology, cell: Cell, control: Cell) -> bool:
    """Whether a probe that reaches shares destination, class and last hop with a blocked one.

    Where only the reply is blocked, it shares the source instead.
    """
    if cell.expectation.arrives:
        return (control.src, control.probe.frame_class) == (cell.src, cell.probe.frame_class)
    return (
        control.dst == cell.dst
        and control.probe.frame_class == cell.probe.frame_class
        and walk.vlan_of(topology, cell.dst, cell.src)
        == walk.vlan_of(topology, control.dst, control.src)
        and walk.carrier(topology, control.src) != walk.carrier(topology, cell.dst)
    )


def _wave(
    topology: Topology, name: str, members: list[tuple[str, Cell]], tokens: dict[str, bytes]
) -> dict[str, Any]:
    ordered = sorted(members, key=lambda member: _is_control(*member))
    return {
        "name": name,
        "deadline": DEADLINE_S,
        "quiet": QUIET_S,
        "probes": [
            (_beacon if probe_id.startswith(BEACON) else _probe)(
                topology, probe_id, cell, tokens[probe_id]
            )
            for probe_id, cell in ordered
        ],
    }


def _is_control(probe_id: str, cell: Cell) -> bool:
    return _reaches(cell) or probe_id.startswith(BEACON)


def _beacon(topology: Topology, probe_id: str, cell: Cell, token: bytes) -> dict[str, Any]:
    """A control for a cell, put out of the switch towards the destination's host."""
    mac = _destination_mac(topology, cell)
    address = address_of(topology, cell.dst, cell.src)
    if mac is None or address is None:
        raise ValueError(f"no beacon can stand in for {cell.id}")
    vlan = walk.vlan_of(topology, cell.dst, cell.src)
    return {
        "id": probe_id,
        "kind": "beacon",
        "node": "switch",
        "interface": topology.port(walk.carrier(topology, cell.dst)),
        "token": token,
        "frame": beacon.frame(cell, mac, address, vlan, token),
        "dst": cell.dst,
        "await": True,
    }


def _destination_mac(topology: Topology, cell: Cell) -> str | None:
    endpoints = {endpoint.name: endpoint.mac for endpoint in topology.endpoints}
    broadcasts = {"arp": BROADCAST, "l2-broadcast": BROADCAST, "l2-multicast": GROUP}
    return broadcasts.get(cell.probe.kind, endpoints.get(cell.dst))


def _probe(topology: Topology, probe_id: str, cell: Cell, token: bytes) -> dict[str, Any]:
    endpoints = {endpoint.name: endpoint.mac for endpoint in topology.endpoints}
    kind, argument = cell.probe.kind, cell.probe.argument
    return {
        "id": probe_id,
        "kind": kind,
        "node": cell.src,
        "interface": walk.source_interface(topology, cell),
        "token": token,
        "src_mac": endpoints.get(cell.src) or topology.trunk_mac(cell.src),
        "dst_mac": _destination_mac(topology, cell),
        "dst_ip": address_of(topology, cell.dst, cell.src),
        "size": argument if kind == "icmp" else None,
        "tag": argument if kind.startswith("l2-") else None,
        "port": ECHO_PORT,
        "await": cell.expectation.outcome is Outcome.REACHED,
    }


def _responders(
    topology: Topology, probes: list[tuple[str, Cell]], tokens: dict[str, bytes]
) -> list[dict[str, Any]]:
    return [
        {
            "node": end.name,
            "interface": end.interface,
            "mac": end.mac,
            "address": str(end.address),
            "kinds": sorted({cell.probe.kind for _, cell in probes if cell.dst == end.name}),
            "tokens": [
                tokens[probe_id]
                for probe_id, cell in probes
                if cell.dst == end.name and not probe_id.startswith(BEACON)
            ],
        }
        for end in topology.endpoints
    ]
