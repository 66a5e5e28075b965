"""Dissecting frames: real ones, cut ones, garbage; dpkt is the second opinion."""

from __future__ import annotations

import random
import struct
from typing import Any

import dpkt
import pytest

from harness.frame import Packet, dissect
from tests.unit.builders import (
    ADDRESS1,
    ADDRESS4,
    BBOX1,
    GATEWAY,
    TOKEN,
    arp,
    ethernet,
    icmp,
    ipv4,
    tcp,
    udp,
)

ECHO = icmp(8, 0, struct.pack("!HH", 0x1234, 5), TOKEN)
SYN = tcp(2, TOKEN, options=b"\x02\x04\x05\xb4")
QUOTE = ipv4(6, SYN)[:28]
FRAMES = {
    "echo": ethernet(0x0800, ipv4(1, ECHO)),
    "tagged echo": ethernet(0x0800, ipv4(1, ECHO), (0x8100, 0x600A)),
    "double-tagged echo": ethernet(0x0800, ipv4(1, ECHO), (0x88A8, 10), (0x8100, 20)),
    "tcp": ethernet(0x0800, ipv4(6, SYN), (0x8100, 10)),
    "udp": ethernet(0x0800, ipv4(17, udp(TOKEN))),
    "unreachable": ethernet(0x0800, ipv4(1, icmp(3, 1, bytes(4), QUOTE))),
    "arp": ethernet(0x0806, arp(1, TOKEN + b"\0\0")),
    "token frame": ethernet(0x88B5, TOKEN + bytes(30)),
}


def test_an_echo_request_is_read_to_its_payload() -> None:
    """Every field of an ordinary ping is there, and nothing that it does not have."""
    assert dissect(FRAMES["echo"]) == Packet(
        dst_mac=GATEWAY,
        src_mac=BBOX1,
        ethertype=0x0800,
        src_ip=ADDRESS1,
        dst_ip=ADDRESS4,
        ttl=64,
        df=True,
        ip_proto=1,
        icmp_type=8,
        icmp_code=0,
        icmp_id=0x1234,
        icmp_seq=5,
        payload=TOKEN,
    )


@pytest.mark.parametrize(
    ("name", "vlans"),
    [("echo", ()), ("tagged echo", (10,)), ("double-tagged echo", (10, 20))],
)
def test_tags_are_listed_outermost_first(name: str, vlans: tuple[int, ...]) -> None:
    """Priority bits are left out of the VLAN id, and what the tags wrap is read all the same."""
    packet = dissect(FRAMES[name])
    assert (packet.vlans, packet.ethertype, packet.payload) == (vlans, 0x0800, TOKEN)


def test_a_syn_with_data_is_read() -> None:
    """The token behind TCP options is the payload."""
    packet = dissect(FRAMES["tcp"])
    assert (packet.src_port, packet.dst_port, packet.tcp_flags) == (40000, 80, 2)
    assert (packet.tcp_seq, packet.tcp_ack, packet.payload) == (0x01020304, 0x0A0B0C0D, TOKEN)


def test_a_datagram_is_read() -> None:
    """UDP has ports and a payload."""
    packet = dissect(FRAMES["udp"])
    assert (packet.src_port, packet.dst_port, packet.payload) == (40000, 53, TOKEN)


def test_arp_padding_is_payload() -> None:
    """The token rides in the padding of a request."""
    packet = dissect(FRAMES["arp"])
    assert (packet.arp_op, packet.arp_sha, packet.arp_tha) == (1, BBOX1, "00:00:00:00:00:00")
    assert (packet.arp_spa, packet.arp_tpa) == (ADDRESS1, ADDRESS4)
    assert packet.payload == TOKEN + b"\0\0"
    assert packet.src_ip is None


@pytest.mark.parametrize("at", [1, 3, 4, 5], ids=["hardware", "protocol", "hlen", "plen"])
def test_arp_for_other_addresses_is_payload(at: int) -> None:
    """ARP that is not for IPv4 over Ethernet is not read as if it were."""
    body = bytearray(arp(1))
    body[at] ^= 0xFF
    packet = dissect(ethernet(0x0806, bytes(body)))
    assert (packet.arp_op, packet.payload) == (None, bytes(body))


def test_an_experimental_frame_is_all_payload() -> None:
    """Ethertype 0x88B5 has no header of its own."""
    packet = dissect(FRAMES["token frame"])
    assert (packet.ethertype, packet.payload) == (0x88B5, TOKEN + bytes(30))


def test_ethernet_padding_is_not_payload() -> None:
    """The IPv4 total length ends the packet."""
    assert dissect(FRAMES["udp"] + bytes(20)).payload == TOKEN


@pytest.mark.parametrize("length", [0, 19, 4000])
def test_an_impossible_total_length_is_not_believed(length: int) -> None:
    """Zero (segmentation offload), less than the header and more than the capture: all is read."""
    raw = ethernet(0x0800, ipv4(17, udp(TOKEN), length=length))
    assert dissect(raw).payload == TOKEN


def test_ip_options_are_stepped_over() -> None:
    """The header length says where layer 4 begins."""
    raw = ethernet(0x0800, ipv4(17, udp(TOKEN), options=b"\x94\x04\0\0"))
    assert (dissect(raw).dst_port, dissect(raw).payload) == (53, TOKEN)


@pytest.mark.parametrize("first", [0x44, 0x65, 0x00])
def test_what_is_not_ipv4_is_not_read_as_ipv4(first: int) -> None:
    """A header that is too short or of another version gives no address."""
    packet = dissect(ethernet(0x0800, ipv4(17, udp(TOKEN), first=first)))
    assert (packet.src_ip, packet.ttl, packet.payload[-16:]) == (None, None, TOKEN)


def test_a_later_fragment_has_no_ports() -> None:
    """Its first octets are data, whatever they look like."""
    packet = dissect(ethernet(0x0800, ipv4(17, udp(TOKEN), fragment=0x0010)))
    assert (packet.src_port, packet.payload, packet.df) == (None, udp(TOKEN), False)


def test_a_first_fragment_has_ports() -> None:
    """More-fragments with offset 0 begins with the header."""
    assert dissect(ethernet(0x0800, ipv4(17, udp(TOKEN), fragment=0x2000))).dst_port == 53


def test_another_protocol_is_payload() -> None:
    """IGMP, for one, is not looked into."""
    packet = dissect(ethernet(0x0800, ipv4(2, TOKEN)))
    assert (packet.ip_proto, packet.payload) == (2, TOKEN)


@pytest.mark.parametrize("offset", [0x40, 0xF0])
def test_a_wrong_tcp_offset_leaves_the_data(offset: int) -> None:
    """A data offset that points nowhere does not hide the token."""
    segment = bytearray(tcp(2, TOKEN))
    segment[12] = offset
    assert dissect(ethernet(0x0800, ipv4(6, bytes(segment)))).payload == TOKEN


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_an_icmp_error_quotes_the_packet_it_is_about(kind: int) -> None:
    """The eight octets of TCP that RFC 792 asks for have ports and sequence number."""
    packet = dissect(ethernet(0x0800, ipv4(1, icmp(kind, 1, bytes(4), QUOTE), ttl=63)))
    quoted = packet.quoted
    assert quoted is not None
    assert (quoted.src_mac, quoted.dst_mac, quoted.ethertype) == (None, None, None)
    assert (quoted.src_ip, quoted.dst_ip, quoted.ttl) == (ADDRESS1, ADDRESS4, 64)
    assert (quoted.src_port, quoted.dst_port, quoted.tcp_seq) == (40000, 80, 0x01020304)
    assert (quoted.tcp_ack, quoted.tcp_flags, packet.icmp_mtu) == (None, None, None)
    assert packet.payload == QUOTE


def test_fragmentation_needed_has_an_mtu() -> None:
    """RFC 1191 puts the next hop's MTU in the second half of the second word."""
    raw = ethernet(0x0800, ipv4(1, icmp(3, 4, b"\0\0\x05\x78", ipv4(1, ECHO))))
    packet = dissect(raw)
    assert packet.icmp_mtu == 1400
    assert packet.quoted is not None
    assert (packet.quoted.icmp_id, packet.quoted.payload) == (0x1234, TOKEN)


def test_quotations_do_not_nest() -> None:
    """A frame made of errors about errors is read one level deep."""
    body = ECHO
    for _ in range(1000):
        body = icmp(3, 1, bytes(4), ipv4(1, body, length=0))
    quoted = dissect(ethernet(0x0800, ipv4(1, body, length=0))).quoted
    assert quoted is not None
    assert (quoted.icmp_type, quoted.quoted) == (3, None)


def test_other_icmp_has_no_identifier() -> None:
    """A router advertisement (type 9) has other fields there."""
    packet = dissect(ethernet(0x0800, ipv4(1, icmp(9, 0, b"\1\2\3\4", TOKEN))))
    assert (packet.icmp_type, packet.icmp_id, packet.quoted) == (9, None, None)


@pytest.mark.parametrize("name", FRAMES)
def test_a_cut_frame_says_what_the_whole_one_says_or_nothing(name: str) -> None:
    """At every length: no exception, and no field that the whole frame does not have."""
    whole = dissect(FRAMES[name])
    for size in range(len(FRAMES[name])):
        packet = dissect(FRAMES[name][:size])
        _is_part_of(packet, whole)


def _is_part_of(packet: Packet, whole: Packet) -> None:
    for key in Packet.__slots__:
        found, full = getattr(packet, key), getattr(whole, key)
        if key == "vlans":
            assert found == full[: len(found)]
        elif key == "quoted" and found is not None:
            _is_part_of(found, full)
        elif key != "payload":
            assert found is None or found == full


@pytest.mark.parametrize("size", [0, 5, 6, 11, 12, 13])
def test_a_frame_shorter_than_its_header_has_whole_addresses_only(size: int) -> None:
    """Half a MAC address is no address."""
    packet = dissect(FRAMES["echo"][:size])
    assert packet.dst_mac == (GATEWAY if size >= 6 else None)
    assert packet.src_mac == (BBOX1 if size >= 12 else None)


def test_a_cut_tag_hides_the_ethertype() -> None:
    """A tag without the type behind it says nothing of either."""
    packet = dissect(FRAMES["tagged echo"][:16])
    assert (packet.vlans, packet.ethertype) == ((), None)


def test_garbage_is_survived() -> None:
    """Twenty thousand frames with octets changed, added and cut are read without an exception."""
    chance = random.Random(20)
    frames = list(FRAMES.values())
    for _ in range(20_000):
        raw = bytearray(chance.choice(frames))
        for _ in range(chance.randrange(6)):
            raw[chance.randrange(12, len(raw))] = chance.randrange(256)
        raw += chance.randbytes(chance.randrange(8))
        assert isinstance(dissect(bytes(raw[: chance.randrange(len(raw))])).payload, bytes)


def _dpkt_ip(name: str) -> Any:
    frame = dpkt.ethernet.Ethernet(FRAMES[name])
    return frame.data


@pytest.mark.parametrize("name", ["echo", "tagged echo", "double-tagged echo", "tcp", "udp"])
def test_dpkt_reads_the_same_addresses(name: str) -> None:
    """Layer 2 and 3 of handmade frames, by an independent reader."""
    frame, packet = dpkt.ethernet.Ethernet(FRAMES[name]), dissect(FRAMES[name])
    assert (frame.dst.hex(":"), frame.src.hex(":")) == (packet.dst_mac, packet.src_mac)
    assert tuple(tag.id for tag in getattr(frame, "vlan_tags", [])) == packet.vlans
    assert dpkt.utils.inet_to_str(frame.data.src) == packet.src_ip
    assert dpkt.utils.inet_to_str(frame.data.dst) == packet.dst_ip
    assert (frame.data.ttl, frame.data.p, bool(frame.data.df)) == (64, packet.ip_proto, packet.df)


def test_dpkt_reads_the_same_layer_4() -> None:
    """Ports, flags, numbers and payload of handmade packets, by an independent reader."""
    segment, packet = _dpkt_ip("tcp").data, dissect(FRAMES["tcp"])
    assert (segment.sport, segment.dport, segment.flags) == (40000, 80, packet.tcp_flags)
    assert (segment.seq, segment.ack, segment.data) == (
        packet.tcp_seq,
        packet.tcp_ack,
        packet.payload,
    )
    echo, packet = _dpkt_ip("echo").data, dissect(FRAMES["echo"])
    assert (echo.data.id, echo.data.seq, echo.data.data) == (
        packet.icmp_id,
        packet.icmp_seq,
        packet.payload,
    )
    assert _dpkt_ip("udp").data.data == dissect(FRAMES["udp"]).payload


def test_dpkt_reads_the_same_arp() -> None:
    """The four addresses of a request, by an independent reader."""
    message, packet = _dpkt_ip("arp"), dissect(FRAMES["arp"])
    assert (message.op, message.sha.hex(":")) == (packet.arp_op, packet.arp_sha)
    assert dpkt.utils.inet_to_str(message.tpa) == packet.arp_tpa
