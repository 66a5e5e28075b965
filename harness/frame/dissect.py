"""Ethernet, 802.1Q tags and ARP."""

from __future__ import annotations

from struct import Struct

from harness.frame import ipv4, ipv6
from harness.frame.packet import Packet, mac

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
"""Ethertypes of IPv4 (RFC 894), IPv6 (RFC 2464) and ARP (RFC 826)."""
TAGS = (0x8100, 0x88A8)
"""Tag protocol identifiers of IEEE 802.1Q: the customer tag and the service tag (802.1ad)."""

_MAC_OCTETS = 6
_ETHERNET_OCTETS = 14
_TAG_OCTETS = 4
_ARP_OCTETS = 28

_HALF = Struct("!H").unpack_from
_HALVES = Struct("!HH").unpack_from
_ARP_HEADER = Struct("!HHBBH6s4s6s4s").unpack_from
_ETHERNET_IPV4 = (1, IPV4, 6, 4)
"""ARP hardware type, protocol type and their address lengths in octets, for IPv4 over Ethernet."""


def dissect(raw: bytes) -> Packet:
    """Read the headers of an Ethernet frame (IEEE 802.3, section 3.1.1, with 802.1Q tags)."""
    packet = Packet()
    if len(raw) < _ETHERNET_OCTETS:
        _cut_ethernet(packet, raw)
        return packet
    packet.dst_mac = mac(raw[:6])
    packet.src_mac = mac(raw[6:12])
    (ethertype,) = _HALF(raw, 12)
    start = _ETHERNET_OCTETS
    while ethertype in TAGS:
        if len(raw) < start + _TAG_OCTETS:
            packet.payload = raw[start:]
            return packet
        tag, ethertype = _HALVES(raw, start)
        packet.vlans += (tag & 0xFFF,)
        start += _TAG_OCTETS
    packet.ethertype = ethertype
    if ethertype == IPV4:
        ipv4.read(packet, raw, start)
    elif ethertype == IPV6:
        ipv6.read(packet, raw, start)
    elif ethertype == ARP:
        _arp(packet, raw, start)
    else:
        packet.payload = raw[start:]
    return packet


def _cut_ethernet(packet: Packet, raw: bytes) -> None:
    if len(raw) >= _MAC_OCTETS:
        packet.dst_mac = mac(raw[:6])
    if len(raw) >= 2 * _MAC_OCTETS:
        packet.src_mac = mac(raw[6:12])


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
    packet.arp_sha, packet.arp_spa = mac(sha), ipv4.address(spa)
    packet.arp_tha, packet.arp_tpa = mac(tha), ipv4.address(tpa)
    packet.payload = raw[start + _ARP_OCTETS :]
