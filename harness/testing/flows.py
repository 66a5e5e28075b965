"""Connection tracking and NAT, as a router does it."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace

from harness.frame import Packet
from harness.testing.frames import Ip
from harness.testing.rules import Place, translation
from harness.testing.state import Link, Node

ICMP, ICMPV6 = socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6
ECHO_REPLIES = (0, 129)
"""ICMP's type and ICMPv6's (RFC 792, RFC 4443)."""
RST, ACK = 0x04, 0x10
PORT_OCTETS = 2


@dataclass(frozen=True)
class Flow:
    """An entry of a router's connection tracking: who asked whom, and as whom."""

    router: str
    protocol: int
    src: str
    dst: str
    seen_as: str
    number: int
    """The source's port, or the ICMP identifier."""


class Flows:
    """What the nodes know of flows."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self.known: list[Flow] = []
        self._nodes = nodes

    def begun(self, name: str, ip: Ip, number: int, link: Link) -> Ip:
        """Remember a new flow, and give it the source that the NAT rules want."""
        rule = translation(self._nodes[name], "POSTROUTING", ip, Place(out=link.name))
        source = ip.src
        if rule and rule.target == "MASQUERADE":
            source = link.own(ip.dst)
        elif rule and rule.target == "SNAT":
            source = rule.argument
        self.known.append(Flow(name, ip.protocol, ip.src, ip.dst, source, number))
        return replace(ip, src=source)

    def answered(self, name: str, ip: Ip, packet: Packet) -> Flow | None:
        """The flow that a packet is the answer of, or an error about."""
        if packet.quoted:
            about = packet.quoted
            protocol, dst, src = about.ip_proto, about.dst_ip, about.src_ip
            number = about.src_port if about.icmp_id is None else about.icmp_id
        else:
            protocol, dst, src = ip.protocol, ip.src, ip.dst
            at = 4 if ip.protocol in (ICMP, ICMPV6) else PORT_OCTETS
            number = int.from_bytes(ip.body[at : at + PORT_OCTETS], "big")
        key = (name, protocol, src, dst, number)
        for flow in self.known:
            if (flow.router, flow.protocol, flow.seen_as, flow.dst, flow.number) == key:
                return flow
        return None


def answers(packet: Packet) -> bool:
    """Whether a packet answers something, as connection tracking knows it: not by its port."""
    return bool((packet.tcp_flags or 0) & (ACK | RST)) or packet.icmp_type in ECHO_REPLIES


def translated_back(ip: Ip, packet: Packet, flow: Flow) -> Ip:
    """An answer, or an error about a flow, for who asked as somebody else."""
    if not packet.quoted:
        return replace(ip, dst=flow.src)
    about = Ip.decode(bytes(14) + ip.body[8:])
    body = ip.body[:8] + replace(about, src=flow.src).encode()
    return replace(ip, dst=flow.src, body=body)
