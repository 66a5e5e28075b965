"""What a node's network stack does: IP with forwarding, filters and NAT, echoing."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from typing import Any

from harness.frame import Packet, dissect
from harness.testing.flows import Flows, answers, translated_back
from harness.testing.frames import Ip, ethernet, tcp, udp
from harness.testing.neighbours import Neighbours
from harness.testing.network import Network
from harness.testing.rules import (
    Place,
    Rule,
    fate,
    forwards,
    may_come,
    translation,
)
from harness.testing.state import Link
from harness.worker import wire

Probe = dict[str, Any]
Way = tuple[Link, str]
"""An interface, and the next hop beyond it."""

ICMP, TCP, UDP = socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP
ICMPV6 = socket.IPPROTO_ICMPV6
ECHOED = {(ICMP, 8): 0, (ICMPV6, wire.ICMPV6_ECHO_REQUEST): wire.ICMPV6_ECHO_REPLY}
"""The type of the reply by (protocol, type) of an echo request (RFC 792, RFC 4443)."""
SYN, RST, ACK = 0x02, 0x04, 0x10
OVERHEAD = {"icmp": 28, "icmp6": 48}
"""Octets of an IP header (RFC 791, RFC 8200) and an echo request's (RFC 792, RFC 4443)."""
EPHEMERAL = 32768
"""The first of net.ipv4.ip_local_port_range."""
EPHEMERAL_PORTS = "32768-60999"
"""All of it, as ip_local_reserved_ports has it: then TCP and UDP find no port to send from."""
NET_UNREACHABLE, FRAGMENTATION_NEEDED, EXPIRED = (3, 0), (3, 4), (11, 0)
HOST_UNREACHABLE, PORT_UNREACHABLE, PROHIBITED = (3, 1), (3, 3), (3, 13)
"""ICMP types and codes (RFC 792, RFC 1812)."""
IN_IPV6 = {
    NET_UNREACHABLE: (1, 0), FRAGMENTATION_NEEDED: (2, 0), EXPIRED: (3, 0),
    HOST_UNREACHABLE: (1, 3), PORT_UNREACHABLE: (1, 4), PROHIBITED: (1, 1),
}  # fmt: skip
"""The same in ICMPv6 (RFC 4443)."""
REJECTIONS = {
    "": PORT_UNREACHABLE, "icmp-port-unreachable": PORT_UNREACHABLE,
    "icmp-net-unreachable": NET_UNREACHABLE, "icmp-host-unreachable": HOST_UNREACHABLE,
    "icmp-net-prohibited": (3, 9), "icmp-host-prohibited": (3, 10),
    "icmp-admin-prohibited": PROHIBITED, "icmp6-adm-prohibited": PROHIBITED,
}  # fmt: skip
"""What REJECT answers with (iptables-extensions(8))."""
REFUSED = {
    None: errno.ENETUNREACH, "unreachable": errno.EHOSTUNREACH, "blackhole": errno.EINVAL,
    "prohibit": errno.EACCES,
}  # fmt: skip
"""What a kernel answers its own sender with, by the type of the route (fib_props)."""
SAID = {None: NET_UNREACHABLE, "unreachable": HOST_UNREACHABLE, "prohibit": PROHIBITED}
"""What a router says of it to others; of a blackhole nothing."""
QUOTED_OCTETS = 548
"""What an ICMP error quotes of a packet: all of it, up to 576 octets together (RFC 1812)."""


class Refusal(Exception):
    """A kernel refuses to send; `errno` says why."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode[number])
        self.errno = number


class Stacks:
    """The stacks of all nodes. `responders` are those that answer more than a ping."""

    def __init__(self, network: Network, responders: list[dict[str, Any]]) -> None:
        self.arp = Neighbours(network)
        self.flows = Flows(network.state.nodes)
        self._network, self._nodes = network, network.state.nodes
        self._echoing = {
            (network.state.real(want["node"]), want["interface"]): set(want["tokens"])
            for want in responders
        }
        self._sent = 0
        self.came: set[str] = set()
        """Ids of probes whose answer came in where it was to go; `heard`: and got to the socket."""
        self.heard: set[str] = set()
        network.receive, network.watch = self._receive, self._watch

    def send(self, probe: Probe) -> None:
        """Send one probe and all that follows from it; Refusal if the kernel would not."""
        self._sent += 1
        kind = probe["kind"]
        if kind != "beacon" and not kind.startswith("l2-") and kind not in ("arp", "ndp"):
            self._send_ip(probe)
            return
        name = self._network.state.real(probe["node"])
        link = self._nodes[name].links.get(probe["interface"])
        if link is None or not link.up:
            raise Refusal(errno.ENETDOWN if link else errno.ENODEV)
        self._network.send(name, probe["interface"], _frame(probe))

    def _send_ip(self, probe: Probe) -> None:
        name, dst = self._network.state.real(probe["node"]), probe["dst_ip"]
        node = self._nodes[name]
        reserved = node.sysctls.get("net.ipv4.ip_local_reserved_ports")
        if probe["kind"] not in OVERHEAD and reserved == EPHEMERAL_PORTS:
            raise Refusal(errno.EADDRINUSE)
        route = node.route_by(probe["interface"], dst) if probe["bound"] else node.route(dst)
        if route is None:
            raise Refusal(REFUSED[node.kind(dst)])
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
        df = probe["size"] is not None or protocol == TCP
        packet = Ip(route[0].own(dst), dst, protocol, body, df=df)
        if not self._output(name, packet, port, route) and protocol != TCP:
            raise Refusal(errno.EPERM)

    def _output(
        self, name: str, packet: Ip, number: int | None = None, by: Way | None = None
    ) -> bool:
        """Send what a node itself says; `number` makes a new flow. False if a rule ended it.

        `by` is the way that it is to go; else the node's routes say that.
        """
        route = by or self._nodes[name].route(packet.dst)
        if route is None or self._is_own(name, packet.dst):
            return True
        ttl = int(self._nodes[name].sysctls.get("net.ipv4.ip_default_ttl", packet.ttl))
        packet = packet if packet.is_ipv6 else replace(packet, ttl=ttl)
        place = Place(out=route[0].name, state="ESTABLISHED" if number is None else "NEW")
        packet, rule = fate(self._nodes[name], "OUTPUT", packet, place)
        if rule:
            return False
        self._leave(name, packet, number, by)
        return True

    def _leave(self, name: str, packet: Ip, number: int | None, by: Way | None = None) -> None:
        """Route a packet, let the last rules see it, find its next hop and send it."""
        route = by or self._nodes[name].route(packet.dst)
        if route is None:
            return
        link, hop = route
        packet, rule = fate(self._nodes[name], "POSTROUTING", packet, Place(out=link.name))
        if rule:
            return
        if number is not None:
            packet = self.flows.begun(name, packet, number, link)

        def use(mac: str) -> None:
            frame = ethernet(mac, link.mac, packet.ethertype, packet.encode())
            self._network.send(name, link.name, frame)

        self.arp.resolve(name, link, hop, use)

    def _receive(self, name: str, link: Link, raw: bytes) -> None:
        packet = dissect(raw)
        if packet.arp_op == wire.REQUEST:
            self.arp.asked(name, link, packet)
        elif packet.arp_op == wire.REPLY:
            self.arp.told(name, link, packet)
        elif packet.nd_target:
            self.arp.solicited(name, link, packet)
        elif packet.ethertype == wire.ETH_P_PROBE:
            self._layer2(name, link, raw, packet)
        elif packet.ethertype in (wire.ETH_P_IP, wire.ETH_P_IPV6):
            self._ip((name, link), Ip.decode(raw), packet)

    def _watch(self, name: str, raw: bytes) -> None:
        """An answer came in where it was to go; its frame may be for another MAC address."""
        packet = dissect(raw)
        if packet.ethertype in (wire.ETH_P_IP, wire.ETH_P_IPV6) and not packet.vlans:
            flow = self.flows.answered(name, Ip.decode(raw), packet)
            if flow and self._is_own(name, flow.src):
                self.came.add(self._network.probe)

    def _layer2(self, name: str, link: Link, raw: bytes, packet: Packet) -> None:
        token, operation = packet.payload[: wire.TOKEN_OCTETS], packet.payload[wire.TOKEN_OCTETS]
        if operation != wire.REPLY and token in self._echoing.get((name, link.name), ()):
            reply = wire.layer2(raw[6:12], wire.mac(link.mac), token, wire.REPLY, None)
            self._network.send(name, link.name, reply)

    def _ip(self, where: tuple[str, Link], ip: Ip, packet: Packet) -> None:
        """What came in, as far as its destination says where it goes."""
        name, came_in = where
        node = self._nodes[name]
        flow = self.flows.answered(name, ip, packet)
        state = "ESTABLISHED" if flow else "INVALID" if answers(packet) else "NEW"
        place = Place(into=came_in.name, state=state)
        ip, rule = fate(node, "PREROUTING", ip, place)
        if rule:
            return
        redirected = translation(node, "PREROUTING", ip, place) if state == "NEW" else None
        closed = redirected is not None and redirected.target == "REDIRECT"
        if not may_come(node, came_in, ip.src):
            return
        if flow:
            ip = translated_back(ip, packet, flow)
        if self._is_own(name, ip.dst):
            self._local(name, ip, packet, place, closed=closed)
        else:
            self._forward(where, ip, packet, place)

    def _listens(self, name: str) -> bool:
        return any(node == name for node, _ in self._echoing)

    def _is_own(self, name: str, address: str) -> bool:
        """Whether an address is the node's own: what is for it never leaves."""
        return any(address in link.has for link in self._nodes[name].links.values())

    def _local(self, name: str, ip: Ip, packet: Packet, place: Place, *, closed: bool) -> None:
        ip, rule = fate(self._nodes[name], "INPUT", ip, place)
        if rule:
            self._reject(name, ip, packet, rule)
            return
        if place.state == "ESTABLISHED":
            self.heard.add(self._network.probe)
        back = Ip(ip.dst, ip.src, ip.protocol, b"")
        ports = packet.dst_port or 0, packet.src_port or 0
        open_here = packet.dst_port == wire.ECHO_PORT and self._listens(name) and not closed
        echoed = ECHOED.get((ip.protocol, packet.icmp_type or -1))
        if echoed is not None:
            body = bytes([echoed]) + ip.body[1:]
            self._output(name, replace(back, body=body))
        elif ip.protocol == UDP and open_here:
            self._output(name, replace(back, body=udp(ports, packet.payload)))
        elif packet.tcp_flags == SYN:
            self._output(name, replace(back, body=_tcp_answer(packet, known=open_here), df=True))
        elif ip.protocol == UDP and packet.src_port != wire.ECHO_PORT:
            self._error(name, ip, PORT_UNREACHABLE)

    def _forward(self, where: tuple[str, Link], ip: Ip, packet: Packet, place: Place) -> None:
        """Forward a packet if sysctl, routes and rules have it so."""
        name, came_in = where
        node = self._nodes[name]
        if not forwards(node, came_in, ip):
            return
        route, kind = node.route(ip.dst, came_in.name), node.kind(ip.dst, came_in.name)
        if route is None:
            if kind in SAID:
                self._error(name, ip, SAID[kind])
            return
        if ip.ttl <= 1:
            self._error(name, ip, EXPIRED)
            return
        if len(ip.encode()) > route[0].mtu and ip.df:
            self._error(name, ip, FRAGMENTATION_NEEDED)
            return
        out = replace(ip, ttl=ip.ttl - 1)
        out, rule = fate(node, "FORWARD", out, replace(place, out=route[0].name))
        if rule:
            self._reject(name, ip, packet, rule)
            return
        number = packet.src_port if packet.icmp_id is None else packet.icmp_id
        new = place.state == "NEW" and not packet.quoted
        self._leave(name, out, (number or 0) if new else None)

    def _reject(self, name: str, ip: Ip, packet: Packet, rule: Rule) -> None:
        """Say no, if a rule is to say it."""
        if rule.target != "REJECT":
            return
        if rule.argument != "tcp-reset":
            self._error(name, ip, REJECTIONS[rule.argument])
        elif ip.protocol == TCP:
            body = _tcp_answer(packet, known=False)
            self._output(name, Ip(ip.dst, ip.src, TCP, body))

    def _error(self, name: str, ip: Ip, why: tuple[int, int]) -> None:
        """Tell the source why it went no further, quoting as much as is usual."""
        route = self._nodes[name].route(ip.src)
        if route:
            kind = IN_IPV6[why] if ip.is_ipv6 else why
            body = bytes(kind) + bytes(6) + ip.encode()[:QUOTED_OCTETS]
            protocol = ICMPV6 if ip.is_ipv6 else ICMP
            self._output(name, Ip(route[0].own(ip.src), ip.src, protocol, body))


def _frame(probe: Probe) -> bytes:
    """The frame of a probe that no IP stack makes."""
    if probe["kind"] == "beacon":
        made: bytes = probe["frame"]
        return made
    asker, token = wire.mac(probe["src_mac"]), probe["token"]
    if probe["kind"] == "arp":
        return wire.arp_request(asker, probe["dst_ip"], token)
    if probe["kind"] == "ndp":
        return wire.solicitation(asker, probe["dst_ip"], token)
    return wire.layer2(wire.mac(probe["dst_mac"]), asker, token, wire.REQUEST, probe["tag"])


def _tcp_answer(packet: Packet, *, known: bool) -> bytes:
    """What a SYN is answered with: SYN and ACK where somebody listens, else RST."""
    ports = packet.dst_port or 0, packet.src_port or 0
    number = ports[1] << 16 if known else 0
    return tcp(ports, (SYN if known else RST) | ACK, (number, (packet.tcp_seq or 0) + 1))
