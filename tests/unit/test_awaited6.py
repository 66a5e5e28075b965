"""The IPv6 frames that a worker makes, and the replies that it waits for."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace
from typing import Any

import pytest

from harness.frame import dissect
from harness.worker import wire
from tests.unit.wire import ACK, RST, SYN, Wire, mirror

TOKEN, OTHER = bytes(range(16)), bytes(range(16, 32))
ME, YOU = "02:42:ac:10:0a:0a", "02:42:ac:10:0a:0b"
TARGET = "2001:db8:10::11"
IP: dict[str, Any] = {"src_ip": "2001:db8:10::10", "dst_ip": TARGET}
ASK = wire.solicitation(wire.mac(ME), TARGET, TOKEN)
PINGED = Wire("icmp", ME, YOU, token=TOKEN, icmp=(128, 0), **IP)
SENT = Wire("udp", ME, YOU, token=TOKEN, src_port=40000, **IP)
OPENED = Wire("tcp", ME, YOU, token=TOKEN, src_port=40000, **IP)
ADVERTISED = Wire("ndp", YOU, ME, operation=2, src_ip=TARGET, dst_ip="fe80::1:203:405:607")


def test_a_solicitation_comes_from_an_address_that_its_token_makes() -> None:
    """With hop limit 255, to the group of its target, the token in the nonce."""
    packet = dissect(ASK)
    assert (packet.src_mac, packet.dst_mac) == (ME, "33:33:ff:00:00:11")
    assert (packet.src_ip, packet.dst_ip) == ("fe80::1:203:405:607", "ff02::1:ff00:11")
    assert (packet.icmp_type, packet.ttl, packet.nd_target) == (135, 255, TARGET)
    assert (packet.nd_mac, packet.nd_nonce) == (ME, TOKEN + bytes(6))


def test_a_solicitation_has_its_checksum() -> None:
    """Over the pseudo header too (RFC 8200, section 8.1): a kernel takes no other."""
    body, ends = ASK[54:], ASK[22:54]
    octets = ends + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6) + body
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_an_echo_request_is_as_long_as_it_is_asked_for() -> None:
    """The token first; the kernel puts in the checksum."""
    echo = wire.icmp6_echo(7, 9, TOKEN, 1452)
    assert (echo[:8], len(echo)) == (b"\x80\0\0\0\0\x07\0\x09", 1460)
    assert echo[8:24] == wire.icmp6_echo(7, 9, TOKEN, None)[8:] == TOKEN


def awaiting() -> wire.Awaited:
    """One probe of each kind is awaited at bbox1: all have the token, so one after the other."""
    made = wire.Awaited()
    made.ndp("bbox1", TOKEN, TARGET)
    made.tcp("bbox1", TOKEN, TARGET, (7, 40000))
    made.token("bbox1", TOKEN)
    return made


ANSWERS = {
    "advertisement": ADVERTISED,
    "echo": mirror(PINGED, YOU),
    "datagram": mirror(SENT, YOU),
    "syn-ack": mirror(OPENED, YOU),
    "reset": replace(mirror(OPENED, YOU), flags=RST | ACK),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_reply_ends_the_wait(name: str) -> None:
    """At the node where it must come in, and at no other."""
    awaited = awaiting()
    awaited.seen("bbox2", ANSWERS[name].octets())
    assert list(awaited.pending) == [TOKEN]
    awaited.seen("bbox1", ANSWERS[name].octets())
    assert not awaited.pending


OTHERS = {
    "another target": replace(ADVERTISED, src_ip="2001:db8:10::12"),
    "to all nodes": replace(ADVERTISED, dst_ip="ff02::1"),
    "another token": replace(ANSWERS["echo"], token=OTHER),
    "a request": PINGED,
    "no syn": replace(ANSWERS["syn-ack"], flags=1),
    "another port": replace(ANSWERS["syn-ack"], dst_port=40001),
    "a solicitation": replace(ADVERTISED, operation=1),
    "another protocol": Wire("raw", YOU, ME, body=b"\x86\xdd\x60" + bytes(5) + b"\x59" + bytes(60)),
    "cut": Wire("raw", YOU, ME, body=b"\x86\xdd"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_reply_does_not(name: str) -> None:
    """Another's answer, a question, a frame too short to be one."""
    awaited = awaiting()
    awaited.seen("bbox1", OTHERS[name].octets())
    assert list(awaited.pending) == [TOKEN]
    assert OPENED.flags == SYN
