"""The frames that probes are made of, and the replies that tie to them.

A token is 16 random octets. It rides in the payload of layer-2 frames, ICMP and UDP, in the padding
of an ARP request and as data of a TCP SYN.
"""

from __future__ import annotations

import socket
import struct

ETH_P_ARP = 0x0806
ETH_P_IP = 0x0800
ETH_P_8021Q = 0x8100
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

    def tcp(self, node: str, token: bytes, destination: str, ports: tuple[int, int]) -> None:
        """Wait for a SYN-ACK or RST that ties by address and (destination's, source's) ports."""
        self.pending[token] = node
        self._tcp[(socket.inet_aton(destination), *ports)] = token

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
