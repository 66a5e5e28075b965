"""Ask a lab that is up about one pair, at once."""

from __future__ import annotations

from dataclasses import replace

from harness import labs
from harness.errors import InputError, UnknownNode
from harness.flow import Cell
from harness.inquiry import inquire
from harness.lab import Lab
from harness.matrix import matrix
from harness.report.explanation import Explanation
from harness.sightings import find
from harness.topology import Topology
from harness.verdict import judge

PROBE = "icmp"


def explain(name: str, src: str, dst: str) -> Explanation:
    """Send a lab's ICMP probe of a pair, with the control that it needs, and judge it.

    InputError if the pair has none; MachineError if the lab cannot be asked.
    """
    lab = labs.attached(name, facts=False).open()
    try:
        return _asked(lab, src, dst)
    finally:
        lab.close()


def _asked(lab: Lab, src: str, dst: str) -> Explanation:
    stages = (lab.stage,) if lab.stage else ()
    nodes, topology = named(lab.topology), concerned(lab.topology, src, dst)
    cells = matrix(topology, stages).cells
    cell = pair(cells, nodes, src, dst)
    lab.topology = topology
    swept = lab.sweep((cell,))
    record = swept.record()
    sightings = find(record.frames, record.tokens)
    verdicts = judge(topology, record, sightings, cells)
    evidence = swept.evidence(record)
    if verdicts[0].ok:
        return Explanation(topology, verdicts[0], evidence)
    from harness.diagnosis import diagnose, look

    inquiry = inquire(lab, verdicts)
    evidence += inquiry.evidence
    lost = look(topology, record, sightings, verdicts)
    found = diagnose(topology, cell.stage, verdicts, lost, evidence, alone=inquiry.alone)
    return Explanation(topology, found.verdicts[0], evidence, found.diagnoses)


def named(topology: Topology) -> tuple[str, ...]:
    """Every node that a question can name: an external router too, though nobody looks into it."""
    external = tuple(host.name for host in topology.hosts if host.external)
    return (*topology.nodes, *external)


def concerned(topology: Topology, src: str, dst: str) -> Topology:
    """Leave the containers of other VLANs out, so that the size of a lab costs a pair nothing.

    Hosts, trunks and switch ports stay: what goes astray on the wire is seen there.
    """
    ends = {src, dst}
    hosts = {router.host for router in topology.gateways}
    if src == dst or not ends - hosts <= topology.endpoint_vlans.keys():
        return topology
    vlans = {topology.endpoint_vlans[name] for name in ends - hosts}
    kept = tuple(
        endpoint
        for endpoint in topology.endpoints
        if not vlans.isdisjoint(leg.vlan for leg in topology.legs[endpoint.name])
    )
    return replace(topology, endpoints=kept)


def pair(cells: tuple[Cell, ...], nodes: tuple[str, ...], src: str, dst: str) -> Cell:
    """Find the plain ICMP cell of a pair; InputError says what could have been meant."""
    for name in (src, dst):
        if name not in nodes:
            raise UnknownNode("the lab", name, nodes)
    asked = [cell for cell in cells if str(cell.probe) == PROBE]
    found = [cell for cell in asked if (cell.src, cell.dst) == (src, dst)]
    if not found:
        of_src = dict.fromkeys(cell.dst for cell in asked if cell.src == src)
        known = f"{src} pings {', '.join(of_src)}" if of_src else f"{src} pings nobody"
        raise InputError(f"nothing is asked about a ping from {src} to {dst}; {known}")
    return found[0]
