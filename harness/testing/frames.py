"""Frames and packets as octets. MAC and IP addresses are given as text.

IPv4 headers have their checksum; those of TCP, UDP and ICMPv6 are left at 0, as a capture on the
sending machine may have them.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from struct import Struct, pack

from harness.worker.wire import (
    ADVERTISEMENT,
    ETH_P_8021Q,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    ND_HOP_LIMIT,
    SOLICITATION,
    mac,
    solicited_node,
)

_IPV4 = Struct("!BBHHHBBH4s4s")
_IPV6 = Struct("!IHBB16s16s")
_TCP = Struct("!HHIIBBHHH")
_ETHERNET_OCTETS = 14
_TAG_OCTETS = 4
_VERSION_5_WORDS = 0x45
_DONT_FRAGMENT = 0x4000
_WINDOW = 64240


def ethernet(dst: str, src: str, ethertype: int, body: bytes) -> bytes:
    """An Ethernet frame (IEEE 802.3) without its check sequence."""
    return mac(dst) + mac(src) + pack("!H", ethertype) + body


def tagged(raw: bytes, vlan: int) -> bytes:
    """A frame with an 802.1Q tag put in front of those that it has."""
    return raw[:12] + pack("!HH", ETH_P_8021Q, vlan) + raw[12:]


def untagged(raw: bytes) -> tuple[int | None, bytes]:
    """(VLAN id, frame without its outer tag); (None, the frame) if it has none."""
    if raw[12:14] != pack("!H", ETH_P_8021Q):
        return None, raw
    return int.from_bytes(raw[14:16], "big") & 0xFFF, raw[:12] + raw[12 + _TAG_OCTETS :]


def arp(operation: int, sender: tuple[str, str], target: tuple[str, str]) -> bytes:
    """An ARP packet (RFC 826); sender and target are (MAC address, IP address)."""
    head = pack("!HHBBH", 1, ETH_P_IP, 6, 4, operation)
    return head + b"".join(mac(hw) + socket.inet_aton(ip) for hw, ip in (sender, target))


def arp_request(sender: tuple[str, str], address: str) -> bytes:
    """The frame in which a kernel asks who has an address."""
    body = arp(1, sender, ("00:00:00:00:00:00", address))
    return ethernet("ff:ff:ff:ff:ff:ff", sender[0], ETH_P_ARP, body)


def solicitation(sender: tuple[str, str], address: str) -> bytes:
    """The frame in which a kernel asks who has an IPv6 address (RFC 4861, section 4.3)."""
    dst_mac, group = solicited_node(address)
    body = pack("!BBHI", SOLICITATION, 0, 0, 0) + _packed(address) + b"\1\1" + mac(sender[0])
    dst = socket.inet_ntop(socket.AF_INET6, group)
    packet = Ip(sender[1], dst, socket.IPPROTO_ICMPV6, body, ND_HOP_LIMIT)
    return ethernet(dst_mac.hex(":"), sender[0], ETH_P_IPV6, packet.encode())


def advertisement(holder: tuple[str, str], asker: tuple[str, str]) -> bytes:
    """The frame in which a kernel answers; both are (MAC address, IP address)."""
    flags = 0x60 << 24  # solicited, override
    body = pack("!BBHI", ADVERTISEMENT, 0, 0, flags) + _packed(holder[1]) + b"\2\1" + mac(holder[0])
    packet = Ip(holder[1], asker[1], socket.IPPROTO_ICMPV6, body, ND_HOP_LIMIT)
    return ethernet(asker[0], holder[0], ETH_P_IPV6, packet.encode())


def tcp(ports: tuple[int, int], flags: int, numbers: tuple[int, int], data: bytes = b"") -> bytes:
    """A TCP segment (RFC 9293) without options; numbers are (sequence, acknowledgement)."""
    offset = _TCP.size // 4 << 4
    return _TCP.pack(*ports, *numbers, offset, flags, _WINDOW, 0, 0) + data


def udp(ports: tuple[int, int], data: bytes) -> bytes:
    """A UDP datagram (RFC 768); ports are (source's, destination's)."""
    return pack("!HHHH", *ports, 8 + len(data), 0) + data


@dataclass(frozen=True)
class Ip:
    """An IPv4 packet (RFC 791) without options, or an IPv6 one (RFC 8200) without extensions."""

    src: str
    dst: str
    protocol: int
    body: bytes
    ttl: int = 64
    df: bool = False
    """Of IPv6 always: no router fragments it."""

    @property
    def is_ipv6(self) -> bool:
        """By its addresses."""
        return ":" in self.dst

    @property
    def ethertype(self) -> int:
        """What stands before it in a frame."""
        return ETH_P_IPV6 if self.is_ipv6 else ETH_P_IP

    def encode(self) -> bytes:
        """The packet as octets."""
        if self.is_ipv6:
            head6 = (6 << 28, len(self.body), self.protocol, self.ttl)
            return _IPV6.pack(*head6, _packed(self.src), _packed(self.dst)) + self.body
        fragment = _DONT_FRAGMENT if self.df else 0
        ends = socket.inet_aton(self.src), socket.inet_aton(self.dst)
        head = (_VERSION_5_WORDS, 0, _IPV4.size + len(self.body), 0, fragment, self.ttl)
        checksum = _checksum(_IPV4.pack(*head, self.protocol, 0, *ends))
        return _IPV4.pack(*head, self.protocol, checksum, *ends) + self.body

    @classmethod
    def decode(cls, raw: bytes) -> Ip:
        """The packet in an untagged frame that `encode` made, padding left out."""
        if raw[_ETHERNET_OCTETS] >> 4 == 6:  # noqa: PLR2004 - the version
            _, size, following, hops, *both = _IPV6.unpack_from(raw, _ETHERNET_OCTETS)
            source, target = (socket.inet_ntop(socket.AF_INET6, end) for end in both)
            begin = _ETHERNET_OCTETS + _IPV6.size
            return cls(source, target, following, raw[begin : begin + size], hops, df=True)
        fields = _IPV4.unpack_from(raw, _ETHERNET_OCTETS)
        _, _, length, _, fragment, ttl, protocol, _, src, dst = fields
        body = raw[_ETHERNET_OCTETS + _IPV4.size : _ETHERNET_OCTETS + length]
        ends = socket.inet_ntoa(src), socket.inet_ntoa(dst)
        return cls(*ends, protocol, body, ttl, bool(fragment & _DONT_FRAGMENT))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


def _checksum(header: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of octets."""
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
