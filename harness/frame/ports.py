"""TCP and UDP, over either IP."""

from __future__ import annotations

from struct import Struct

from harness.frame.packet import Packet

TCP, UDP = 6, 17
"""Protocol numbers (IANA, RFC 5237)."""

_UDP_OCTETS = 8
_TCP_OCTETS = 20

_PORTS = Struct("!HH").unpack_from
_WORD = Struct("!I").unpack_from


def read(packet: Packet, body: bytes) -> None:
    """Read the header that `packet.ip_proto` says; any other protocol is payload."""
    if packet.ip_proto in (TCP, UDP) and len(body) >= 4:  # noqa: PLR2004 - two ports
        packet.src_port, packet.dst_port = _PORTS(body)
        if packet.ip_proto == TCP:
            _tcp(packet, body)
        else:
            packet.payload = body[_UDP_OCTETS:]


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
