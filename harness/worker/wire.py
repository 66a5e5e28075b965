"""The frames that probes are made of, and the replies that tie to them.

A token is 16 random octets. It rides in the payload of layer-2 frames, ICMP and UDP, in the padding
of an ARP request, in the nonce of a neighbour solicitation and as data of a TCP SYN.
"""

from __future__ import annotations

import socket
import struct

ETH_P_ARP = 0x0806
ETH_P_IP = 0x0800
ETH_P_8021Q = 0x8100
ETH_P_IPV6 = 0x86DD
ETH_P_PROBE = 0x88B5
"""IEEE 802's ethertype 1 for local experiments."""

TOKEN_OCTETS = 16
MIN_FRAME = 60
"""The shortest Ethernet frame without its checksum (IEEE 802.3)."""

ECHO_PORT = 7
"""RFC 862, for TCP and UDP."""

REQUEST, REPLY = 1, 2
"""The octet behind the token of a layer-2 frame; the numbers are ARP's operation codes too."""

BROADCAST = b"\xff" * 6
GROUP = bytes.fromhex("0388b5000001")
"""The multicast group that endpoints join: locally administered, named after the ethertype."""

TCP_SYN_ACK, TCP_RST = 0x12, 0x04

ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY = 128, 129
"""RFC 4443, section 4."""
SOLICITATION, ADVERTISEMENT = 135, 136
"""RFC 4861, sections 4.3 and 4.4."""
SOURCE_MAC_OPTION, NONCE_OPTION = 1, 14
"""RFC 4861, section 4.6.1; RFC 3971, section 5.3.2."""
ND_HOP_LIMIT = 255
"""With any other a neighbour solicitation is discarded (RFC 4861, section 7.1.1)."""
_IPV6 = struct.Struct("!IHBB16s16s")
_IPV6_ENDS, _IPV6_BODY = 22, 54
MIN_IPV6 = _IPV6_BODY + 8
"""Where an untagged frame has its IPv6 addresses and what follows a header without extensions, and
how long one with the shortest header of layer 4 is."""

TcpKey = tuple[bytes, int, int]
"""(address of the destination, its port, port of the source)"""


def mac(text: str) -> bytes:
    """A MAC address from its usual form."""
    return bytes.fromhex(text.replace(":", ""))


def layer2(dst: bytes, src: bytes, token: bytes, operation: int, tag: int | None) -> bytes:
    """A layer-2 token frame, with an 802.1Q tag of its own if `tag` is given."""
    tagged = struct.pack("!HH", ETH_P_8021Q, tag) if tag is not None else b""
    head = dst + src + tagged + struct.pack("!H", ETH_P_PROBE)
    return (head + token + bytes([operation])).ljust(MIN_FRAME + len(tagged), b"\0")


def arp_request(src: bytes, target: str, token: bytes) -> bytes:
    """An ARP probe (RFC 5227): sender address 0.0.0.0, so that it leaves no entry behind."""
    head = BROADCAST + src + struct.pack("!HHHBBH", ETH_P_ARP, 1, ETH_P_IP, 6, 4, REQUEST)
    body = src + bytes(4) + bytes(6) + socket.inet_aton(target)
    return (head + body + token).ljust(MIN_FRAME, b"\0")


def icmp_echo(identifier: int, sequence: int, token: bytes, size: int | None) -> bytes:
    """An echo request (RFC 792) with `size` octets of data, the token first."""
    data = token.ljust(size or 0, b"\0")
    head = struct.pack("!BBHHH", 8, 0, 0, identifier, sequence)
    checksum = _checksum(head + data)
    return struct.pack("!BBHHH", 8, 0, checksum, identifier, sequence) + data


def icmp6_echo(identifier: int, sequence: int, token: bytes, size: int | None) -> bytes:
    """An echo request (RFC 4443) as `icmp_echo`; the kernel puts in the checksum (RFC 3542)."""
    data = token.ljust(size or 0, b"\0")
    return struct.pack("!BBHHH", ICMPV6_ECHO_REQUEST, 0, 0, identifier, sequence) + data


def asker(token: bytes) -> bytes:
    """The link-local address that a solicitation comes from: half of its token, so nobody's own."""
    return bytes.fromhex("fe80000000000000") + token[:8]


def solicited_node(target: str) -> tuple[bytes, bytes]:
    """The MAC and IP address of the group that a target listens to (RFC 4291, 2.7.1; RFC 2464)."""
    group = bytes.fromhex("ff0200000000000000000001ff") + _packed(target)[-3:]
    return b"\x33\x33" + group[-4:], group


def solicitation(src: bytes, target: str, token: bytes) -> bytes:
    """A neighbour solicitation (RFC 4861) whose answer can be told from every other.

    It comes from an address that its token makes, so the advertisement goes to that address and is
    this one's alone; the sender's kernel, whose address it is not, does not take it. Linux answers
    one from `::` (RFC 4861, section 7.2.4) to all nodes, which ties to nobody and goes everywhere;
    one from the sender's own address is answered as the kernel's own are; and one without the
    link-layer address has the target ask back, or is not answered at all. What is left behind is an
    entry for the made address at the target, until neighbours are flushed at the wave's end.
    """
    dst_mac, dst = solicited_node(target)
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + _packed(target)
    body += bytes([SOURCE_MAC_OPTION, 1]) + src + bytes([NONCE_OPTION, 3]) + token.ljust(22, b"\0")
    pseudo = asker(token) + dst + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    head = (6 << 28, len(body), socket.IPPROTO_ICMPV6, ND_HOP_LIMIT, asker(token), dst)
    return dst_mac + src + struct.pack("!H", ETH_P_IPV6) + _IPV6.pack(*head) + body


def _packed(address: str) -> bytes:
    """The octets of an IPv4 or IPv6 address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


class Awaited:
    """The replies that a wave waits for; `pending` empties as they come in at their source.

    `pending` maps a token to the node that its reply must reach: seen on the way is not yet there.
    """

    def __init__(self) -> None:
        self.pending: dict[bytes, str] = {}
        self._arp: dict[tuple[bytes, bytes], bytes] = {}
        self._ndp: dict[tuple[bytes, bytes], bytes] = {}
        self._tcp: dict[TcpKey, bytes] = {}
        self._arrivals: dict[bytes, str] = {}

    def arrival(self, node: str, token: bytes) -> None:
        """Wait for the token itself, anywhere in a frame that comes in at a node."""
        self.pending[token] = node
        self._arrivals[token] = node

    def token(self, node: str, token: bytes) -> None:
        """Wait for a reply that carries the token itself."""
        self.pending[token] = node

    def arp(self, node: str, token: bytes, source: bytes, target: str) -> None:
        """Wait for the ARP reply that ties by target address and asker's MAC."""
        self.pending[token] = node
        self._arp[(socket.inet_aton(target), source)] = token

    def ndp(self, node: str, token: bytes, target: str) -> None:
        """Wait for the advertisement that ties by target and by the address that it goes to."""
        self.pending[token] = node
        self._ndp[(_packed(target), asker(token))] = token

    def tcp(self, node: str, token: bytes, destination: str, ports: tuple[int, int]) -> None:
        """Wait for a SYN-ACK or RST that ties by address and (destination's, source's) ports."""
        self.pending[token] = node
        self._tcp[(_packed(destination), *ports)] = token

    def seen(self, node: str, frame: bytes) -> None:
        """Take note of a frame that came in at a node."""
        for arriving, where in list(self._arrivals.items()):
            if where == node and arriving in frame:
                del self._arrivals[arriving]
                self.pending.pop(arriving, None)
        token = self._tied(frame)
        if token is not None and self.pending.get(token) == node:
            del self.pending[token]

    def _tied(self, frame: bytes) -> bytes | None:
        ethertype = frame[12:14]
        if ethertype == b"\x88\xb5":
            return frame[14:30] if frame[30:31] == bytes([REPLY]) else None
        if ethertype == b"\x08\x06":
            return self._arp.get((frame[28:32], frame[32:38]))
        if ethertype == b"\x86\xdd":
            return self._ipv6(frame)
        return self._ip(frame) if ethertype == b"\x08\x00" else None

    def _ip(self, frame: bytes) -> bytes | None:
        start = 14 + (frame[14] & 0x0F) * 4
        protocol = frame[23]
        if protocol == socket.IPPROTO_TCP and frame[start + 13] & (TCP_SYN_ACK | TCP_RST):
            ports = struct.unpack_from("!HH", frame, start)
            return self._tcp.get((frame[26:30], *ports))
        echoed = protocol == socket.IPPROTO_ICMP and frame[start] == 0
        if echoed or protocol == socket.IPPROTO_UDP:
            return frame[start + 8 : start + 8 + TOKEN_OCTETS]
        return None

    def _ipv6(self, frame: bytes) -> bytes | None:
        """What a reply without extension headers ties to; kernels and responders send no other."""
        if len(frame) < MIN_IPV6:
            return None
        protocol, kind = frame[20], frame[_IPV6_BODY]
        if protocol == socket.IPPROTO_TCP:
            ports = struct.unpack_from("!HH", frame, _IPV6_BODY)
            answers = frame[_IPV6_BODY + 13] & (TCP_SYN_ACK | TCP_RST)
            return self._tcp.get((frame[_IPV6_ENDS : _IPV6_ENDS + 16], *ports)) if answers else None
        if (protocol, kind) == (socket.IPPROTO_ICMPV6, ADVERTISEMENT):
            target = frame[_IPV6_BODY + 8 : _IPV6_BODY + 24]
            return self._ndp.get((target, frame[_IPV6_ENDS + 16 : _IPV6_BODY]))
        echoed = (protocol, kind) == (socket.IPPROTO_ICMPV6, ICMPV6_ECHO_REPLY)
        if echoed or protocol == socket.IPPROTO_UDP:
            return frame[_IPV6_BODY + 8 : _IPV6_BODY + 8 + TOKEN_OCTETS]
        return None
