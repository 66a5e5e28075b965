"""Finding probes in frames: by token, and by what answers or quotes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.frame import Frame
from harness.sightings import Leg, Sightings, find
from tests.unit.wire import ACK, NOBODY, RST, SYN, Wire, mirror

TOKEN, OTHER = bytes(range(16)), bytes(range(16, 32))
ME, YOU = "02:42:ac:10:0a:0a", "02:42:ac:10:0a:0b"
IP: dict[str, Any] = {"src_ip": "172.16.10.10", "dst_ip": "172.16.10.11", "src_port": 40000}
ASK = Wire("arp", ME, "ff:ff:ff:ff:ff:ff", token=TOKEN, dst_ip="172.16.10.11")
PROBES = {
    "l2": Wire("l2", ME, YOU, token=TOKEN),
    "arp": ASK,
    "icmp": Wire("icmp", ME, YOU, token=TOKEN, **IP),
    "udp": Wire("udp", ME, YOU, token=TOKEN, **IP),
    "tcp": Wire("tcp", ME, YOU, token=TOKEN, **IP),
}
SENT = PROBES["tcp"]
ANSWER = mirror(SENT, YOU)


def frames(*wires: Wire | bytes, direction: str = "in") -> list[Frame]:
    """Frames at one tap, a nanosecond apart."""
    octets = [wire if isinstance(wire, bytes) else wire.octets() for wire in wires]
    return [Frame("bbox1", "eth0", direction, number, raw) for number, raw in enumerate(octets)]


def legs(*wires: Wire | bytes) -> list[tuple[int, str]]:
    """The number and leg of each frame that is found to be the probe's."""
    found = find(frames(*wires), [TOKEN.hex()]).by_token.get(TOKEN.hex(), [])
    return [(seen.number, seen.leg.value) for seen in found]


@pytest.mark.parametrize("tags", [(), (10,), (10, 20)])
@pytest.mark.parametrize("kind", PROBES)
def test_a_probe_and_its_answer(kind: str, tags: tuple[int, ...]) -> None:
    """Behind any tags, whichever frame came first."""
    probe = replace(PROBES[kind], tags=tags)
    answer = replace(mirror(PROBES[kind], YOU), tags=tags)
    assert legs(probe, answer) == [(0, "request"), (1, "reply")]
    assert sorted(legs(answer, probe)) == [(0, "reply"), (1, "request")]


@pytest.mark.parametrize("kind", PROBES)
def test_a_token_of_another_record_is_nobodys(kind: str) -> None:
    """A packet that was sent late says nothing of this stage."""
    late = replace(PROBES[kind], token=OTHER)
    found = find(frames(late), [TOKEN.hex()])
    assert not found.by_token
    assert found.foreign == ([0] if kind == "l2" else [])


def test_a_layer_2_frame_that_says_neither_is_neither() -> None:
    """The octet behind the token is 1 or 2; the token alone is a request still."""
    odd = replace(PROBES["l2"], operation=3)
    assert legs(odd) == [(0, "request")]
    assert find(frames(odd), [TOKEN.hex()]).foreign == []


@pytest.mark.parametrize(
    ("change", "tied"),
    [
        ({}, True),
        ({"src_ip": "172.16.10.12"}, False),
        ({"target_mac": YOU}, False),
        ({"dst_ip": "172.16.10.10"}, False),
        ({"operation": 3}, False),
    ],
)
def test_an_arp_reply_ties_by_target_and_asker(change: dict[str, Any], tied: bool) -> None:
    """And goes to nobody's address, as the request came from it (RFC 5227)."""
    answer = replace(mirror(ASK, YOU), **change)
    assert legs(ASK, answer) == [(0, "request"), *([(1, "reply")] if tied else [])]


def test_what_kernels_ask_and_hear() -> None:
    """Requests that leave a node, and replies that come in at it, by address."""
    ask = Wire("arp", ME, "ff:ff:ff:ff:ff:ff", src_ip="172.16.10.10", dst_ip="172.16.10.1")
    answer = replace(mirror(ask, YOU), dst_ip="172.16.10.10")
    out = find(frames(ask, answer, direction="out"), [])
    came = find(frames(ask, answer, direction="in"), [])
    assert (dict(out.asked), dict(out.answered)) == ({("bbox1", "172.16.10.1"): [0]}, {})
    assert (dict(came.asked), dict(came.answered)) == ({}, {("bbox1", "172.16.10.1"): [1]})


@pytest.mark.parametrize(
    ("change", "leg"),
    [
        ({}, "reply"),
        ({"ack": SENT.seq + 1}, "reply"),
        ({"ack": SENT.seq + 2}, None),
        ({"ack": 0}, None),
        ({"flags": RST | ACK}, "reset"),
        ({"flags": RST | ACK, "ack": SENT.seq + 1}, "reset"),
        ({"flags": RST | ACK, "ack": SENT.seq + 9}, None),
        ({"flags": ACK}, None),
        ({"src_port": 8}, None),
        ({"dst_port": 40001}, None),
        ({"src_ip": "172.16.10.12"}, None),
        ({"dst_ip": "172.16.10.12"}, None),
    ],
)
def test_a_tcp_answer_ties_by_connection_and_number(
    change: dict[str, Any], leg: str | None
) -> None:
    """Addresses, ports and what it acknowledges: the SYN, with or without its data."""
    expected = [(0, "request"), *([(1, leg)] if leg else [])]
    assert legs(SENT, replace(ANSWER, **change)) == expected


def test_sequence_numbers_wrap() -> None:
    """The largest number and one is 0."""
    last = replace(SENT, seq=0xFFFFFFFF)
    assert legs(last, replace(ANSWER, ack=0)) == [(0, "request"), (1, "reply")]
    assert legs(last, replace(ANSWER, ack=16)) == [(0, "request"), (1, "reply")]


def test_a_syn_that_was_sent_again_without_its_data_is_a_sighting() -> None:
    """RFC 7413, 4.1.3; one with another number is another connection's."""
    again = replace(SENT, token=b"")
    assert legs(SENT, again) == [(0, "request"), (1, "request")]
    assert legs(SENT, replace(again, seq=7)) == [(0, "request")]
    assert legs(SENT, replace(again, src_port=7)) == [(0, "request")]


def test_the_token_in_a_later_segment_is_a_sighting() -> None:
    """Data that the SYN-ACK did not take comes again behind the handshake."""
    data = replace(SENT, flags=ACK, seq=SENT.seq + 1)
    assert legs(SENT, data) == [(0, "request"), (1, "request")]
    assert legs(data) == [(0, "request")]


def test_a_connection_is_tied_on_both_sides_of_nat() -> None:
    """The SYN was seen with either address, so each SYN-ACK ties to what went there."""
    outside = replace(SENT, src_ip="172.16.20.1", src_port=50000, ttl=63)
    found = legs(SENT, outside, mirror(outside, YOU), ANSWER)
    assert found == [(0, "request"), (1, "request"), (2, "reply"), (3, "reply")]


@pytest.mark.parametrize("kind", ["icmp", "udp", "tcp"])
@pytest.mark.parametrize("octets", [576, 28])
def test_an_error_ties_by_what_it_quotes(kind: str, octets: int) -> None:
    """By the token, or (8 octets of TCP, as RFC 792 asks for) by connection and number."""
    quoted = Wire("icmp", YOU, ME, icmp=(3, 1), quoted=PROBES[kind], quoted_octets=octets,
                  src_ip="172.16.10.1", dst_ip="172.16.10.10")  # fmt: skip
    tied = octets > 28 or kind == "tcp"
    assert legs(PROBES[kind], quoted) == [(0, "request"), *([(1, "error")] if tied else [])]


def test_an_error_about_another_connection_is_not_ours() -> None:
    """The same addresses and ports, another number."""
    about = replace(SENT, seq=7, token=b"")
    error = Wire("icmp", YOU, ME, icmp=(3, 1), quoted=about, quoted_octets=28)
    assert legs(SENT, error) == [(0, "request")]


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff" * 12 + b"\x86\xdd" + b"\1" * 7 + TOKEN,
        Wire("raw", ME, YOU, body=b"\x88\xb5" + b"\0" + TOKEN).octets(),
        replace(PROBES["icmp"], icmp=(13, 0)).octets(),
        TOKEN,
    ],
    ids=["another ethertype", "another place", "another ICMP type", "nothing else"],
)
def test_a_token_is_found_anywhere_in_a_frame(raw: bytes) -> None:
    """Whatever became of the frame, it is the probe's own."""
    assert legs(raw) == [(0, "request")]


@pytest.mark.parametrize("raw", [b"", TOKEN[:15], b"\0" * 60])
def test_what_has_no_token_is_nobodys(raw: bytes) -> None:
    """Half a token is none."""
    assert legs(raw) == []


def test_an_answer_without_its_probe_is_nobodys() -> None:
    """A SYN-ACK or an ARP reply carries no token: it ties to what was seen, not to a guess."""
    assert legs(ANSWER) == legs(mirror(ASK, YOU)) == []


def test_a_udp_answer_comes_from_the_port() -> None:
    """What goes to port 7 is a request, what comes from it a reply."""
    answer = mirror(PROBES["udp"], YOU)
    assert answer.dst_port == 40000
    assert legs(answer) == [(0, "reply")]


def test_comments_name_the_probe_and_the_leg() -> None:
    """For each frame of a capture that is somebody's."""
    found = find(frames(SENT, b"", replace(ANSWER, flags=RST | ACK)), [TOKEN.hex()])
    assert found.comments({TOKEN.hex(): "a-cell"}) == {0: "a-cell (request)", 2: "a-cell (reset)"}


def test_a_sighting_says_where_and_when() -> None:
    """Place, time, leg, and the frame's fields."""
    found = find(frames(b"", PROBES["icmp"]), [TOKEN.hex()]).by_token[TOKEN.hex()][0]
    assert (str(found.point), found.t_ns, found.number) == ("bbox1:eth0 (in)", 1, 1)
    assert (found.leg, found.packet.ttl) == (Leg.REQUEST, 64)
    assert Sightings() == Sightings()
    assert (SYN, NOBODY) == (2, "0.0.0.0")  # noqa: S104 - the address of an ARP probe
