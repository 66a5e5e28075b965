"""IPv6 with its extension headers, ICMPv6 and neighbour discovery."""

from __future__ import annotations

import socket
from functools import lru_cache
from struct import Struct

from harness.frame import ports
from harness.frame.packet import Packet, mac

ICMPV6 = 58
"""The protocol number (IANA, RFC 4443)."""
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
"""Extension headers that say what follows them (RFC 8200, section 4; RFC 4302)."""
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
ERRORS = (1, 2, 3, 4)
"""ICMPv6 types that quote the packet they are about (RFC 4443, section 3)."""
PACKET_TOO_BIG = 2
"""The ICMPv6 type whose second word is the next hop's MTU (RFC 4443, section 3.2)."""
ECHOES = (128, 129)
"""ICMPv6 types with an identifier and a sequence number (RFC 4443, section 4)."""
SOLICITATION, ADVERTISEMENT = 135, 136
"""Neighbour solicitation and advertisement (RFC 4861, sections 4.3 and 4.4)."""
SOURCE_MAC, TARGET_MAC, NONCE = 1, 2, 14
"""Their options (RFC 4861, section 4.6.1; RFC 3971, section 5.3.2)."""

_IPV6_OCTETS = 40
_EXTENSION_OCTETS = 8
"""The shortest extension header, and the unit of its length."""
_ICMPV6_OCTETS = 8
_ND_OCTETS = 24
"""Octets of a neighbour solicitation or advertisement without its options."""
_OPTION_OCTETS = 8
"""The unit of an option's length."""

_HALF = Struct("!H").unpack_from
_HALVES = Struct("!HH").unpack_from
_WORD = Struct("!I").unpack_from
_IPV6_HEADER = Struct("!BxxxHBB16s16s").unpack_from


def read(packet: Packet, raw: bytes, start: int, *, quoted: bool = False) -> None:
    """Read an IPv6 header (RFC 8200, section 3) and what it carries.

    The payload length ends the packet, since Ethernet pads short frames. It is not believed when
    it is 0 (a jumbogram, or segmentation offload) or longer than what was captured.
    """
    packet.payload = raw[start:]
    if len(raw) < start + _IPV6_OCTETS or raw[start] >> 4 != 6:  # noqa: PLR2004 - the version
        return
    _, length, following, hops, source, destination = _IPV6_HEADER(raw, start)
    packet.src_ip, packet.dst_ip, packet.ttl = address(source), address(destination), hops
    begin = start + _IPV6_OCTETS
    body = raw[begin : begin + length] if length else raw[begin:]
    later = False
    while following in EXTENSIONS and len(body) >= _EXTENSION_OCTETS and not later:
        following, body, later = _extension(following, body)
    packet.ip_proto = None if following in EXTENSIONS and not later else following
    packet.payload = body
    if later:
        return
    if following == ICMPV6:
        _icmpv6(packet, body, quoted=quoted)
    else:
        ports.read(packet, body)


def _extension(kind: int, body: bytes) -> tuple[int, bytes, bool]:
    """(what follows an extension header, it, whether that is a later fragment, without header)."""
    if kind == FRAGMENT:
        return body[0], body[_EXTENSION_OCTETS:], bool(_HALF(body, 2)[0] & 0xFFF8)
    octets = (body[1] + 2) * 4 if kind == AUTHENTICATION else (body[1] + 1) * _EXTENSION_OCTETS
    return body[0], body[octets:], False


def _icmpv6(packet: Packet, body: bytes, *, quoted: bool) -> None:
    """Read an ICMPv6 header (RFC 4443) and, for an error, the packet that it quotes.

    An error about an error is never sent (RFC 4443, section 2.4), so a quotation in a quotation is
    left unread: garbage cannot nest deeper than that.
    """
    if len(body) < _ICMPV6_OCTETS:
        return
    packet.icmp_type, packet.icmp_code = kind, _ = body[0], body[1]
    packet.payload = body[_ICMPV6_OCTETS:]
    if kind in ECHOES:
        packet.icmp_id, packet.icmp_seq = _HALVES(body, 4)
    elif kind in (SOLICITATION, ADVERTISEMENT) and len(body) >= _ND_OCTETS:
        _neighbour(packet, body)
    elif kind in ERRORS and not quoted:
        if kind == PACKET_TOO_BIG:
            (packet.icmp_mtu,) = _WORD(body, 4)
        packet.quoted = Packet()
        read(packet.quoted, body, _ICMPV6_OCTETS, quoted=True)


def _neighbour(packet: Packet, body: bytes) -> None:
    """Read a neighbour solicitation or advertisement. An option of length 0 ends the reading."""
    packet.nd_target = address(body[_ICMPV6_OCTETS:_ND_OCTETS])
    packet.payload = options = body[_ND_OCTETS:]
    while len(options) >= _OPTION_OCTETS and 0 < options[1] * _OPTION_OCTETS <= len(options):
        octets = options[1] * _OPTION_OCTETS
        kind, value, options = options[0], options[2:octets], options[octets:]
        if kind == NONCE:
            packet.nd_nonce = value
        elif kind == (SOURCE_MAC if packet.icmp_type == SOLICITATION else TARGET_MAC):
            packet.nd_mac = mac(value[:6])


@lru_cache(maxsize=4096)
def address(octets: bytes) -> str:
    """An IPv6 address as text (RFC 5952)."""
    return socket.inet_ntop(socket.AF_INET6, octets)
