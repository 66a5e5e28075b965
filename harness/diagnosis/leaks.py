"""Frames that arrived, or were seen, where they must not be."""

from __future__ import annotations

from harness import walk
from harness.causes import Code
from harness.diagnosis import links, routing
from harness.diagnosis.scene import Finding, Lab, assigned
from harness.diagnosis.wire_filters import foreign, removal, text
from harness.flow import Cell, Outcome, Point, Verdict


def reached(lab: Lab, verdict: Verdict) -> Finding | None:
    """It arrived, or was seen, where it must not be."""
    cell, seen = verdict.cell, verdict.observation
    vlan = walk.vlan_of(lab.topology, cell.src, cell.dst)
    strays = (hop.point.node for hop in seen.strays if hop.point.node != "switch")
    for node in dict.fromkeys((cell.src, cell.dst, *strays)):
        found = links.attached(lab, node, vlan)
        if found:
            return found
    if cell.probe.kind == "arp" or seen.outcome is Outcome.REACHED:
        for node in lab.state.nodes("conf"):
            found = routing.proxy(lab, node)
            if found:
                return found
    return _hairpin(lab, verdict) or links.in_mode(lab, cell) or _forwarding(lab, cell)


def _hairpin(lab: Lab, verdict: Verdict) -> Finding | None:
    """A switch port that sends frames back to where they came from."""
    cell = verdict.cell
    host = walk.carrier(lab.topology, cell.src)
    if host != walk.carrier(lab.topology, cell.dst):
        return None
    port = lab.topology.port(host)
    link = lab.state.link("switch", port)
    if not link or lab.topology.host(host).hairpin:
        return None
    if not link.get("hairpin"):
        back = Point("switch", port, "out") in [hop.point for hop in verdict.observation.path]
        return _mirror(lab, host, port) if back else None
    message = f"the switch port {port} sends frames back to {host} (hairpin)"
    fix = f"ip link set {port} type bridge_slave hairpin off"
    shown = lab.state.cite("switch", "links")
    return Finding(Code.MACVLAN_PARENT_ISOLATION, "switch", port, message, fix, shown)


def _mirror(lab: Lab, host: str, port: str) -> Finding | None:
    """The filter of a switch port that takes frames in, where they go out of it again."""
    filters = [one for one in foreign(lab, "switch", (port,)) if one["direction"] == "ingress"]
    if not filters:
        return None
    one = filters[0]
    message = f"a filter on the switch port {port} sends frames back to {host}: {text(one)}"
    shown = lab.state.cite("switch", "tc")
    return Finding(Code.MACVLAN_PARENT_ISOLATION, "switch", text(one), message, removal(one), shown)


def _forwarding(lab: Lab, cell: Cell) -> Finding | None:
    """A host that routes where nobody must."""
    if cell.probe.is_layer2:
        return None
    several = [end.name for end in lab.topology.containers if lab.topology.is_multihomed(end)]
    for node in (*[host.name for host in lab.topology.hosts], *several):
        key = "net.ipv4.ip_forward"
        if lab.router(node) is None and lab.state.sysctl(node, key) == "1":
            message = f"{node} forwards, and is no router in this stage: {key} is 1"
            shown = lab.state.cite(node, "conf", "sysctls")
            return Finding(Code.EXTRA_HOP, node, key, message, assigned(key, 0), shown)
    return None
