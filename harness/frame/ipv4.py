"""IPv4 and ICMP."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from harness.frame import ports
from harness.frame.packet import Packet

ICMP = 1
"""The protocol number (IANA, RFC 5237)."""
ICMP_ERRORS = (3, 4, 5, 11, 12)
"""ICMP types that quote the packet they are about (RFC 792; 4 is deprecated by RFC 6633)."""
ICMP_QUERIES = (0, 8, 13, 14, 15, 16, 17, 18)
"""ICMP types with an identifier and a sequence number (RFC 792, RFC 950)."""
UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
"""The ICMP type and code whose second half word is the next hop's MTU (RFC 1191, section 4)."""

_IPV4_OCTETS = 20
_ICMP_OCTETS = 8
"""Octets of an ICMP header (RFC 792)."""

_HALF = Struct("!H").unpack_from
_HALVES = Struct("!HH").unpack_from
_IPV4_HEADER = Struct("!BxHxxHBBxx4s4s").unpack_from


def read(packet: Packet, raw: bytes, start: int, *, quoted: bool = False) -> None:
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
    packet.src_ip, packet.dst_ip = address(source), address(destination)
    packet.ttl, packet.ip_proto = ttl, protocol
    packet.df = bool(fragment & 0x4000)
    body = raw[start + header : start + length] if length >= header else raw[start + header :]
    packet.payload = body
    if not fragment & 0x1FFF:
        if protocol == ICMP:
            _icmp(packet, body, quoted=quoted)
        else:
            ports.read(packet, body)


def _icmp(packet: Packet, body: bytes, *, quoted: bool) -> None:
    """Read an ICMP header (RFC 792) and, for an error, the packet that it quotes.

    An error about an error is never sent (RFC 1122, section 3.2.2), so a quotation in a quotation
    is left unread: garbage cannot nest deeper than that.
    """
    if len(body) < _ICMP_OCTETS:
        return
    packet.icmp_type, packet.icmp_code = kind, code = body[0], body[1]
    packet.payload = body[_ICMP_OCTETS:]
    if kind in ICMP_QUERIES:
        packet.icmp_id, packet.icmp_seq = _HALVES(body, 4)
    elif kind in ICMP_ERRORS and not quoted:
        if (kind, code) == (UNREACHABLE, FRAGMENTATION_NEEDED):
            (packet.icmp_mtu,) = _HALF(body, 6)
        packet.quoted = Packet()
        read(packet.quoted, body, _ICMP_OCTETS, quoted=True)


@lru_cache(maxsize=4096)
def address(octets: bytes) -> str:
    """An IPv4 address as text."""
    return ".".join(map(str, octets))
