"""What is asked of the place where a token was lost: each answers with a cause, or with None."""

from __future__ import annotations

from dataclasses import replace

from harness.causes import Code
from harness.diagnosis import (
    containers,
    ipsec,
    links,
    outcomes,
    routing,
    stack,
)
from harness.diagnosis.filtering import Flow, family_of
from harness.diagnosis.scene import Finding, Scene, assigned
from harness.observe import address_of

USUAL_QUEUE = 1000
"""MACVLAN_DEFAULT_BC_QUEUE_LEN of drivers/net/macvlan.c."""
SILENT_ARP = 2
"""From this value of arp_ignore on, a node may leave questions for its own addresses unanswered."""


def container(scene: Scene) -> Finding | None:
    """Whether an end of the cell is a container that is not there."""
    return containers.gone(scene.lab, scene.verdict)


def attached(scene: Scene) -> Finding | None:
    """Both ends of the segment, the one nearer to the loss first."""
    place = scene.place
    near = scene.place.node if place.node != "switch" else place.peer
    for node in dict.fromkeys((*_ends(scene), near, place.peer)):
        found = links.attached(scene.lab, node, place.vlan)
        if found:
            return found
    return None


def _ends(scene: Scene) -> tuple[str, ...]:
    """The nodes whose interfaces in the VLAN the segment leads through, in its order."""
    place = scene.place
    if place.asker:
        return (place.asker, place.asked)
    return tuple(filter(None, (_segment_sender(scene), place.peer)))


def _segment_sender(scene: Scene) -> str:
    cell = scene.cell
    order = [cell.src, *cell.expectation.via, cell.dst]
    order = order[::-1] if scene.place.flow.is_reply else order
    if scene.place.peer not in order[1:]:
        return ""
    return order[order.index(scene.place.peer, 1) - 1]


def own_address(scene: Scene) -> Finding | None:
    """Whether the node has the address that it must have in the VLAN."""
    node = scene.place.node
    if scene.cell.probe.is_layer2 and scene.cell.probe.kind not in ("arp", "ndp"):
        return None
    return links.addressed(scene.lab, node, scene.place.vlan, ipv6=scene.is_ipv6)


def asked_address(scene: Scene) -> Finding | None:
    """Whether who is asked for an address by ARP or NDP has it."""
    if not scene.place.asker:
        return None
    return links.addressed(scene.lab, scene.place.asked, scene.place.vlan, ipv6=scene.is_ipv6)


def route(scene: Scene) -> Finding | None:
    """Whether the node's routes lead the packet, or the question for its next hop, astray."""
    place, flow = scene.place, scene.place.flow
    if place.asker and place.node == place.asker and place.next_hop:
        # A question goes where the address that it is for is routed to.
        flow = Flow(family_of(place.next_hop), flow.src, place.next_hop, "")
    return routing.route(scene, place.node, flow)


def sent_out(scene: Scene) -> Finding | None:
    """What ends the packet as the node sends it."""
    node = scene.place.node
    out = scene.lab.interface(node, scene.place.vlan)
    return _sent(scene, node, replace(scene.place.flow, oif=out))


def _sent(scene: Scene, node: str, flow: Flow) -> Finding | None:
    """What ends a packet that a node sends: a rule, then a policy."""
    return stack.filtered(scene, node, flow, stack.OUT) or ipsec.blocked(
        scene, node, flow, ipsec.OUT
    )


def taken_in(scene: Scene) -> Finding | None:
    """What ends the packet as it comes in for the node itself."""
    node = scene.place.node
    flow = replace(scene.place.flow, iif=scene.interface)
    return stack.filtered(scene, node, flow, stack.INTO) or ipsec.blocked(
        scene, node, flow, ipsec.IN
    )


def answer_route(scene: Scene) -> Finding | None:
    """Whether the node has no way back for its answer."""
    if scene.place.asker or scene.place.flow.is_reply or scene.cell.probe.is_layer2:
        return None
    return routing.route(scene, scene.place.node, scene.reply())


def answer_output(scene: Scene) -> Finding | None:
    """What ends the node's answer as it sends it."""
    if scene.place.flow.is_reply:  # a reply is not answered
        return None
    node = scene.place.node
    return _sent(scene, node, replace(scene.reply(), oif=scene.interface))


def through(scene: Scene) -> Finding | None:
    """What ends the packet as a router forwards it."""
    node = scene.place.node
    # A policy is asked of what came in, as NAT had not changed it yet.
    return stack.filtered(scene, node, stack.through(scene), stack.THROUGH) or ipsec.blocked(
        scene, node, scene.place.flow, ipsec.FORWARD
    )


def routed(scene: Scene) -> Finding | None:
    """Whether a router's routes lead the packet astray."""
    return routing.route(scene, scene.place.node, stack.through(scene))


def on_wire(scene: Scene) -> Finding | None:
    """Rules of nft's netdev, bridge and arp tables where it was lost."""
    place = scene.place
    points = [point for point in (place.far, place.near) if point]
    for point in points:
        into = point.direction == "in"
        flow = replace(
            place.flow,
            iif=point.interface if into else "",
            oif="" if into else point.interface,
        )
        hooks = ("ingress", "prerouting", "forward", "input") if into else (
            "forward", "output", "postrouting", "egress",
        )  # fmt: skip
        found = stack.filtered(scene, point.node, flow, hooks)
        if found and _is_below_ip(found):
            return found
    return stack.bridged(scene) if "switch" in [point.node for point in points] else None


def _is_below_ip(found: Finding) -> bool:
    """Whether a rule ends frames before taps of the interface behind see them."""
    return (found.subject or "").startswith(("netdev ", "bridge ", "arp "))


def resolving(scene: Scene) -> Finding | None:
    """What keeps a node from answering questions for its address, or from asking."""
    node, state = scene.place.node, scene.state
    names = dict.fromkeys((scene.interface, scene.lab.interface(node, scene.place.vlan)))
    for name in names:
        link = state.link(node, name)
        if link and not link.get("arp", True):
            return routing.without_arp(scene, node, name)
        for key in ("arp_ignore", "arp_filter"):
            value = state.both(node, key, name)
            asked = scene.place.asker or scene.cell.probe.kind == "arp"
            if value and (key == "arp_filter" or value >= SILENT_ARP) and asked:
                full = next(
                    one
                    for one in (f"net.ipv4.conf.{each}.{key}" for each in ("all", name))
                    if (state.sysctl(node, one) or "0") == str(value)
                )
                message = f"{node} leaves ARP unanswered: {full} is {value}"
                shown = state.cite(node, "conf")
                fix = assigned(full, 0)
                return Finding(Code.ARP_DISABLED, node, full, message, fix, shown)
    return None


def echo_ignored(scene: Scene) -> Finding | None:
    """Whether the node leaves echo requests unanswered."""
    node = scene.place.node
    keys = {
        "icmp": "net.ipv4.icmp_echo_ignore_all",
        "icmp6": "net.ipv6.icmp.echo_ignore_all",
    }
    key = keys.get(scene.cell.probe.kind)
    asked = key is not None and not scene.place.flow.is_reply
    if not asked or scene.state.sysctl(node, str(key)) != "1":
        return None
    message = f"{node} answers no echo request: {key} is 1"
    shown = scene.state.cite(node, "conf") or scene.state.cite(node, "sysctls")
    return Finding(Code.L4_FILTERED, node, key, message, f"sysctl -w {key}=0", shown)


def mac(scene: Scene) -> Finding | None:
    """Whether an end of the cell has another MAC address, or another endpoint has that of one."""
    topology, lab, cell = scene.topology, scene.lab, scene.cell
    shared = [end.name for end in topology.endpoints if topology.vlan(end.vlan).mode == "passthru"]
    for node in (cell.dst, cell.src, *cell.expectation.via):
        vlan = topology.endpoint_vlans.get(node)
        if node in shared:
            continue  # it has its parent's
        name = topology.interface(node) or ""
        link = scene.state.link(node, name) if vlan is not None else None
        if link and link["mac"] != lab.mac(node):
            return routing.wrong_mac(scene, node, name, link["mac"])
        for other in lab.owners(lab.mac(node)):
            own = topology.interface(other)
            if lab.is_other(other, node) and own and other not in shared:
                return routing.wrong_mac(scene, other, own, lab.mac(node))
    return None


def twice(scene: Scene) -> Finding | None:
    """Whether somebody else has an address of one of the cell's ends."""
    topology, cell = scene.topology, scene.cell
    for node, other in ((cell.dst, cell.src), (cell.src, cell.dst)):
        address = address_of(topology, node, other)
        found = routing.twice(scene.lab, address, node) if address else None
        if found:
            return found
    return None


def proxied(scene: Scene) -> Finding | None:
    """Whether somebody answers for others."""
    for node in scene.state.nodes("conf"):
        found = routing.proxy(scene.lab, node) if node != "switch" else None
        if found:
            return found
    return None


def short_lived(scene: Scene) -> Finding | None:
    """Whether the packet's time to live may have run out at the router."""
    cell = scene.cell
    return outcomes.ttl_of(scene.lab, (cell.src, cell.dst), cell.expectation.via)


def sent_back(scene: Scene) -> Finding | None:
    """Whether a switch port must send frames back to where they came from, and does not."""
    near, far = scene.place.near, scene.place.far
    if not near or not far or (near.node, near.interface) != (far.node, far.interface):
        return None
    host = next(h for h in scene.topology.hosts if scene.topology.port(h.name) == far.interface)
    link = scene.state.link("switch", far.interface)
    if near.node != "switch" or not host.hairpin or link is None or link.get("hairpin") != 0:
        return None
    port = far.interface
    message = f"the switch port {port} does not send frames back to {host.name} (hairpin)"
    fix = f"ip link set {port} type bridge_slave hairpin on"
    shown = scene.state.cite("switch", "links")
    return Finding(Code.MACVLAN_PARENT_ISOLATION, "switch", port, message, fix, shown)


def no_queue(scene: Scene) -> Finding | None:
    """Whether macvlan has no room for broadcasts: its queue is the longest of those of a parent."""
    far = scene.place.far
    queues = scene.state.reading(far.node, "macvlan") if far else None
    if (
        not far
        or not queues
        or far.interface != scene.topology.interface(far.node)
        or far.direction != "in"
    ):
        return None
    queue = next((one for one in queues if one["name"] == far.interface), None)
    if queue is None or queue["queue"] is None or queue["queue"] >= USUAL_QUEUE:
        return None
    length = queue["queue"]
    message = f"macvlan has room for {length} broadcasts that come in for {far.node}"
    fix = f"ip link set {far.interface} type macvlan bcqueuelen {USUAL_QUEUE}"
    shown = scene.state.cite(far.node, "macvlan")
    subject = f"{far.interface} bcqueuelen {length}"
    return Finding(Code.BROADCAST_LOST_TO_MACVLAN, far.node, subject, message, fix, shown)


def mode(scene: Scene) -> Finding | None:
    """Whether siblings are in the mode that they must be in."""
    cell, hosts = scene.cell, scene.topology.endpoint_hosts
    if hosts.get(cell.src) is None or hosts.get(cell.src) != hosts.get(cell.dst):
        return None
    return links.in_mode(scene.lab, cell)
