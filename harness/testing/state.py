"""What the steps of a plan have made: nodes, links, addresses, routes, rules, sysctls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from harness.frame import Packet

Step = dict[str, Any]
LinkName = tuple[str, str]
"""(node, interface)"""

EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
"""The network of a default route, by IP version."""


Blocks = list[Callable[[Packet], bool]]
"""Whether a frame is lost, by what its headers say."""
UNICAST = "unicast"
"""The type of a route that leads somewhere, as ip-route(8) has it."""


class Refused(Exception):
    """A step that a kernel would refuse, in its words."""


@dataclass
class Link:
    """An interface of a node."""

    name: str
    kind: str
    mac: str
    mtu: int
    parent: LinkName | None = None
    """What a macvlan or VLAN interface is on, or the far end of a veth pair."""
    vlan: int | None = None
    master: str | None = None
    mode: str = ""
    """Of a macvlan interface."""
    hairpin: bool = False
    """Of a switch port."""
    port: bool = False
    """Whether it is one."""
    addresses: list[IPv4Interface | IPv6Interface] = field(default_factory=list)
    up: bool = True
    arp: bool = True
    """False: it neither asks nor answers (IFF_NOARP)."""
    loses_in: Blocks = field(default_factory=list)
    """What comes in at it and gets no further: a tap has seen it."""
    loses_out: Blocks = field(default_factory=list)
    """What never leaves by it: no tap sees it."""
    flaps: bool = False
    """Whether it goes down and comes back in each sweep: its tap says so."""
    floods: bool = False
    """Whether more comes in at it in each sweep than its tap takes."""
    retags_out: dict[int, int | None] = field(default_factory=dict)
    """What becomes of the outer tag of frames that leave; None takes it off."""
    retags_in: dict[int, int | None] = field(default_factory=dict)
    """Likewise of frames that come in, after the tap."""

    @property
    def has(self) -> set[str]:
        """Its addresses, without prefix length."""
        return {str(address.ip) for address in self.addresses}

    def own(self, peer: str) -> str:
        """The address that it talks to a peer with: its first of that IP version."""
        version = ip_address(peer).version
        return next(str(one.ip) for one in self.addresses if one.version == version)


@dataclass
class Node:
    """A network namespace."""

    links: dict[str, Link] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    """Next hops by destination, a network with its prefix length."""
    dead_ends: dict[str, str] = field(default_factory=dict)
    """Types of routes that lead nowhere (blackhole, unreachable, prohibit), by destination."""
    moved: dict[str, str] = field(default_factory=dict)
    """Interfaces by network: routes of networks that addresses are in, which lead elsewhere."""
    diverted: list[Callable[[str, str], bool]] = field(default_factory=list)
    """Policy rules that lead packets into a blackhole, by the interface that they came in at and
    their destination."""
    permanent: dict[str, str] = field(default_factory=dict)
    """MAC addresses by address: neighbour entries that somebody set."""
    rules: dict[str, list[str]] = field(default_factory=dict)
    """The rules of each iptables table, as `-S` prints them."""
    policies: dict[str, str] = field(default_factory=dict)
    rules6: list[str] = field(default_factory=list)
    """The rules of the filter table of ip6tables."""
    policies6: dict[str, str] = field(default_factory=dict)

    def route(self, address: str, into: str = "") -> tuple[Link, str] | None:
        """(interface, next hop) for an address; None where no route leads, or a dead end."""
        if self.kind(address, into) != UNICAST:
            return None
        found = self._longest(address)
        hop = found[1] if found else address
        on = self._connected(hop)
        return (on, hop) if on else None

    def route_by(self, interface: str, address: str) -> tuple[Link, str] | None:
        """The same out of one interface: whom no route leads to is there, but for IPv6."""
        link, wanted = self.links[interface], ip_address(address)
        near = [own.network for own in link.addresses]
        vias = [via for dst, via in self.routes.items() if wanted in ip_network(dst)]
        if any(wanted in network for network in near):
            return link, address
        by_it = [via for via in vias if any(ip_address(via) in network for network in near)]
        if by_it or wanted.version == 4:  # noqa: PLR2004 - IP versions
            return link, next(iter(by_it), address)
        return None

    def kind(self, address: str, into: str = "") -> str | None:
        """The type of the route for an address; None where none leads."""
        if any(matches(into, address) for matches in self.diverted):
            return "blackhole"
        found = self._longest(address)
        return None if found is None else found[2]

    def _longest(self, address: str) -> tuple[int, str, str] | None:
        """(prefix length, next hop, type) of the route with the longest prefix."""
        wanted = ip_address(address)
        found = [(net.prefixlen, address, UNICAST) for net in self._networks() if wanted in net]
        found += [
            (ip_network(dst).prefixlen, via, UNICAST)
            for dst, via in self.routes.items()
            if wanted in ip_network(dst) and self._connected(via)
        ]
        found += [
            (ip_network(dst).prefixlen, "", kind)
            for dst, kind in self.dead_ends.items()
            if wanted in ip_network(dst)
        ]
        return max(found, key=lambda one: one[0]) if found else None

    def _networks(self) -> list[Any]:
        return [own.network for link in self.links.values() if link.up for own in link.addresses]

    def _connected(self, address: str) -> Link | None:
        wanted = ip_address(address)
        found = [
            (
                own.network.prefixlen,
                -number,
                self.links[self.moved.get(str(own.network), link.name)],
            )
            for number, link in enumerate(self.links.values())
            for own in link.addresses
            if link.up and wanted in own.network
        ]
        return max(found, key=lambda one: one[:2])[2] if found else None


class Nodes(dict[str, Node]):
    """Nodes by name; `names` has other names of theirs."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, name: str) -> Node:
        return self[self._names[name]]


class State:
    """All nodes; `apply` carries out one step."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """The node that another name is for: of a container's further leg."""
        self.nodes: dict[str, Node] = Nodes(self.names)
        self.learned: dict[str, str] = {}
        """The switch port of each MAC address that has sent."""
        self._made = 0
        self._operations: dict[str, Callable[[Step], None]] = {
            "namespace": self._namespace,
            "leg": self._leg,
            "engine": self._engine,
            "engine-ready": lambda _step: None,
            "sysctl": self._sysctl,
            "bridge": self._bridge,
            "veth": self._veth,
            "vlan": self._vlan,
            "vlan-delete": self._vlan_delete,
            "macvlan": self._macvlan,
            "address": self._address,
            "address-delete": self._address_delete,
            "route": self._route,
            "route-delete": self._route_delete,
            "iptables": self._iptables,
            "ip6tables": self._ip6tables,
        }

    def apply(self, step: Step) -> None:
        """Carry out a step; Refused if a kernel would not have it."""
        step = {**step, "node": self.real(step.get("node", ""))}
        operation = self._operations.get(step["do"])
        if operation is None:
            raise Refused(f"the fake cannot do {step['do']!r}")
        try:
            operation(step)
        except KeyError as error:
            raise Refused("no such interface") from error

    def real(self, name: str) -> str:
        """The node that a name is for."""
        return self.names.get(name, name)

    def link(self, where: LinkName) -> Link:
        """The interface of a name; KeyError if there is none."""
        return self.nodes[where[0]].links[where[1]]

    def children(self, where: LinkName, kind: str) -> list[tuple[str, Link]]:
        """(node, interface) of each interface of a kind that is on another."""
        return [
            (name, link)
            for name, node in self.nodes.items()
            for link in node.links.values()
            if link.kind == kind and link.parent == where
        ]

    def _add(self, node: str, link: Link) -> None:
        if link.name in self.nodes[node].links:
            raise Refused("File exists")
        self.nodes[node].links[link.name] = link

    def _mac(self) -> str:
        self._made += 1
        return f"0a:00:00:00:{self._made >> 8:02x}:{self._made & 0xFF:02x}"

    def _namespace(self, step: Step) -> None:
        if step["node"] in self.nodes:
            raise Refused("File exists")
        loopback = Link("lo", "loopback", "00:00:00:00:00:00", 65536)
        loopback.addresses.append(IPv4Interface("127.0.0.1/8"))
        self.nodes[step["node"]] = Node(links={"lo": loopback})

    def _leg(self, step: Step) -> None:
        self.names[step["node"]] = step["of"]

    def _sysctl(self, step: Step) -> None:
        self.nodes[step["node"]].sysctls.update(step["values"] | step["optional"])

    def _engine(self, step: Step) -> None:
        """An engine that handles iptables; nothing of this world is another's doing."""
        node = self.nodes[step["node"]]
        link = Link("docker0", "bridge", self._mac(), 1500)
        link.addresses.append(IPv4Interface(step["bridge"]))
        self._add(step["node"], link)
        node.rules.setdefault("filter", []).append("-A FORWARD -j DOCKER-USER")
        if node.sysctls.get("net.ipv4.ip_forward") != "1":
            node.sysctls["net.ipv4.ip_forward"] = "1"
            node.policies["FORWARD"] = "DROP"

    def _bridge(self, step: Step) -> None:
        self._add(step["node"], Link(step["name"], "bridge", self._mac(), step["mtu"]))

    def _veth(self, step: Step) -> None:
        here, there = (step["node"], step["name"]), (step["peer_node"], step["peer"])
        own, mtu = step["mac"] or self._mac(), step["mtu"]
        self._add(here[0], Link(here[1], "veth", own, mtu, parent=there))
        port = Link(
            there[1], "veth", self._mac(), step["peer_mtu"], parent=here, master=step["master"],
            hairpin=step["hairpin"], port=True,
        )  # fmt: skip
        self._add(there[0], port)

    def _vlan(self, step: Step) -> None:
        trunk = (step["node"], step["parent"])
        on = self.link(trunk)
        link = Link(step["name"], "vlan", on.mac, step["mtu"], parent=trunk, vlan=step["id"])
        self._add(step["node"], link)

    def _vlan_delete(self, step: Step) -> None:
        del self.nodes[step["node"]].links[step["name"]]

    def _macvlan(self, step: Step) -> None:
        parent = (step["parent_node"], step["parent"])
        on, mode = self.link(parent), step["mode"]
        mac = on.mac if mode == "passthru" else step["mac"]
        link = Link(step["name"], "macvlan", mac, on.mtu, parent=parent, mode=mode)
        self._add(step["node"], link)

    def _address(self, step: Step) -> None:
        self.link((step["node"], step["link"])).addresses.append(ip_interface(step["cidr"]))

    def _address_delete(self, step: Step) -> None:
        link = self.link((step["node"], step["link"]))
        link.addresses.remove(ip_interface(step["cidr"]))

    def _route(self, step: Step) -> None:
        self.nodes[step["node"]].routes[_network(step)] = step["via"]

    def _route_delete(self, step: Step) -> None:
        del self.nodes[step["node"]].routes[_network(step)]

    def _iptables(self, step: Step) -> None:
        node = self.nodes[step["node"]]
        _restore(node.rules.setdefault(step["table"], []), step["lines"])
        node.policies.update(step["policies"])

    def _ip6tables(self, step: Step) -> None:
        node = self.nodes[step["node"]]
        _restore(node.rules6, step["lines"])
        node.policies6.update(step["policies"])


def _restore(rules: list[str], lines: Sequence[str]) -> None:
    for line in lines:
        if line.startswith("-A "):
            rules.append(line)
        else:
            rules.remove(line.replace("-D ", "-A ", 1))


def _network(step: Step) -> str:
    """Where a route leads to: `default` is everything of its next hop's IP version."""
    if step["dst"] != "default":
        return str(step["dst"])
    return EVERYTHING[ip_address(step["via"]).version]
