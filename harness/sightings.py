"""Find probes and what ties to them in captured frames.

A token in a frame is a sighting of its probe. Replies that carry no token tie by what they quote:
an ARP reply by target address and asker's MAC, a neighbour advertisement by target and the address
that its solicitation was made to come from, a SYN-ACK or RST by the connection's addresses and
ports and the SYN's sequence number, an ICMP error by the packet in it. All maps are of one record,
and tokens of other stages are not in them: a late packet is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from harness.flow import Point
from harness.frame import Frame, Packet, dissect
from harness.record import TOKEN_OCTETS

ETHERTYPE_PROBE = 0x88B5
"""IEEE 802's ethertype 1 for local experiments: the layer-2 probes."""
ETHERTYPE_ARP = 0x0806
ECHO_PORT = 7
"""RFC 862: where TCP and UDP probes go."""
SYN, RST, ACK = 0x02, 0x04, 0x10
"""RFC 9293."""
ECHO_REPLY, ECHO_REQUEST = 0, 8
"""RFC 792."""
NOBODY = "0.0.0.0"  # noqa: S104 - an address in an ARP probe (RFC 5227), not one to listen on
ECHO6_REQUEST, ECHO6_REPLY = 128, 129
"""RFC 4443."""
SOLICITATION, ADVERTISEMENT = 135, 136
"""RFC 4861."""
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
"""IANA's protocol numbers."""


class Leg(Enum):
    """Which way a sighting was going."""

    REQUEST = "request"
    REPLY = "reply"
    RESET = "reset"
    """A TCP RST."""
    ERROR = "error"
    """An ICMP error about the probe."""


class Sighting(NamedTuple):
    """A frame that belongs to a probe."""

    number: int
    """The frame's place in the record."""
    point: Point
    t_ns: int
    leg: Leg
    packet: Packet


@dataclass
class Sightings:
    """Every sighting of a record by token, and the ARP and NDP questions of the kernels."""

    by_token: dict[str, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """(node, address): when the node's kernel asked for it."""
    answered: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """(node, address): when an answer for it came in at the node."""
    foreign: list[int] = field(default_factory=list)
    """Numbers of probe frames whose token is none of this record's."""
    questions: list[tuple[Point, int, Packet]] = field(default_factory=list)
    """Where and when each ARP and NDP frame was seen."""

    def comments(self, ids: dict[str, str]) -> dict[int, str]:
        """What to write beside each frame of a capture; `ids` maps a token to its probe's id."""
        return {
            seen.number: f"{ids[token]} ({seen.leg.value})"
            for token, sightings in self.by_token.items()
            for seen in sightings
        }


TcpKey = tuple[str | None, int | None, str | None, int | None]
"""(source address, source port, destination address, destination port)"""


def find(frames: Iterable[Frame], tokens: Iterable[str]) -> Sightings:
    """Assign frames to the probes of `tokens` (hexadecimal)."""
    finder = _Finder({bytes.fromhex(token): token for token in tokens})
    later = [seen for seen in enumerate(frames) if not finder.carried(*seen)]
    for number, frame in later:
        finder.tied(number, frame)
    return finder.result


class _Finder:
    """Two passes: what carries a token first, because the rest ties to it."""

    def __init__(self, tokens: dict[bytes, str]) -> None:
        self.result = Sightings()
        self._tokens = tokens
        self._asking: dict[tuple[str | None, str | None], str] = {}
        """(target, MAC or IPv6 address of who asked): a probe that asks for a neighbour."""
        self._tcp: dict[TcpKey, tuple[str, int]] = {}
        self._packets: dict[int, Packet] = {}

    def carried(self, number: int, frame: Frame) -> bool:
        """Assign the frame by the token that it carries where one is looked for first."""
        packet = self._packets[number] = dissect(frame.raw)
        token = self._tokens.get((packet.nd_nonce or packet.payload)[:TOKEN_OCTETS])
        leg = _leg(packet)
        if token is None or leg is None:
            if packet.ethertype == ETHERTYPE_PROBE and token is None:
                self.result.foreign.append(number)
            return False
        if leg is Leg.REQUEST:
            self._remember(packet, token)
        self._add(number, frame, token, leg)
        return True

    def tied(self, number: int, frame: Frame) -> None:
        """Assign a frame by what it answers or quotes, else by a token anywhere in it."""
        packet = self._packets[number]
        if packet.arp_op or packet.nd_target:
            point = _point(frame.node, frame.interface, frame.direction)
            self.result.questions.append((point, frame.t_ns, packet))
        if packet.ethertype == ETHERTYPE_ARP:
            self._tied_arp(number, frame, packet)
        elif packet.nd_target:
            self._tied_ndp(number, frame, packet)
        elif packet.quoted:
            token = self._quoted(packet.quoted)
            if token:
                self._add(number, frame, token, Leg.ERROR)
        elif packet.tcp_flags is not None:
            self._tied_tcp(number, frame, packet)
        else:
            self._anywhere(number, frame)

    def _remember(self, packet: Packet, token: str) -> None:
        if packet.arp_op:
            self._asking[(packet.arp_tpa, packet.arp_sha)] = token
        elif packet.nd_target:
            self._asking[(packet.nd_target, packet.src_ip)] = token
        elif packet.tcp_seq is not None:
            self._tcp[_key(packet)] = (token, packet.tcp_seq)

    def _tied_arp(self, number: int, frame: Frame, packet: Packet) -> None:
        if packet.arp_op == 1 and frame.direction == "out" and packet.arp_tpa:
            self.result.asked[(frame.node, packet.arp_tpa)].append(frame.t_ns)
        elif packet.arp_op == 2 and packet.arp_spa:  # noqa: PLR2004 - ARP's reply, RFC 826
            if frame.direction == "in":
                self.result.answered[(frame.node, packet.arp_spa)].append(frame.t_ns)
            token = self._asking.get((packet.arp_spa, packet.arp_tha))
            if token and packet.arp_tpa == NOBODY:
                self._add(number, frame, token, Leg.REPLY)

    def _tied_ndp(self, number: int, frame: Frame, packet: Packet) -> None:
        place = (frame.node, str(packet.nd_target))
        if packet.icmp_type == SOLICITATION:
            if frame.direction == "out":
                self.result.asked[place].append(frame.t_ns)
            return
        if frame.direction == "in":
            self.result.answered[place].append(frame.t_ns)
        token = self._asking.get((packet.nd_target, packet.dst_ip))
        if token:
            self._add(number, frame, token, Leg.REPLY)

    def _tied_tcp(self, number: int, frame: Frame, packet: Packet) -> None:
        flags = packet.tcp_flags or 0
        if flags & (SYN | ACK | RST) == SYN:  # sent again without its data (RFC 7413, 4.1.3)
            token = self._connection(_key(packet), packet.tcp_seq)
            leg = Leg.REQUEST
        else:
            token = self._acknowledged(packet)
            leg = Leg.RESET if flags & RST else Leg.REPLY
        if token and (flags & (SYN | RST)):
            self._add(number, frame, token, leg)
        else:
            self._anywhere(number, frame)

    def _acknowledged(self, packet: Packet) -> str | None:
        """The probe whose SYN a segment acknowledges, with or without its data."""
        back = (packet.dst_ip, packet.dst_port, packet.src_ip, packet.src_port)
        ack = packet.tcp_ack or 0
        sequences = [(ack - octets) & 0xFFFFFFFF for octets in (1, 1 + TOKEN_OCTETS)]
        return next(filter(None, (self._connection(back, one) for one in sequences)), None)

    def _connection(self, key: TcpKey, sequence: int | None) -> str | None:
        token, first = self._tcp.get(key, (None, None))
        return token if first == sequence else None

    def _quoted(self, packet: Packet) -> str | None:
        token = self._tokens.get(packet.payload[:TOKEN_OCTETS])
        return token or self._connection(_key(packet), packet.tcp_seq)

    def _anywhere(self, number: int, frame: Frame) -> None:
        raw = frame.raw
        for start in range(len(raw) - TOKEN_OCTETS + 1):
            token = self._tokens.get(raw[start : start + TOKEN_OCTETS])
            if token:
                self._add(number, frame, token, Leg.REQUEST)
                return

    def _add(self, number: int, frame: Frame, token: str, leg: Leg) -> None:
        point = _point(frame.node, frame.interface, frame.direction)
        sighting = Sighting(number, point, frame.t_ns, leg, self._packets[number])
        self.result.by_token[token].append(sighting)


_point = lru_cache(maxsize=4096)(Point)
"""One value a place: what a run keeps of its hops is many sightings at few places."""


def _key(packet: Packet) -> TcpKey:
    return (packet.src_ip, packet.src_port, packet.dst_ip, packet.dst_port)


_ICMP_LEGS: dict[tuple[int | None, int], Leg] = {
    (ICMP, ECHO_REQUEST): Leg.REQUEST,
    (ICMP, ECHO_REPLY): Leg.REPLY,
    (ICMPV6, ECHO6_REQUEST): Leg.REQUEST,
    (ICMPV6, ECHO6_REPLY): Leg.REPLY,
    (ICMPV6, SOLICITATION): Leg.REQUEST,
}


def _leg(packet: Packet) -> Leg | None:
    """Which way a frame with a token at its usual place was going; None for neither."""
    if packet.ethertype == ETHERTYPE_PROBE:
        operation = packet.payload[TOKEN_OCTETS : TOKEN_OCTETS + 1]
        return {b"\x01": Leg.REQUEST, b"\x02": Leg.REPLY}.get(operation)
    if packet.arp_op:
        return Leg.REQUEST if packet.arp_op == 1 else None
    if packet.icmp_type is not None:
        return _ICMP_LEGS.get((packet.ip_proto, packet.icmp_type))
    if packet.ip_proto == UDP:
        return Leg.REQUEST if packet.dst_port == ECHO_PORT else Leg.REPLY
    if packet.tcp_flags is not None and packet.tcp_flags & (SYN | ACK | RST) == SYN:
        return Leg.REQUEST
    return None
