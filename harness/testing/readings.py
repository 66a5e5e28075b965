"""What a FakeWorker says of its nodes: readings as evidence has them, and answers to commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from harness.testing.stack import Stacks
from harness.testing.state import EVERYTHING, Node, State

Answer = dict[str, Any]
FIREWALL, FIREWALL6 = "iptables-nft", "ip6tables-nft"
FACTS = {
    "kernel": "fake",
    "machine": "fake",
    "vlan_datapath": "8021q",
    "firewall_backend": FIREWALL,
    "cpus": 1,
    "versions": {"kernel": "fake", "python": "fake"},
}
CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
OF_THE_MACHINE = {
    "uname -s": "Linux",
    "uname -m": "x86_64",
    "cat /etc/os-release": "ID=fake\nVERSION_ID=1",
    "command -v command": "command",
}
COMMANDS = {
    "links": "ip -details -statistics link show",
    "addresses": "ip address show",
    "routes": "ip route show table main",
    "neighbours": "ip neighbour show",
    "fdb": "bridge fdb show",
    "firewall": "iptables-save -c",
    "conntrack": "conntrack -L",
    "sysctls": "sysctl --all",
}


class Readings:
    """Reads the state of the nodes, and of their stacks once something was sent."""

    def __init__(self, state: State) -> None:
        self.stacks: Stacks | None = None
        self._state = state
        self._readers: dict[str, Callable[[str], Any]] = {
            "links": self._links,
            "addresses": self._addresses,
            "routes": self._routes,
            "neighbours": self.neighbours,
            "fdb": self._fdb,
            "firewall": self._firewall,
            "conntrack": self._conntrack,
            "sysctls": lambda name: dict(self._state.nodes[name].sysctls),
        }

    def read(self, wanted: Sequence[tuple[str, str]]) -> list[Answer]:
        """The form of `harness.worker.evidence.read`; what it does not play gives no reading."""
        found = []
        for name, kind in wanted:
            word, _, argument = kind.partition(" ")
            if word not in COMMANDS and not argument:
                continue  # an engine here has nothing to say, and no diagnosis asks
            command = f"ip route get {argument}" if argument else COMMANDS[word]
            parsed = self._route_get(name, argument) if argument else self._readers[word](name)
            reading = {"node": name, "kind": kind, "command": command}
            found.append({**reading, "parsed": parsed, "raw": f"{parsed}\n"})
        return found

    def run(self, name: str, argv: Sequence[str]) -> Answer:
        """Answer the few commands that host-state assertions use; 127 for any other."""
        words = shlex.split(argv[-1]) if argv[:2] == ["/bin/sh", "-c"] else list(argv)
        line, node = " ".join(words), self._state.nodes[name]
        program = words[0].rpartition("/")[2]
        if line in OF_THE_MACHINE:
            return _said(OF_THE_MACHINE[line])
        if line.startswith("command -v "):
            return _said(f"/usr/sbin/{words[2]}")
        if program == "sysctl":
            return _said(node.sysctls.get(words[-1], "0"))
        if program == "ip" and "show" in words:
            return _link_shown(node, words[-1])
        if program.startswith("ip6tables") and "-S" in words:
            policy = node.policies6.get("FORWARD", "ACCEPT")
            return _said("\n".join([f"-P FORWARD {policy}", *node.rules6]))
        if program.startswith("iptables") and "-S" in words:
            table, chain = words[words.index("-t") + 1], words[-1]
            rules = _rules(node, table, chain)
            return _said("\n".join([f"-P {chain} {_policy(node, chain)}", *rules]))
        if program == f"{FIREWALL}-save":
            return _said("\n".join(line for lines in node.rules.values() for line in lines))
        return {"code": 127, "out": "", "err": f"{program}: the fake has no such command"}

    def neighbours(self, name: str) -> list[Answer]:
        """The neighbour entries of a node."""
        entries = self.stacks.arp.table if self.stacks else {}
        return [
            {"node": name, "interface": interface, "address": address, "mac": mac, "state": state}
            for (node, address, interface), (mac, state) in entries.items()
            if node == self._state.real(name)
        ]

    def _links(self, name: str) -> list[Answer]:
        return [
            {
                "name": link.name, "kind": link.kind, "mac": link.mac, "mtu": link.mtu,
                "state": "UP", "up": True, "promiscuity": 0, "master": link.master, "alias": None,
                "rx_dropped": 0, "tx_dropped": 0,
                **({"vlan_id": link.vlan} if link.vlan else {}),
            }
            for link in self._state.nodes[name].links.values()
        ]  # fmt: skip

    def _addresses(self, name: str) -> list[Answer]:
        return [
            {"interface": link.name, "address": str(address), "scope": "global"}
            for link in self._state.nodes[name].links.values()
            for address in link.addresses
        ]

    def _routes(self, name: str) -> list[Answer]:
        node = self._state.nodes[name]
        found = [
            _route(str(address.network), None, link.name, str(address.ip))
            for link in node.links.values()
            for address in link.addresses
            if link.kind != "loopback"
        ]
        for dst, via in node.routes.items():
            way = node.route(via)
            shown = "default" if dst in EVERYTHING.values() else dst
            found += [_route(shown, via, way[0].name, None)] if way else []
        return found

    def _route_get(self, name: str, argument: str) -> Answer:
        address, _, by = argument.partition(" ")
        node = self._state.nodes[name]
        way = node.route_by(by, address) if by else node.route(address)
        if way is None:
            return {"dst": address, "error": "Network is unreachable"}
        link, hop = way
        found = {"interface": link.name, "source": link.own(address)}
        return {"dst": address, "via": None if hop == address else hop, **found}

    def _fdb(self, name: str) -> list[Answer]:
        return [
            {"mac": self._state.link(link.parent).mac, "interface": link.name}
            for link in self._state.nodes[name].links.values()
            if link.master and link.parent
        ]

    def _firewall(self, name: str) -> list[Answer]:
        node = self._state.nodes[name]
        counted = {"backend": FIREWALL, "packets": 0, "octets": 0}
        counted6 = {**counted, "backend": FIREWALL6, "table": "filter", "chain": "FORWARD"}
        forward = node.policies6.get("FORWARD")
        of_ipv6: list[Answer] = [{"policy": forward}, *({"rule": rule} for rule in node.rules6)]
        found6 = [{**counted6, **entry} for entry in of_ipv6] if forward else []
        return found6 + [
            {**counted, "table": table, "chain": chain, **entry}
            for table in node.rules
            for chain in CHAINS.get(table, ())
            for entry in [
                {"policy": _policy(node, chain)},
                *({"rule": rule} for rule in _rules(node, table, chain)),
            ]
        ]

    def _conntrack(self, name: str) -> list[Answer]:
        flows = self.stacks.flows.known if self.stacks else []
        return [
            {
                "original": {"src": flow.src, "dst": flow.dst, "protocol": flow.protocol},
                "reply": {"src": flow.dst, "dst": flow.seen_as, "protocol": flow.protocol},
                "status": 0,
            }
            for flow in flows
            if flow.router == name
        ]


def _route(dst: str, via: str | None, interface: str, source: str | None) -> Answer:
    return {"dst": dst, "via": via, "interface": interface, "source": source, "metric": None}


def _policy(node: Node, chain: str) -> str:
    return node.policies.get(chain, "ACCEPT")


def _rules(node: Node, table: str, chain: str) -> list[str]:
    return [rule for rule in node.rules.get(table, ()) if rule.split()[1] == chain]


def _said(text: str) -> Answer:
    return {"code": 0, "out": text + "\n", "err": ""}


def _link_shown(node: Node, name: str) -> Answer:
    link = node.links.get(name)
    if link is None:
        return {"code": 1, "out": "", "err": f'Device "{name}" does not exist.\n'}
    head = f"2: {name}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu {link.mtu} state UP"
    lines = [f"    inet {address} scope global {name}" for address in link.addresses]
    return _said("\n".join([head, f"    link/ether {link.mac}", *lines]))
