"""Beacons: controls injected at the switch port of a destination's host.

Where a VLAN has no second endpoint on another host, nobody can send a control over the last hop.
A beacon is the same frame as the probe, put on the wire beyond that hop. Its IPv4 source is
0.0.0.0 (RFC 1122, 3.2.1.3: "this host"), which a kernel receives and never answers, so that a
beacon leaves nothing behind but its sighting.
"""

from __future__ import annotations

import socket
import struct

from harness.expectations import TTL
from harness.flow import Cell
from harness.sightings import ECHO_PORT, ETHERTYPE_ARP, ETHERTYPE_PROBE, ICMP, SYN, TCP, UDP

SOURCE_MAC = "02:6e:73:ff:00:01"
"""Locally administered, and no lab's own."""
ETHERTYPE_IPV4, TPID = 0x0800, 0x8100
REQUEST = 1
"""The octet behind the token of a layer-2 frame, and ARP's operation code."""
MIN_FRAME = 60
"""The shortest Ethernet frame without its checksum (IEEE 802.3)."""
SOURCE_PORT = 49152
"""The first dynamic port (RFC 6335)."""
NOBODY = bytes(4)


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
    else:
        body = struct.pack("!H", ETHERTYPE_IPV4) + _ipv4(probe.kind, dst_ip, token)
    return (head + body).ljust(MIN_FRAME, b"\0")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ipv4(kind: str, dst_ip: str, token: bytes) -> bytes:
    """A datagram (RFC 791) without layer-4 checksum: it is to be seen, not to be taken."""
    protocol, body = {
        "icmp": (ICMP, struct.pack("!BBHHH", 8, 0, 0, 0, 0)),
        "udp": (UDP, struct.pack("!HHHH", SOURCE_PORT, ECHO_PORT, 8 + len(token), 0)),
        "tcp": (TCP, struct.pack("!HHIIBBHHH", SOURCE_PORT, ECHO_PORT, 0, 0, 5 << 4, SYN, 0, 0, 0)),
    }[kind]
    length = 20 + len(body) + len(token)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, TTL, protocol, 0)
    return head + NOBODY + socket.inet_aton(dst_ip) + body + token
