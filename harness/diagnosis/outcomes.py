"""What came of a probe that was not lost: refused, rejected, too big, or altered."""

from __future__ import annotations

import re
from dataclasses import replace

from harness import walk
from harness.causes import Code
from harness.diagnosis import links, routing, stack
from harness.diagnosis.chains import Condition
from harness.diagnosis.filtering import Flow, answer, ended_by, family_of, length_of, protocol_of
from harness.diagnosis.scene import Finding, Lab, assigned, ip_of
from harness.expectations import TTL
from harness.flow import Cell, Outcome, Verdict
from harness.observe import address_of

FROM = re.compile(r"(ICMP|ICMPv6) type (\d+) code (\d+) from (\S+)")
"""How an outcome's detail names an error (`observe`)."""
TIME_EXCEEDED = {("ICMP", "11"), ("ICMPv6", "3")}
SOURCE_NAT = ("nat",)


def said_no(lab: Lab, verdict: Verdict) -> Finding | None:
    """Who refused or rejected it, and why."""
    cell, seen = verdict.cell, verdict.observation
    found = FROM.search(seen.detail)
    if found and found.group(1, 2) in TIME_EXCEEDED:
        return _expired(lab, cell, found[4])
    if found and seen.outcome is Outcome.TOO_BIG:
        return _too_big(lab, cell, found[4])
    if seen.outcome not in (Outcome.REFUSED, Outcome.REJECTED):
        return None
    by_rule = _rejecting(lab, verdict)
    if by_rule or seen.outcome is Outcome.REJECTED:
        return by_rule
    found_rule = _redirected(lab, cell)
    if found_rule:
        return found_rule
    message = f"{cell.dst} answered that nobody listens: {seen.detail}"
    port = f"{cell.probe.kind} port 7"
    return Finding(Code.SERVICE_REFUSED, cell.dst, port, message, "", ())


def _redirected(lab: Lab, cell: Cell) -> Finding | None:
    """A rule of the destination that leads it to where nobody listens."""
    flow = flow_of(lab, cell)
    for chain in lab.chains(cell.dst):
        for rule in chain.rules:
            led = rule.target in ("REDIRECT", "DNAT") and chain.hook == "prerouting"
            if led and _may_take(rule.conditions, flow):
                message = f"{cell.dst} leads it to where nobody listens: {rule.text}"
                shown = lab.state.cite(cell.dst, "firewall")
                return Finding(
                    Code.SERVICE_REFUSED, cell.dst, rule.text, message, rule.delete, shown
                )
    return None


def flow_of(lab: Lab, cell: Cell) -> Flow:
    """The probe as its source sends it."""
    topology = lab.topology.over(cell.probe)
    src, dst = address_of(topology, cell.src, cell.dst), address_of(topology, cell.dst, cell.src)
    kind = cell.probe.kind
    family = family_of(dst) if not cell.probe.is_layer2 else ""
    return Flow(family, src, dst, protocol_of(kind), length=length_of(kind, cell.probe.argument))


def _rejecting(lab: Lab, verdict: Verdict) -> Finding | None:
    """The rule that rejects it, at the source, at a router, or at the destination."""
    cell = verdict.cell
    flow = flow_of(lab, cell)
    for node in (cell.src, *cell.expectation.via, cell.dst):
        vlans = cell.expectation.vlans or (walk.vlan_of(lab.topology, cell.src, cell.dst),)
        place = (cell.src, *cell.expectation.via).index(node) if node != cell.dst else len(vlans)
        into = lab.interface(node, vlans[place - 1]) if place else ""
        out = lab.interface(node, vlans[place]) if place < len(vlans) else ""
        hooks = stack.OUT if not into else stack.INTO if not out else stack.THROUGH
        hit = ended_by(lab.chains(node), hooks, replace(flow, iif=into, oif=out))
        if hit and hit.rule and hit.verdict == "reject":
            kind = "nftables" if hit.chain.tool == "nft" else "firewall"
            message = f"{node}'s rule answers it with an error: {hit.rule.text}"
            shown = lab.state.cite(node, kind)
            return Finding(
                Code.REJECTED_BY_RULE, node, hit.rule.text, message, hit.rule.delete, shown
            )
    return None


def _expired(lab: Lab, cell: Cell, by: str) -> Finding:
    found = ttl_of(lab, (cell.src, cell.dst), cell.expectation.via)
    if found:
        return found
    holder = next(iter(lab.state.holders(by)), None)
    message = f"its time to live ran out at {by}"
    return Finding(Code.TTL_EXPIRED, holder[0] if holder else None, by, message, "", ())


def ttl_of(lab: Lab, ends: tuple[str, ...], routers: tuple[str, ...]) -> Finding | None:
    """Who sends with another time to live than all others, or changes it."""
    key = "net.ipv4.ip_default_ttl"
    for node in ends:
        value = lab.state.sysctl(node, key)
        if value not in (None, str(TTL)):
            message = f"{node} sends with a time to live of {value}: {key}"
            shown = lab.state.cite(node, "conf")
            return Finding(Code.TTL_EXPIRED, node, key, message, assigned(key, TTL), shown)
    for node in (*ends, *routers):
        for chain in lab.chains(node):
            for rule in chain.rules:
                if rule.target in ("TTL", "HL"):
                    message = f"{node}'s rule changes its time to live: {rule.text}"
                    shown = lab.state.cite(node, "firewall")
                    return Finding(Code.TTL_EXPIRED, node, rule.text, message, rule.delete, shown)
    return None


def _too_big(lab: Lab, cell: Cell, by: str) -> Finding | None:
    holder = next(iter(lab.state.holders(by)), None)
    return _small(lab, holder[0]) if holder else _small(lab, cell.src)


def small_at_source(lab: Lab, verdict: Verdict) -> Finding | None:
    """The source's own kernel says that the packet is too big."""
    if verdict.observation.outcome is not Outcome.TOO_BIG:
        return None
    return _small(lab, verdict.cell.src)


def _small(lab: Lab, node: str) -> Finding | None:
    """An interface of a node that takes less than it must."""
    topology = lab.topology
    end = lab.endpoint(node)
    wanted = (
        {end.interface: topology.mtu_at(node, end.vlan)}
        if end
        else {topology.subinterface(vlan.id): topology.mtu_at(node, vlan.id)
              for vlan in topology.vlans}
    )  # fmt: skip
    for name, expected in wanted.items():
        link = lab.state.link(node, name)
        if link and link["mtu"] < expected:
            message = f"{node}'s {name} takes {link['mtu']} octets, not {expected}"
            fix = f"ip link set {name} mtu {expected}"
            shown = lab.state.cite(node, "links")
            subject = f"{name} mtu {link['mtu']}"
            return Finding(Code.MTU_MISMATCH, node, subject, message, fix, shown)
    return None


def altered(lab: Lab, verdict: Verdict) -> Finding | None:
    """It arrived, but not as it must: from another source, with another TTL, by another way."""
    cell, seen = verdict.cell, verdict.observation
    expected = cell.expectation
    if expected.outcome is not Outcome.REACHED or not seen.arrived:
        return None
    if seen.seen_source != expected.seen_source and seen.seen_source:
        found = _readdressed(lab, cell) or _translated(lab, cell, seen.seen_source)
        return found or _another_way(lab, verdict)
    if seen.outcome is not Outcome.REACHED:
        return None
    if expected.ttl is not None and seen.seen_ttl != expected.ttl:
        return _counted(lab, verdict)
    if seen.missing:
        return _another_way(lab, verdict)
    return None


def _readdressed(lab: Lab, cell: Cell) -> Finding | None:
    """The source, or a router that stands in for it, has another address."""
    ipv6 = cell.probe.is_ipv6
    own = walk.vlan_of(lab.topology, cell.src, cell.dst)
    found = links.addressed(lab, cell.src, own, ipv6=ipv6)
    for router, vlan in zip(cell.expectation.via, cell.expectation.vlans[1:], strict=False):
        found = found or links.addressed(lab, router, vlan, ipv6=ipv6)
    return found


def _translated(lab: Lab, cell: Cell, source: str) -> Finding | None:
    """NAT that is not there, or that gives another address."""
    legs = list(zip(cell.expectation.via, cell.expectation.vlans[1:], strict=False))
    if not legs:  # what a router itself sends is translated too
        legs = [(cell.src, walk.vlan_of(lab.topology, cell.src, cell.dst))]
    topology, state = lab.topology, lab.state
    for router, vlan in legs:
        known = next((one for one in topology.gateways if one.host == router), None)
        out = topology.subinterface(vlan)
        flow = replace(flow_of(lab, cell), oif=out)
        rules = [
            (chain, rule)
            for chain in lab.chains(router)
            if chain.hook == "postrouting"
            for rule in chain.rules
            if rule.verdict in SOURCE_NAT and _may_take(rule.conditions, flow)
        ]
        shown = state.cite(router, "firewall", "nftables")
        wanted = known and vlan in known.masquerade and cell.expectation.via
        if wanted and not rules:
            wrong = _of_another_interface(lab, router)
            if wrong:
                rule_text, delete = wrong
                message = f"{router}'s rule names another interface than {out}: {rule_text}"
                fix = f"{delete} && iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE"
                return Finding(Code.WRONG_INTERFACE_IN_RULE, router, rule_text, message, fix, shown)
            rule = f"-A POSTROUTING -o {out} -j MASQUERADE"
            message = f"{router} sends it on from {source}: no rule translates what leaves by {out}"
            fix = f"iptables -t nat {rule}"
            return Finding(Code.MASQUERADE_MISSING, router, rule, message, fix, shown)
        if rules:
            rule_found = rules[0][1]
            message = f"{router}'s rule makes it come from {source}: {rule_found.text}"
            fix = rule_found.delete
            if wanted and len(rules) == 1:
                fix += f" && iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE"
            return Finding(
                Code.MASQUERADE_WRONG_ADDRESS, router, rule_found.text, message, fix, shown
            )
    return None


def _of_another_interface(lab: Lab, router: str) -> tuple[str, str] | None:
    """A rule that translates what leaves by an interface where nothing has to be translated."""
    known = lab.router(router)
    right = {lab.topology.subinterface(vlan) for vlan in (known.masquerade if known else ())}
    for chain in lab.chains(router):
        for rule in chain.rules:
            named = [one.values for one in rule.conditions if one.field == "oif"]
            if rule.verdict in SOURCE_NAT and named and named[0][0] not in right:
                return rule.text, rule.delete
    return None


def untold_error(lab: Lab, verdict: Verdict) -> Finding | None:
    """A router must say why it went no further, and a rule of its own output drops what it says."""
    cell, seen = verdict.cell, verdict.observation
    if seen.outcome is not Outcome.SILENT or not cell.expectation.via:
        return None
    router, vlan = cell.expectation.via[-1], cell.expectation.vlans[-2]
    ends = lab.expected(router, vlan, ipv6=cell.probe.is_ipv6), flow_of(lab, cell).src
    flow = Flow(
        family_of(ends[1]), ip_of(ends[0]) if ends[0] else None, ends[1], "icmp-error",
        oif=lab.interface(router, vlan),
    )  # fmt: skip
    hit = ended_by(lab.chains(router), stack.OUT, flow)
    if hit is None or hit.rule is None:
        return None
    message = f"{router}'s rule drops what it says of it: {hit.rule.text}"
    shown = lab.state.cite(router, "firewall", "nftables")
    return Finding(Code.OUTPUT_DROP, router, hit.rule.text, message, hit.rule.delete, shown)


def _may_take(conditions: tuple[Condition, ...], flow: Flow) -> bool:
    return all(answer(one, flow) is not False for one in conditions)


def _counted(lab: Lab, verdict: Verdict) -> Finding | None:
    """A TTL that is not what it must be: sent with another, changed by a rule, or one more hop."""
    cell, seen = verdict.cell, verdict.observation
    found = ttl_of(lab, (cell.src,), cell.expectation.via)
    if found:
        return found
    expected = cell.expectation.ttl or 0
    if seen.seen_ttl is not None and seen.seen_ttl < expected:
        return _another_way(lab, verdict)
    return None


def _another_way(lab: Lab, verdict: Verdict) -> Finding | None:
    """It passed a router that is not on its way, or another one than it must."""
    cell = verdict.cell
    dst = address_of(lab.topology.over(cell.probe), cell.dst, cell.src)
    nodes = (cell.src, *cell.expectation.via) if dst else ()
    found = (_astray(lab, cell, node, str(dst)) for node in nodes)
    return next(filter(None, found), None)


def _astray(lab: Lab, cell: Cell, node: str, dst: str) -> Finding | None:
    routes = lab.state.routes(node, dst)
    topology = lab.topology.over(cell.probe)
    expected = routing.expected_way(topology, node, dst)
    if not routes or expected is None or routes[0]["via"] == expected[0]:
        return None
    text = routing.text_of(routes[0])
    message = f"{node}'s route sends it another way: {text}"
    shown = lab.state.cite(node, "tables")
    word = "ip -6" if cell.probe.is_ipv6 else "ip"
    fix = f"{word} route delete {text}"
    if routes[0]["dst"] == "default":
        fix = f"{word} route replace default via {expected[0]}"
    return Finding(Code.EXTRA_HOP, node, text, message, fix, shown)
