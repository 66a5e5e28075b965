"""Why a cell failed: the codes, and what a report says of a fault.

A code is a promise to programs: reports have it in `cause.code` and `diagnoses[].code`. What is
measured decides which one a cell gets (`harness.diagnosis`); `catalogue` says what each means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Code(StrEnum):
    """Why a cell failed, or could not be told."""

    IP_FORWARD_OFF = "ip-forward-off"
    FORWARD_POLICY_DROP = "forward-policy-drop"
    FORWARD_RULE_DROP = "forward-rule-drop"
    FORWARD_RULE_MISSING = "forward-rule-missing"
    RAW_DROP = "raw-drop"
    MANGLE_DROP = "mangle-drop"
    INPUT_DROP = "input-drop"
    OUTPUT_DROP = "output-drop"
    RULE_ORDER = "rule-order"
    WRONG_INTERFACE_IN_RULE = "wrong-interface-in-rule"
    MASQUERADE_MISSING = "masquerade-missing"
    MASQUERADE_WRONG_ADDRESS = "masquerade-wrong-address"
    REJECTED_BY_RULE = "rejected-by-rule"
    RP_FILTER_DROP = "rp-filter-drop"
    GATEWAY_ADDRESS_MISSING = "gateway-address-missing"
    GATEWAY_ADDRESS_WRONG = "gateway-address-wrong"
    GATEWAY_DOWN = "gateway-down"
    SUBINTERFACE_MISSING = "subinterface-missing"
    VLAN_ID_MISMATCH = "vlan-id-mismatch"
    VLAN_LEAK = "vlan-leak"
    UNTAGGED_LEAK = "untagged-leak"
    NATIVE_VLAN_MISMATCH = "native-vlan-mismatch"
    TRUNK_DISCONNECTED = "trunk-disconnected"
    TRUNK_DROPS_VLAN = "trunk-drops-vlan"
    PORT_SECURITY = "port-security"
    PARENT_DOWN = "parent-down"
    ENDPOINT_DOWN = "endpoint-down"
    MACVLAN_MODE_ISOLATES = "macvlan-mode-isolates"
    MACVLAN_PARENT_ISOLATION = "macvlan-parent-isolation"
    ENDPOINT_ADDRESS_MISSING = "endpoint-address-missing"
    ENDPOINT_ADDRESS_WRONG = "endpoint-address-wrong"
    DEFAULT_ROUTE_MISSING = "default-route-missing"
    DEFAULT_ROUTE_WRONG = "default-route-wrong"
    PREFIX_LENGTH_WRONG = "prefix-length-wrong"
    ROUTE_BLACKHOLE = "route-blackhole"
    POLICY_RULE_DIVERTS = "policy-rule-diverts"
    DUPLICATE_ADDRESS = "duplicate-address"
    DUPLICATE_MAC = "duplicate-mac"
    STALE_NEIGHBOUR = "stale-neighbour"
    NEIGHBOUR_OVERFLOW = "neighbour-overflow"
    ARP_DISABLED = "arp-disabled"
    ARP_FILTERED = "arp-filtered"
    BROADCAST_LOST_TO_MACVLAN = "broadcast-lost-to-macvlan"
    MULTICAST_LOST_TO_MACVLAN = "multicast-lost-to-macvlan"
    NDP_FILTERED = "ndp-filtered"
    PROXY_ARP_LEAK = "proxy-arp-leak"
    MTU_MISMATCH = "mtu-mismatch"
    L4_FILTERED = "l4-filtered"
    SERVICE_REFUSED = "service-refused"
    IPSEC_POLICY_BLOCK = "ipsec-policy-block"
    TTL_EXPIRED = "ttl-expired"
    BRIDGE_NETFILTER = "bridge-netfilter"
    CONNTRACK_FULL = "conntrack-full"
    CONNTRACK_INVALID = "conntrack-invalid"
    ASYMMETRIC_PATH = "asymmetric-path"
    EXTRA_HOP = "extra-hop"
    CONTAINER_NOT_RUNNING = "container-not-running"
    NETWORK_MISSING = "network-missing"
    ENGINE_DOWN = "engine-down"
    PROBE_NOT_SENT = "probe-not-sent"
    TAP_DEAD = "tap-dead"
    MACHINE_UNREACHABLE = "machine-unreachable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why one cell failed, or could not be told."""

    code: Code
    node: str | None
    """The node at fault, if it is one node."""
    subject: str | None
    """The rule, sysctl, interface, address, route or neighbour entry at fault."""
    detail: str
    """What was found, in words."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One fault and the cells that it explains."""

    code: Code
    node: str | None
    subject: str | None
    message: str
    fix: str
    """The command that mends it, as a person types it on the node."""
    cells: tuple[str, ...]
    """Their ids."""


def merged(diagnoses: Iterable[Diagnosis]) -> tuple[Diagnosis, ...]:
    """One diagnosis a fault, also of a fault that was there in more than one stage."""
    found: dict[tuple[Code, str | None, str | None], Diagnosis] = {}
    for one in diagnoses:
        key = (one.code, one.node, one.subject)
        known = found.get(key)
        found[key] = replace(known, cells=known.cells + one.cells) if known else one
    ordered = sorted(found.values(), key=lambda one: (one.code is Code.UNKNOWN, -len(one.cells)))
    return tuple(ordered)
