"""Two faults at once, of which each must be named."""

from __future__ import annotations

from collections.abc import Iterable

from harness.faults.fault import Fault, pair

NAMES = (
    ("default-route-missing", "input-drop"),
    ("default-route-missing", "default-route-to-neighbour"),
    ("parent-down", "masquerade-strange-address"),
    ("endpoint-address-missing", "l4-filtered-tcp"),
    ("stale-neighbour", "stale-neighbour-of-neighbour"),
    ("stale-neighbour-at-gateway", "input-drop-by-policy"),
    ("trunk-drops-vlan", "arp-filtered-out"),
    ("route-blackhole", "rejected-at-bbox4"),
    ("masquerade-missing", "masquerade-strange-address"),
    ("raw-drop-of-nft", "mtu-mismatch"),
    ("multicast-lost-to-macvlan", "forward-rule-drop-of-legacy"),
    ("service-refused", "service-refused-udp"),
    ("l4-filtered-port", "route-prohibit"),
    ("arp-disabled", "forward-rule-drop-of-security"),
    ("endpoint-down", "input-drop-of-nft"),
    ("mangle-drop-at-bbox3", "default-route-flushed"),
    ("native-vlan-mismatch", "output-drop-of-replies"),
    ("prefix-length-wrong", "l4-filtered-port"),
)


def pairs(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """The pairs, made of the faults of the catalogue."""
    known = {fault.name: fault for fault in faults}
    return tuple(pair(known[one], known[other]) for one, other in NAMES)
