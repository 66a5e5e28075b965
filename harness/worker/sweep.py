"""One sweep: open the taps, send all probes of each wave, wait for what must come back.

The thread stays on one CPU: frames of one class then keep their order on this machine, so a control
that was sent after a probe and has arrived says that the probe would have arrived too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import time
from typing import Any

from harness.worker import neighbours, probes, routes
from harness.worker.taps import Sighting, Tap, absent, close, keep_stamping, opened

BATCH = 64
"""Probes sent between two drains, so that no tap's buffer and no macvlan queue overflows."""

Plan = dict[str, Any]

_in_vain = [0]
"""Probes whose reply was awaited and did not come, since somebody asked."""


def unanswered() -> int:
    """How many awaited replies did not come in all sweeps since this was last asked."""
    found, _in_vain[0] = _in_vain[0], 0
    return found


def sweep(plan: Plan) -> dict[str, Any]:
    """Carry out a sweep.

    `plan` has `taps` [(node, interface)], `responders`, `nodes`, `routers` (the nodes that are
    asked for their routes to what came in) and `waves`; a wave has `name`, `probes`, and in seconds
    `deadline` (the longest wait for what is awaited) and `quiet` (how long nothing may come in
    before the wait is given up).
    """
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_cpu()})
    try:
        taps = opened(plan["taps"])
        responders = probes.Responders(plan["responders"])
        keep_stamping(plan["nodes"])
        session = _Sweep(taps, responders, plan["routers"])
        waves = [session.wave(wave, plan["nodes"]) for wave in plan["waves"]]
        counts = [tap.count() for tap in taps] + absent(plan["taps"], taps)
    finally:
        os.sched_setaffinity(0, affinity)
    close(responders.end() + session.ended)
    return {"waves": waves, "frames": session.frames, "taps": counts}


class _Sweep:
    """The open taps and responders of a sweep, and what was captured so far."""

    def __init__(self, taps: list[Tap], responders: probes.Responders, routers: list[str]) -> None:
        self.frames: list[Sighting] = []
        self.ended: list[socket.socket] = []
        self._taps = {tap.number: tap for tap in taps}
        self._routers = routers
        self._responders = responders
        self._by_fileno = {tap.fileno(): tap for tap in taps}
        self._poll = select.epoll()
        for fileno in (*self._by_fileno, *responders.filenos()):
            self._poll.register(fileno, select.EPOLLIN)

    def wave(self, wave: dict[str, Any], nodes: list[str]) -> dict[str, Any]:
        """Flush the neighbours, send, wait; what was sent, and the neighbours at the end."""
        neighbours.flush(nodes)
        senders = probes.Senders(self._poll)
        began, first = time.time_ns(), len(self.frames)
        before = [routes.unrouted(router) for router in self._routers]
        sent: list[tuple[str, int, Any]] = []
        for number, probe in enumerate(wave["probes"]):
            sent.append((probe["id"], time.time_ns(), _sent(probe, senders)))
            if number % BATCH == BATCH - 1:
                self._serve(0, senders)
        self._wait(senders, wave["deadline"], wave["quiet"])
        unheard = set(senders.unheard(wave["quiet"]))
        refused = [probe for probe, (_, _, no) in zip(wave["probes"], sent) if no is not None]
        _in_vain[0] += len(senders.awaited.pending) + len(unheard)
        _in_vain[0] += sum(probe["await"] for probe in refused)
        # Counted before the last drain and from after the first moment: what taps saw and no
        # router counted leaves a doubt, what a router counted and no tap saw would hide one.
        after = [routes.unrouted(router) for router in self._routers]
        self._drain(list(self._taps.values()), senders)
        closed = time.time_ns()
        asked = self._routes(first)
        table = neighbours.table(nodes)
        self.ended += senders.end()
        neighbours.flush(nodes)
        return {
            "name": wave["name"], "opened_ns": began, "closed_ns": closed, "sent": sent,
            "unheard": [one["id"] for one in wave["probes"] if one["token"] in unheard],
            "neighbours": table, "routes": asked,
            "unrouted": [
                {"node": router, "packets": now - then}
                for router, then, now in zip(self._routers, before, after)
            ],
        }  # fmt: skip

    def _routes(self, first: int) -> list[dict[str, Any]]:
        """What the routers say of all that came in at them since a frame."""
        came: dict[int, list[bytes]] = {}
        for number, _, outgoing, raw in self.frames[first:]:
            if not outgoing and self._taps[number].node in self._routers:
                came.setdefault(number, []).append(raw)
        taps = [(self._taps[number], raws) for number, raws in came.items()]
        return [one for tap, raws in taps for one in routes.asked((tap.node, tap.interface), raws)]

    def _wait(self, senders: probes.Senders, deadline: float, quiet: float) -> None:
        end = time.monotonic() + deadline
        while senders.awaited.pending:
            left = min(quiet, end - time.monotonic())
            if left <= 0 or not self._serve(left, senders):
                return

    def _serve(self, timeout: float, senders: probes.Senders) -> bool:
        """Answer and drain what is ready; False if nothing was within `timeout` seconds."""
        ready = [fileno for fileno, _ in self._poll.poll(timeout)]
        for fileno in ready:
            if fileno not in self._by_fileno and not senders.hear(fileno):
                self._responders.answer(fileno)
        self._drain([self._by_fileno[no] for no in ready if no in self._by_fileno], senders)
        return bool(ready)

    def _drain(self, taps: list[Tap], senders: probes.Senders) -> None:
        for tap in taps:
            for sighting in tap.drain():
                self.frames.append(sighting)
                if not sighting[2]:
                    senders.awaited.seen(tap.node, sighting[3])


def _sent(probe: probes.Probe, senders: probes.Senders) -> Any:
    """None, or the errno with which it was refused; a source that is not there refuses all."""
    return errno.ENODEV if probe["absent"] else senders.send(probe)


def _cpu() -> int:
    return int(ctypes.CDLL(None).sched_getcpu())
