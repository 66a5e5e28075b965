"""A captured Ethernet frame and what its headers say.

Captures are not clean input. The kernel hands checksums over half computed (CHECKSUM_PARTIAL), a
snap length cuts, and a lab that is wrong sends garbage. So no checksum is looked at, nothing here
raises on any octets, and a field that cannot be read stays None.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

IPV4, ARP = 0x0800, 0x0806
"""Ethertypes of IPv4 (RFC 894) and ARP (RFC 826)."""
TAGS = (0x8100, 0x88A8)
"""Tag protocol identifiers of IEEE 802.1Q: the customer tag and the service tag (802.1ad)."""
ICMP, TCP, UDP = 1, 6, 17
"""IPv4 protocol numbers (IANA, RFC 5237)."""
ICMP_ERRORS = (3, 4, 5, 11, 12)
"""ICMP types that quote the packet they are about (RFC 792; 4 is deprecated by RFC 6633)."""
ICMP_QUERIES = (0, 8, 13, 14, 15, 16, 17, 18)
"""ICMP types with an identifier and a sequence number (RFC 792, RFC 950)."""
UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
"""The ICMP type and code whose second half word is the next hop's MTU (RFC 1191, section 4)."""

_MAC_OCTETS = 6
_ETHERNET_OCTETS = 14
_TAG_OCTETS = 4
_ARP_OCTETS = 28
_IPV4_OCTETS = 20
_L4_OCTETS = 8
"""Octets of a UDP (RFC 768) or ICMP (RFC 792) header, and what an ICMP error quotes at least."""
_TCP_OCTETS = 20

_HALF = Struct("!H").unpack_from
_PORTS = Struct("!HH").unpack_from
_WORD = Struct("!I").unpack_from
_ARP_HEADER = Struct("!HHBBH6s4s6s4s").unpack_from
_IPV4_HEADER = Struct("!BxHxxHBBxx4s4s").unpack_from
_ETHERNET_IPV4 = (1, IPV4, 6, 4)
"""ARP hardware type, protocol type and their address lengths in octets, for IPv4 over Ethernet."""


class Frame(NamedTuple):
    """One frame as a tap saw it."""

    node: str
    interface: str
    direction: str
    """`in` (towards the node's stack) or `out` (leaving it)."""
    t_ns: int
    """Nanoseconds since the epoch, by the clock of the tap's machine."""
    raw: bytes
    """The whole frame without its check sequence, every 802.1Q header inline."""


@dataclass(slots=True)
class Packet:
    """What a frame's headers say; None is "not there, or cut off".

    MAC addresses are in lower case with colons, IP addresses dotted.
    """

    dst_mac: str | None = None
    src_mac: str | None = None
    vlans: tuple[int, ...] = ()
    """802.1Q VLAN ids, outermost first."""
    ethertype: int | None = None
    """The type behind all tags; below 1536 it is an 802.3 length."""
    arp_op: int | None = None
    """1 is a request, 2 a reply (RFC 826)."""
    arp_sha: str | None = None
    arp_spa: str | None = None
    arp_tha: str | None = None
    arp_tpa: str | None = None
    src_ip: str | None = None
    dst_ip: str | None = None
    ttl: int | None = None
    df: bool | None = None
    """The "don't fragment" bit."""
    ip_proto: int | None = None
    src_port: int | None = None
    dst_port: int | None = None
    tcp_flags: int | None = None
    """The flags octet: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32 (RFC 9293), ECE 64, CWR 128."""
    tcp_seq: int | None = None
    tcp_ack: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    icmp_seq: int | None = None
    icmp_mtu: int | None = None
    """The next hop's MTU in octets, from "fragmentation needed" (RFC 1191)."""
    payload: bytes = b""
    """What follows the last header that could be read: of layer 4, of ARP (padding), of layer 2."""
    quoted: Packet | None = None
    """The packet that an ICMP error is about, as far as it is quoted; its MACs are None."""


def dissect(raw: bytes) -> Packet:
    """Read the headers of an Ethernet frame (IEEE 802.3, section 3.1.1, with 802.1Q tags)."""
    packet = Packet()
    if len(raw) < _ETHERNET_OCTETS:
        _cut_ethernet(packet, raw)
        return packet
    packet.dst_mac = _mac(raw[:6])
    packet.src_mac = _mac(raw[6:12])
    (ethertype,) = _HALF(raw, 12)
    start = _ETHERNET_OCTETS
    while ethertype in TAGS:
        if len(raw) < start + _TAG_OCTETS:
            packet.payload = raw[start:]
            return packet
        tag, ethertype = _PORTS(raw, start)
        packet.vlans += (tag & 0xFFF,)
        start += _TAG_OCTETS
    packet.ethertype = ethertype
    if ethertype == IPV4:
        _ipv4(packet, raw, start)
    elif ethertype == ARP:
        _arp(packet, raw, start)
    else:
        packet.payload = raw[start:]
    return packet


def _cut_ethernet(packet: Packet, raw: bytes) -> None:
    if len(raw) >= _MAC_OCTETS:
        packet.dst_mac = _mac(raw[:6])
    if len(raw) >= 2 * _MAC_OCTETS:
        packet.src_mac = _mac(raw[6:12])


def _arp(packet: Packet, raw: bytes, start: int) -> None:
    """Read ARP for IPv4 over Ethernet (RFC 826). What follows it is padding, up to 60 octets."""
    if len(raw) < start + _ARP_OCTETS:
        packet.payload = raw[start:]
        return
    *kind, operation, sha, spa, tha, tpa = _ARP_HEADER(raw, start)
    if tuple(kind) != _ETHERNET_IPV4:
        packet.payload = raw[start:]
        return
    packet.arp_op = operation
    packet.arp_sha, packet.arp_spa = _mac(sha), _ip(spa)
    packet.arp_tha, packet.arp_tpa = _mac(tha), _ip(tpa)
    packet.payload = raw[start + _ARP_OCTETS :]


def _ipv4(packet: Packet, raw: bytes, start: int, *, quoted: bool = False) -> None:
    """Read an IPv4 header (RFC 791, section 3.1) and what it carries.

    The total length ends the packet, since Ethernet pads short frames. It is not believed when it
    is shorter than the header (0 with segmentation offload) or longer than what was captured.
    """
    packet.payload = raw[start:]
    if len(raw) < start + _IPV4_OCTETS:
        return
    first, length, fragment, ttl, protocol, source, destination = _IPV4_HEADER(raw, start)
    header = (first & 0x0F) * 4
    if first >> 4 != 4 or header < _IPV4_OCTETS:  # noqa: PLR2004 - the version is in the name
        return
    packet.src_ip, packet.dst_ip = _ip(source), _ip(destination)
    packet.ttl, packet.ip_proto = ttl, protocol
    packet.df = bool(fragment & 0x4000)
    body = raw[start + header : start + length] if length >= header else raw[start + header :]
    packet.payload = body
    if not fragment & 0x1FFF:
        _layer4(packet, body, quoted=quoted)


def _layer4(packet: Packet, body: bytes, *, quoted: bool) -> None:
    """Read the header after IPv4, unless it is a later fragment, which has none."""
    if packet.ip_proto == ICMP:
        _icmp(packet, body, quoted=quoted)
    elif packet.ip_proto in (TCP, UDP) and len(body) >= 4:  # noqa: PLR2004 - two ports
        packet.src_port, packet.dst_port = _PORTS(body)
        if packet.ip_proto == TCP:
            _tcp(packet, body)
        else:
            packet.payload = body[_L4_OCTETS:]


def _tcp(packet: Packet, body: bytes) -> None:
    """Read a TCP header (RFC 9293, section 3.1), or the 8 octets that an ICMP error quotes."""
    if len(body) >= 8:  # noqa: PLR2004 - ports and sequence number
        (packet.tcp_seq,) = _WORD(body, 4)
    packet.payload = body[_TCP_OCTETS:]
    if len(body) < _TCP_OCTETS:
        return
    (packet.tcp_ack,) = _WORD(body, 8)
    packet.tcp_flags = body[13]
    header = (body[12] >> 4) * 4
    if _TCP_OCTETS <= header <= len(body):
        packet.payload = body[header:]


def _icmp(packet: Packet, body: bytes, *, quoted: bool) -> None:
    """Read an ICMP header (RFC 792) and, for an error, the packet that it quotes.

    An error about an error is never sent (RFC 1122, section 3.2.2), so a quotation in a quotation
    is left unread: garbage cannot nest deeper than that.
    """
    if len(body) < _L4_OCTETS:
        return
    packet.icmp_type, packet.icmp_code = kind, code = body[0], body[1]
    packet.payload = body[_L4_OCTETS:]
    if kind in ICMP_QUERIES:
        packet.icmp_id, packet.icmp_seq = _PORTS(body, 4)
    elif kind in ICMP_ERRORS and not quoted:
        if (kind, code) == (UNREACHABLE, FRAGMENTATION_NEEDED):
            (packet.icmp_mtu,) = _HALF(body, 6)
        packet.quoted = Packet()
        _ipv4(packet.quoted, body, _L4_OCTETS, quoted=True)


@lru_cache(maxsize=4096)
def _mac(octets: bytes) -> str:
    return octets.hex(":")


@lru_cache(maxsize=4096)
def _ip(octets: bytes) -> str:
    return ".".join(map(str, octets))
