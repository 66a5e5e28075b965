"""Random faults of the tutorial lab: one to three changes, each drawn from a small grammar.

A seed is all that is needed to draw them again. What is predicted of them is not asked here: an
oracle with plain sockets says what the network does (`oracle`).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from harness.faults import change as do
from harness.faults import filters
from harness.faults.change import Change
from harness.faults.fault import Fault
from harness.faults.of_links import retagged

GATEWAY = "gateway"
ENDPOINTS = {
    "bbox1": ("172.16.10.10", 10),
    "bbox2": ("172.16.20.10", 20),
    "bbox3": ("172.16.10.11", 10),
    "bbox4": ("172.16.20.11", 20),
}
HOSTS = ("host1", "host2")
VLANS = (10, 20)
PORTS = (*HOSTS, GATEWAY)
PROTOCOLS = ("icmp", "tcp", "udp")
ASKING = (
    ["-p", "icmp", "--icmp-type", "echo-request"],
    ["-p", "tcp", "--dport", "7"],
    ["-p", "udp", "--dport", "7"],
)
HALF = 0.5
STRANGER = "02:6e:73:00:00:77"
Drawn = tuple[str, str, Change]
"""What a change is about, so that no two are about the same; what it is in words; the change."""


def drawn(seed: int) -> Fault:
    """The fault of a seed."""
    dice = random.Random(seed)  # noqa: S311 - to be drawn again, not to be secret
    found: dict[str, tuple[str, Change]] = {}
    wanted = dice.randint(1, 3)
    while len(found) < wanted:
        about, words, change = dice.choice(KINDS)(dice)
        found.setdefault(about, (words, change))
    sentence = ", ".join(words for words, _ in found.values())
    return Fault(f"random-{seed}", sentence, do.together(*(change for _, change in found.values())))


def _rule(dice: random.Random) -> Drawn:
    """A rule of a chain."""
    node = dice.choice((GATEWAY, GATEWAY, *ENDPOINTS))
    if node == GATEWAY:
        chain, table = "FORWARD", dice.choice(("filter", "mangle", "security"))
    else:
        chain, table = dice.choice(("INPUT", "OUTPUT")), "filter"
    match = _match(dice, node)
    if chain == "INPUT" and dice.random() < HALF:
        match = dice.choice(ASKING)
    target = dice.choice(("DROP", "DROP", "REJECT", "ACCEPT")) if table == "filter" else "DROP"
    line = " ".join([chain, *match, "-j", target])
    words = f"{node}: {table} {line}"
    return words, words, filters.rule(node, line, table, first=True)


def _match(dice: random.Random, node: str) -> list[str]:
    """By protocol, source, destination or interface; of an endpoint by protocol or peer."""
    address = dice.choice([address for address, _ in ENDPOINTS.values()])
    choices = [["-p", dice.choice(PROTOCOLS)], ["-s", address], ["-d", address], []]
    if node == GATEWAY:
        choices.append(["-i", f"eth2.{dice.choice(VLANS)}"])
    return dice.choice(choices)


def _own_table(dice: random.Random) -> Drawn:
    words = f"ip protocol {dice.choice(PROTOCOLS)} drop"
    change = filters.nft(GATEWAY, "inet", "forward priority 0;", words, filters.alters())
    return "nft", f"{GATEWAY}: nft {words}", change


def _sysctl(dice: random.Random) -> Drawn:
    vlan = dice.choice(VLANS)
    node = dice.choice(list(ENDPOINTS))
    settings = (
        (GATEWAY, "net.ipv4.ip_forward", "0", "1"),
        (GATEWAY, f"net.ipv4.conf.{{}}.forwarding eth2.{vlan}", "0", "1"),
        (GATEWAY, "net.ipv4.conf.all.rp_filter", "1", "0"),
        (node, "net.ipv4.icmp_echo_ignore_all", "1", "0"),
        (node, "net.ipv4.ip_default_ttl", "1", "64"),
        (node, "net.ipv4.conf.all.proxy_arp", "1", "0"),
    )
    where, key, value, was = dice.choice(settings)
    written, _, name = key.partition(" ")
    about = f"{where}: {written.format(name)}"
    return about, f"{about} = {value}", do.sysctl(where, key, value, was)


def _route(dice: random.Random) -> Drawn:
    node = dice.choice(list(ENDPOINTS))
    vlan = ENDPOINTS[node][1]
    via, other = f"172.16.{vlan}.1", 30 - vlan
    far = f"172.16.{other}.0/24"
    kind = dice.choice(("blackhole", "unreachable", "prohibit"))
    changes = {
        "no default route": do.route_gone(node, "default", via),
        "default route to nobody": do.route(node, "default", f"172.16.{vlan}.99", via),
        f"{kind} {far}": do.dead_end(node, kind, far),
        f"route to {far} by nobody": do.route(node, far, f"172.16.{vlan}.99"),
    }
    said = dice.choice(list(changes))
    return f"{node}: route", f"{node}: {said}", changes[said]


def _route_of_gateway(dice: random.Random) -> Drawn:
    if dice.random() < HALF:
        vlan = dice.choice(VLANS)
        network, legs = f"172.16.{vlan}.0/24", (f"eth2.{30 - vlan}", f"eth2.{vlan}")
        moved = do.route_moved(GATEWAY, network, *legs, f"172.16.{vlan}.1")
        return f"{GATEWAY}: route {network}", f"{GATEWAY}: {network} by {legs[0]}", moved
    address, _ = dice.choice(list(ENDPOINTS.values()))
    kind = dice.choice(("blackhole", "unreachable", "prohibit"))
    about = f"{GATEWAY}: route {address}"
    return about, f"{GATEWAY}: {kind} {address}", do.dead_end(GATEWAY, kind, f"{address}/32")


def _neighbour(dice: random.Random) -> Drawn:
    address, vlan = dice.choice(list(ENDPOINTS.values()))
    near = [name for name, (one, of) in ENDPOINTS.items() if of == vlan and one != address]
    node = dice.choice((GATEWAY, *near))
    name = f"eth2.{vlan}" if node == GATEWAY else "eth0"
    about = f"{node}: {address} at {STRANGER}"
    return about, about, do.neighbour(node, name, address, STRANGER)


def _link(dice: random.Random) -> Drawn:
    vlan = dice.choice(VLANS)
    places = [(GATEWAY, f"eth2.{vlan}"), *((host, f"eth2.{vlan}") for host in HOSTS)]
    node, name = dice.choice(places)
    return f"{node}: {name}", f"{node}: {name} down", do.down(node, name)


def _tag(dice: random.Random) -> Drawn:
    port, vlan = dice.choice(PORTS), dice.choice(VLANS)
    made = dice.choice((30 - vlan, 99, None))
    about = f"switch: {port}"
    return about, f"{about} {vlan} -> {made}", retagged("switch", port, vlan, made)


def _ipsec(dice: random.Random) -> Drawn:
    """A policy that blocks: of an endpoint what it sends or gets, of the gateway what it routes."""
    node = dice.choice((GATEWAY, *ENDPOINTS))
    way = "fwd" if node == GATEWAY else dice.choice(("in", "out"))
    protocol = dice.choice(("", *(f" proto {one}" for one in PROTOCOLS)))
    selector = f"src 172.16.{dice.choice(VLANS)}.0/24 dst 172.16.{dice.choice(VLANS)}.0/24"
    about = f"{node}: ipsec {way}"
    change = filters.xfrm(node, f"{selector}{protocol}", way, "")
    return about, f"{about} {selector}{protocol}", change


def _mtu(dice: random.Random) -> Drawn:
    node, octets = dice.choice(list(ENDPOINTS)), dice.choice((1000, 1400, 1499))
    return f"{node}: mtu", f"{node}: mtu {octets}", do.mtu(node, "eth0", octets)


KINDS: tuple[Callable[[random.Random], Drawn], ...] = (
    _rule, _rule, _own_table, _sysctl, _route, _route_of_gateway, _neighbour, _link, _tag, _ipsec,
    _mtu,
)  # fmt: skip
