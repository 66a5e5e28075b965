"""What lets a packet pass a node: forwarding, rp_filter, the rules of FORWARD."""

from __future__ import annotations

import re

from harness.testing.frames import Ip
from harness.testing.state import Link, Node

LOOSE = 2
"""rp_filter: the source must be reachable, by whatever interface (RFC 3704)."""
RULE = re.compile(r"-A FORWARD -i (\S+) -o (\S+)( -m state --state RELATED,ESTABLISHED)? -j ACCEPT")


def forwards(node: Node, packet: Ip) -> bool:
    """Whether a node is a router for a packet's IP version."""
    key = "net.ipv6.conf.all.forwarding" if packet.is_ipv6 else "net.ipv4.ip_forward"
    return node.sysctls.get(key) == "1"


def may_come(node: Node, into: Link, packet: Ip) -> bool:
    """Whether rp_filter lets a packet in from its source (RFC 3704); IPv6 has none."""
    if packet.is_ipv6:
        return True
    mode = int(node.sysctls.get("net.ipv4.conf.all.rp_filter", "0"))
    back = node.route(packet.src) if mode else None
    return not mode or (back is not None and (mode == LOOSE or back[0] is into))


def lets(node: Node, into: str, out: str, packet: Ip, *, known: bool) -> bool:
    """Whether the filter table's FORWARD chain lets a packet pass."""
    rules = node.rules6 if packet.is_ipv6 else node.rules.get("filter", ())
    for line in rules:
        rule = RULE.fullmatch(line)
        if rule and rule.group(1, 2) == (into, out) and (known or not rule[3]):
            return True
    policies = node.policies6 if packet.is_ipv6 else node.policies
    return policies.get("FORWARD", "ACCEPT") == "ACCEPT"
