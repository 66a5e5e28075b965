"""The words of a dissected frame: what a tap saw, and what its headers say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


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

    MAC addresses are in lower case with colons, IPv4 addresses dotted, IPv6 addresses as RFC 5952
    has them.
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
    """The TTL of IPv4, the hop limit of IPv6."""
    df: bool | None = None
    """The "don't fragment" bit; IPv6 has none, since no router fragments it."""
    ip_proto: int | None = None
    """What the IP packet carries, extension headers of IPv6 stepped over."""
    src_port: int | None = None
    dst_port: int | None = None
    tcp_flags: int | None = None
    """The flags octet: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32 (RFC 9293), ECE 64, CWR 128."""
    tcp_seq: int | None = None
    tcp_ack: int | None = None
    icmp_type: int | None = None
    """Of ICMP or, where `ip_proto` is 58, of ICMPv6."""
    icmp_code: int | None = None
    icmp_id: int | None = None
    icmp_seq: int | None = None
    icmp_mtu: int | None = None
    """The next hop's MTU in octets: "fragmentation needed" (RFC 1191), "packet too big"."""
    nd_target: str | None = None
    """Whom a neighbour solicitation or advertisement is about (RFC 4861)."""
    nd_mac: str | None = None
    """The link-layer address in it: a solicitation's own, an advertisement's answer."""
    nd_nonce: bytes | None = None
    """The nonce option (RFC 3971, section 5.3.2), with the octets that fill it up."""
    payload: bytes = b""
    """What follows the last header that could be read: of layer 4, of ARP (padding), of layer 2.

    Of a neighbour solicitation or advertisement: its options.
    """
    quoted: Packet | None = None
    """The packet that an ICMP error is about, as far as it is quoted; its MACs are None."""


@lru_cache(maxsize=4096)
def mac(octets: bytes) -> str:
    """A MAC address as text."""
    return octets.hex(":")
