"""What a node's own kernel does with a packet: rules, forwarding, rp_filter, limits."""

from __future__ import annotations

from dataclasses import replace

from harness.causes import Code
from harness.diagnosis.chains import Rule
from harness.diagnosis.filtering import (
    Flow,
    Hit,
    answer,
    ended_by,
    is_of_layer4,
    takes_invalid,
)
from harness.diagnosis.scene import Finding, Scene, assigned

BEFORE_TRACKING = -200
"""NF_IP_PRI_CONNTRACK: raw chains have a lower priority."""
MANGLE = -150
"""NF_IP_PRI_MANGLE."""
INTO = ("ingress", "prerouting", "input")
OUT = ("output", "postrouting", "egress")
THROUGH = ("ingress", "prerouting", "forward", "postrouting", "egress")
BRIDGED = ("prerouting", "forward", "postrouting")
DEFAULT_ACCEPT = "ACCEPT"
ROOM_FOR_FLOWS = 65536
"""What a kernel with more than 1 GiB of memory takes by itself (nf_conntrack-sysctl.rst)."""
OWN_HOOKS = {"input": Code.INPUT_DROP, "output": Code.OUTPUT_DROP}
"""Of a node's own packets, as against those that it passes on."""


def filtered(scene: Scene, node: str, flow: Flow, hooks: tuple[str, ...]) -> Finding | None:
    """The rule or policy of a node that ends a packet on its way through these hooks."""
    chains = scene.lab.chains(node)
    hit = ended_by(chains, hooks, flow, scene.counted.get(node))
    return of_hit(scene, node, flow, hit) if hit else None


def of_hit(scene: Scene, node: str, flow: Flow, hit: Hit) -> Finding:
    """What ended a packet, as a finding."""
    kind = "nftables" if hit.chain.tool == "nft" else "firewall"
    shown = scene.state.cite(node, kind)
    if hit.rule is None:
        return _policy(scene, node, flow, hit, shown)
    code = _code(scene, node, hit, hit.rule, flow)
    table = f"{hit.chain.tool} {hit.chain.table}"
    verb = "rejects" if hit.verdict == "reject" else "drops"
    sure = "" if hit.is_certain else "; no other rule can be it"
    message = f"{node}'s rule {verb} it ({table}): {hit.rule.text}{sure}"
    fix = hit.rule.delete
    if code is Code.RULE_ORDER:
        fix = f"{fix} && {hit.rule.delete.replace(' -D ', ' -A ', 1)}"
    return Finding(code, node, hit.rule.text, message, fix, shown)


def _below_ip(rule: Rule) -> Code:
    """What a rule on the wire keeps from passing, by what it asks of a frame."""
    asked = {one.field.partition(" ")[0]: one.values for one in rule.conditions}
    addressed = "".join(asked.get("ether-dst", ()) + asked.get("pkttype", ())).lower()
    if addressed.startswith(("ff:ff:ff", "broadcast")):
        return Code.BROADCAST_LOST_TO_MACVLAN
    if addressed == "multicast" or (addressed and int(addressed[1], 16) & 1):
        return Code.MULTICAST_LOST_TO_MACVLAN
    if "ether-src" in asked:
        return Code.PORT_SECURITY
    if "arp" in asked or set(asked.get("ethertype", ())) & {"arp", "0x0806", "2054"}:
        return Code.ARP_FILTERED
    if _is_discovery(rule):
        return Code.NDP_FILTERED
    if is_of_layer4(rule):
        return Code.L4_FILTERED
    return Code.MTU_MISMATCH if "length" in asked else Code.TRUNK_DROPS_VLAN


def _code(scene: Scene, node: str, hit: Hit, rule: Rule, flow: Flow) -> Code:  # noqa: C901 - one answer a kind of rule
    if hit.chain.family in ("bridge", "netdev"):
        return _below_ip(rule)
    if flow.family == "arp":
        return Code.ARP_FILTERED
    if flow.protocol == "ndp":
        return Code.NDP_FILTERED
    if hit.verdict == "reject":
        return Code.REJECTED_BY_RULE
    if takes_invalid(rule):
        return Code.CONNTRACK_INVALID
    if is_of_layer4(rule):
        return Code.L4_FILTERED
    if hit.chain.table == "raw" or hit.chain.priority < BEFORE_TRACKING:
        return Code.RAW_DROP
    if hit.chain.table == "mangle" or hit.chain.priority == MANGLE:
        return Code.MANGLE_DROP
    if hit.chain.hook in OWN_HOOKS:
        return OWN_HOOKS[hit.chain.hook]
    # Where the policy is to be DROP the rules that accept decide, and must come first.
    router = scene.lab.router(node)
    strict = router is not None and router.forward_policy == "DROP"
    if (strict or not rule.conditions) and _accepted_later(hit, rule, flow):
        return Code.RULE_ORDER
    return Code.FORWARD_RULE_DROP


def _is_discovery(rule: Rule) -> bool:
    words = ("nd-neighbor-solicit", "nd-neighbor-advert", "135", "136", "neighbour-solicitation",
             "neighbour-advertisement")  # fmt: skip
    return any(
        condition.field == "icmp" and set(condition.values) & set(words)
        for condition in rule.conditions
    )


def _accepted_later(hit: Hit, rule: Rule, flow: Flow) -> bool:
    """Whether a rule behind this one lets the packet pass."""
    later = hit.chain.rules[hit.chain.rules.index(rule) + 1 :]
    return any(
        one.verdict == "accept" and all(answer(each, flow) for each in one.conditions)
        for one in later
    )


def _policy(scene: Scene, node: str, flow: Flow, hit: Hit, shown: tuple[str, ...]) -> Finding:
    chain = hit.chain
    name = f"{chain.table} {chain.name}"
    lifted = f"{chain.tool} -P {chain.name} ACCEPT"
    if chain.table != "filter":
        lifted = f"{chain.tool} -t {chain.table} -P {chain.name} ACCEPT"
    if chain.tool == "nft":
        where = f"{chain.family} {chain.table} {chain.name}"
        lifted = f"nft 'chain {where} {{ policy accept; }}'"
    early = {"raw": Code.RAW_DROP, "mangle": Code.MANGLE_DROP}
    code = early.get(chain.table) or OWN_HOOKS.get(chain.hook)
    if code or chain.tool == "nft":
        message = f"{node}'s policy of {name} is DROP, and no rule takes it"
        found = code or Code.FORWARD_POLICY_DROP
        return Finding(found, node, f"-P {chain.name} DROP", message, lifted, shown)
    return _forward_policy(scene, node, flow, hit, lifted, shown)


def _forward_policy(  # noqa: PLR0913, PLR0917 - a packet, and what ended it
    scene: Scene, node: str, flow: Flow, hit: Hit, lifted: str, shown: tuple[str, ...]
) -> Finding:
    """The policy is DROP: it must not be, or a rule is missing, or wrong."""
    chain, pair = hit.chain, f"-i {flow.iif} -o {flow.oif}"
    rule = f"-A FORWARD {pair}"
    almost = next((one for one in chain.rules if _but_for_interface(one, flow)), None)
    if almost:
        right = f"{chain.tool} {rule}{_rest(almost)}"
        message = f"{node}'s rule names another interface than it goes by ({pair}): {almost.text}"
        fix = f"{almost.delete} && {right}"
        return Finding(Code.WRONG_INTERFACE_IN_RULE, node, almost.text, message, fix, shown)
    router = scene.lab.router(node)
    expected = router.forward_policy if router else DEFAULT_ACCEPT
    if expected != "DROP" and not any(one.verdict == "accept" for one in chain.rules):
        message = f"{node}'s policy of FORWARD is DROP, and no rule lets anything pass"
        return Finding(Code.FORWARD_POLICY_DROP, node, "-P FORWARD DROP", message, lifted, shown)
    state = " -m state --state RELATED,ESTABLISHED" if flow.is_reply else ""
    missing = f"{rule}{state} -j ACCEPT"
    message = f"{node}'s policy of FORWARD is DROP, and the rule is missing: {missing}"
    fix = f"{chain.tool} {missing}"
    return Finding(Code.FORWARD_RULE_MISSING, node, missing, message, fix, shown)


def _but_for_interface(rule: Rule, flow: Flow) -> bool:
    """Whether a rule would let the packet pass if it went by another interface.

    One for the way back is none of these: it names the same two, the other way round.
    """
    named = {one.field: one.values for one in rule.conditions if one.field in ("iif", "oif")}
    if rule.verdict != "accept" or not named:
        return False
    ends = (named.get("iif"), named.get("oif"))
    right = ((flow.iif,), (flow.oif,))
    wrong = sum(
        there is not None and there != here for there, here in zip(ends, right, strict=True)
    )
    others = [one for one in rule.conditions if one.field not in ("iif", "oif")]
    return wrong == 1 and all(answer(one, flow) for one in others)


def _rest(rule: Rule) -> str:
    """A rule's words behind its interfaces."""
    words = rule.text.split()[2:]
    kept = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("-i", "-o"):
            skip = True
        else:
            kept.append(word)
    return "".join(f" {word}" for word in kept)


def forwards(scene: Scene) -> Finding | None:
    """Whether the router forwards at all."""
    node = scene.place.node
    key = "net.ipv6.conf.all.forwarding" if scene.is_ipv6 else "net.ipv4.ip_forward"
    own = f"net.ipv{6 if scene.is_ipv6 else 4}.conf.{scene.interface}.forwarding"
    for name in (key, own):
        if scene.state.sysctl(node, name) == "0" and (name == key or not scene.is_ipv6):
            shown = scene.state.cite(node, "conf") or scene.state.cite(node, "sysctls")
            message = f"{node} does not forward: {name} is 0"
            return Finding(Code.IP_FORWARD_OFF, node, name, message, assigned(name, 1), shown)
    return None


def exhausted(scene: Scene) -> Finding | None:
    """Tables of the kernel that are full: connection tracking, neighbours."""
    node, state = scene.place.node, scene.state
    said = {
        name: state.sysctl(node, f"net.netfilter.nf_conntrack_{name}") for name in ("count", "max")
    }
    counters = state.reading(node, "counters") or {}
    if said["count"] and said["max"] and int(said["count"]) >= int(said["max"]) > 0:
        shown = (*state.cite(node, "conf"), *state.cite(node, "counters"))
        message = f"{node} tracks {said['count']} flows of at most {said['max']}: new ones are lost"
        key = "net.netfilter.nf_conntrack_max"
        return Finding(
            Code.CONNTRACK_FULL, node, key, message, f"sysctl -w {key}={ROOM_FOR_FLOWS}", shown,
        )  # fmt: skip
    table, version = ("ndisc_cache", 6) if scene.is_ipv6 else ("arp_cache", 4)
    count = counters.get(f"{table}.table_fulls", 0)
    if count:
        key = f"net.ipv{version}.neigh.default.gc_thresh3"
        message = f"the kernel's neighbour table of IPv{version} was full {count} times"
        shown = state.cite(node, "counters")
        return Finding(Code.NEIGHBOUR_OVERFLOW, node, key, message, f"sysctl -w {key}=8192", shown)
    return None


def too_large(scene: Scene) -> Finding | None:
    """Whether the packet is larger than what the interfaces of the place take."""
    flow, place = scene.place.flow, scene.place
    points = [one for one in (place.near, place.far) if one]
    for point in points:
        found = small_mtu(scene, point.node, point.interface, flow)
        if found:
            return found
    return None


def small_mtu(scene: Scene, node: str, interface: str, flow: Flow) -> Finding | None:
    """Whether an interface has a smaller MTU than it must have, and than the packet."""
    link = scene.state.link(node, interface)
    expected = _mtu(scene, node, interface)
    if link is None or expected is None or link["mtu"] >= expected or flow.length <= link["mtu"]:
        return None
    message = f"{node}'s {interface} takes {link['mtu']} octets, not {expected}"
    fix = f"ip link set {interface} mtu {expected}"
    shown = scene.state.cite(node, "links")
    return Finding(Code.MTU_MISMATCH, node, f"{interface} mtu {link['mtu']}", message, fix, shown)


def _mtu(scene: Scene, node: str, interface: str) -> int | None:
    topology = scene.lab.topology
    if node == "switch":
        return topology.mtu
    if interface == topology.trunk:
        return topology.host(node).mtu
    prefix, _, tag = interface.partition(".")
    if prefix == topology.trunk and tag.isdecimal():
        return topology.mtu_at(node, int(tag))
    if node in topology.endpoint_vlans:
        return topology.mtu_at(node, topology.endpoint_vlans[node])
    return None


def bridged(scene: Scene) -> Finding | None:
    """Whether the switch hands its frames to iptables, which ends them (br_netfilter)."""
    key = "net.bridge.bridge-nf-call-iptables"
    tagged = "net.bridge.bridge-nf-filter-vlan-tagged"
    on = [scene.state.sysctl("switch", one) == "1" for one in (key, tagged)]
    hit = ended_by(scene.lab.chains("switch"), BRIDGED, scene.place.flow) if all(on) else None
    if hit is None:
        return None
    what = hit.rule.text if hit.rule else f"-P {hit.chain.name} DROP"
    message = f"the switch hands its frames to iptables, which drops it: {what}; {key} is 1"
    shown = scene.state.cite("switch", "conf", "firewall", "nftables")
    return Finding(Code.BRIDGE_NETFILTER, "switch", key, message, assigned(key, 0), shown)


def through(scene: Scene) -> Flow:
    """The packet on its way through a router: with both interfaces."""
    place = scene.place
    out = place.far.interface if place.far else scene.lab.interface(place.node, place.vlan)
    dst = place.flow.dst
    # Behind NAT a reply is routed on to who asked, not to the router itself.
    own = {ip.partition("/")[0] for ip in scene.state.addresses(place.node, scene.interface)}
    if dst in own and place.flow.is_reply:
        source = (
            scene.topology.endpoint(scene.cell.src)
            if (scene.cell.src in scene.topology.endpoint_vlans)
            else None
        )
        dst = str(source.address) if source else dst
    return replace(place.flow, iif=scene.interface, oif=out, dst=dst)
