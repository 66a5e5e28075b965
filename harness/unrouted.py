"""Packets that ended at a router in silence: for want of a route, or for another reason."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.flow import Outcome
from harness.frame import Frame, dissect
from harness.record import Wave
from harness.topology import Topology

NO_SUCH_ROUTE = errno.errorcode[errno.ENETUNREACH]
"""What a router's kernel answers when no route leads to a packet's destination. For one of a type
it says something else: EHOSTUNREACH unreachable, EINVAL blackhole, EACCES prohibit (fib_props of
net/ipv4/fib_semantics.c); EHOSTUNREACH also where it does not forward (ip_route_input_slow())."""

FORWARDS = "unicast"
"""The type of a route that it forwards along, as ip-route(8) names it."""

Flow = tuple[str, str, str | None, str | None]
"""Packets by node, interface where they came in, source and destination address."""


@dataclass(frozen=True)
class Routers:
    """What routers say of what came in at them in a wave.

    They say why a packet ended to its source a few times only. But each has counted what it ended
    for want of a route; if that is no less than what taps saw come in and no route leads to, it is
    all of it, and no filter was before.
    """

    answers: dict[Flow, str]
    counted: dict[str, int]
    came: Counter[str]
    """By router: packets to it that no route of its leads to."""

    @classmethod
    def of(cls, topology: Topology, wave: Wave, frames: Iterable[Frame]) -> Routers:
        """Those of a wave; `frames` are all of its record."""
        answers: dict[Flow, str] = {
            (one.node, one.interface, one.src, one.dst): one.answer for one in wave.routes
        }
        counted = {one.node: one.packets for one in wave.unrouted}
        places = {flow[:2] for flow, answer in answers.items() if answer == NO_SUCH_ROUTE}
        came: Counter[str] = Counter()
        for frame in frames if places else ():
            place = (frame.node, frame.interface)
            inside = wave.opened_ns <= frame.t_ns <= wave.closed_ns
            if place in places and frame.direction == "in" and inside:
                packet = dissect(frame.raw)
                unrouted = answers.get((*place, packet.src_ip, packet.dst_ip)) == NO_SUCH_ROUTE
                own = packet.dst_mac == topology.trunk_mac(frame.node)
                came[frame.node] += unrouted and own
        return cls(answers, counted, came)

    def ended(self, node: str, flow: Flow) -> tuple[Outcome, str]:
        """How a packet ended that a router took and said nothing of."""
        answer = self.answers.get(flow)
        if answer is None:
            return Outcome.INCONCLUSIVE, f"{node} took it, and was not asked for its route"
        if answer != NO_SUCH_ROUTE:
            return Outcome.SILENT, f"{node} took it, and its route for it is: {answer}"
        counted, came = self.counted.get(node, 0), self.came[node]
        said = f"{node} has no route for it, and ended {counted} of {came} such packets for that"
        if counted >= came:
            return Outcome.NO_ROUTE, said
        return Outcome.INCONCLUSIVE if counted else Outcome.SILENT, said
