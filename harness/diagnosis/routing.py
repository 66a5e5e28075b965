"""Routes, policy rules and neighbour entries of the node that was to send a packet on."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from harness import walk
from harness.causes import Code
from harness.diagnosis import legs
from harness.diagnosis.filtering import Flow
from harness.diagnosis.place import Kind
from harness.diagnosis.scene import Finding, Lab, Scene, assigned, ip_of
from harness.diagnosis.state import within
from harness.topology import Endpoint, Topology

ENDS = ("blackhole", "unreachable", "prohibit", "throw")
"""Route types that lead nowhere, and actions of policy rules that do."""
STAYS = ("PERMANENT", "NOARP")


def route(scene: Scene, node: str, flow: Flow) -> Finding | None:
    """What is wrong with where a node's tables send a packet."""
    if flow.dst is None or flow.family not in ("ip", "ip6"):
        return None
    if not scene.state.knows(node, "tables"):
        return None
    return _rule(scene, node, flow) or _main(scene, node, flow.dst)


def _rule(scene: Scene, node: str, flow: Flow) -> Finding | None:
    """A policy rule that takes the packet to another table, or ends it."""
    dst = flow.dst or ""
    for rule in scene.state.rules(node, dst):
        if not _takes(rule, flow):
            continue
        if rule["action"] == "lookup" and not scene.state.routes(node, dst, rule["table"]):
            continue  # a table that leads nowhere leaves it to the next rule
        said = _rule_text(rule)
        word = "-6 " if scene.is_ipv6 else ""
        fix = f"ip {word}rule delete pref {rule['priority']}"
        message = f"{node}'s policy rule diverts it: {said}"
        shown = scene.state.cite(node, "rules", "tables")
        return Finding(Code.POLICY_RULE_DIVERTS, node, said, message, fix, shown)
    return None


def _takes(rule: dict[str, Any], flow: Flow) -> bool:
    if rule["mark"] or rule["protocol"] not in (None, 0):
        return False  # neither is known of the packet
    ends = within(flow.src, rule["src"]) and within(flow.dst, rule["dst"])
    matched = ends and rule["iif"] in (None, flow.iif or "lo") and rule["oif"] is None
    return matched is not rule["inverted"]


def _rule_text(rule: dict[str, Any]) -> str:
    words = [f"{rule['priority']}: from {rule['src'] or 'all'}"]
    words += [f"{key} {rule[name]}" for key, name in (("to", "dst"), ("iif", "iif")) if rule[name]]
    words.append(f"lookup {rule['table']}" if rule["action"] == "lookup" else str(rule["action"]))
    return " ".join(words)


def _main(scene: Scene, node: str, dst: str) -> Finding | None:
    """What the main table says, against what it must say."""
    found = legs.routes(scene, node, dst)
    shown = scene.state.cite(node, "tables")
    expected = expected_way(scene.topology, node, dst, legs.bound(scene, node))
    if found is None:
        return None
    if not found:
        return _missing(scene, node, dst, expected, shown)
    best = found[0]
    if best["type"] in ENDS:
        text, word = text_of(best), "ip -6" if scene.is_ipv6 else "ip"
        message = f"{node}'s route takes it nowhere: {text}"
        fix = f"{word} route delete {text}"
        return Finding(Code.ROUTE_BLACKHOLE, node, text, message, fix, shown)
    if expected is None or best["via"] == expected[0]:
        return _wrong_interface(scene, node, best, expected, shown)
    return _astray(scene, node, best, expected, shown)


def back(scene: Scene, node: str, source: str) -> Finding | None:
    """What is wrong with a node's route to where a packet came from, if it is known what is right.

    What a stranger sends has no way back that must be there.
    """
    known = expected_way(scene.topology, node, source)
    return _main(scene, node, source) if known else None


def _wrong_interface(
    scene: Scene,
    node: str,
    best: dict[str, Any],
    expected: tuple[str | None, str] | None,
    shown: tuple[str, ...],
) -> Finding | None:
    if expected is None or best["interface"] == expected[1] or best["via"]:
        return None
    text = text_of(best)
    message = f"{node} routes it out of {best['interface']}, not {expected[1]}: {text}"
    word = "ip -6" if scene.is_ipv6 else "ip"
    fix = f"{word} route delete {text}"
    if _is_of_model(scene, best):
        metric = f" metric {best['metric']}" if best["metric"] else ""
        fix = f"{word} route replace {best['dst']} dev {expected[1]}{metric}"
    return Finding(Code.ROUTE_BLACKHOLE, node, text, message, fix, shown)


def _astray(
    scene: Scene,
    node: str,
    best: dict[str, Any],
    expected: tuple[str | None, str],
    shown: tuple[str, ...],
) -> Finding:
    """A route by way of somebody who is not on the way."""
    word, text = "ip -6" if scene.is_ipv6 else "ip", text_of(best)
    via = expected[0]
    if best["dst"] == "default" and via:
        message = f"{node}'s default route leads to {best['via'] or best['interface']}, not {via}"
        fix = f"{word} route replace default via {via}"
        return Finding(Code.DEFAULT_ROUTE_WRONG, node, text, message, fix, shown)
    message = f"{node}'s route leads it elsewhere: {text}"
    fix = f"{word} route delete {text}"
    if via and node not in scene.topology.endpoint_vlans and _is_of_model(scene, best):
        fix = f"{word} route replace {best['dst']} via {via}"
    holder = next((one for one, _ in scene.state.holders(str(best["via"]))), None)
    code = Code.DEFAULT_ROUTE_WRONG if best["via"] else Code.ROUTE_BLACKHOLE
    if via is None and holder:
        key = "net.ipv6.conf.all.forwarding" if scene.is_ipv6 else "net.ipv4.ip_forward"
        forwards = scene.state.sysctl(holder, key) == "1"
        code = Code.EXTRA_HOP if forwards else Code.ASYMMETRIC_PATH
        message = f"{node} sends by way of {holder} what it must send itself: {text}"
    return Finding(code, node, text, message, fix, shown)


def _is_of_model(scene: Scene, route_: dict[str, Any]) -> bool:
    """Whether a route is for a whole VLAN, as the model has them."""
    return route_["dst"] in [str(vlan.subnet) for vlan in scene.topology.vlans]


def _missing(
    scene: Scene,
    node: str,
    dst: str,
    expected: tuple[str | None, str] | None,
    shown: tuple[str, ...],
) -> Finding:
    word = "ip -6" if scene.is_ipv6 else "ip"
    via = expected[0] if expected else None
    if node in scene.topology.endpoint_vlans and via:
        message = f"{node} has no default route, and none to {dst}"
        fix = f"{word} route add default via {via}"
        return Finding(Code.DEFAULT_ROUTE_MISSING, node, "default", message, fix, shown)
    network = str(_network_of(scene, dst) or dst)
    message = f"{node} has no route to {network}"
    way = f"via {via}" if via else f"dev {expected[1]}" if expected else "via GATEWAY"
    fix = f"{word} route add {network} {way}"
    return Finding(Code.DEFAULT_ROUTE_MISSING, node, network, message, fix, shown)


def _network_of(scene: Scene, dst: str) -> Any:
    subnets = [vlan.subnet for vlan in scene.topology.vlans]
    return next((one for one in subnets if within(dst, str(one))), None)


def expected_way(
    topology: Topology, node: str, dst: str, kept_to: Endpoint | None = None
) -> legs.Way | None:
    """(next hop or None for a direct one, interface) that a node must send to an address by.

    `kept_to` is the leg of an endpoint that the packet is kept to.
    """
    if node in topology.endpoint_vlans:
        return legs.expected_way(topology, node, dst, kept_to)
    router = next((one for one in topology.gateways if one.host == node), None)
    there = next((vlan for vlan in topology.vlans if within(dst, str(vlan.subnet))), None)
    if router is None or there is None:
        return None
    if router.address_in(there.id):
        return None, topology.subinterface(there.id)
    via = dict(router.routes).get(there.id)
    leg = next((one for one in topology.vlans if via and via in one.subnet), None)
    return (str(via), topology.subinterface(leg.id)) if via and leg else None


def text_of(one: dict[str, Any]) -> str:
    """A route as ip(8) takes it."""
    words = [] if one["type"] == "unicast" else [one["type"]]
    words.append(one["dst"] if one["dst"] == "default" else str(ip_network(one["dst"])))
    words += [f"{key} {one[name]}" for key, name in (("via", "via"), ("dev", "interface"))
              if one[name]]  # fmt: skip
    words += [f"metric {one['metric']}"] if one["metric"] and one["type"] == "unicast" else []
    return " ".join(words)


def neighbour(scene: Scene) -> Finding | None:
    """Whether the frame went to the MAC address of who is to have it, and if not, why."""
    place, lab = scene.place, scene.lab
    if place.asker or not place.near or place.flow.family not in ("ip", "ip6"):
        return None
    order = _order(scene)
    target = place.peer if place.kind is Kind.WIRE else place.near.node
    if target not in order[1:] or not place.flow.dst_mac:
        return None
    sender = order[order.index(target, 1) - 1]
    went = place.flow.dst_mac
    if went == lab.mac(target) or not lab.state.knows(sender, "links"):
        return None
    return (
        route(scene, sender, place.flow)
        or _entry(scene, sender, target, went)
        or _moved(scene, target)
        or _led_astray(scene, sender, target, went)
    )


def _order(scene: Scene) -> list[str]:
    """The nodes that look into the packet, in the order in which it comes to them."""
    cell = scene.cell
    order = [cell.src, *cell.expectation.via, cell.dst]
    return order[::-1] if scene.place.flow.is_reply else order


def _entry(scene: Scene, sender: str, target: str, went: str) -> Finding | None:
    """A neighbour entry of another MAC address than its holder's."""
    vlan, address = _sought(scene, sender, target)
    found = [one for one in scene.state.neighbours(sender, address) if one["mac"] == went]
    if not found:
        return None
    interface = scene.lab.interface(sender, vlan)
    link = scene.state.link(sender, interface)
    if link and not link.get("arp", True):
        return without_arp(scene, sender, interface)
    state = next((one["state"] for one in found if one["state"] in STAYS), found[-1]["state"])
    shown = tuple(dict.fromkeys(one["name"] for one in found))
    subject = f"{address} lladdr {went} {state}"
    owner = next((one for one in scene.lab.owners(went) if scene.lab.is_other(one, target)), None)
    if state not in STAYS and owner:
        return _answered_by(scene, owner, target, address)
    who = f", which is {owner}'s" if owner else ", which is nobody's here"
    right = scene.lab.mac(target)
    message = f"{sender}'s neighbour entry for {address} has {went}{who}, not {right}"
    fix = f"ip neighbour delete {address} dev {interface}"
    return Finding(Code.STALE_NEIGHBOUR, sender, subject, message, fix, shown)


def _sought(scene: Scene, sender: str, target: str) -> tuple[int, str]:
    """In which VLAN a sender looks for a target, and by which address."""
    of = scene.topology.endpoint_vlans
    vlan = of.get(sender) or of.get(target) or scene.place.vlan
    cidr = scene.lab.expected(target, vlan, ipv6=scene.is_ipv6)
    return vlan, ip_of(cidr) if cidr else ""


def _led_astray(scene: Scene, sender: str, target: str, went: str) -> Finding | None:
    """No entry tells any more that somebody else answered: but there the frame went to."""
    _, address = _sought(scene, sender, target)
    owner = next((one for one in scene.lab.owners(went) if one != target), None)
    return _answered_by(scene, owner, target, address) if owner else None


def without_arp(scene: Scene, node: str, interface: str) -> Finding:
    """An interface that does no ARP, and so sends to itself and answers nobody."""
    message = f"{node}'s {interface} does no ARP"
    fix = f"ip link set {interface} arp on"
    end = scene.lab.endpoint(node)
    if end:
        fix += f" && ip neighbour flush dev {interface}"
    shown = scene.state.cite(node, "links")
    return Finding(Code.ARP_DISABLED, node, interface, message, fix, shown)


def _answered_by(scene: Scene, owner: str, target: str, address: str) -> Finding | None:
    """Somebody else answered for the address: it has it too, or it answers for others."""
    return twice(scene.lab, address, target) or proxy(scene.lab, owner)


def twice(lab: Lab, address: str, rightful: str) -> Finding | None:
    """An address that somebody has beside who must have it."""
    state = lab.state
    for node, interface in state.holders(address):
        if node not in (rightful, "switch"):
            index = [
                name
                for name, link in state.links(node).items()
                if interface in (name, link.get("index"))
            ]
            name = index[0] if index else str(interface)
            cidr = next(
                (one for one in state.addresses(node, name) if ip_of(one) == address), address
            )
            message = f"{node} has {rightful}'s address {address} too, and answers for it"
            fix = f"ip address delete {cidr} dev {name}"
            shown = state.cite(node, "addresses")
            return Finding(Code.DUPLICATE_ADDRESS, node, cidr, message, fix, shown)
    return None


def proxy(lab: Lab, owner: str) -> Finding | None:
    """Whether a node answers ARP for others."""
    names = ("all", *lab.state.links(owner))
    key = next(
        (
            f"net.ipv4.conf.{name}.proxy_arp"
            for name in names
            if lab.state.sysctl(owner, f"net.ipv4.conf.{name}.proxy_arp") == "1"
        ),
        None,
    )
    if key is None:
        return None
    message = f"{owner} answers ARP for addresses that are not its own: {key} is 1"
    shown = lab.state.cite(owner, "conf") or lab.state.cite(owner, "sysctls")
    return Finding(Code.PROXY_ARP_LEAK, owner, key, message, assigned(key, 0), shown)


def _moved(scene: Scene, target: str) -> Finding | None:
    """The target's own MAC address is not what it must be."""
    at_wire = scene.place.kind is Kind.WIRE
    interface = scene.lab.interface(target, scene.place.vlan) if at_wire else scene.interface
    link = scene.state.link(target, interface)
    if link is None or link["mac"] == scene.lab.mac(target):
        return None
    return wrong_mac(scene, target, interface, link["mac"])


def wrong_mac(scene: Scene, node: str, interface: str, mac: str) -> Finding:
    """A node's interface has another MAC address than its own."""
    right = scene.lab.mac(node)
    message = f"{node}'s {interface} has the MAC address {mac}, not {right}"
    host = walk.carrier(scene.topology, node)
    fix = f"ip link set {interface} address {right}"
    shown = scene.state.cite(node, "links") or scene.state.cite(host, "links")
    return Finding(Code.DUPLICATE_MAC, node, f"{interface} {mac}", message, fix, shown)
