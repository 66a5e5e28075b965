"""Frames in words and in octets, as the probes of a lab and the answers to them are."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, replace

NOBODY = "0.0.0.0"  # noqa: S104 - the sender of an ARP probe
ANY_MAC = "00:00:00:00:00:00"
SYN, RST, ACK = 2, 4, 16
ECHO, ECHO_REPLY = 8, 0
ECHO6, ECHO6_REPLY, SOLICITATION, ADVERTISEMENT = 128, 129, 135, 136
IPV4, IPV6, ARP, PROBE, TPID = 0x0800, 0x86DD, 0x0806, 0x88B5, 0x8100
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58


def mac(text: str) -> bytes:
    """The six octets of a MAC address."""
    return bytes.fromhex(text.replace(":", ""))


def address(text: str) -> bytes:
    """The octets of an IPv4 or IPv6 address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


@dataclass(frozen=True)
class Wire:
    """One frame in words; `octets` writes it. Faults change a field and leave the rest."""

    kind: str
    """`l2`, `arp`, `ndp`, `icmp`, `udp`, `tcp`, or `raw` for `body` as it is behind the tags."""
    src_mac: str
    dst_mac: str
    tags: tuple[int, ...] = ()
    token: bytes = b""
    operation: int = 1
    """1 is a request, 2 a reply: in layer-2 frames, in ARP and in NDP."""
    src_ip: str = NOBODY
    dst_ip: str = NOBODY
    ttl: int = 64
    src_port: int = 0
    dst_port: int = 7
    """The source port of a TCP or UDP probe, which is the identifier of an ICMP one."""
    flags: int = SYN
    seq: int = 0x01020304
    ack: int = 0
    icmp: tuple[int, int] = (ECHO, 0)
    size: int = 0
    """Octets of data in an echo request at least."""
    quoted: Wire | None = None
    """The packet that an ICMP or ICMPv6 error is about."""
    quoted_octets: int = 576
    """How much of it an ICMP error has."""
    target_mac: str = ANY_MAC
    body: bytes = b""

    def octets(self) -> bytes:
        """The frame, its tags inline, filled up to Ethernet's 60 octets."""
        inline = b"".join(struct.pack("!HH", TPID, tag) for tag in self.tags)
        head = mac(self.dst_mac) + mac(self.src_mac) + inline
        return (head + self._behind_tags()).ljust(60 + len(inline), b"\0")

    def packet(self) -> bytes:
        """The IPv4 packet (RFC 791), or the IPv6 one (RFC 8200) where its addresses are such."""
        makers = {"icmp": self._icmp, "tcp": self._tcp, "udp": self._udp, "ndp": self._ndp}
        protocol, body = makers[self.kind]()
        if ":" in self.dst_ip:
            protocol = ICMPV6 if protocol == ICMP else protocol
            is_asked = (self.kind, self.operation) == ("ndp", 1)
            dst = solicited_node(self.dst_ip) if is_asked else address(self.dst_ip)
            hops = 255 if self.kind == "ndp" else self.ttl
            first = struct.pack("!IHBB", 6 << 28, len(body), protocol, hops)
            return first + address(self.src_ip) + dst + body
        ends = (address(self.src_ip), address(self.dst_ip))
        length = 20 + len(body)
        head = (0x45, 0, length, 7, 0x4000, self.ttl, protocol, 0xBAD, *ends)
        return struct.pack("!BBHHHBBH4s4s", *head) + body

    def _behind_tags(self) -> bytes:
        if self.kind == "raw":
            return self.body
        if self.kind == "l2":
            return struct.pack("!H", PROBE) + self.token + bytes([self.operation])
        if self.kind == "arp":
            return struct.pack("!H", ARP) + self._arp()
        return struct.pack("!H", IPV6 if ":" in self.dst_ip else IPV4) + self.packet()

    def _arp(self) -> bytes:
        head = struct.pack("!HHBBH", 1, IPV4, 6, 4, self.operation)
        sender = mac(self.src_mac) + address(self.src_ip)
        return head + sender + mac(self.target_mac) + address(self.dst_ip) + self.token

    def _ndp(self) -> tuple[int, bytes]:
        """Who is asked for stands in `dst_ip` of a request, in `src_ip` of a reply, as in ARP."""
        asked = self.operation == 1
        head = struct.pack("!BBHI", SOLICITATION if asked else ADVERTISEMENT, 0, 0xBAD, 0)
        own = bytes([1 if asked else 2, 1]) + mac(self.src_mac)
        nonce = b"\x0e\x03" + self.token.ljust(22, b"\0") if self.token else b""
        return ICMPV6, head + address(self.dst_ip if asked else self.src_ip) + own + nonce

    def _icmp(self) -> tuple[int, bytes]:
        if self.quoted:
            rest, data = bytes(4), self.quoted.packet()[: self.quoted_octets]
        else:
            rest = struct.pack("!HH", self.src_port, 1)
            data = self.token.ljust(self.size, b"\0")
        return ICMP, struct.pack("!BBH", *self.icmp, 0xBAD) + rest + data

    def _udp(self) -> tuple[int, bytes]:
        head = (self.src_port, self.dst_port, 8 + len(self.token), 0xBAD)
        return UDP, struct.pack("!HHHH", *head) + self.token

    def _tcp(self) -> tuple[int, bytes]:
        head = (self.src_port, self.dst_port, self.seq, self.ack, 5 << 4, self.flags)
        return TCP, struct.pack("!HHIIBBHHH", *head, 512, 0xBAD, 0) + self.token


def solicited_node(target: str) -> bytes:
    """The group that a target listens to (RFC 4291, section 2.7.1)."""
    return address("ff02::1:ff00:0")[:13] + address(target)[13:]


def mirror(wire: Wire, sender: str) -> Wire:
    """The answer to a frame, as a kernel or a responder gives it."""
    back = replace(
        wire,
        src_mac=sender,
        dst_mac=wire.src_mac,
        src_ip=wire.dst_ip,
        dst_ip=wire.src_ip,
        operation=2,
    )
    if wire.kind in ("arp", "ndp"):
        return replace(back, token=b"", target_mac=wire.src_mac)
    if wire.kind == "tcp":
        ack = wire.seq + 1 + len(wire.token)
        back = replace(back, token=b"", flags=SYN | ACK, seq=99, ack=ack)
    if wire.kind in ("tcp", "udp"):
        return replace(back, src_port=wire.dst_port, dst_port=wire.src_port)
    return replace(back, icmp=(ECHO6_REPLY if wire.icmp[0] == ECHO6 else ECHO_REPLY, 0))
