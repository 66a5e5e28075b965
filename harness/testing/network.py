"""How frames move: macvlan interfaces, VLAN sub-interfaces, the trunk, the switch between hosts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from harness.flow import Point
from harness.frame import dissect
from harness.testing.faults import Faults, Passing, Tap
from harness.testing.frames import tagged, untagged
from harness.testing.state import Blocks, Link, State

TICK_NS = 1_000
"""What a frame needs from one point to the next."""
ETHERNET_OCTETS, TAG_OCTETS = 14, 4
"""An Ethernet header, and the 802.1Q tag: a veth takes one more than its frames have."""
LATE_NS = 10_000_000_000
"""How long after its time a late frame is seen."""

Sighting = tuple[int, int, int, bytes]
"""(tap's number, time in ns of the epoch, 1 if outgoing, the frame), as a worker's taps have it."""


@dataclass
class Clock:
    """Time that goes on only when something happens."""

    now_ns: int = 1_800_000_000_000_000_000

    def tick(self) -> int:
        """The next moment."""
        self.now_ns += TICK_NS
        return self.now_ns


class Network:
    """The wires of a lab, with a tap at each of `taps`. The switch knows every MAC address."""

    def __init__(self, state: State, faults: Faults, taps: list[Tap], clock: Clock) -> None:
        self.state, self.faults, self.clock = state, faults, clock
        self.sightings: list[Sighting] = []
        self.probe = ""
        """The id of the probe that frames are under way for."""
        self.receive: Callable[[str, Link, bytes], None] = lambda *_: None
        """What a node's stack does with a frame that came in at one of its interfaces."""
        self.watch: Callable[[str, bytes], None] = lambda *_: None
        """What is made of a frame that came in at a node, whether or not the node takes it."""
        self._numbers = {(state.real(at), name): number for number, (at, name) in enumerate(taps)}
        self._leaking = False
        self._queued: deque[tuple[str, Link, bytes]] = deque()
        """Group frames that macvlan hands to its interfaces when all else is done."""
        self._sending = 0

    def send(self, node: str, interface: str, raw: bytes) -> None:
        """Send a frame out of a node's interface, and carry it wherever it goes."""
        self._sending += 1
        self._send(node, interface, raw)
        while self._sending == 1 and self._queued:
            self._arrive(*self._queued.popleft())
        self._sending -= 1

    def _send(self, node: str, interface: str, raw: bytes) -> None:
        link = self.state.link((node, interface))
        on = self.state.link(link.parent) if link.kind == "macvlan" and link.parent else link
        if not link.up or not on.up or _lost(link.loses_out, raw):
            return
        raw = _retagged(link.retags_out, raw)
        if not self._passes(node, link, "out", raw):
            return
        if link.kind == "macvlan" and link.parent:
            self._from_macvlan(node, link.parent, raw)
        elif link.kind == "vlan" and link.parent:
            self.send(*link.parent, tagged(raw, link.vlan or 0))
        elif link.parent and link.port:
            self._over_wire(link.parent, raw)
        elif link.parent:
            self._into_switch(*link.parent, raw)

    def see(self, tap: Tap, direction: str, raw: bytes, delay_ns: int = 0) -> None:
        """Let a tap see a frame, if there is one that can."""
        time_ns = self.clock.tick() + delay_ns
        if tap in self._numbers and tap not in self.faults.blind:
            number = self._numbers[tap]
            self.sightings.append((number, time_ns, int(direction == "out"), raw))

    def _passes(self, node: str, link: Link, direction: str, raw: bytes) -> bool:
        """Let a frame pass a point; False if it is lost before."""
        passing = Passing(self.probe, Point(node, link.name, direction), raw)
        if self.faults.lose(passing):
            return False
        if not self.faults.unseen(passing):
            delay_ns = LATE_NS if self.faults.late(passing) else 0
            self.see((node, link.name), direction, raw, delay_ns)
        leak = None if self._leaking else self.faults.leak(passing)
        if leak:
            self._leaking = True
            self._arrive(leak[0], self.state.link(leak), raw)
            self._leaking = False
        return True

    def _arrive(self, node: str, link: Link, raw: bytes) -> None:
        """A frame comes in at an interface."""
        if not link.up or not self._passes(node, link, "in", raw):
            return
        self.watch(node, raw)
        if _lost(link.loses_in, raw):
            return
        self._inside(node, link, _retagged(link.retags_in, raw))

    def _inside(self, node: str, link: Link, raw: bytes) -> None:
        """To what is on an interface: a sub-interface, macvlan interfaces, the node's own stack."""
        vlan, inner = untagged(raw)
        for name, sub in self.state.children((node, link.name), "vlan"):
            if sub.vlan == vlan:
                self._arrive(name, sub, inner)
                return
        children = self.state.children((node, link.name), "macvlan")
        taken = _taken(children, raw)
        for name, child in children:
            if child in taken and _is_group(raw):
                self._queued.append((name, child, raw))
            elif child in taken:
                self._arrive(name, child, raw)
        if _wants(link, raw) and not _kept(children, raw):
            self.receive(node, link, raw)

    def _over_wire(self, there: tuple[str, str], raw: bytes) -> None:
        """To the far end of a veth pair, if it takes a frame as long as that."""
        link = self.state.link(there)
        if _fits(link, raw):
            self._arrive(there[0], link, raw)

    def _from_macvlan(self, node: str, parent: tuple[str, str], raw: bytes) -> None:
        """In bridge mode to siblings directly; out of the parent what is not for one alone."""
        children = self.state.children(parent, "macvlan")
        own = next(link for name, link in children if name == node)
        siblings = [
            (name, link)
            for name, link in children
            if name != node and own.mode == link.mode == "bridge" and _wants(link, raw)
        ]
        if _is_group(raw) or not siblings:
            self.send(*parent, raw)
        for name, link in siblings:
            self._arrive(name, link, raw)

    def _into_switch(self, switch: str, port: str, raw: bytes) -> None:
        """Through the bridge: to the port of the MAC address, to all if it is nobody's."""
        came_in = self.state.link((switch, port))
        if not (came_in.up and _fits(came_in, raw) and self._passes(switch, came_in, "in", raw)):
            return
        if _lost(came_in.loses_in, raw) or came_in.master is None:
            return
        raw = _retagged(came_in.retags_in, raw)
        links = self.state.nodes[switch].links
        self.state.learned[raw[6:12].hex(":")] = port
        if _lost(links[came_in.master].loses_in, raw):
            return
        known = None if _is_group(raw) else self._port_of(raw[:6].hex(":"), came_in.master)
        for link in links.values():
            on_bridge = link.master == came_in.master and (link.name != port or link.hairpin)
            if on_bridge and known in (None, link.name) and _fits(link, raw):
                self.send(switch, link.name, raw)

    def _port_of(self, mac: str, bridge: str) -> str | None:
        """The switch port where a MAC address was seen last, or else is."""
        if mac in self.state.learned:
            return self.state.learned[mac]
        host = self._host_of(mac)
        links = self.state.nodes["switch"].links.values()
        on_bridge = (one for one in links if one.master == bridge and one.parent)
        ports = (one.name for one in on_bridge if one.parent and one.parent[0] == host)
        return next(ports, None)

    def _host_of(self, mac: str) -> str | None:
        """The host behind whose port a MAC address is."""
        for name, node in self.state.nodes.items():
            for link in node.links.values():
                if link.mac == mac and link.parent:
                    return link.parent[0] if link.kind == "macvlan" else name
        return None


def _fits(link: Link, raw: bytes) -> bool:
    """Whether a veth end takes a frame, or a bridge sends it there (is_skb_forwardable())."""
    return len(raw) <= link.mtu + ETHERNET_OCTETS + 2 * TAG_OCTETS


def _lost(blocks: Blocks, raw: bytes) -> bool:
    return any(blocked(dissect(raw)) for blocked in blocks)


def _retagged(tags: dict[int, int | None], raw: bytes) -> bytes:
    """A frame whose outer tag is another, or gone."""
    vlan, inner = untagged(raw) if tags else (None, raw)
    if vlan is None or vlan not in tags:
        return raw
    made = tags[vlan]
    return inner if made is None else tagged(inner, made)


def _taken(children: list[tuple[str, Link]], raw: bytes) -> list[Link]:
    """The macvlan interfaces that get a frame which comes in at their parent, by their modes."""
    links = [link for _, link in children]
    if any(link.mode == "passthru" for link in links):
        return links
    if not _is_group(raw):
        return [link for link in links if _wants(link, raw)]
    sender = _sender(children, raw)
    if sender is None:
        return links
    if sender.mode == "private":
        return [sender]
    heard = ("vepa",) if sender.mode == "bridge" else ("vepa", "bridge")
    return [link for link in links if link is not sender and link.mode in heard]


def _kept(children: list[tuple[str, Link]], raw: bytes) -> bool:
    """Whether the parent's own stack gets nothing of a frame."""
    if any(link.mode == "passthru" for _, link in children):
        return True
    sender = _sender(children, raw)
    return sender is not None and sender.mode == "private"


def _sender(children: list[tuple[str, Link]], raw: bytes) -> Link | None:
    """Which of them sent a frame that came back from the switch."""
    return next((link for _, link in children if raw[6:12].hex(":") == link.mac), None)


def _is_group(raw: bytes) -> bool:
    """Whether a frame is for many: the group bit of its destination (IEEE 802, section 8.2.2)."""
    return bool(raw[0] & 1)


def _wants(link: Link, raw: bytes) -> bool:
    return _is_group(raw) or raw[:6].hex(":") == link.mac
