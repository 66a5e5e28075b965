"""The words of the harness as frozen values: probe, cell, hop, observation, judgement.

A *cell* is the unit of every result: stage x source x destination x probe. What is expected of it
comes from the model (`matrix`), what happened from captures (`sightings`, `path`), and `verdict`
compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from harness.causes import Cause


class Stage(StrEnum):
    """The stages of a lab, in the order in which a run goes through them."""

    ISOLATED = "isolated"
    ROUTED = "routed"
    UNDONE = "undone"


class Outcome(StrEnum):
    """What happened to a probe. "No reply" has many reasons; each has its own word."""

    REACHED = "reached"
    """The token arrived at the destination and a tied reply came back."""
    REFUSED = "refused"
    """The destination itself said no: a TCP RST or an ICMP port unreachable of its own."""
    REJECTED = "rejected"
    """Something on the way said no: an ICMP error that a router or a filter rule sent."""
    SILENT = "silent"
    """The probe left the source and nothing came back."""
    NO_NEIGHBOUR = "no-neighbour"
    """The next hop answered no ARP request (or solicitation), so the probe never left."""
    NO_ROUTE = "no-route"
    """The source (or a router) had no route to the destination."""
    TOO_BIG = "too-big"
    """The packet was larger than an MTU on the way and must not be fragmented."""
    NOT_SENT = "not-sent"
    """The source's kernel refused to send for another reason; its errno is recorded."""
    INCONCLUSIVE = "inconclusive"
    """The observations do not say what happened."""


class Ruling(StrEnum):
    """What a cell's observation is worth against its expectation."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNPROVED = "unproved"
    """It could not be told. Never a pass."""


class Family(StrEnum):
    """The question that a cell belongs to; suites select cells by it."""

    SAME_VLAN = "same-vlan"
    CROSS_VLAN_L2 = "cross-vlan-l2"
    CROSS_VLAN_L3 = "cross-vlan-l3"
    GATEWAY_ADDRESS = "gateway-address"
    COLD = "cold"
    PARENT = "parent"
    OWN_TAG = "own-tag"
    MTU = "mtu"


L2_KINDS = ("arp", "l2-unicast", "l2-broadcast", "l2-multicast")
L3_KINDS = ("icmp", "tcp", "udp")
IPV6_L2_KINDS = ("ndp",)
IPV6_L3_KINDS = ("icmp6", "tcp6", "udp6")
"""The kinds that only pairs with IPv6 addresses have: asked for beside the others, never instead.
A neighbour solicitation is an IPv6 packet, but like ARP it does not care about routes.
"""
RELAY = "relay"
"""An echo request that a neighbour is handed for somebody else, to see if it passes it on. Only a
container that is in several VLANs is asked so; the destination is the leg that it must not leave
by."""
KINDS = (*L2_KINDS, *L3_KINDS, *IPV6_L2_KINDS, *IPV6_L3_KINDS, RELAY)


@dataclass(frozen=True, order=True, slots=True)
class Probe:
    """What is sent: a kind, and after a colon a size (icmp, icmp6) or an 802.1Q tag (l2-*).

    `icmp:1472` is an echo request with 1472 octets of data and the DF bit, `icmp6:1452` one over
    IPv6, which its source may not fragment; `l2-broadcast:20` is a broadcast frame in which the
    sender put a tag of its own with VLAN id 20.
    """

    kind: str
    argument: int | None = None

    def __str__(self) -> str:
        return self.kind if self.argument is None else f"{self.kind}:{self.argument}"

    @classmethod
    def parse(cls, text: str) -> Probe:
        """Read the form that `str()` writes; ValueError if it is not of that form."""
        kind, colon, argument = text.partition(":")
        if kind not in KINDS:
            raise ValueError(f"unknown probe {kind!r}")
        made = cls(kind, int(argument) if colon else None)
        if str(made) != text:
            raise ValueError(f"unknown probe {text!r}")
        return made

    @property
    def is_layer2(self) -> bool:
        """Whether the probe does not care about IP routes."""
        return self.kind in L2_KINDS + IPV6_L2_KINDS

    @property
    def is_ipv6(self) -> bool:
        """Whether the probe goes to an IPv6 address; the others go to an IPv4 one, or to none."""
        return self.kind in IPV6_L2_KINDS + IPV6_L3_KINDS

    @property
    def frame_class(self) -> str:
        """Frames of one class keep their order on one machine (macvlan queues broadcasts).

        The class is the kind of destination MAC, the ethertype and whether the frame has a tag of
        its own: what a control must share with the probe that it vouches for.
        """
        own_tag = self.is_layer2 and self.argument is not None
        return f"{self.kind}+tag" if own_tag else self.like

    @property
    def like(self) -> str:
        """The kind whose frames are as this one's: what can vouch for it, and answers it."""
        return "icmp" if self.kind == RELAY else self.kind


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the model says of a cell, and why."""

    outcome: Outcome
    why: str
    via: tuple[str, ...] = ()
    """The routers on the way, in order."""
    ttl: int | None = None
    """The TTL that the destination must see; None where the probe has none or nothing arrives."""
    seen_source: str | None = None
    """The source address that the destination must see; None likewise."""
    next_hop: str | None = None
    """The address whose neighbour entry decides a `no-neighbour`."""
    vlans: tuple[int, ...] = ()
    """The VLAN of each segment of a way through routers: one more than there are routers."""
    arrives: bool = False
    """Whether it arrives all the same, where the outcome is `silent`: its reply gets lost."""
    lands: str | None = None
    """The leg of the destination's container where it arrives, if that is not the destination: a
    Linux host takes what is for any address of its own, and answers ARP for it, on every leg."""
    unanswered: bool = False
    """Whether its reply does not even leave the destination, which has no route for it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One question: in this stage, what becomes of this probe from `src` to `dst`."""

    stage: Stage
    src: str
    dst: str
    probe: Probe
    family: Family
    expectation: Expectation = field(compare=False)

    @property
    def id(self) -> str:
        """Stable name, used in test ids, reports and captures."""
        return f"{self.stage}-{self.src}-to-{self.dst}-{self.probe}"

    @property
    def arrival(self) -> str:
        """The node where the probe arrives, if it does: mostly the destination."""
        return self.expectation.lands or self.dst


class Point(NamedTuple):
    """A place where a frame can be seen: an interface of a node, and the frame's direction."""

    node: str
    interface: str
    direction: str
    """`in` (towards the node's stack) or `out` (leaving it)."""

    def __str__(self) -> str:
        return f"{self.node}:{self.interface} ({self.direction})"


SOCKET = "socket"
"""Where a point has this for an interface, it is behind all of them and the node's own rules: the
last place that a reply must get to."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One sighting of a token at a tap. Addresses are as on the wire there; `t_ns` is absolute."""

    point: Point
    vlan: int | None
    src_mac: str
    dst_mac: str
    src_ip: str | None
    dst_ip: str | None
    ttl: int | None
    t_ns: int


@dataclass(frozen=True, slots=True)
class Absent:
    """An endpoint that was not there to be asked, or did not stay while it was."""

    node: str
    code: str
    """`container-not-running` or `network-missing`: the cause of whatever fails for it."""
    why: str
    """Container, host, state and exit code, in a sentence."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the captures, the send log and the neighbour tables say of one probe."""

    outcome: Outcome
    detail: str
    """What the outcome rests on, in words: an errno, an ICMP type, a neighbour state."""
    left: bool
    """Whether the probe (for `no-neighbour`: the request for its next hop) was seen leaving."""
    arrived: bool
    """Whether the token was seen at the destination's interface, inbound."""
    answered: bool = False
    """Whether a tied reply was seen leaving the destination."""
    path: tuple[Hop, ...] = ()
    """The sightings on the modelled path, in its order."""
    strays: tuple[Hop, ...] = ()
    """Sightings where the token must not be."""
    missing: tuple[Point, ...] = ()
    """Points of the modelled path where the token was not seen."""
    lost_at: Point | None = None
    """The first point of the modelled path where the token was not seen any more; where it arrived
    in silence, the first of the way back where its reply was not seen."""
    seen_source: str | None = None
    seen_ttl: int | None = None
    rtt_ms: float | None = None
    gone: tuple[Absent, ...] = ()
    """The ends of the cell that were not there."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The points of the proof rule for one cell; `control` names the cell that vouches."""

    left: bool
    absent: bool
    control: str | None
    taps_lossless: bool
    outcome: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judged cell."""

    cell: Cell
    observation: Observation
    ruling: Ruling
    why: str
    proof: Proof
    token: str
    attempts: int = 1
    evidence: tuple[str, ...] = ()
    cause: Cause | None = None
    """Why it is no pass; None for one that is, and where nobody has asked yet."""

    @property
    def ok(self) -> bool:
        """True for a pass only: what could not be told is not ok."""
        return self.ruling is Ruling.PASS

    @property
    def reached(self) -> bool:
        """The token arrived and a tied reply came back, expected or not."""
        return self.observation.outcome is Outcome.REACHED

    @property
    def blocked(self) -> bool:
        """It was to be blocked, and it is proved that it was: silence alone is never enough."""
        return self.ok and self.cell.expectation.outcome is not Outcome.REACHED

    def explain(self) -> str:
        """The cell, what was expected and seen, and where the token was last seen."""
        seen = self.observation
        lines = [
            f"{self.cell.id}: {self.ruling}: {self.why}",
            f"  expected {self.cell.expectation.outcome} ({self.cell.expectation.why})",
            f"  observed {seen.outcome} ({seen.detail})",
        ]
        if seen.path:
            lines.append(f"  last seen at {seen.path[-1].point}")
        if seen.lost_at:
            lines.append(f"  lost before {seen.lost_at}")
        lines += [f"  also seen at {hop.point}, VLAN {hop.vlan}" for hop in seen.strays]
        if self.cause:
            lines.append(f"  cause {self.cause.code}: {self.cause.detail}")
        return "\n".join(lines)
