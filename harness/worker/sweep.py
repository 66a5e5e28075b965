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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.worker import neighbours, probes, responders, routes
from harness.worker.taps import Sighting, Tap, absent, close, keep_stamping, now, opened

BATCH = 64
"""Probes sent between two drains, so that no tap's buffer and no macvlan queue overflows."""
LOOKS = 3
"""So many times in a row nothing must have moved before a wait is given up."""

Plan = dict[str, Any]

_in_vain = [0]
"""Probes whose reply was awaited and did not come, since somebody asked."""


def unanswered() -> int:
    """How many awaited replies did not come in all sweeps since this was last asked."""
    found, _in_vain[0] = _in_vain[0], 0
    return found


def sweep(plan: Plan) -> dict[str, Any]:
    """Carry out a sweep.

    `plan` has `taps` [(node, interface)], `macs` (all that a lab host's taps are to see),
    `responders`, `nodes`, `routers` (the nodes that are asked for their routes to what came in) and
    `waves`; a wave has `name`, `probes`, and in seconds
    `deadline` (the longest wait for what is awaited) and `quiet` (how long nothing may come in
    before the wait is given up).
    """
    with one_cpu():
        session = Sweeping(plan)
        waves = []
        for wave in plan["waves"]:
            session.open_wave()
            session.send(wave["probes"])
            session.wait(wave["deadline"], wave["quiet"])
            waves.append(session.close_wave(wave["name"], wave["quiet"]))
        counts = session.counts()
    return {"waves": waves, "frames": session.end(), "taps": counts}


@contextmanager
def one_cpu() -> Iterator[None]:
    """Stay on the CPU that this thread is on."""
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_cpu()})
    try:
        yield
    finally:
        os.sched_setaffinity(0, affinity)


class Sweeping:
    """A sweep under way: its open taps and responders, and what was captured so far."""

    def __init__(self, plan: Plan) -> None:
        self._where: list[tuple[str, str]] = plan["taps"]
        self._nodes: list[str] = plan["nodes"]
        self._routers: list[str] = plan["routers"]
        self._opened = opened(self._where, plan["macs"])
        self._responders = responders.Responders(plan["responders"])
        keep_stamping(self._nodes)
        neighbours.begin(self._nodes)
        self._frames: list[Sighting] = []
        self._ended: list[socket.socket] = []
        self._taps = {tap.number: tap for tap in self._opened}
        self._by_fileno = {tap.fileno(): tap for tap in self._opened}
        self._poll = select.epoll()
        for fileno in (*self._by_fileno, *self._responders.filenos()):
            self._poll.register(fileno, select.EPOLLIN)

    def open_wave(self) -> None:
        """Flush the neighbours: from here on everything is this wave's."""
        neighbours.flush(self._nodes)
        self._senders = probes.Senders(self._poll)
        self._began, self._first = now(), len(self._frames)
        self._before = [routes.unrouted(router) for router in self._routers]
        self._sent: list[tuple[str, int, Any]] = []
        self._awaited: list[tuple[str, bytes]] = []
        self._refused = 0

    def send(self, wanted: list[probes.Probe]) -> None:
        """Send probes in their order."""
        for number, probe in enumerate(wanted):
            at, refusal = now(), _sent(probe, self._senders)
            self._sent.append((probe["id"], at, refusal))
            if probe["await"]:
                self._awaited.append((probe["id"], probe["token"]))
                self._refused += refusal is not None
            if number % BATCH == BATCH - 1:
                self.serve(0)

    def arrivals(self, wanted: list[tuple[str, bytes]]) -> None:
        """Wait for tokens too that somebody else sends to nodes here."""
        for node, token in wanted:
            self._senders.awaited.arrival(node, token)

    @property
    def pending(self) -> int:
        """How much of what is awaited has not come yet."""
        return len(self._senders.awaited.pending)

    def wait(self, deadline: float, quiet: float) -> None:
        """Answer and drain until all that is awaited has come, or nothing moves any more.

        It takes several looks in a row at which nothing has moved: a machine that stood still
        during one of them may have had no time for what was under way.
        """
        end, still = time.monotonic() + deadline, 0
        while self.pending and still < LOOKS:
            left = min(quiet / LOOKS, end - time.monotonic())
            if left <= 0:
                return
            still = 0 if self.serve(left) else still + 1

    def close_wave(self, name: str, quiet: float) -> dict[str, Any]:
        """End a wave: what was sent in it, what was heard of it, and the neighbours at its end."""
        unheard = set(self._senders.unheard(quiet))
        _in_vain[0] += self.pending + self._refused + len(unheard)
        # Counted before the last drain and from after the first moment: what taps saw and no
        # router counted leaves a doubt, what a router counted and no tap saw would hide one.
        after = [routes.unrouted(router) for router in self._routers]
        self._drain(self._opened)
        closed = now()
        asked = self._routes(self._first)
        table = neighbours.table(self._nodes)
        self._ended += self._senders.end()
        neighbours.flush(self._nodes)
        return {
            "name": name, "opened_ns": self._began, "closed_ns": closed, "sent": self._sent,
            "unheard": [probe for probe, token in self._awaited if token in unheard],
            "neighbours": table, "routes": asked,
            "unrouted": [
                {"node": router, "packets": now - then}
                for router, then, now in zip(self._routers, self._before, after)
            ],
        }  # fmt: skip

    def counts(self) -> list[dict[str, Any]]:
        """What each tap got and lost."""
        return [tap.count() for tap in self._opened] + absent(self._where, self._opened)

    def end(self) -> list[Sighting]:
        """Everything that was captured; the responders are ended."""
        close(self._responders.end() + self._ended)
        return self._frames

    def _routes(self, first: int) -> list[dict[str, Any]]:
        """What the routers say of all that came in at them since a frame."""
        came: dict[int, list[bytes]] = {}
        for number, _, outgoing, raw in self._frames[first:]:
            if not outgoing and self._taps[number].node in self._routers:
                came.setdefault(number, []).append(raw)
        taps = [(self._taps[number], raws) for number, raws in came.items()]
        return [one for tap, raws in taps for one in routes.asked((tap.node, tap.interface), raws)]

    def serve(self, timeout: float) -> bool:
        """Answer and drain what is ready; False if nothing was within `timeout` seconds."""
        ready = [fileno for fileno, _ in self._poll.poll(timeout)]
        for fileno in ready:
            if fileno not in self._by_fileno and not self._senders.hear(fileno):
                self._responders.answer(fileno)
        self._drain([self._by_fileno[no] for no in ready if no in self._by_fileno])
        return bool(ready)

    def _drain(self, taps: list[Tap]) -> None:
        for tap in taps:
            for sighting in tap.drain():
                self._frames.append(sighting)
                if not sighting[2]:
                    self._senders.awaited.seen(tap.node, sighting[3])


def _sent(probe: probes.Probe, senders: probes.Senders) -> Any:
    """None, or the errno with which it was refused; a source that is not there refuses all."""
    return errno.ENODEV if probe["absent"] else senders.send(probe)


def _cpu() -> int:
    return int(ctypes.CDLL(None).sched_getcpu())
