"""Dissecting IPv6: real frames, cut ones, garbage; dpkt is the second opinion."""

from __future__ import annotations

import random
import socket
import struct
from typing import Any

import dpkt
import pytest

from harness.frame import Packet, dissect
from tests.unit.builders import BBOX1, GATEWAY, TOKEN, ethernet, icmp, tcp, udp

ME, YOU, ASKER = "2001:db8:10::10", "2001:db8:20::11", "fe80::1:203:405:607"
HOP_BY_HOP, ROUTING, FRAGMENT, AH, NO_NEXT, DESTINATION = 0, 43, 44, 51, 59, 60
ICMPV6, TCP, UDP = 58, 6, 17


def packed(text: str) -> bytes:
    """The 16 octets of an IPv6 address."""
    return socket.inet_pton(socket.AF_INET6, text)


def ipv6(following: int, body: bytes, **fields: Any) -> bytes:
    """An IPv6 packet from bbox1 to bbox4; fields: length, hops, first."""
    length, hops = fields.get("length", len(body)), fields.get("hops", 64)
    head = struct.pack("!BxxxHBB", fields.get("first", 0x60), length, following, hops)
    return head + packed(ME) + packed(YOU) + body


def extension(following: int, octets: int = 8) -> bytes:
    """An extension header that is nothing but its length."""
    return bytes([following, octets // 8 - 1]) + bytes(octets - 2)


def fragment(following: int, offset: int) -> bytes:
    """A fragment header with more to come; the offset is in units of eight octets."""
    return struct.pack("!BxHI", following, offset << 3 | 1, 7)


def neighbour(kind: int, *options: bytes) -> bytes:
    """A neighbour solicitation (135) or advertisement (136) about bbox4."""
    return icmp(kind, 0, bytes(4), packed(YOU) + b"".join(options))


def mac_option(kind: int, mac: str = BBOX1) -> bytes:
    """A link-layer address: of the source (1), of the target (2)."""
    return bytes([kind, 1]) + bytes.fromhex(mac.replace(":", ""))


NONCE = b"\x0e\x03" + TOKEN.ljust(22, b"\0")
ECHO = icmp(128, 0, struct.pack("!HH", 0x1234, 5), TOKEN)
SYN = tcp(2, TOKEN, options=b"\x02\x04\x05\xa0")
FRAMES = {
    "echo": ethernet(0x86DD, ipv6(ICMPV6, ECHO)),
    "tagged echo": ethernet(0x86DD, ipv6(ICMPV6, ECHO), (0x8100, 0x600A)),
    "tcp": ethernet(0x86DD, ipv6(TCP, SYN), (0x8100, 10)),
    "udp": ethernet(0x86DD, ipv6(UDP, udp(TOKEN))),
    "extended": ethernet(
        0x86DD,
        ipv6(HOP_BY_HOP, extension(ROUTING) + extension(DESTINATION, 24) + extension(UDP)
             + udp(TOKEN)),
    ),
    "fragment": ethernet(0x86DD, ipv6(FRAGMENT, fragment(UDP, 0) + udp(TOKEN))),
    "unreachable": ethernet(0x86DD, ipv6(ICMPV6, icmp(1, 0, bytes(4), ipv6(TCP, SYN)))),
    "solicitation": ethernet(0x86DD, ipv6(ICMPV6, neighbour(135, mac_option(1), NONCE), hops=255)),
    "advertisement": ethernet(0x86DD, ipv6(ICMPV6, neighbour(136, mac_option(2, GATEWAY)))),
}  # fmt: skip


def test_an_echo_request_is_read_to_its_payload() -> None:
    """Every field of an ordinary ping is there, and nothing that it does not have."""
    assert dissect(FRAMES["echo"]) == Packet(
        dst_mac=GATEWAY,
        src_mac=BBOX1,
        ethertype=0x86DD,
        src_ip=ME,
        dst_ip=YOU,
        ttl=64,
        ip_proto=ICMPV6,
        icmp_type=128,
        icmp_code=0,
        icmp_id=0x1234,
        icmp_seq=5,
        payload=TOKEN,
    )


def test_a_tagged_echo_request_is_read_the_same() -> None:
    """The tag is listed, and what it wraps is read."""
    packet = dissect(FRAMES["tagged echo"])
    assert (packet.vlans, packet.ethertype, packet.payload) == ((10,), 0x86DD, TOKEN)


def test_a_syn_with_data_is_read() -> None:
    """TCP is the same over both."""
    packet = dissect(FRAMES["tcp"])
    assert (packet.src_port, packet.dst_port, packet.tcp_flags) == (40000, 80, 2)
    assert (packet.tcp_seq, packet.payload) == (0x01020304, TOKEN)


@pytest.mark.parametrize("name", ["udp", "extended", "fragment"])
def test_a_datagram_is_read_behind_every_extension_header(name: str) -> None:
    """Hop-by-hop options, routing, destination options and a first fragment are stepped over."""
    packet = dissect(FRAMES[name])
    assert (packet.ip_proto, packet.src_port, packet.dst_port) == (UDP, 40000, 53)
    assert packet.payload == TOKEN


def test_an_authentication_header_counts_in_words() -> None:
    """Its length is in units of four octets, less two (RFC 4302, section 2.2)."""
    header = bytes([UDP, 4]) + bytes(22)
    assert dissect(ethernet(0x86DD, ipv6(AH, header + udp(TOKEN)))).payload == TOKEN


def test_a_later_fragment_has_no_ports() -> None:
    """Its first octets are data, whatever they look like."""
    body = fragment(UDP, 2) + udp(TOKEN)
    packet = dissect(ethernet(0x86DD, ipv6(FRAGMENT, body)))
    assert (packet.ip_proto, packet.src_port, packet.payload) == (UDP, None, udp(TOKEN))


def test_a_later_fragment_ends_the_chain_of_headers() -> None:
    """What a later fragment has in place of an extension header is data too."""
    body = fragment(DESTINATION, 2) + extension(UDP) + udp(TOKEN)
    packet = dissect(ethernet(0x86DD, ipv6(FRAGMENT, body)))
    assert (packet.ip_proto, packet.src_port) == (DESTINATION, None)


@pytest.mark.parametrize("following", [NO_NEXT, 50, 89])
def test_another_protocol_is_payload(following: int) -> None:
    """No next header, ESP and OSPF are not looked into."""
    packet = dissect(ethernet(0x86DD, ipv6(following, TOKEN)))
    assert (packet.ip_proto, packet.payload) == (following, TOKEN)


def test_ethernet_padding_is_not_payload() -> None:
    """The payload length ends the packet."""
    assert dissect(FRAMES["udp"] + bytes(20)).payload == TOKEN


@pytest.mark.parametrize("length", [0, 4000])
def test_an_impossible_payload_length_is_not_believed(length: int) -> None:
    """Zero (a jumbogram, segmentation offload) and more than the capture: all is read."""
    assert dissect(ethernet(0x86DD, ipv6(UDP, udp(TOKEN), length=length))).payload == TOKEN


@pytest.mark.parametrize("first", [0x40, 0x00])
def test_what_is_not_ipv6_is_not_read_as_ipv6(first: int) -> None:
    """A header of another version gives no address."""
    packet = dissect(ethernet(0x86DD, ipv6(UDP, udp(TOKEN), first=first)))
    assert (packet.src_ip, packet.ttl, packet.payload[-16:]) == (None, None, TOKEN)


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_an_error_quotes_the_packet_it_is_about(kind: int) -> None:
    """As much as fits, the probe's data with it."""
    quote = ipv6(TCP, SYN)
    packet = dissect(ethernet(0x86DD, ipv6(ICMPV6, icmp(kind, 0, b"\0\0\x05\x78", quote))))
    quoted = packet.quoted
    assert quoted is not None
    assert (quoted.src_mac, quoted.ethertype) == (None, None)
    assert (quoted.src_ip, quoted.dst_ip, quoted.ttl) == (ME, YOU, 64)
    assert (quoted.src_port, quoted.tcp_seq, quoted.payload) == (40000, 0x01020304, TOKEN)
    assert packet.icmp_mtu == (1400 if kind == 2 else None)
    assert packet.payload == quote


def test_quotations_do_not_nest() -> None:
    """A frame made of errors about errors is read one level deep."""
    body = ECHO
    for _ in range(1000):
        body = icmp(1, 0, bytes(4), ipv6(ICMPV6, body, length=0))
    quoted = dissect(ethernet(0x86DD, ipv6(ICMPV6, body, length=0))).quoted
    assert quoted is not None
    assert (quoted.icmp_type, quoted.quoted) == (1, None)


def test_a_solicitation_has_a_target_an_asker_and_a_nonce() -> None:
    """The token rides in the nonce, the octets that fill the option up behind it."""
    packet = dissect(FRAMES["solicitation"])
    assert (packet.icmp_type, packet.ttl, packet.nd_target) == (135, 255, YOU)
    assert (packet.nd_mac, packet.nd_nonce) == (BBOX1, TOKEN + bytes(6))
    assert packet.payload == mac_option(1) + NONCE


def test_an_advertisement_has_a_target_and_its_mac_address() -> None:
    """The option of a target, not that of a source."""
    packet = dissect(FRAMES["advertisement"])
    assert (packet.icmp_type, packet.nd_target, packet.nd_mac) == (136, YOU, GATEWAY)
    body = neighbour(136, mac_option(1))
    assert dissect(ethernet(0x86DD, ipv6(ICMPV6, body))).nd_mac is None


@pytest.mark.parametrize("broken", [b"\x01\0" + bytes(6), b"\x01\x09" + bytes(6), b"\x01\x01"])
def test_a_broken_option_ends_the_reading(broken: bytes) -> None:
    """No length, more than there is, and less than an option: what came before it counts."""
    packet = dissect(ethernet(0x86DD, ipv6(ICMPV6, neighbour(135, NONCE, broken))))
    assert (packet.nd_target, packet.nd_mac, packet.nd_nonce) == (YOU, None, TOKEN + bytes(6))


def test_a_router_advertisement_is_payload() -> None:
    """Other ICMPv6 has neither identifier nor target."""
    packet = dissect(ethernet(0x86DD, ipv6(ICMPV6, icmp(134, 0, b"\1\2\3\4", TOKEN))))
    assert (packet.icmp_type, packet.icmp_id, packet.nd_target) == (134, None, None)
    assert packet.payload == TOKEN


@pytest.mark.parametrize("name", FRAMES)
def test_a_cut_frame_says_what_the_whole_one_says_or_nothing(name: str) -> None:
    """At every length: no exception, and no field that the whole frame does not have."""
    whole = dissect(FRAMES[name])
    for size in range(len(FRAMES[name])):
        _is_part_of(dissect(FRAMES[name][:size]), whole)


def _is_part_of(packet: Packet, whole: Packet) -> None:
    for key in Packet.__slots__:
        found, full = getattr(packet, key), getattr(whole, key)
        if key == "vlans":
            assert found == full[: len(found)]
        elif key == "quoted" and found is not None:
            _is_part_of(found, full)
        elif key != "payload":
            assert found is None or found == full


def test_garbage_is_survived() -> None:
    """Twenty thousand frames with octets changed, added and cut are read without an exception."""
    chance = random.Random(6)
    frames = list(FRAMES.values())
    for _ in range(20_000):
        raw = bytearray(chance.choice(frames))
        for _ in range(chance.randrange(6)):
            raw[chance.randrange(12, len(raw))] = chance.randrange(256)
        raw += chance.randbytes(chance.randrange(8))
        assert isinstance(dissect(bytes(raw[: chance.randrange(len(raw))])).payload, bytes)


@pytest.mark.parametrize("name", ["echo", "tagged echo", "tcp", "udp", "extended"])
def test_dpkt_reads_the_same(name: str) -> None:
    """Addresses, hop limit, protocol and payload, by an independent reader."""
    frame, packet = dpkt.ethernet.Ethernet(FRAMES[name]), dissect(FRAMES[name])
    found = frame.data
    assert dpkt.utils.inet_to_str(found.src) == packet.src_ip
    assert dpkt.utils.inet_to_str(found.dst) == packet.dst_ip
    assert (found.hlim, found.p) == (packet.ttl, packet.ip_proto)
    inner = found.data.data if name.endswith("echo") else found.data
    assert inner.data == packet.payload


def test_dpkt_made_frames_are_read() -> None:
    """A frame that an independent writer made, checksum and all."""
    echo = dpkt.icmp6.ICMP6.Echo(id=9, seq=3, data=TOKEN)
    message = dpkt.icmp6.ICMP6(type=128, code=0, data=echo)
    made = dpkt.ip6.IP6(
        src=packed(ME), dst=packed(YOU), nxt=ICMPV6, hlim=61, data=message, plen=len(message)
    )
    made.extension_hdrs = {}
    packet = dissect(ethernet(0x86DD, bytes(made)))
    assert (packet.src_ip, packet.dst_ip, packet.ttl) == (ME, YOU, 61)
    assert (packet.icmp_type, packet.icmp_id, packet.icmp_seq) == (128, 9, 3)
    assert packet.payload == TOKEN
