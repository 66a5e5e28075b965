"""Cells -> what a worker sends: probes with fresh tokens, in waves, controls among them.

In a wave, what must not reach is sent first and what must reach after it, so the reaching cells are
the controls of the others and cost nothing. Where the chosen cells do not hold a control for each
class and destination, the matrix lends one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from ipaddress import IPv6Address
from itertools import pairwise
from typing import Any

from harness import beacon, walk
from harness.controls import NOBODY, missing, reaches, there
from harness.flow import RELAY, Cell, Family, Outcome
from harness.observe import address_of
from harness.record import BEACON, CONTROL, TOKEN_OCTETS
from harness.sightings import ECHO_PORT
from harness.topology import Topology

DEADLINE_S = 3.0
"""The longest wait for a reply that must come: three of the kernel's ARP retries (1 s each)."""
QUIET_S = 0.12
"""A lab in which nothing moved for so long is not going to answer. A healthy one never waits it."""

BROADCAST = "ff:ff:ff:ff:ff:ff"
GROUP = "03:88:b5:00:00:01"
"""The multicast group that the worker's responders join."""
MANY = {"arp": BROADCAST, "l2-broadcast": BROADCAST, "l2-multicast": GROUP}
"""The destination MAC of what goes to more than one."""

MACHINES = 2
"""So many it takes to put a frame on the wire to one of them."""

ENTRIES = 512
"""Neighbour entries of one sweep. Linux counts them over all namespaces of a machine together, and
has room for 1024 (gc_thresh3, arp(7)), which no namespace can change: half is for other labs."""
PROBES = 1024
"""Probes of one sweep: what bounds the frames that worker and controller hold at a time."""

Entry = tuple[str, str]
"""A node, and the neighbour that its kernel resolves."""


def parts(chosen: Iterable[Cell]) -> list[list[Cell]]:
    """Cells in as many sweeps as they need: no part makes more neighbour entries than there may be.

    All in one, in their order, if they fit. Else destination after destination, so that most parts
    hold the controls that their blocked cells need.
    """
    cells = list(chosen)
    if len(cells) > PROBES or len(_entries(cells)) > ENTRIES:
        places = {name: place for place, name in enumerate(dict.fromkeys(one.dst for one in cells))}
        cells.sort(key=lambda cell: places[cell.dst])
    found: list[list[Cell]] = []
    entries: set[Entry] = set()
    for cell in cells:
        more = _entries((cell,)) - entries
        if not found or len(found[-1]) >= PROBES or len(entries) + len(more) > ENTRIES:
            found.append([])
            entries, more = set(), _entries((cell,))
        found[-1].append(cell)
        entries |= more
    return found


def _entries(cells: Iterable[Cell]) -> set[Entry]:
    """The neighbour entries that kernels make for probes and their replies: one at each end.

    Where nobody answers for a next hop there is one only, which is counted as two.
    Layer-2 probes make none, ARP requests included: their sender address is 0.0.0.0.
    """
    found: set[Entry] = set()
    for cell in cells:
        expected = cell.expectation
        if cell.probe.is_layer2:
            continue
        ends = (cell.src, *expected.via, expected.next_hop or cell.dst)
        for near, far in pairwise(ends):
            found |= {(near, far), (far, near)}
    return found


def schedule(
    topology: Topology,
    chosen: Iterable[Cell],
    stage_cells: Iterable[Cell],
    absent: AbstractSet[str] = NOBODY,
) -> dict[str, Any]:
    """The waves and responders of a sweep.

    `stage_cells` are all cells of the stage, or those of them that `lenders` picks. What goes to an
    `absent` endpoint is sent, and shows what the network does then; it is not waited for, and
    nothing can vouch for it. What an absent one should send is refused in its stead (`Plan`).
    """
    cells = list(chosen)
    possible = there(cells, absent)
    lent, unvouched = missing(topology, possible, there(stage_cells, absent))
    if not topology.switched and len(topology.nodes) - len(topology.endpoints) < MACHINES:
        unvouched = []  # nobody is on the other side of the wire
    probes = [(cell.id, cell) for cell in cells]
    probes += [(CONTROL + cell.id, cell) for cell in lent]
    probes += [(BEACON + cell.id, cell) for cell in unvouched]
    waves = [
        ("cold", [probe for probe in probes if probe[1].family is Family.COLD]),
        ("main", [probe for probe in probes if probe[1].family is not Family.COLD]),
    ]
    tokens = {probe_id: secrets.token_bytes(TOKEN_OCTETS) for probe_id, _ in probes}
    hosts = [topology.trunk_mac(host.name) for host in topology.hosts]
    return {
        "waves": [
            _wave(topology, name, members, tokens, absent) for name, members in waves if members
        ],
        "responders": [
            one for one in _responders(topology, probes, tokens) if one["node"] not in absent
        ],
        "nodes": [node for node in topology.nodes if node not in absent],
        "macs": [*hosts, *(end.mac for end in topology.endpoints), beacon.SOURCE_MAC],
        "routers": _in_question(topology, cells),
    }


def _in_question(topology: Topology, cells: list[Cell]) -> list[str]:
    """The routers that must end some cell, for want of a route or of a neighbour."""
    last = {
        cell.expectation.via[-1]
        for cell in cells
        if cell.expectation.outcome in (Outcome.NO_ROUTE, Outcome.NO_NEIGHBOUR)
        and cell.expectation.via
    }
    return [node for node in topology.nodes if node in last]


def taps(
    topology: Topology, links: tuple[tuple[str, str], ...], absent: AbstractSet[str] = NOBODY
) -> list[tuple[str, str]]:
    """Every (node, interface) that a packet may cross; `links` are the sub-interfaces in use."""
    found = [(end.name, end.interface) for end in topology.endpoints if end.name not in absent]
    for host in topology.hosts:
        if topology.switched:
            found.append(("switch", topology.port(host.name)))
        if not host.external:
            found.append((host.name, topology.trunk))
        if not host.external and topology.switched:  # else it is not the lab's alone
            found.append((host.name, topology.management))
    return [*found, *links]


def _wave(
    topology: Topology,
    name: str,
    members: list[tuple[str, Cell]],
    tokens: dict[str, bytes],
    absent: AbstractSet[str],
) -> dict[str, Any]:
    ordered = sorted(members, key=lambda member: _is_control(*member))
    return {
        "name": name,
        "deadline": DEADLINE_S,
        "quiet": QUIET_S,
        "probes": [
            _beacon(topology, probe_id, cell, tokens[probe_id])
            if probe_id.startswith(BEACON)
            else _refused(_made(topology, probe_id, cell, tokens[probe_id]), cell, absent)
            for probe_id, cell in ordered
        ],
    }


def _refused(probe: dict[str, Any], cell: Cell, absent: AbstractSet[str]) -> dict[str, Any]:
    """The probe, not to be waited for where an end is absent, nor to be sent by one that is."""
    if absent.isdisjoint((cell.src, cell.dst)):
        return probe
    return {**probe, "await": False, "absent": cell.src in absent}


def _is_control(probe_id: str, cell: Cell) -> bool:
    return reaches(cell) or probe_id.startswith(BEACON)


def _beacon(topology: Topology, probe_id: str, cell: Cell, token: bytes) -> dict[str, Any]:
    """A control for a cell, put on the wire towards the destination's host."""
    mac = _destination_mac(topology, cell)
    address = address_of(topology.over(cell.probe), cell.dst, cell.src)
    if mac is None or address is None:
        raise ValueError(f"no beacon can stand in for {cell.id}")
    vlan = walk.vlan_of(topology, cell.dst, cell.src)
    node, interface = _beyond(topology, walk.carrier(topology, cell.dst))
    return {
        "id": probe_id,
        "kind": "beacon",
        "node": node,
        "interface": interface,
        "token": token,
        "frame": beacon.frame(cell, mac, address, vlan, token),
        "dst": cell.dst,
        "await": True,
        "absent": False,
    }


def _beyond(topology: Topology, host: str) -> tuple[str, str]:
    """Where a frame is put on the wire to a host: at its switch port, else at another's trunk."""
    if topology.switched:
        return "switch", topology.port(host)
    others = [one.name for one in topology.hosts if not one.external and one.name != host]
    return others[0], topology.trunk


def _destination_mac(topology: Topology, cell: Cell) -> str | None:
    many = MANY.get(cell.probe.kind)
    if cell.probe.kind == "ndp":
        address = address_of(topology.ipv6, cell.dst, cell.src)
        return _solicited_node(address) if address else None
    return many or (_mac(topology, cell.dst) if cell.dst in topology.endpoint_vlans else None)


def _mac(topology: Topology, node: str) -> str:
    """The MAC address that a node's frames bear: an endpoint's own, or its trunk's."""
    if node in topology.endpoint_vlans:
        return topology.endpoint(node).mac
    return topology.trunk_mac(node)


def _solicited_node(address: str) -> str:
    """The MAC address of the group that an IPv6 address listens to (RFC 4291, 2.7.1; RFC 2464)."""
    return f"33:33:ff:{IPv6Address(address).packed[-3:].hex(':')}"


def _probe(topology: Topology, probe_id: str, cell: Cell, token: bytes) -> dict[str, Any]:
    kind, argument = cell.probe.kind, cell.probe.argument
    return {
        "id": probe_id,
        "kind": kind,
        "node": cell.src,
        "interface": walk.source_interface(topology, cell),
        "token": token,
        "src_mac": _mac(topology, cell.src),
        "dst_mac": _destination_mac(topology, cell),
        "dst_ip": address_of(topology.over(cell.probe), cell.dst, cell.src),
        "size": argument if kind in ("icmp", "icmp6") else None,
        "tag": argument if kind.startswith("l2-") else None,
        "port": ECHO_PORT,
        "bound": bool(walk.leaving_by(topology, cell.src)),
        "await": cell.expectation.outcome is Outcome.REACHED,
        "absent": False,
    }


def _made(topology: Topology, probe_id: str, cell: Cell, token: bytes) -> dict[str, Any]:
    make = _relay if cell.probe.kind == RELAY else _probe
    return make(topology, probe_id, cell, token)


def _relay(topology: Topology, probe_id: str, cell: Cell, token: bytes) -> dict[str, Any]:
    """A whole frame for the neighbour that is to pass its packet on, or rather not."""
    asker, near = topology.endpoint(cell.src), topology.endpoint(cell.arrival)
    target = walk.stranger(topology, topology.endpoint(cell.dst)) or near
    addresses = (str(asker.address), str(target.address))
    return {
        "id": probe_id,
        "kind": "beacon",
        "node": asker.name,
        "interface": asker.interface,
        "token": token,
        "frame": beacon.handed((asker.mac, near.mac), addresses, token),
        "dst": near.name,
        "await": False,
        "absent": False,
    }


def _responders(
    topology: Topology, probes: list[tuple[str, Cell]], tokens: dict[str, bytes]
) -> list[dict[str, Any]]:
    asked: dict[str, list[tuple[str, Cell]]] = {}
    for probe_id, cell in probes:
        asked.setdefault(cell.dst, []).append((probe_id, cell))
    return [
        {
            "node": end.name,
            "interface": end.interface,
            "mac": end.mac,
            "address": str(end.address),
            "address6": str(end.address6) if end.address6 else None,
            "kinds": sorted({cell.probe.kind for _, cell in asked.get(end.name, [])}),
            "tokens": [
                tokens[probe_id]
                for probe_id, _ in asked.get(end.name, [])
                if not probe_id.startswith(BEACON)
            ],
        }
        for end in topology.endpoints
    ]
