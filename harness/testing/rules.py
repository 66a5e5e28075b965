"""What lets a packet pass a node: forwarding, rp_filter, and the rules of every table and chain."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network

from harness.testing.frames import Ip
from harness.testing.state import Link, Node

LOOSE = 2
"""rp_filter: the source must be reachable, by whatever interface (RFC 3704)."""
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipv6-icmp": 58}
"""IANA's numbers, by the names that iptables(8) knows."""
ECHO_TYPES = {"echo-reply": 0, "echo-request": 8, "fragmentation-needed": 3}
TABLES = {
    "PREROUTING": ("raw", "mangle"),
    "INPUT": ("mangle", "filter", "security"),
    "FORWARD": ("mangle", "filter", "security"),
    "OUTPUT": ("raw", "mangle", "filter", "security"),
    "POSTROUTING": ("mangle",),
}
"""The tables that a chain is of, in the order in which they are asked; `nat` is asked apart."""
OWN = "own "
"""What the name of a table begins with that somebody made beside them (nft)."""
ENDS = ("ACCEPT", "RETURN", "DROP", "REJECT")
"""Targets after which a table is not asked further."""


@dataclass(frozen=True)
class Place:
    """Where a packet is when rules are asked."""

    into: str = ""
    out: str = ""
    state: str = "NEW"
    """As `-m state` has it."""


@dataclass(frozen=True)
class Rule:
    """A rule as `iptables -A` takes it."""

    chain: str
    match: tuple[tuple[str, str], ...]
    """(option, value): all must be true of the packet."""
    target: str
    argument: str
    """Of the target: an address, what to reject with, a TTL."""

    def matches(self, packet: Ip, place: Place) -> bool:
        """Whether it is for a packet."""
        return all(_holds(option, value, packet, place) for option, value in self.match)


MATCHES = ("-i", "-o", "-s", "-d", "-p", "--dport", "--state", "--ctstate", "--icmp-type")
WITH_TARGET = (
    "--reject-with", "--to-source", "--to-ports", "--ttl-set", "--set-mark",
)  # fmt: skip


@lru_cache(maxsize=1024)
def parsed(line: str) -> Rule:
    """Read a rule. What the fake does not know of it is passed over."""
    words = iter(shlex.split(line))
    chain, target, argument = "", "", ""
    match: list[tuple[str, str]] = []
    for word in words:
        if word == "-A":
            chain = next(words)
        elif word == "-j":
            target = next(words)
        elif word in WITH_TARGET:
            argument = next(words)
        elif word in MATCHES:
            match.append((word, next(words)))
        else:
            next(words)  # -m, which names what the options are of
    return Rule(chain, tuple(match), target, argument)


def _holds(option: str, value: str, packet: Ip, place: Place) -> bool:
    answers = {
        "-i": lambda: place.into == value,
        "-o": lambda: place.out == value,
        "-s": lambda: ip_address(packet.src) in ip_network(value),
        "-d": lambda: ip_address(packet.dst) in ip_network(value),
        "-p": lambda: packet.protocol == PROTOCOLS[value],
        "--dport": lambda: packet.body[2:4] == int(value).to_bytes(2, "big"),
        "--state": lambda: place.state in value.split(","),
        "--ctstate": lambda: place.state in value.split(","),
        "--icmp-type": lambda: packet.body[0] == ECHO_TYPES[value],
    }
    return answers[option]()


def forwards(node: Node, into: Link, packet: Ip) -> bool:
    """Whether a node is a router for what comes in at an interface, by a packet's IP version."""
    if packet.is_ipv6:
        return node.sysctls.get("net.ipv6.conf.all.forwarding") == "1"
    of_link = node.sysctls.get(f"net.ipv4.conf.{into.name}.forwarding", "1")
    return node.sysctls.get("net.ipv4.ip_forward") == of_link == "1"


def may_come(node: Node, into: Link, source: str) -> bool:
    """Whether rp_filter lets a packet in from its source (RFC 3704); IPv6 has none."""
    if ":" in source:
        return True
    keys = (f"net.ipv4.conf.{name}.rp_filter" for name in ("all", into.name))
    mode = max(int(node.sysctls.get(key, "0")) for key in keys)
    back = node.route(source) if mode else None
    return not mode or (back is not None and (mode == LOOSE or back[0] is into))


def fate(node: Node, chain: str, packet: Ip, place: Place) -> tuple[Ip, Rule | None]:
    """(the packet as rules leave it, the rule that ends it); a policy is a rule without match."""
    for table, lines in _tables(node, chain, packet):
        for line in lines:
            rule = parsed(line)
            if rule.chain != chain or not rule.matches(packet, place):
                continue
            if rule.target == "TTL":
                packet = replace(packet, ttl=int(rule.argument))
            if rule.target in ("DROP", "REJECT"):
                return packet, rule
            if rule.target in ENDS:
                break
        else:
            if table == "filter" and _policies(node, packet).get(chain) == "DROP":
                return packet, Rule(chain, (), "DROP", "")
    return packet, None


def translation(node: Node, chain: str, packet: Ip, place: Place) -> Rule | None:
    """The rule of the table `nat` that a new flow meets first."""
    lines = () if packet.is_ipv6 else node.rules.get("nat", ())
    rules = (parsed(line) for line in lines)
    return next((one for one in rules if one.chain == chain and one.matches(packet, place)), None)


def _tables(node: Node, chain: str, packet: Ip) -> Iterator[tuple[str, list[str]]]:
    own = [name for name in node.rules if name.startswith(OWN)]
    if packet.is_ipv6:
        yield "filter", node.rules6
    else:
        yield from ((name, node.rules.get(name, [])) for name in TABLES[chain])
    yield from ((name, node.rules[name]) for name in own)


def _policies(node: Node, packet: Ip) -> dict[str, str]:
    return node.policies6 if packet.is_ipv6 else node.policies
