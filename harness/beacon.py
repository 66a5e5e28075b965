"""Beacons: controls injected at the switch port of a destination's host.

Where a VLAN has no second endpoint on another host, nobody can send a control over the last hop.
A beacon is the same frame as the probe, put on the wire beyond that hop. Its source is 0.0.0.0
(RFC 1122, 3.2.1.3: "this host") or `::`, which a kernel receives and never answers, so that a
beacon leaves nothing behind but its sighting. A solicitation from `::` it would answer: but not
one that a router may have passed on (RFC 4861, section 7.1.1), as its hop limit says.
"""

from __future__ import annotations

import socket
import struct

from harness.expectations import TTL
from harness.flow import Cell
from harness.sightings import (
    ECHO6_REQUEST,
    ECHO_PORT,
    ECHO_REQUEST,
    ETHERTYPE_ARP,
    ETHERTYPE_PROBE,
    ICMP,
    ICMPV6,
    SOLICITATION,
    SYN,
    TCP,
    UDP,
)

SOURCE_MAC = "02:6e:73:ff:00:01"
"""Locally administered, and no lab's own."""
ETHERTYPE_IPV4, ETHERTYPE_IPV6, TPID = 0x0800, 0x86DD, 0x8100
REQUEST = 1
"""The octet behind the token of a layer-2 frame, and ARP's operation code."""
MIN_FRAME = 60
"""The shortest Ethernet frame without its checksum (IEEE 802.3)."""
SOURCE_PORT = 49152
"""The first dynamic port (RFC 6335)."""
NOBODY = bytes(4)
NONCE = b"\x0e\x03"
"""An option of three times eight octets (RFC 3971, section 5.3.2): room for a token."""


def frame(cell: Cell, dst_mac: str, dst_ip: str, vlan: int, token: bytes) -> bytes:
    """A frame of the cell's class, tagged for the destination's VLAN, as it is on the trunk."""
    head = _mac(dst_mac) + _mac(SOURCE_MAC) + struct.pack("!HH", TPID, vlan)
    probe = cell.probe
    if probe.kind.startswith("l2-"):
        own = struct.pack("!HH", TPID, probe.argument) if probe.argument is not None else b""
        body = own + struct.pack("!H", ETHERTYPE_PROBE) + token + bytes([REQUEST])
    elif probe.kind == "arp":
        body = struct.pack("!HHHBBH", ETHERTYPE_ARP, 1, ETHERTYPE_IPV4, 6, 4, REQUEST)
        body += _mac(SOURCE_MAC) + NOBODY + bytes(6) + socket.inet_aton(dst_ip) + token
    elif probe.is_ipv6:
        body = struct.pack("!H", ETHERTYPE_IPV6) + _ipv6(probe.kind, dst_ip, token)
    else:
        body = struct.pack("!H", ETHERTYPE_IPV4) + _ipv4(probe.kind, dst_ip, token)
    return (head + body).ljust(MIN_FRAME, b"\0")


def handed(macs: tuple[str, str], addresses: tuple[str, str], token: bytes) -> bytes:
    """An echo request that is whole, from a MAC and an IPv4 address to others: to be taken."""
    echo = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, 0, 0) + token
    echo = echo[:2] + _checksum(echo) + echo[4:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(echo), 0, 0, TTL, ICMP, 0)
    head += b"".join(map(socket.inet_aton, addresses))
    packet = head[:10] + _checksum(head) + head[12:] + echo
    src, dst = map(_mac, macs)
    return (dst + src + struct.pack("!H", ETHERTYPE_IPV4) + packet).ljust(MIN_FRAME, b"\0")


def _checksum(octets: bytes) -> bytes:
    """RFC 1071's, of an even number of octets."""
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ipv4(kind: str, dst_ip: str, token: bytes) -> bytes:
    """A datagram (RFC 791) without layer-4 checksum: it is to be seen, not to be taken."""
    protocol = {"icmp": ICMP, "udp": UDP, "tcp": TCP}[kind]
    echo = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, 0, 0)
    body = echo + token if protocol == ICMP else _ports(protocol, token)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, TTL, protocol, 0)
    return head + NOBODY + socket.inet_aton(dst_ip) + body


def _ipv6(kind: str, dst_ip: str, token: bytes) -> bytes:
    """A datagram (RFC 8200), likewise: of IPv6 none without its checksum is taken."""
    target = dst = socket.inet_pton(socket.AF_INET6, dst_ip)
    protocol = {"udp6": UDP, "tcp6": TCP}.get(kind, ICMPV6)
    if kind == "ndp":
        dst = bytes.fromhex("ff0200000000000000000001ff") + target[-3:]
        body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + target + NONCE + token.ljust(22, b"\0")
    elif kind == "icmp6":
        body = struct.pack("!BBHHH", ECHO6_REQUEST, 0, 0, 0, 0) + token
    else:
        body = _ports(protocol, token)
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, TTL) + bytes(16) + dst + body


def _ports(protocol: int, token: bytes) -> bytes:
    if protocol == UDP:
        return struct.pack("!HHHH", SOURCE_PORT, ECHO_PORT, 8 + len(token), 0) + token
    head = (SOURCE_PORT, ECHO_PORT, 0, 0, 5 << 4, SYN, 0, 0, 0)
    return struct.pack("!HHIIBBHHH", *head) + token
