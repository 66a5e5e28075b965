"""A second opinion on a run, from its captures and the topology's YAML alone.

It shares no code with the harness: pcapng is read with struct, frames with dpkt, the file with
plain yaml, and what must happen is worked out anew. From report.json it takes only what was asked
(which cells, and the token of each); what is said of them there is compared at the end.
"""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import dpkt
import yaml

TOKEN_OCTETS = 16
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
"""Block types of draft-ietf-opsawg-pcapng: section header, interface, enhanced packet."""
NAME, FLAGS, RESOLUTION = 2, 2, 9
"""Its options if_name, epb_flags and if_tsresol."""
DIRECTIONS = {1: "in", 2: "out"}
PROBE_TYPE = b"\x88\xb5"
"""IEEE 802's ethertype 1 for local experiments."""
REPLY = 2
"""The octet behind the token in a layer-2 reply; a request has 1."""
ECHO_PORT = 7
SYN_ACK = 0x12
ICMP_OVERHEAD = 28
"""Octets of the IPv4 and ICMP headers."""
START_TTL = 64

Cell = Mapping[str, Any]
Spot = tuple[str, str, str]
"""(node, interface, direction)"""


# --- pcapng ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One captured frame; `block` is the number of its block in the file."""

    block: int
    spot: Spot
    t_ns: int
    raw: bytes


def blocks(octets: bytes) -> list[bytes]:
    """A little-endian pcapng file's blocks, whole."""
    found, start = [], 0
    while start < len(octets):
        (length,) = struct.unpack_from("<I", octets, start + 4)
        (again,) = struct.unpack_from("<I", octets, start + length - 4)
        if again != length:
            raise ValueError(f"the block at octet {start} gives its length as {length} and {again}")
        found.append(octets[start : start + length])
        start += length
    return found


def joined(parts: list[bytes]) -> bytes:
    """Blocks as a file of one section that says its own length; the inverse of `blocks`."""
    rest = b"".join(parts[1:])
    return parts[0][:16] + struct.pack("<q", len(rest)) + parts[0][24:] + rest


def frames(octets: bytes) -> list[Frame]:
    """The frames of a pcapng file."""
    interfaces: list[tuple[str, str]] = []
    found = []
    for number, block in enumerate(blocks(octets)):
        (kind,) = struct.unpack_from("<I", block)
        if kind == INTERFACE:
            options = dict(_options(block, 16))
            if options[RESOLUTION] != b"\x09":
                raise ValueError("time stamps are not in nanoseconds")
            node, _, interface = options[NAME].decode().partition(":")
            interfaces.append((node, interface))
        elif kind == PACKET:
            index, high, low, size, _ = struct.unpack_from("<5I", block, 8)
            raw = block[28 : 28 + size]
            (flags,) = struct.unpack("<I", dict(_options(block, 28 + size + -size % 4))[FLAGS])
            spot = (*interfaces[index], DIRECTIONS[flags & 3])
            found.append(Frame(number, spot, (high << 32) + low, raw))
    return found


def moved(block: bytes, octets: bytes, spot: Spot) -> bytes:
    """A frame's block as if the frame had been seen at another spot of the same file."""
    described = [one for one in blocks(octets) if struct.unpack_from("<I", one) == (INTERFACE,)]
    names = [dict(_options(one, 16))[NAME].decode() for one in described]
    index = struct.pack("<I", names.index(":".join(spot[:2])))
    (size,) = struct.unpack_from("<I", block, 20)
    options = dict(_options(block, 28 + size + -size % 4))
    way = {word: bits for bits, word in DIRECTIONS.items()}[spot[2]]
    old, new = (
        struct.pack("<HH", FLAGS, 4) + flags for flags in (options[FLAGS], bytes([way, 0, 0, 0]))
    )
    return (block[:8] + index + block[12:]).replace(old, new)


def _options(block: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    while start < len(block) - 4:
        code, length = struct.unpack_from("<HH", block, start)
        if code == 0:
            return
        yield code, block[start + 4 : start + 4 + length]
        start += 4 + length + -length % 4


# --- the model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What must happen to a probe; `vlans` are those in which it may be seen, in their order."""

    outcome: str
    vlans: tuple[int, ...]
    ttl: int | None = None
    source: str | None = None


class Model:
    """The topology as far as this reader knows networks."""

    def __init__(self, text: str) -> None:
        self.file: dict[str, Any] = yaml.safe_load(text)
        self.endpoints: dict[str, dict[str, Any]] = self.file["endpoints"]
        self.trunk: str = self.file["trunk"]["interface"]
        self.mtu: int = self.file["trunk"].get("mtu", 1500)
        self.gateway: dict[str, Any] = self.file.get("gateway") or {"host": None, "addresses": {}}

    def vlan(self, node: str, other: str) -> int:
        """The VLAN of an endpoint; a host is in the VLAN of the endpoint that it talks to."""
        return int(self.endpoints.get(node, self.endpoints.get(other, {}))["vlan"])

    def interface(self, node: str, other: str) -> str:
        """Where a probe between two nodes enters or leaves the first."""
        return "eth0" if node in self.endpoints else f"{self.trunk}.{self.vlan(node, other)}"

    def host(self, node: str) -> str:
        """The host that carries a node."""
        return str(self.endpoints[node]["host"]) if node in self.endpoints else node

    def address(self, node: str, other: str) -> str:
        """The address by which `other` knows a node."""
        if node in self.endpoints:
            return str(self.endpoints[node]["address"])
        return str(self.gateway["addresses"][self.vlan(node, other)])

    def where(self, frame: Frame, tags: tuple[int, ...]) -> int | None:
        """The VLAN in which a frame was seen: on the trunk by its tag, elsewhere by the place."""
        node, interface, _ = frame.spot
        if node in self.endpoints:
            return int(self.endpoints[node]["vlan"])
        if interface.startswith(f"{self.trunk}."):
            return int(interface.partition(".")[2])
        return tags[0] if tags and self.is_trunk(frame.spot) else None

    def is_trunk(self, spot: Spot) -> bool:
        """Whether frames carry the VLAN's tag there."""
        return spot[1] == self.trunk or spot[0] == "switch"

    def expected(self, cell: Cell) -> Expected:
        """What must happen to a cell's probe."""
        src, dst, (kind, _, argument) = cell["src"], cell["dst"], cell["probe"].partition(":")
        near, far = self.vlan(src, dst), self.vlan(dst, src)
        is_ip = kind in ("icmp", "tcp", "udp")
        if src not in self.endpoints and dst in self.endpoints and self.host(dst) == src:
            return Expected("silent", (near,))
        if near != far and not is_ip:
            return Expected("silent", (near,))
        if near != far and cell["stage"] != "routed":
            return Expected("no-neighbour", (near,))
        if argument and is_ip and int(argument) > self.mtu - ICMP_OVERHEAD:
            return Expected("too-big", (near,))
        if not is_ip:
            return Expected("reached", (near,))
        return self._routed(cell, near, far) if near != far else self._direct(cell, near)

    def _direct(self, cell: Cell, vlan: int) -> Expected:
        source = self.address(cell["src"], cell["dst"])
        return Expected("reached", (vlan,), START_TTL, source)

    def _routed(self, cell: Cell, near: int, far: int) -> Expected:
        forward = self.gateway.get("forward", {})
        if forward.get("policy") == "DROP" and [near, far] not in forward.get("between", []):
            return Expected("silent", (near,))
        source = self.address(cell["src"], cell["dst"])
        if far in self.gateway.get("masquerade", []):
            source = str(self.gateway["addresses"][far])
        return Expected("reached", (near, far), START_TTL - 1, source)


# --- what the captures say ------------------------------------------------------------------------


@dataclass(frozen=True)
class Sighting:
    """A frame of a probe."""

    frame: Frame
    tags: tuple[int, ...]
    packet: Any
    """What dpkt makes of it: ARP, IP, or octets."""

    @property
    def ttl(self) -> int | None:
        """The time to live, of an IP packet."""
        return self.packet.ttl if isinstance(self.packet, dpkt.ip.IP) else None


@dataclass
class Capture:
    """One stage's frames, by token and by what the kernels asked and answered."""

    requests: dict[bytes, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    replies: dict[bytes, set[Spot]] = field(default_factory=lambda: defaultdict(set))
    asked: set[tuple[Spot, str]] = field(default_factory=set)
    """(where, address) of ARP requests that a kernel sent for itself."""
    answered: set[tuple[Spot, str]] = field(default_factory=set)
    """(where, address) of ARP replies."""
    arp_replies: set[tuple[Spot, str, bytes]] = field(default_factory=set)
    """(where, address, asker's MAC) of ARP replies to nobody's address."""
    syn_acks: set[tuple[Spot, tuple[bytes, int, bytes, int], int]] = field(default_factory=set)
    """(where, addresses and ports as the SYN had them, acknowledgement number)"""

    @classmethod
    def read(cls, octets: bytes, tokens: Iterable[bytes]) -> Capture:
        """Sort a capture's frames."""
        known, found = frozenset(tokens), cls()
        for frame in frames(octets):
            ethernet = dpkt.ethernet.Ethernet(frame.raw)
            tags = tuple(tag.id for tag in getattr(ethernet, "vlan_tags", ()))
            packet = ethernet.data
            token = _token(frame.raw, known)
            if token and _is_reply(ethernet, frame.raw, token):
                found.replies[token].add(frame.spot)
            elif token:
                found.requests[token].append(Sighting(frame, tags, packet))
            elif isinstance(packet, dpkt.arp.ARP):
                found._arp(frame.spot, packet)
            elif isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.tcp.TCP):
                found._tcp(frame.spot, packet, packet.data)
        return found

    def _arp(self, spot: Spot, packet: Any) -> None:
        if packet.op == dpkt.arp.ARP_OP_REQUEST:
            self.asked.add((spot, _dotted(packet.tpa)))
        elif packet.tpa == bytes(4):
            self.arp_replies.add((spot, _dotted(packet.spa), packet.tha))
        else:
            self.answered.add((spot, _dotted(packet.spa)))

    def _tcp(self, spot: Spot, packet: Any, segment: Any) -> None:
        if segment.flags & SYN_ACK == SYN_ACK:
            back = (packet.dst, segment.dport, packet.src, segment.sport)
            self.syn_acks.add((spot, back, segment.ack))

    def replied(self, token: bytes, source: Spot) -> bool:
        """Whether a reply that ties to the probe came in at its source."""
        back: Spot = (*source[:2], "in")
        if back in self.replies.get(token, ()):
            return True
        left = [seen for seen in self.requests.get(token, ()) if seen.frame.spot == source]
        return any(self._tied(seen.packet, back) for seen in left)

    def _tied(self, packet: Any, back: Spot) -> bool:
        if isinstance(packet, dpkt.arp.ARP):
            return (back, _dotted(packet.tpa), packet.sha) in self.arp_replies
        if not isinstance(packet, dpkt.ip.IP) or not isinstance(packet.data, dpkt.tcp.TCP):
            return False
        segment = packet.data
        key = (packet.src, segment.sport, packet.dst, segment.dport)
        acknowledged = ((segment.seq + more) % 2**32 for more in (1, 1 + TOKEN_OCTETS))
        return any((back, key, number) in self.syn_acks for number in acknowledged)


def _token(raw: bytes, known: frozenset[bytes]) -> bytes | None:
    """The token that a frame carries, wherever it is in it."""
    windows = (raw[at : at + TOKEN_OCTETS] for at in range(14, len(raw) - TOKEN_OCTETS + 1))
    return next((window for window in windows if window in known), None)


def _is_reply(ethernet: Any, raw: bytes, token: bytes) -> bool:
    packet = ethernet.data
    if not isinstance(packet, dpkt.ip.IP):
        at = raw.index(token)
        return raw[at - 2 : at] == PROBE_TYPE and raw[at + TOKEN_OCTETS] == REPLY
    inner = packet.data
    if isinstance(inner, dpkt.icmp.ICMP):
        return bool(inner.type != dpkt.icmp.ICMP_ECHO)
    return isinstance(inner, dpkt.udp.UDP) and inner.dport != ECHO_PORT


def _dotted(octets: bytes) -> str:
    return ".".join(map(str, octets))


# --- the opinion ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opinion:
    """What this reader holds of a cell."""

    outcome: str
    verdict: str
    why: str
    source: str | None = None
    ttl: int | None = None
    tags: tuple[int, ...] = ()
    """The outer tags with which it was seen on the trunk."""


def opinions(run: Path, topology: str) -> dict[str, Opinion]:
    """An opinion on every cell that report.json names; `topology` is the YAML's text."""
    cells: list[Cell] = json.loads((run / "report.json").read_text())["cells"]
    model = Model(topology)
    found: dict[str, Opinion] = {}
    for stage in sorted({cell["stage"] for cell in cells}):
        mine = [cell for cell in cells if cell["stage"] == stage]
        octets = (run / "captures" / f"{stage}.pcapng").read_bytes()
        capture = Capture.read(octets, (bytes.fromhex(cell["token"]) for cell in mine))
        looks = [_Look(model, capture, cell) for cell in mine]
        found |= {look.cell["id"]: look.opinion(looks) for look in looks}
    return found


def disagreements(run: Path, topology: str) -> list[str]:
    """Where report.json says something else than the captures do, each with its cell's id."""
    found = []
    held, model = opinions(run, topology), Model(topology)
    for cell in json.loads((run / "report.json").read_text())["cells"]:
        mine, path = held[cell["id"]], cell["path"]
        arrived = bool(path) and cell["lost_at"] is None
        on_trunk = {hop["vlan"] for hop in path if model.is_trunk(_spot(hop))}
        compared = {
            "verdict": (cell["verdict"], mine.verdict),
            "expected": (cell["expected"], model.expected(cell).outcome),
            "observed": (cell["observed"], mine.outcome),
            "source": (cell["seen_source"], mine.source),
            "TTL": (path[-1]["ttl"] if arrived else None, mine.ttl),
            "tags": (on_trunk, set(mine.tags) if arrived else on_trunk),
            "times in order": (_in_order(path) and (cell["rtt_ms"] or 0) >= 0, True),
        }
        found += [
            f"{cell['id']}: {what}: {theirs} in report.json, {ours} by the captures: {mine.why}"
            for what, (theirs, ours) in compared.items()
            if theirs != ours
        ]
    return found


def _in_order(path: list[Cell]) -> bool:
    """Whether each hop of a path is no earlier than the one before it."""
    return all(near["t_us"] <= far["t_us"] for near, far in pairwise(path))


def _spot(hop: Mapping[str, str]) -> Spot:
    return hop["node"], hop["interface"], hop["direction"]


class _Look:
    """One cell against one capture."""

    def __init__(self, model: Model, capture: Capture, cell: Cell) -> None:
        self.cell, self._model, self._capture = cell, model, capture
        src, dst = cell["src"], cell["dst"]
        self.expected = model.expected(cell)
        self._token = bytes.fromhex(cell["token"])
        self._source: Spot = (src, model.interface(src, dst), "out")
        self._target: Spot = (dst, model.interface(dst, src), "in")
        self._seen = capture.requests.get(self._token, [])
        self.arrivals = [seen for seen in self._seen if seen.frame.spot == self._target]
        self.left = [seen for seen in self._seen if seen.frame.spot == self._source]

    def opinion(self, others: list[_Look]) -> Opinion:
        """The outcome, and whether it is proved to be the expected one."""
        outcome = self._outcome()
        verdict, why = self._ruling(outcome, others)
        first = self.arrivals[0] if self.arrivals else None
        on_trunk = [seen for seen in self._seen if self._model.is_trunk(seen.frame.spot)]
        is_ip = first is not None and isinstance(first.packet, dpkt.ip.IP)
        return Opinion(
            outcome,
            verdict,
            why,
            _dotted(first.packet.src) if first and is_ip else None,
            first.ttl if first else None,
            tuple(seen.tags[0] for seen in on_trunk if seen.tags),
        )

    def _outcome(self) -> str:
        if self.arrivals and self._capture.replied(self._token, self._source):
            return "reached"
        if self.left:
            return "silent"
        return "inconclusive" if self._seen else self._not_left()

    def _not_left(self) -> str:
        """Nothing of it was seen anywhere: its kernel kept it, for a reason that may show."""
        kind, _, argument = self.cell["probe"].partition(":")
        if kind == "icmp" and argument and int(argument) > self._model.mtu - ICMP_OVERHEAD:
            return "too-big"
        node = self.cell["src"]
        if node not in self._model.endpoints:
            return "inconclusive"
        vlan = self._model.file["vlans"][self._model.endpoints[node]["vlan"]]
        hop, into = str(vlan["gateway"]), (*self._source[:2], "in")
        asked = (self._source, hop) in self._capture.asked
        return (
            "no-neighbour"
            if asked and (into, hop) not in self._capture.answered
            else "inconclusive"
        )

    def _ruling(self, outcome: str, others: list[_Look]) -> tuple[str, str]:
        stray = next((seen for seen in self._seen if self._is_stray(seen)), None)
        if stray:
            return "fail", f"it was at {stray.frame.spot} with tags {stray.tags}"
        if outcome == "inconclusive":
            return "unproved", "it was not seen leaving"
        if outcome != self.expected.outcome:
            return "fail", f"it must be {self.expected.outcome}"
        if outcome == "reached":
            return self._reached()
        control = next((one for one in others if self._vouches(one)), None)
        if control is None:
            return "unproved", "nothing of its class arrived after it"
        return "pass", f"{control.cell['id']} arrived after it"

    def _reached(self) -> tuple[str, str]:
        first = self.arrivals[0]
        source = self.expected.source
        if source and (first.ttl, _dotted(first.packet.src)) != (self.expected.ttl, source):
            return "fail", "it arrived with another TTL or source"
        spots = [seen.frame.spot for seen in self._seen if self._model.is_trunk(seen.frame.spot)]
        tags = {seen.tags[:1] for seen in self._seen if self._model.is_trunk(seen.frame.spot)}
        if self._shares_parent():
            return "pass", "it arrived and was answered, without the trunk"
        if tags != {(vlan,) for vlan in self.expected.vlans}:
            return "fail", f"on the trunk it had the tags {tags}"
        hosts = [self._model.host(self.cell[end]) for end in ("src", "dst")]
        ends = {(hosts[0], self._model.trunk, "out"), (hosts[1], self._model.trunk, "in")}
        if not ends <= set(spots):
            return "fail", "it was not seen on both ends of the trunk"
        return "pass", "it arrived and was answered"

    def _shares_parent(self) -> bool:
        src, dst = self.cell["src"], self.cell["dst"]
        return self._model.host(src) == self._model.host(dst) and len(self.expected.vlans) == 1

    def _is_stray(self, seen: Sighting) -> bool:
        """Whether a frame is in a VLAN where it must not be, or leaves a node without a part."""
        vlan = self._model.where(seen.frame, seen.tags)
        if vlan not in self.expected.vlans:
            return True
        if vlan != self.expected.vlans[0] and seen.ttl != START_TTL - 1:
            return True
        src, node = self.cell["src"], seen.frame.spot[0]
        parts = {src, self._model.host(src), "switch"}
        if len(self.expected.vlans) > 1:
            parts.add(self._model.gateway["host"])
        return seen.frame.spot[2] == "out" and node not in parts

    def _vouches(self, other: _Look) -> bool:
        """Whether another probe shows that this one, had it been sent on, would have been seen."""
        alike = other._class() == self._class() and other._target == self._target
        foreign = other._model.host(other.cell["src"]) != self._model.host(self.cell["dst"])
        if not (alike and foreign and other.arrivals):
            return False
        since = self.left[0].frame.t_ns if self.left else 0
        return other.arrivals[0].frame.t_ns > since

    def _class(self) -> tuple[str, bool]:
        kind, _, argument = self.cell["probe"].partition(":")
        return kind, bool(argument) and kind.startswith("l2-")
