"""How the nodes learn MAC addresses: ARP and NDP, and the packets that wait for them."""

from __future__ import annotations

from collections.abc import Callable

from harness.frame import Packet
from harness.testing.frames import advertisement, arp, arp_request, ethernet, solicitation
from harness.testing.network import Network
from harness.testing.rules import may_come
from harness.testing.state import UNICAST, Link
from harness.worker import wire

NOBODY = "0.0.0.0"  # noqa: S104 - the sender of an ARP probe (RFC 5227), not to listen on
ANSWERS_NONE = "8"
"""arp_ignore: no address of the node is answered for (ip-sysctl.rst)."""

Key = tuple[str, str, str]
"""A node, the address of a neighbour, and the interface where that is."""
Use = Callable[[str], None]
"""What is done with a MAC address once it is known."""


class Neighbours:
    """The neighbour tables of all nodes."""

    def __init__(self, network: Network) -> None:
        self.table: dict[Key, tuple[str | None, str]] = {}
        """(MAC address, state) of each entry."""
        self._waiting: dict[Key, list[Use]] = {}
        self._network, self._nodes = network, network.state.nodes

    def forget(self) -> None:
        """Flush all but what somebody has set, and what waits."""
        self.table.clear()
        self._waiting.clear()
        for name, node in self._nodes.items():
            for address, mac in node.permanent.items():
                used = self._used(name, address) or ""
                self.table[name, address, used] = (mac, "PERMANENT")

    def resolve(self, name: str, link: Link, address: str, use: Use) -> None:
        """Have a neighbour's MAC address used, at once or when it is known; asked for once."""
        key = name, address, link.name
        if key not in self.table:
            if not link.arp:
                self.table[key] = (link.mac, "NOARP")
            else:
                self._ask(key, link, use)
                return
        mac = self.table[key][0]
        if mac:
            use(mac)
        else:
            self._waiting.setdefault(key, []).append(use)

    def asked(self, name: str, link: Link, packet: Packet) -> None:
        """A node is asked by ARP."""
        asker, address, target = str(packet.arp_sha), str(packet.arp_spa), str(packet.arp_tpa)
        own = any(target in one.has for one in self._nodes[name].links.values())
        answers = self._answers(name, link) if own else self._proxies(name, link, target)
        if not link.arp or not answers or (address in (NOBODY, target) and not own):
            return
        if address != NOBODY:
            if not may_come(self._nodes[name], link, address):  # it asks for the way back (arp.c)
                return
            self._heard((name, address, link.name), asker, "STALE")
        body = arp(wire.REPLY, (link.mac, target), (asker, address))
        self._network.send(name, link.name, ethernet(asker, link.mac, wire.ETH_P_ARP, body))

    def told(self, name: str, link: Link, packet: Packet) -> None:
        """A node is answered by ARP; of two answers the first counts (arp_process()).

        One to a probe of its own that named no sender counts as well, if its kernel waits for one.
        """
        key = name, str(packet.arp_spa), link.name
        if key in self.table and self.table[key][0] is None:
            self._heard(key, str(packet.arp_sha), "REACHABLE")

    def solicited(self, name: str, link: Link, packet: Packet) -> None:
        """A neighbour solicitation is answered (with hop limit 255 only), an answer noted."""
        target, other, mac = str(packet.nd_target), str(packet.src_ip), str(packet.nd_mac)
        asked = packet.icmp_type == wire.SOLICITATION
        if asked and target in link.has and packet.ttl == wire.ND_HOP_LIMIT:
            self._heard((name, other, link.name), mac, "STALE")
            self._network.send(name, link.name, advertisement((link.mac, target), (mac, other)))
        elif not asked and packet.dst_ip in link.has and (name, target, link.name) in self.table:
            self._heard((name, target, link.name), mac, "REACHABLE")

    def _ask(self, key: Key, link: Link, use: Use) -> None:
        name, address, _ = key
        self.table[key] = (None, "INCOMPLETE")
        self._waiting[key] = [use]
        own = (link.mac, link.own(address))
        ask = solicitation if ":" in address else arp_request
        self._network.send(name, link.name, ask(own, address))

    def _heard(self, key: Key, mac: str, state: str) -> None:
        """An entry for who asked or answered; what waited for it goes on.

        Who asks is believed whatever was known (neigh_event_ns()).
        """
        known, now = self.table.get(key, (None, ""))
        name, address, interface = key
        if now == "PERMANENT" or (not now and self._used(name, address) != interface):
            return
        if known != mac:
            self.table[key] = (mac, state)
        for use in self._waiting.pop(key, ()):
            use(mac)

    def _used(self, name: str, address: str) -> str | None:
        """The interface that an address is asked for by: an entry at another is of no use."""
        way = self._nodes[name].route(address)
        return way[0].name if way else None

    def _answers(self, name: str, link: Link) -> bool:
        return self._set(name, link, "arp_ignore") != ANSWERS_NONE

    def _proxies(self, name: str, link: Link, target: str) -> bool:
        """Whether it answers for an address that it has a route to (proxy_arp)."""
        node = self._nodes[name]
        on = self._set(name, link, "proxy_arp") == "1"
        if not on or node.kind(target) != UNICAST or node.sysctls.get("net.ipv4.ip_forward") != "1":
            return False
        way = node.route(target)
        return way is not None and way[0] is not link

    def _set(self, name: str, link: Link, key: str) -> str:
        """The larger of what is set for all interfaces and for one."""
        sysctls = self._nodes[name].sysctls
        keys = (f"net.ipv4.conf.{one}.{key}" for one in ("all", link.name))
        return max(sysctls.get(one, "0") for one in keys)
