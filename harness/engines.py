"""The container engines of a lab: which of its containers are there, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness import pings
from harness.endpoints.containers import calls
from harness.flow import Cell
from harness.machines.worker import Worker
from harness.swept import Look, nothing
from harness.topology import Topology
from harness.walk import leaving_by


@dataclass(frozen=True)
class Engines:
    """Those that run on `hosts`; of a lab without any, nothing is asked, and all is there."""

    worker: Worker
    hosts: tuple[str, ...]
    topology: Topology

    def look(self) -> Look:
        """See which containers are there, and enter those again that were started anew."""
        if not self.hosts:
            return Look()
        return Look.of(self.worker.call(calls.look, self._carried(), list(self.hosts)))

    def stayed(self) -> Callable[[], Look]:
        """See later which of those are there no more, or were started anew."""
        if not self.hosts:
            return Look
        answer = self.worker.begin(calls.still, self._carried(), list(self.hosts))
        return cache(lambda: Look.of(answer()))

    def pings(
        self, chosen: Iterable[Cell], look: Look, nodes: list[str]
    ) -> Callable[[], list[dict[str, Any]]]:
        """Have the containers ping as the cells do; the neighbours of `nodes` are flushed then."""
        if not self.hosts:
            return nothing
        hosts = self.topology.endpoint_hosts
        every = pings.asked(self.topology, chosen, look.nodes)
        asked = {name: targets for name, targets in every.items() if hosts[name] in self.hosts}
        mute = [
            {"node": name, "failed": f"the engine of {hosts[name]} does not answer"}
            for name in asked
            if hosts[name] in look.silent
        ]
        own = {
            name: (self.topology.endpoint(name).container, leaving_by(self.topology, name))
            for name in asked
        }
        scripts = [
            (name, hosts[name], pings.script(targets, own[name][1]), own[name][0])
            for name, targets in asked.items()
            if hosts[name] not in look.silent
        ]
        said = self.worker.begin(calls.ping, scripts, nodes)
        return lambda: [
            pings.reading(one, asked[one["node"]], *own[one["node"]]) for one in (*said(), *mute)
        ]

    def _carried(self) -> list[tuple[str, str, str, str, str]]:
        """The containers as `calls.look` wants them."""
        return [
            (
                end.name, end.host, self.topology.vlan(end.vlan).network, end.interface,
                end.container,
            )
            for end in self.topology.endpoints
            if end.host in self.hosts
        ]  # fmt: skip
