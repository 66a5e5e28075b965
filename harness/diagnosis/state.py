"""The lab as its readings have it: the newest of each kind, by node, and what to cite for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any

from harness.report.model import Evidence

NEWER = ("before", "cold", "main", "after", "asked")
"""The moments of a reading, the last one the best; one of a cell sent alone is none of these."""
OWN_FILTERS = ("harness",)
"""Names of the tc filters that the harness makes itself."""


@dataclass(frozen=True)
class State:
    """What a stage's readings say."""

    evidence: tuple[Evidence, ...]
    legs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """(container, interface) of each further leg: what is read of its container is of it too."""

    @cached_property
    def _newest(self) -> dict[tuple[str, str], Evidence]:
        found: dict[tuple[str, str], Evidence] = {}
        for entry in self.evidence:
            key, when = (entry.node, entry.kind), moment(entry)
            known = found.get(key)
            if when in NEWER and (known is None or _age(known) <= NEWER.index(when)):
                found[key] = entry
        return found

    @cached_property
    def by_name(self) -> dict[str, Evidence]:
        """Every reading."""
        return {entry.name: entry for entry in self.evidence}

    def _key(self, node: str, kind: str) -> tuple[str, str]:
        """Whose reading is a node's: its own if there is one, else its container's."""
        own = (node, kind) in self._newest or node not in self.legs
        return (node if own else self.legs[node][0], kind)

    def _station(self, node: str, interface: object) -> str:
        """What a node is called at one of its interfaces, given by name or index."""
        names = {interface} | {
            link["name"] for link in self.links(node).values() if link.get("index") == interface
        }
        return next(
            (leg for leg, (of, own) in self.legs.items() if of == node and own in names), node
        )

    def cite(self, node: str, *kinds: str) -> tuple[str, ...]:
        """The names of a node's readings of these kinds, those that there are."""
        keys = [self._key(node, kind) for kind in kinds]
        return tuple(self._newest[key].name for key in keys if key in self._newest)

    def _parsed(self, node: str, kind: str) -> Any:
        entry = self._newest.get(self._key(node, kind))
        return entry.parsed if entry else None

    def knows(self, node: str, kind: str) -> bool:
        """Whether there is a reading."""
        return self._key(node, kind) in self._newest

    def links(self, node: str) -> dict[str, dict[str, Any]]:
        """A node's interfaces by name."""
        return {link["name"]: link for link in self._parsed(node, "links") or ()}

    def link(self, node: str, name: str) -> dict[str, Any] | None:
        """One interface, if it is there."""
        return self.links(node).get(name)

    def addresses(self, node: str, interface: str) -> tuple[str, ...]:
        """The addresses of an interface, with prefix length."""
        index = (self.link(node, interface) or {}).get("index")
        return tuple(
            one["address"]
            for one in self._parsed(node, "addresses") or ()
            if one["interface"] in (interface, index) and one["scope"] != "link"
        )

    def holders(self, address: str) -> tuple[tuple[str, str], ...]:
        """(node, interface) of everybody who has an address."""
        return tuple(
            (self._station(node, one["interface"]), one["interface"])
            for (node, kind), entry in self._newest.items()
            if kind == "addresses"
            for one in entry.parsed
            if one["address"].partition("/")[0] == address
        )

    def routes(self, node: str, address: str, table: str = "main") -> list[dict[str, Any]]:
        """The routes of a table that lead to an address, the best one first."""
        target = ip_address(address)
        found = [
            route
            for route in self._parsed(node, "tables") or ()
            if route["table"] == table
            and route["family"] == target.version
            and (route["dst"] == "default" or target in ip_network(route["dst"], strict=False))
        ]
        return sorted(found, key=lambda route: (-_length(route), route["metric"]))

    def rules(self, node: str, address: str) -> Iterator[dict[str, Any]]:
        """The policy routing rules that somebody made, in their order, of an address's version."""
        version = ip_address(address).version
        usual = {(0, "local"), (32766, "main"), (32767, "default")}
        for rule in self._parsed(node, "rules") or ():
            if rule["family"] == version and (rule["priority"], rule["table"]) not in usual:
                yield rule

    def sysctl(self, node: str, key: str) -> str | None:
        """A parameter of a node's kernel."""
        for kind in ("conf", "sysctls"):
            value = (self._parsed(node, kind) or {}).get(key)
            if value is not None:
                return str(value)
        return None

    def both(self, node: str, key: str, interface: str) -> int:
        """The larger of an interface's parameter and that of all, which is what counts."""
        said = [self.sysctl(node, f"net.ipv4.conf.{name}.{key}") for name in ("all", interface)]
        return max((int(value) for value in said if value), default=0)

    def neighbours(self, node: str, address: str) -> list[dict[str, Any]]:
        """A node's entries for an address: those that stay, and those of the sweep's end."""
        found = []
        for entry in self.evidence:
            if entry.node == node and entry.kind == "neighbours":
                found += [
                    {**one, "name": entry.name} for one in entry.parsed if one["address"] == address
                ]
        return found

    def filters(self, node: str) -> list[dict[str, Any]]:
        """The tc filters and queues of a node that the harness did not make."""
        return [one for one in self._parsed(node, "tc") or () if one.get("name") not in OWN_FILTERS]

    def firewall(self, node: str) -> list[dict[str, Any]]:
        """Chains and rules of iptables, as `iptables-save` has them."""
        found: list[dict[str, Any]] = self._parsed(node, "firewall") or []
        return found

    def nftables(self, node: str) -> list[dict[str, Any]]:
        """Tables, chains and rules of nft(8)."""
        found: list[dict[str, Any]] = self._parsed(node, "nftables") or []
        return found

    def reading(self, node: str, kind: str) -> Any:
        """A reading of any other kind."""
        return self._parsed(node, kind)

    def nodes(self, kind: str) -> tuple[str, ...]:
        """The nodes that have a reading of a kind."""
        return tuple(node for node, known in self._newest if known == kind)


def moment(entry: Evidence) -> str:
    """When a reading was taken: the last part of its name."""
    return entry.name.rpartition("/")[2]


def within(address: str | None, network: str | None) -> bool:
    """Whether an address is in a network; every one is in no network at all."""
    return network is None or (address is not None and _in(address, network))


def _in(address: str, network: str) -> bool:
    found, net = ip_address(address), ip_network(network, strict=False)
    return found.version == net.version and found in net


def _age(entry: Evidence) -> int:
    return NEWER.index(moment(entry))


def _length(route: dict[str, Any]) -> int:
    return -1 if route["dst"] == "default" else ip_network(route["dst"], strict=False).prefixlen
