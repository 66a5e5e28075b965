"""What a probe used on its way: the routes, neighbour entries, rules and flows that were read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.flow import Hop, Verdict
from harness.report.model import Evidence
from harness.topology import Topology
from harness.walk import leaving_by

KINDS = ("route-get", "neighbours", "firewall", "conntrack")
"""The kinds of reading that are looked into."""
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "tcp6": 6, "udp6": 17}
MAX_RULES = 6
"""Rules that are told of one router; what a stage counted elsewhere is in its reading."""


@dataclass(frozen=True)
class Used:
    """One thing that a probe used."""

    node: str
    what: str
    """`route`, `neighbour`, `rule`, `flow`."""
    text: str
    name: str
    """The reading that has it."""


@dataclass(frozen=True)
class Tables:
    """The readings of one stage, found by what is asked of them."""

    topology: Topology
    stage: str
    by_name: dict[str, Evidence]
    _neighbours: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """By node and address: the entry, and the last reading that has it."""
    _rules: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    """By node: (rule, packets that the stage added, reading)."""

    def of(self, one: Verdict) -> tuple[Used, ...]:
        """What one probe used: at its source, then at each router, in the order of its way."""
        return tuple(self._of(one)) if one.observation.path or one.observation.left else ()

    def _of(self, one: Verdict) -> Iterator[Used]:
        cell, ends = one.cell, self.topology.over(one.cell.probe).endpoint_vlans
        address = _address(self.topology.over(cell.probe), cell.dst)
        layer2 = cell.probe.is_layer2
        for node in dict.fromkeys((cell.src, *cell.expectation.via)):
            route = self._route(node, address) if not layer2 else None
            if route:
                yield Used(node, "route", *route)
            via = self.by_name[route[1]].parsed.get("via") if route else None
            found = self._neighbour(node, via or address) if cell.src in ends else None
            if found and not layer2:
                yield Used(node, "neighbour", *found)
        for node in cell.expectation.via:
            yield from self._passed(node, one)

    def _passed(self, node: str, one: Verdict) -> Iterator[Used]:
        """The rules and the flow of a router that took the packet."""
        own = [hop for hop in one.observation.path if hop.point.node == node]
        if not own:
            return
        into, out = ({hop.point.interface for hop in own if hop.point.direction == way}
                     for way in ("in", "out"))  # fmt: skip
        matching = [(text, count, name) for text, count, name in self._counted(node)
                    if _goes(text, into, out) or _goes(text, out, into)]  # fmt: skip
        for text, count, name in matching[:MAX_RULES]:
            yield Used(node, "rule", f"{text}  (matched {count} of this stage's packets)", name)
        flow = self._flow(node, own[0], PROTOCOLS.get(one.cell.probe.kind))
        if flow:
            yield Used(node, "flow", *flow)

    def _route(self, node: str, address: str) -> tuple[str, str] | None:
        by = leaving_by(self.topology, node) if node in self.topology.endpoint_vlans else ""
        name = f"{self.stage}/{node}/route-get/{address}{f'/{by}' if by else ''}/after"
        found = self.by_name[name].parsed if name in self.by_name else {}
        if not found.get("interface"):
            return None
        via = f" via {found['via']}" if found.get("via") else ""
        return f"{address}{via} dev {found['interface']}", name

    def _neighbour(self, node: str, address: str) -> tuple[str, str] | None:
        if node not in self._neighbours:
            table = self._neighbours.setdefault(node, {})
            for name, entry in self.by_name.items():
                if entry.node == node and entry.kind == "neighbours":
                    for each in entry.parsed:
                        mac = each.get("mac") or "nobody"
                        said = f"{each['address']} is at {mac} ({each.get('state')})"
                        table[each["address"]] = (said, name)
        return self._neighbours[node].get(address)

    def _counted(self, node: str) -> list[tuple[str, int, str]]:
        if node not in self._rules:
            before, after = (self._packets(node, moment) for moment in ("before", "after"))
            name = f"{self.stage}/{node}/firewall/after"
            self._rules[node] = [
                (rule, count - before.get(rule, 0), name)
                for rule, count in after.items()
                if count > before.get(rule, 0)
            ]
        return self._rules[node]

    def _packets(self, node: str, moment: str) -> dict[str, int]:
        entry = self.by_name.get(f"{self.stage}/{node}/firewall/{moment}")
        found = {}
        for each in entry.parsed if entry and isinstance(entry.parsed, list) else ():
            if each.get("packets") is not None:
                policy = f"policy of {each.get('chain')}: {each.get('policy')}"
                found[f"{each.get('table')}: {each.get('rule') or policy}"] = each["packets"]
        return found

    def _flow(self, node: str, hop: Hop, protocol: int | None) -> tuple[str, str] | None:
        """The router's connection tracking entry with the addresses that a packet came in with."""
        name = f"{self.stage}/{node}/conntrack/after"
        entry = self.by_name.get(name)
        for each in entry.parsed if entry and protocol else ():
            sent, back = each["original"], each["reply"]
            if (sent["src"], sent["dst"], sent["protocol"]) == (hop.src_ip, hop.dst_ip, protocol):
                came = f"{sent['src']} to {sent['dst']}"
                return f"{came}; its reply comes from {back['src']} to {back['dst']}", name
        return None


def tables(topology: Topology, evidence: Iterable[Evidence]) -> dict[str, Tables]:
    """What was read in each stage."""
    found: dict[str, dict[str, Evidence]] = {}
    for entry in evidence:
        if entry.kind in KINDS:
            found.setdefault(entry.stage, {})[entry.name] = entry
    return {stage: Tables(topology, stage, by_name) for stage, by_name in found.items()}


def _goes(rule: str, into: set[str], out: set[str]) -> bool:
    """Whether a rule is about packets that come in and go out by these; `-i`, `-o` say so."""
    words = rule.split()
    if "!" in words:
        return True
    asked = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-i", "-o")}
    return asked.get("-i") in into | {None} and asked.get("-o") in out | {None}


def _address(topology: Topology, node: str) -> str:
    if node in topology.endpoint_vlans:
        return str(topology.endpoint(node).address)
    return ""
