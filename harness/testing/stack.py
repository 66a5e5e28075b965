"""What a node's network stack does: ARP and NDP, IP with forwarding and NAT, echoing."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, replace
from typing import Any

from harness.frame import Packet, dissect
from harness.testing.frames import (
    Ip,
    advertisement,
    arp,
    arp_request,
    ethernet,
    solicitation,
    tcp,
    udp,
)
from harness.testing.network import Network
from harness.testing.rules import forwards, lets, may_come
from harness.testing.state import Link
from harness.worker import wire

Probe = dict[str, Any]

ICMP, TCP, UDP = socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP
ICMPV6 = socket.IPPROTO_ICMPV6
ECHOED = {(ICMP, 8): 0, (ICMPV6, wire.ICMPV6_ECHO_REQUEST): wire.ICMPV6_ECHO_REPLY}
"""The type of the reply by (protocol, type) of an echo request (RFC 792, RFC 4443)."""
SYN = 0x02
OVERHEAD = {"icmp": 28, "icmp6": 48}
"""Octets of an IP header (RFC 791, RFC 8200) and an echo request's (RFC 792, RFC 4443)."""
EPHEMERAL = 32768
"""The first of net.ipv4.ip_local_port_range."""
NOBODY = "0.0.0.0"  # noqa: S104 - the sender of an ARP probe (RFC 5227), not to listen on
PORT_OCTETS = 2
NET_UNREACHABLE, FRAGMENTATION_NEEDED = (3, 0), (3, 4)
"""ICMP types and codes (RFC 792)."""
IN_IPV6 = {NET_UNREACHABLE: (1, 0), FRAGMENTATION_NEEDED: (2, 0)}
"""The same in ICMPv6 (RFC 4443)."""
QUOTED_OCTETS = 548
"""What an ICMP error quotes of a packet: all of it, up to 576 octets together (RFC 1812)."""


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


class Refusal(Exception):
    """A kernel refuses to send; `errno` says why."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode[number])
        self.errno = number


class Stacks:
    """The stacks of all nodes. `responders` are those that answer more than a ping."""

    def __init__(self, network: Network, responders: list[dict[str, Any]]) -> None:
        self.neighbours: dict[tuple[str, str], tuple[str | None, str]] = {}
        """(node, address) -> (MAC address, state)"""
        self.flows: list[Flow] = []
        self._network, self._nodes = network, network.state.nodes
        self._echoing = {want["node"]: set(want["tokens"]) for want in responders}
        self._sent = 0
        network.receive = self._receive

    def send(self, probe: Probe) -> None:
        """Send one probe and all that follows from it; Refusal if the kernel would not."""
        self._sent += 1
        kind = probe["kind"]
        if kind == "beacon":
            self._network.send(probe["node"], probe["interface"], probe["frame"])
        elif kind.startswith("l2-"):
            ends = wire.mac(probe["dst_mac"]), wire.mac(probe["src_mac"])
            frame = wire.layer2(*ends, probe["token"], wire.REQUEST, probe["tag"])
            self._network.send(probe["node"], probe["interface"], frame)
        elif kind == "arp":
            asker = wire.mac(probe["src_mac"])
            frame = wire.arp_request(asker, probe["dst_ip"], probe["token"])
            self._network.send(probe["node"], probe["interface"], frame)
        elif kind == "ndp":
            frame = wire.solicitation(wire.mac(probe["src_mac"]), probe["dst_ip"], probe["token"])
            self._network.send(probe["node"], probe["interface"], frame)
        else:
            self._send_ip(probe)

    def _send_ip(self, probe: Probe) -> None:
        node = self._nodes[probe["node"]]
        route = node.route(probe["dst_ip"])
        if route is None:
            raise Refusal(errno.ENETUNREACH)
        if (probe["size"] or 0) + OVERHEAD.get(probe["kind"], 0) > route[0].mtu:
            raise Refusal(errno.EMSGSIZE)
        port = EPHEMERAL + self._sent
        token, ports = probe["token"], (port, probe["port"])
        protocol, body = {
            "icmp": (ICMP, wire.icmp_echo(port, 1, token, probe["size"])),
            "icmp6": (ICMPV6, wire.icmp6_echo(port, 1, token, probe["size"])),
            "udp": (UDP, udp(ports, token)),
            "tcp": (TCP, tcp(ports, SYN, (port << 8, 0), token)),
        }[probe["kind"] if probe["kind"] in OVERHEAD else probe["kind"].removesuffix("6")]
        dst = probe["dst_ip"]
        df = probe["size"] is not None or protocol == TCP
        self._output(probe["node"], Ip(route[0].own(dst), dst, protocol, body, df=df))

    def _output(self, name: str, packet: Ip) -> None:
        """Route a packet, find its next hop and send it; nothing leaves if there is none."""
        route = self._nodes[name].route(packet.dst)
        if route is None:
            return
        link, hop = route
        mac = self._resolve(name, link, hop)
        if mac:
            frame = ethernet(mac, link.mac, packet.ethertype, packet.encode())
            self._network.send(name, link.name, frame)

    def _resolve(self, name: str, link: Link, address: str) -> str | None:
        """A neighbour's MAC address; asked for once, and None while nobody has answered."""
        if (name, address) not in self.neighbours:
            self.neighbours[name, address] = (None, "INCOMPLETE")
            own = (link.mac, link.own(address))
            ask = solicitation if ":" in address else arp_request
            self._network.send(name, link.name, ask(own, address))
        return self.neighbours[name, address][0]

    def _receive(self, name: str, link: Link, raw: bytes) -> None:
        packet = dissect(raw)
        if packet.arp_op == wire.REQUEST:
            self._asked(name, link, packet)
        elif packet.arp_op == wire.REPLY:
            self._told(name, packet)
        elif packet.nd_target:
            self._neighbour(name, link, packet)
        elif packet.ethertype == wire.ETH_P_PROBE:
            self._layer2(name, link, raw, packet)
        elif packet.ethertype in (wire.ETH_P_IP, wire.ETH_P_IPV6):
            self._ip((name, link), Ip.decode(raw), packet)

    def _asked(self, name: str, link: Link, packet: Packet) -> None:
        asker, address = str(packet.arp_sha), str(packet.arp_spa)
        if packet.arp_tpa not in link.has:
            return
        if address != NOBODY:
            self.neighbours.setdefault((name, address), (asker, "STALE"))
        body = arp(wire.REPLY, (link.mac, str(packet.arp_tpa)), (asker, address))
        frame = ethernet(asker, link.mac, wire.ETH_P_ARP, body)
        self._network.send(name, link.name, frame)

    def _told(self, name: str, packet: Packet) -> None:
        if packet.arp_tpa != NOBODY and (name, str(packet.arp_spa)) in self.neighbours:
            self.neighbours[name, str(packet.arp_spa)] = (packet.arp_sha, "REACHABLE")

    def _neighbour(self, name: str, link: Link, packet: Packet) -> None:
        """A neighbour solicitation is answered (with hop limit 255 only), an answer noted."""
        target, other, mac = str(packet.nd_target), str(packet.src_ip), str(packet.nd_mac)
        asked = packet.icmp_type == wire.SOLICITATION
        if asked and target in link.has and packet.ttl == wire.ND_HOP_LIMIT:
            self.neighbours.setdefault((name, other), (mac, "STALE"))
            self._network.send(name, link.name, advertisement((link.mac, target), (mac, other)))
        elif not asked and packet.dst_ip in link.has and (name, target) in self.neighbours:
            self.neighbours[name, target] = (mac, "REACHABLE")

    def _layer2(self, name: str, link: Link, raw: bytes, packet: Packet) -> None:
        token, operation = packet.payload[: wire.TOKEN_OCTETS], packet.payload[wire.TOKEN_OCTETS]
        if operation != wire.REPLY and token in self._echoing.get(name, ()):
            reply = wire.layer2(raw[6:12], wire.mac(link.mac), token, wire.REPLY, None)
            self._network.send(name, link.name, reply)

    def _ip(self, where: tuple[str, Link], ip: Ip, packet: Packet) -> None:
        name, came_in = where
        if not may_come(self._nodes[name], came_in, ip):
            return
        flow = self._flow_back(name, ip)
        if flow:
            self._forward(where, replace(ip, dst=flow.src), packet, flow)
        elif any(ip.dst in link.has for link in self._nodes[name].links.values()):
            self._local(name, ip, packet)
        else:
            self._forward(where, ip, packet, None)

    def _local(self, name: str, ip: Ip, packet: Packet) -> None:
        back = Ip(ip.dst, ip.src, ip.protocol, b"")
        ports = packet.dst_port or 0, packet.src_port or 0
        echoed = ECHOED.get((ip.protocol, packet.icmp_type or -1))
        if echoed is not None:
            body = bytes([echoed]) + ip.body[1:]
            self._output(name, replace(back, body=body, df=ip.df))
        elif packet.dst_port == wire.ECHO_PORT and ip.protocol == UDP and name in self._echoing:
            self._output(name, replace(back, body=udp(ports, packet.payload)))
        elif packet.tcp_flags == SYN and name in self._echoing:
            numbers = ports[1] << 16, (packet.tcp_seq or 0) + 1
            body = tcp(ports, SYN | 0x10, numbers)
            self._output(name, replace(back, body=body, df=True))

    def _forward(self, where: tuple[str, Link], ip: Ip, packet: Packet, flow: Flow | None) -> None:
        """Forward a packet if sysctl, routes and rules have it so; `flow` is what it answers."""
        name, came_in = where
        node = self._nodes[name]
        if not forwards(node, ip):
            return
        route = node.route(ip.dst)
        if route is None:
            self._unreachable(name, ip, NET_UNREACHABLE)
        elif len(ip.encode()) > route[0].mtu and ip.df:
            self._unreachable(name, ip, FRAGMENTATION_NEEDED)
        elif lets(node, came_in.name, route[0].name, ip, known=flow is not None):
            out = replace(ip, ttl=ip.ttl - 1)
            if flow:
                self._output(name, replace(out, src=flow.dst))
            else:
                self._output(name, self._new_flow(name, out, packet, route[0]))

    def _new_flow(self, name: str, ip: Ip, packet: Packet, link: Link) -> Ip:
        """Remember a new flow, and give it the source that the NAT rules want."""
        nat = f"-A POSTROUTING -o {link.name} -j MASQUERADE"
        masked = nat in self._nodes[name].rules.get("nat", ()) and not ip.is_ipv6
        source = link.own(ip.dst) if masked else ip.src
        number = packet.src_port if packet.icmp_id is None else packet.icmp_id
        self.flows.append(Flow(name, ip.protocol, ip.src, ip.dst, source, number or 0))
        return replace(ip, src=source)

    def _flow_back(self, name: str, ip: Ip) -> Flow | None:
        """The flow that a packet is the answer of."""
        at = 4 if ip.protocol in (ICMP, ICMPV6) else PORT_OCTETS
        number = int.from_bytes(ip.body[at : at + PORT_OCTETS], "big")
        key = (name, ip.protocol, ip.dst, ip.src, number)
        for flow in self.flows:
            if (flow.router, flow.protocol, flow.seen_as, flow.dst, flow.number) == key:
                return flow
        return None

    def _unreachable(self, name: str, ip: Ip, why: tuple[int, int]) -> None:
        """Tell the source why it went no further, quoting as much as is usual."""
        route = self._nodes[name].route(ip.src)
        if route:
            kind = IN_IPV6[why] if ip.is_ipv6 else why
            body = bytes(kind) + bytes(6) + ip.encode()[:QUOTED_OCTETS]
            protocol = ICMPV6 if ip.is_ipv6 else ICMP
            self._output(name, Ip(route[0].own(ip.src), ip.src, protocol, body))
