"""What is found at each kind of place, from readings with one thing wrong in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.catalogue import BY_CODE, PATH
from harness.causes import Code
from harness.diagnosis.filtering import Flow
from harness.diagnosis.place import Kind, Place
from harness.diagnosis.scene import Scene
from harness.diagnosis.traffic import selective
from harness.flow import Point
from tests.unit.labs import altered
from tests.unit.sick import (
    ARP,
    ASKED,
    ASKING,
    AT_RECEIVER,
    AT_ROUTER,
    AT_SENDER,
    ON_WIRE,
    Change,
    Readings,
    found,
    lab_of,
    link,
    named,
    place,
    policy,
    route,
    rule,
    verdict_of,
)

B1, B4, GW = "bbox1", "bbox4", "gateway"
WRONG_MAC = "02:00:00:00:00:99"
TO_GATEWAY = replace(AT_ROUTER, flow=replace(AT_ROUTER.flow, dst_mac=WRONG_MAC))
"""It came in at the gateway, for another MAC address."""
BACK = replace(
    AT_ROUTER, peer=B1, vlan=10, near=Point(GW, "eth2.20", "in"), far=Point(GW, "eth2.10", "out"),
    flow=replace(AT_ROUTER.flow, src="172.16.20.11", dst="172.16.20.1", is_reply=True),
)  # fmt: skip
"""A reply that came in at the gateway."""
LARGE = replace(AT_ROUTER, flow=replace(AT_ROUTER.flow, length=1500))
LOST_TO_B4 = replace(ON_WIRE, flow=replace(ON_WIRE.flow, dst_mac=WRONG_MAC))
UNHEARD = replace(
    AT_SENDER, kind=Kind.RECEIVER, near=Point(B1, "eth0", "in"), asker=B1, asked=GW,
    next_hop="172.16.10.1", flow=Flow("arp", "172.16.10.1", "172.16.10.10", "", is_reply=True),
)  # fmt: skip


def put(node: str, kind: str, *entries: Any) -> Change:
    """Add entries to a reading."""
    return lambda readings: readings[node, kind].extend(entries)


def only(node: str, kind: str, *entries: Any) -> Change:
    """Replace a reading."""

    def change(readings: Readings) -> None:
        readings[node, kind] = list(entries)

    return change


def of_link(node: str, name: str, **values: Any) -> Change:
    """Change an interface."""
    return lambda readings: named(readings, node, name).update(values)


def without(node: str, kind: str, **values: Any) -> Change:
    """Take entries away."""

    def change(readings: Readings) -> None:
        readings[node, kind] = [
            one
            for one in readings[node, kind]
            if not all(one.get(key) == value for key, value in values.items())
        ]

    return change


def sysctl(node: str, **values: str) -> Change:
    """Set parameters; `__` stands for a dot."""
    keys = {key.replace("__", "."): value for key, value in values.items()}
    return lambda readings: readings[node, "conf"].update(keys)


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(readings: Readings) -> None:
        for each in changes:
            each(readings)

    return change


def bridge_filters(readings: Readings) -> None:
    """The switch hands its frames to iptables."""
    for key in ("bridge-nf-call-iptables", "bridge-nf-filter-vlan-tagged"):
        readings["switch", "conf"][f"net.bridge.{key}"] = "1"


def nft(family: str, hook: str, *expressions: Any, **chain: Any) -> list[dict[str, Any]]:
    """A table of one chain with one rule."""
    head = {"family": family, "table": "t", "name": "c", "handle": 1, "hook": hook, "prio": 0}
    body = {"family": family, "table": "t", "chain": "c", "handle": 2, "expr": list(expressions)}
    made: list[dict[str, Any]] = [{"chain": {**head, **chain}}]
    return [*made, {"rule": body}] if expressions else made


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    """A match of a rule of nft."""
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, name: str) -> dict[str, Any]:
    """A field of a packet."""
    return {"payload": {"protocol": protocol, "field": name}}


DROP = {"drop": None}
DEFAULT = route("default", "172.16.10.1", "eth0")
ACCEPTED = "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"
TC = {"interface": "host2", "direction": "egress", "kind": "bpf", "filter": True,
      "preference": 7, "handle": 1, "name": "x"}  # fmt: skip
NEIGHBOUR = {"address": "172.16.20.11", "mac": WRONG_MAC, "state": "PERMANENT"}

CASES: dict[str, tuple[Place, Change, Code, str, str, str]] = {
    "no default route": (
        AT_SENDER, without(B1, "tables", dst="default"), Code.DEFAULT_ROUTE_MISSING, B1, "default",
        "ip route add default via 172.16.10.1",
    ),
    "another default route": (
        AT_SENDER, both(without(B1, "tables", dst="default"),
                        put(B1, "tables", route("default", "172.16.10.9", "eth0"))),
        Code.DEFAULT_ROUTE_WRONG, B1, "default via 172.16.10.9 dev eth0",
        "ip route replace default via 172.16.10.1",
    ),
    "a blackhole": (
        AT_SENDER, put(B1, "tables", route("172.16.20.11/32", None, "", type="blackhole")),
        Code.ROUTE_BLACKHOLE, B1, "blackhole 172.16.20.11/32",
        "ip route delete blackhole 172.16.20.11/32",
    ),
    "a route astray": (
        AT_SENDER, put(B1, "tables", route("172.16.20.0/24", "172.16.10.11", "eth0", metric=5)),
        Code.DEFAULT_ROUTE_WRONG, B1, "172.16.20.0/24 via 172.16.10.11 dev eth0 metric 5",
        "ip route delete 172.16.20.0/24 via 172.16.10.11 dev eth0 metric 5",
    ),
    "a route to nowhere": (
        AT_SENDER, put(B1, "tables", route("172.16.20.0/24", None, "lo")),
        Code.ROUTE_BLACKHOLE, B1, "172.16.20.0/24 dev lo", "ip route delete 172.16.20.0/24 dev lo",
    ),
    "a router's route out of another interface": (
        AT_ROUTER, put(GW, "tables", route("172.16.20.11/32", None, "eth1")),
        Code.ROUTE_BLACKHOLE, GW, "172.16.20.11/32 dev eth1",
        "ip route delete 172.16.20.11/32 dev eth1",
    ),
    "a router without a route": (
        AT_ROUTER, without(GW, "tables", dst="172.16.20.0/24"), Code.DEFAULT_ROUTE_MISSING, GW,
        "172.16.20.0/24", "ip route add 172.16.20.0/24 dev eth2.20",
    ),
    "a policy rule": (
        AT_SENDER, both(put(B1, "rules", {
            "priority": 50, "family": 4, "action": "lookup", "table": "100", "src": None,
            "dst": "172.16.20.0/24", "iif": None, "oif": None, "mark": None, "protocol": None,
            "inverted": False}), put(B1, "tables", route("default", "172.16.10.9", "eth0",
                                                         table="100"))),
        Code.POLICY_RULE_DIVERTS, B1, "50: from all to 172.16.20.0/24 lookup 100",
        "ip rule delete pref 50",
    ),
    "a policy rule that ends it": (
        AT_ROUTER, put(GW, "rules", {
            "priority": 50, "family": 4, "action": "prohibit", "table": "0", "iif": "eth2.10",
            "src": "172.16.10.10/32", "dst": None, "oif": None, "mark": None, "protocol": None,
            "inverted": False}),
        Code.POLICY_RULE_DIVERTS, GW, "50: from 172.16.10.10/32 iif eth2.10 prohibit",
        "ip rule delete pref 50",
    ),
    "eth0 is down": (
        AT_SENDER, of_link(B1, "eth0", up=False), Code.ENDPOINT_DOWN, B1, "eth0",
        "ip link set eth0 up && ip route add default via 172.16.10.1",
    ),
    "eth0 is gone": (
        AT_SENDER, only(B1, "links"), Code.ENDPOINT_DOWN, B1, "eth0",
        ("ip link add link eth2.10 name eth0 netns bbox1 address 02:42:ac:10:0a:0a "
        "type macvlan mode bridge && ip -n bbox1 address add 172.16.10.10/24 dev eth0 && "
        "ip -n bbox1 link set eth0 up && ip -n bbox1 route add default via 172.16.10.1"),
    ),
    "eth0 is gone with its parent": (
        AT_SENDER, both(only(B1, "links"), without("host1", "links", name="eth2.10")),
        Code.SUBINTERFACE_MISSING, "host1", "eth2.10",
        ("ip link add link eth2 name eth2.10 type vlan id 10 && ip link set eth2.10 up && "
        "ip link add link eth2.10 name eth0 netns bbox1 address 02:42:ac:10:0a:0a "
        "type macvlan mode bridge && ip -n bbox1 address add 172.16.10.10/24 dev eth0 && "
        "ip -n bbox1 link set eth0 up && ip -n bbox1 route add default via 172.16.10.1"),
    ),
    "the parent is down": (
        ASKING, of_link("host2", "eth2.20", up=False), Code.PARENT_DOWN, "host2", "eth2.20",
        "ip link set eth2.20 up",
    ),
    "the gateway's leg is down": (
        AT_ROUTER, of_link(GW, "eth2.20", up=False), Code.GATEWAY_DOWN, GW, "eth2.20",
        "ip link set eth2.20 up",
    ),
    "the gateway's leg is gone": (
        AT_ROUTER, without(GW, "links", name="eth2.20"), Code.SUBINTERFACE_MISSING, GW, "eth2.20",
        ("ip link add link eth2 name eth2.20 type vlan id 20 && ip link set eth2.20 up && "
        "ip address add 172.16.20.1/24 dev eth2.20"),
    ),
    "a leg in another VLAN": (
        AT_ROUTER, of_link(GW, "eth2.20", vlan_id=30), Code.VLAN_ID_MISMATCH, GW, "eth2.20",
        ("ip link delete eth2.20 && ip link add link eth2 name eth2.20 type vlan id 20 && "
        "ip link set eth2.20 up && ip address add 172.16.20.1/24 dev eth2.20"),
    ),
    "on another parent": (
        ASKING, both(of_link(B4, "eth0", parent_index=10)), Code.VLAN_ID_MISMATCH, "host2",
        "bbox4:eth0", "",
    ),
    "on the trunk itself": (
        ASKING, of_link(B4, "eth0", parent_index=3), Code.VLAN_ID_MISMATCH, "host2", "bbox4:eth0",
        "",
    ),
    "a trunk is down": (
        ASKING, of_link("host2", "eth2", up=False), Code.TRUNK_DISCONNECTED, "host2", "eth2",
        "ip link set eth2 up",
    ),
    "a trunk is gone": (
        ASKING, without("host2", "links", name="eth2"), Code.TRUNK_DISCONNECTED, "host2", "eth2",
        "",
    ),
    "a port is down": (
        ASKING, of_link("switch", "host2", up=False), Code.TRUNK_DISCONNECTED, "switch", "host2",
        "ip link set host2 up",
    ),
    "a port is gone": (
        ASKING, without("switch", "links", name="host2"), Code.TRUNK_DISCONNECTED, "switch",
        "host2", "",
    ),
    "a port is unplugged": (
        ASKING, of_link("switch", "host2", master=None), Code.TRUNK_DISCONNECTED, "switch", "host2",
        "ip link set host2 master trunk",
    ),
    "a port listens": (
        ASKING, of_link("switch", "host2", port_state=1), Code.TRUNK_DISCONNECTED, "switch",
        "host2", "ip link set host2 type bridge_slave state 3",
    ),
    "a port is isolated": (
        ASKING, of_link("switch", "host2", port_isolated=1), Code.TRUNK_DISCONNECTED, "switch",
        "host2", "ip link set host2 type bridge_slave isolated off",
    ),
    "no address": (
        ASKED, only(B4, "addresses"), Code.ENDPOINT_ADDRESS_MISSING, B4, "172.16.20.11/24",
        "ip address add 172.16.20.11/24 dev eth0 && ip route replace default via 172.16.20.1",
    ),
    "another address": (
        ASKED, only(B4, "addresses", {"interface": "eth0", "address": "172.16.20.50/24",
                                      "scope": "global"}),
        Code.ENDPOINT_ADDRESS_WRONG, B4, "172.16.20.50/24",
        ("ip address delete 172.16.20.50/24 dev eth0 && ip address add 172.16.20.11/24 dev eth0 && "
        "ip route replace default via 172.16.20.1"),
    ),
    "another prefix": (
        ASKED, only(B4, "addresses", {"interface": "eth0", "address": "172.16.20.11/16",
                                      "scope": "global"}),
        Code.PREFIX_LENGTH_WRONG, B4, "172.16.20.11/16",
        ("ip address delete 172.16.20.11/16 dev eth0 && ip address add 172.16.20.11/24 dev eth0 && "
        "ip route replace default via 172.16.20.1"),
    ),
    "no gateway address": (
        AT_ROUTER, without(GW, "addresses", interface="eth2.20"), Code.GATEWAY_ADDRESS_MISSING, GW,
        "172.16.20.1/24", "ip address add 172.16.20.1/24 dev eth2.20",
    ),
    "another gateway address": (
        AT_ROUTER, both(without(GW, "addresses", interface="eth2.20"),
                        put(GW, "addresses", {"interface": "eth2.20", "address": "172.16.20.3/24",
                                              "scope": "global"})),
        Code.GATEWAY_ADDRESS_WRONG, GW, "172.16.20.3/24",
        ("ip address delete 172.16.20.3/24 dev eth2.20 && "
        "ip address add 172.16.20.1/24 dev eth2.20"),
    ),
    "it does not forward": (
        AT_ROUTER, sysctl(GW, net__ipv4__ip_forward="0"), Code.IP_FORWARD_OFF, GW,
        "net.ipv4.ip_forward", "sysctl -w net.ipv4.ip_forward=1",
    ),
    "an interface does not forward": (
        AT_ROUTER,
        lambda readings: readings[GW, "conf"].update({"net.ipv4.conf.eth2.10.forwarding": "0"}),
        Code.IP_FORWARD_OFF, GW, "net.ipv4.conf.eth2.10.forwarding",
        "sysctl -w net/ipv4/conf/eth2.10/forwarding=1",
    ),
    "policy DROP, no rules": (
        AT_ROUTER, only(GW, "firewall", policy("filter", "FORWARD", "DROP")),
        Code.FORWARD_POLICY_DROP, GW, "-P FORWARD DROP", "iptables -P FORWARD ACCEPT",
    ),
    "policy DROP, one rule missing": (
        AT_ROUTER, both(without(GW, "firewall", rule=ACCEPTED),
                        without(GW, "firewall", policy="ACCEPT"),
                        put(GW, "firewall", policy("filter", "FORWARD", "DROP"))),
        Code.FORWARD_RULE_MISSING, GW, ACCEPTED, f"iptables {ACCEPTED}",
    ),
    "policy DROP, another interface": (
        AT_ROUTER, only(GW, "firewall", policy("filter", "FORWARD", "DROP"),
                        rule("filter", "-A FORWARD -i eth2.30 -o eth2.20 -j ACCEPT")),
        Code.WRONG_INTERFACE_IN_RULE, GW, "-A FORWARD -i eth2.30 -o eth2.20 -j ACCEPT",
        ("iptables -D FORWARD -i eth2.30 -o eth2.20 -j ACCEPT && "
        "iptables -A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"),
    ),
    "no reply may pass": (
        BACK, only(GW, "firewall", policy("filter", "FORWARD", "DROP"), rule("filter", ACCEPTED)),
        Code.FORWARD_RULE_MISSING, GW,
        "-A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT",
        "iptables -A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT",
    ),
    "a rule that drops": (
        AT_ROUTER, put(GW, "firewall", rule("security", "-A FORWARD -s 172.16.10.0/24 -j DROP")),
        Code.FORWARD_RULE_DROP, GW, "-A FORWARD -s 172.16.10.0/24 -j DROP",
        "iptables -t security -D FORWARD -s 172.16.10.0/24 -j DROP",
    ),
    "a rule in raw": (
        AT_ROUTER, put(GW, "firewall", rule("raw", "-A PREROUTING -i eth2.+ -j DROP")),
        Code.RAW_DROP, GW, "-A PREROUTING -i eth2.+ -j DROP",
        "iptables -t raw -D PREROUTING -i eth2.+ -j DROP",
    ),
    "a rule in mangle": (
        AT_ROUTER, put(GW, "firewall", rule("mangle", "-A FORWARD ! -i eth1 -j DROP")),
        Code.MANGLE_DROP, GW, "-A FORWARD ! -i eth1 -j DROP",
        "iptables -t mangle -D FORWARD ! -i eth1 -j DROP",
    ),
    "a policy in mangle": (
        AT_ROUTER, put(GW, "firewall", policy("mangle", "FORWARD", "DROP")), Code.MANGLE_DROP, GW,
        "-P FORWARD DROP", "iptables -t mangle -P FORWARD ACCEPT",
    ),
    "a rule before the others": (
        AT_ROUTER, lambda readings: readings[GW, "firewall"].insert(
            1, rule("filter", "-A FORWARD -j DROP")),
        Code.RULE_ORDER, GW, "-A FORWARD -j DROP",
        "iptables -D FORWARD -j DROP && iptables -A FORWARD -j DROP",
    ),
    "a rule of one protocol": (
        AT_ROUTER, lambda readings: readings[GW, "firewall"].insert(
            1, rule("filter", "-A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP")),
        Code.L4_FILTERED, GW, "-A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP",
        "iptables -D FORWARD -p icmp -m icmp --icmp-type 8 -j DROP",
    ),
    "a rule for the invalid": (
        AT_ROUTER, lambda readings: readings[GW, "firewall"].insert(
            1, rule("filter", "-A FORWARD -m conntrack --ctstate INVALID,NEW -j DROP")),
        Code.CONNTRACK_INVALID, GW, "-A FORWARD -m conntrack --ctstate INVALID,NEW -j DROP",
        "iptables -D FORWARD -m conntrack --ctstate INVALID,NEW -j DROP",
    ),
    "a rule that rejects": (
        AT_ROUTER, lambda readings: readings[GW, "firewall"].insert(
            1, rule("filter", "-A FORWARD -i eth2.10 -j REJECT --reject-with tcp-reset")),
        Code.REJECTED_BY_RULE, GW, "-A FORWARD -i eth2.10 -j REJECT --reject-with tcp-reset",
        "iptables -D FORWARD -i eth2.10 -j REJECT --reject-with tcp-reset",
    ),
    "a rule of the source": (
        AT_SENDER, put(B1, "firewall", rule("filter", "-A OUTPUT -d 172.16.20.0/24 -j DROP")),
        Code.OUTPUT_DROP, B1, "-A OUTPUT -d 172.16.20.0/24 -j DROP",
        "iptables -D OUTPUT -d 172.16.20.0/24 -j DROP",
    ),
    "a policy of the destination": (
        AT_RECEIVER, put(B4, "firewall", policy("filter", "INPUT", "DROP")), Code.INPUT_DROP, B4,
        "-P INPUT DROP", "iptables -P INPUT ACCEPT",
    ),
    "the destination's answer is dropped": (
        AT_RECEIVER, put(B4, "firewall", rule("filter", "-A OUTPUT -d 172.16.20.1/32 -j DROP")),
        Code.OUTPUT_DROP, B4, "-A OUTPUT -d 172.16.20.1/32 -j DROP",
        "iptables -D OUTPUT -d 172.16.20.1/32 -j DROP",
    ),
    "a rule of nft": (
        AT_ROUTER, put(GW, "nftables", *nft("inet", "forward", match(
            payload("ip", "daddr"), {"prefix": {"addr": "172.16.20.0", "len": 24}}), DROP)),
        Code.FORWARD_RULE_DROP, GW, "inet t c: ip daddr 172.16.20.0/24 drop",
        "nft delete rule inet t c handle 2",
    ),
    "a policy of nft": (
        AT_ROUTER, put(GW, "nftables", *nft("ip", "forward", policy="drop")),
        Code.FORWARD_POLICY_DROP, GW, "-P c DROP", "nft 'chain ip t c { policy accept; }'",
    ),
    "a rule ahead of tracking": (
        AT_ROUTER, put(GW, "nftables", *nft("ip", "prerouting", DROP, prio=-300)), Code.RAW_DROP,
        GW, "ip t c: drop", "nft delete rule ip t c handle 2",
    ),
    "an input rule of nft": (
        AT_RECEIVER, put(B4, "nftables", *nft("ip", "input", match(
            {"meta": {"key": "iifname"}}, "eth0"), DROP)), Code.INPUT_DROP, B4,
        "ip t c: iifname eth0 drop", "nft delete rule ip t c handle 2",
    ),
    "ARP is dropped": (
        ASKED, put(B4, "nftables", *nft("arp", "input", match(
            payload("arp", "operation"), "request"), DROP)), Code.ARP_FILTERED, B4,
        "arp t c: arp operation request drop", "nft delete rule arp t c handle 2",
    ),
    "the answer to ARP is dropped": (
        UNHEARD, put(B1, "nftables", *nft("arp", "input", DROP)), Code.ARP_FILTERED, B1,
        "arp t c: drop", "nft delete rule arp t c handle 2",
    ),
    "a VLAN is dropped by a bridge": (
        ASKING, put("switch", "nftables", *nft("bridge", "forward", match(
            payload("vlan", "id"), 20), DROP)), Code.TRUNK_DROPS_VLAN, "switch",
        "bridge t c: vlan id 20 drop", "nft delete rule bridge t c handle 2",
    ),
    "a port takes the host's own MAC only": (
        replace(ASKING, node="gateway", near=Point("gateway", "eth2", "out"),
                far=Point("switch", "gateway", "in")),
        put("switch", "nftables", *nft("netdev", "ingress", match(
            payload("ether", "saddr"), "02:6e:73:00:00:01", "!="), DROP, dev="gateway")),
        Code.PORT_SECURITY, "switch", "netdev t c: ether saddr != 02:6e:73:00:00:01 drop",
        "nft delete rule netdev t c handle 2",
    ),
    "broadcasts are dropped": (
        replace(ASKING, node="host2", near=Point("host2", "eth2.20", "in"),
                far=Point(B4, "eth0", "in")),
        put("host2", "nftables", *nft("netdev", "ingress", match(
            payload("ether", "daddr"), "ff:ff:ff:ff:ff:ff"), DROP, dev=["eth2.20"])),
        Code.BROADCAST_LOST_TO_MACVLAN, "host2",
        "netdev t c: ether daddr ff:ff:ff:ff:ff:ff drop", "nft delete rule netdev t c handle 2",
    ),
    "a neighbour entry of nobody": (
        LOST_TO_B4, put(GW, "neighbours", NEIGHBOUR), Code.STALE_NEIGHBOUR, GW,
        f"172.16.20.11 lladdr {WRONG_MAC} PERMANENT",
        "ip neighbour delete 172.16.20.11 dev eth2.20",
    ),
    "a neighbour entry for the gateway": (
        TO_GATEWAY, put(B1, "neighbours", {**NEIGHBOUR, "address": "172.16.10.1"}),
        Code.STALE_NEIGHBOUR, B1, f"172.16.10.1 lladdr {WRONG_MAC} PERMANENT",
        "ip neighbour delete 172.16.10.1 dev eth0",
    ),
    "the default route is why it went elsewhere": (
        TO_GATEWAY, both(without(B1, "tables", dst="default"),
                         put(B1, "tables", route("default", "172.16.10.11", "eth0"))),
        Code.DEFAULT_ROUTE_WRONG, B1, "default via 172.16.10.11 dev eth0",
        "ip route replace default via 172.16.10.1",
    ),
    "two have one address": (
        LOST_TO_B4, both(put(GW, "neighbours", {**NEIGHBOUR, "state": "REACHABLE"}),
                         put("bbox2", "links", link("x0", 9, WRONG_MAC)),
                         put("bbox2", "addresses", {"interface": "x0", "scope": "global",
                                                    "address": "172.16.20.11/32"})),
        Code.DUPLICATE_ADDRESS, "bbox2", "172.16.20.11/32",
        "ip address delete 172.16.20.11/32 dev x0",
    ),
    "one answers for another": (
        LOST_TO_B4, both(put(GW, "neighbours", {**NEIGHBOUR, "state": "REACHABLE"}),
                         put("bbox2", "links", link("x0", 9, WRONG_MAC)),
                         sysctl("bbox2", net__ipv4__conf__x0__proxy_arp="1")),
        Code.PROXY_ARP_LEAK, "bbox2", "net.ipv4.conf.x0.proxy_arp",
        "sysctl -w net.ipv4.conf.x0.proxy_arp=0",
    ),
    "its MAC address was changed": (
        LOST_TO_B4, of_link(B4, "eth0", mac="02:00:00:00:00:01"), Code.DUPLICATE_MAC, B4,
        "eth0 02:00:00:00:00:01", "ip link set eth0 address 02:42:ac:10:14:0b",
    ),
    "two have one MAC address": (
        ON_WIRE, of_link("bbox2", "eth0", mac="02:42:ac:10:14:0b"), Code.DUPLICATE_MAC, "bbox2",
        "eth0 02:42:ac:10:14:0b", "ip link set eth0 address 02:42:ac:10:14:0a",
    ),
    "it does no ARP": (
        ASKED, of_link(B4, "eth0", arp=False), Code.ARP_DISABLED, B4, "eth0",
        "ip link set eth0 arp on && ip neighbour flush dev eth0",
    ),
    "it does no ARP, and sends to itself": (
        TO_GATEWAY, both(of_link(B1, "eth0", arp=False),
                         put(B1, "neighbours", {**NEIGHBOUR, "address": "172.16.10.1",
                                                "state": "NOARP"})),
        Code.ARP_DISABLED, B1, "eth0", "ip link set eth0 arp on && ip neighbour flush dev eth0",
    ),
    "it ignores ARP": (
        ASKED, sysctl(B4, net__ipv4__conf__eth0__arp_ignore="8"), Code.ARP_DISABLED, B4,
        "net.ipv4.conf.eth0.arp_ignore", "sysctl -w net.ipv4.conf.eth0.arp_ignore=0",
    ),
    "a small MTU": (
        LARGE, of_link(GW, "eth2.20", mtu=1400), Code.MTU_MISMATCH, GW, "eth2.20 mtu 1400",
        "ip link set eth2.20 mtu 1500",
    ),
    "it answers no echo": (
        AT_RECEIVER, sysctl(B4, net__ipv4__icmp_echo_ignore_all="1"), Code.L4_FILTERED, B4,
        "net.ipv4.icmp_echo_ignore_all", "sysctl -w net.ipv4.icmp_echo_ignore_all=0",
    ),
    "no way back": (
        replace(AT_RECEIVER, flow=replace(AT_RECEIVER.flow, src="172.16.10.10")),
        without(B4, "tables", dst="default"), Code.DEFAULT_ROUTE_MISSING, B4, "default",
        "ip route add default via 172.16.20.1",
    ),
    "a short life": (
        AT_ROUTER, sysctl(B1, net__ipv4__ip_default_ttl="1"), Code.TTL_EXPIRED, B1,
        "net.ipv4.ip_default_ttl", "sysctl -w net.ipv4.ip_default_ttl=64",
    ),
    "a rule that shortens it": (
        AT_ROUTER, put(GW, "firewall", rule("mangle", "-A PREROUTING -j TTL --ttl-set 1")),
        Code.TTL_EXPIRED, GW, "-A PREROUTING -j TTL --ttl-set 1",
        "iptables -t mangle -D PREROUTING -j TTL --ttl-set 1",
    ),
    "connection tracking is full": (
        AT_ROUTER, sysctl(GW, net__netfilter__nf_conntrack_count="8",
                          net__netfilter__nf_conntrack_max="8"),
        Code.CONNTRACK_FULL, GW, "net.netfilter.nf_conntrack_max",
        "sysctl -w net.netfilter.nf_conntrack_max=65536",
    ),
    "the neighbour table is full": (
        AT_ROUTER, lambda readings: readings[GW, "counters"].update({"arp_cache.table_fulls": 3}),
        Code.NEIGHBOUR_OVERFLOW, GW, "net.ipv4.neigh.default.gc_thresh3",
        "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192",
    ),
    "a route by way of one that does not forward": (
        BACK, put(GW, "tables", route("172.16.10.10/32", "172.16.20.10", "eth2.20")),
        Code.ASYMMETRIC_PATH, GW, "172.16.10.10/32 via 172.16.20.10 dev eth2.20",
        "ip route delete 172.16.10.10/32 via 172.16.20.10 dev eth2.20",
    ),
    "a route by way of one that forwards": (
        replace(AT_RECEIVER, node="bbox3", vlan=10, near=Point("bbox3", "eth0", "in"),
                flow=replace(AT_RECEIVER.flow, src="172.16.10.10", dst="172.16.10.11",
                             dst_mac="02:42:ac:10:0a:0b")),
        put("bbox3", "tables", route("172.16.10.10/32", "172.16.10.1", "eth0")), Code.EXTRA_HOP,
        "bbox3", "172.16.10.10/32 via 172.16.10.1 dev eth0",
        "ip route delete 172.16.10.10/32 via 172.16.10.1 dev eth0",
    ),
    "a rule of a bridge that filters": (
        replace(ON_WIRE, node="switch", near=Point("switch", "gateway", "in"),
                far=Point("switch", "host2", "out")),
        both(put("switch", "firewall", rule("filter", "-A FORWARD -d 172.16.20.11 -j DROP")),
             bridge_filters),
        Code.BRIDGE_NETFILTER, "switch", "net.bridge.bridge-nf-call-iptables",
        "sysctl -w net.bridge.bridge-nf-call-iptables=0",
    ),
    "no queue for broadcasts": (
        ON_WIRE, lambda readings: readings.update(
            {(B4, "macvlan"): [{"name": "eth0", "queue": 0, "used": 0}]}),
        Code.BROADCAST_LOST_TO_MACVLAN, B4, "eth0 bcqueuelen 0",
        "ip link set eth0 type macvlan bcqueuelen 1000",
    ),
    "advertisements are dropped": (
        replace(ASKED, flow=replace(ARP, family="ip6", protocol="ndp")),
        put(B4, "nftables", *nft("ip6", "output", match(
            payload("icmpv6", "type"), "nd-neighbor-advert"), DROP)),
        Code.NDP_FILTERED, B4, "ip6 t c: icmpv6 type nd-neighbor-advert drop",
        "nft delete rule ip6 t c handle 2",
    ),
    "a filter on a port": (
        ASKING, put("switch", "tc", TC), Code.TRUNK_DROPS_VLAN, "switch",
        "dev host2 egress pref 7 bpf x", "tc filter delete dev host2 egress pref 7",
    ),
    "a queue on a port": (
        ASKING, put("switch", "tc", {**TC, "filter": False, "kind": "netem", "direction": "out"}),
        Code.TRUNK_DROPS_VLAN, "switch", "dev host2 qdisc netem", "tc qdisc delete dev host2 root",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_found(case: str) -> None:
    """One thing is wrong in the readings: it is named, with its node, its subject and its fix."""
    at, change, code, node, subject, fix = CASES[case]
    finding, lab = found(at, change)
    assert finding is not None
    assert (finding.code, finding.node, finding.subject) == (code, node, subject)
    assert fix in ("", finding.fix)
    kinds = {lab.state.by_name[name].kind for name in finding.shown}
    assert kinds & set(BY_CODE[code].shown_by) or PATH in BY_CODE[code].shown_by


@pytest.mark.parametrize(
    "at", [AT_SENDER, AT_ROUTER, BACK, AT_RECEIVER, ON_WIRE, ASKING, ASKED, UNHEARD, LARGE]
)
def test_nothing_is_found_where_nothing_is_wrong(at: Place) -> None:
    """Readings of a healthy lab hold no cause, wherever something was lost."""
    finding, _ = found(at, lambda _: None)
    assert finding is None


def test_a_rule_for_others_is_no_cause() -> None:
    """Rules that the packet does not meet are passed by: other interfaces, addresses, protocols."""
    rules = [
        "-A FORWARD -i eth2.20 -j DROP", "-A FORWARD -d 172.16.20.10/32 -j DROP",
        "-A FORWARD -p tcp -m tcp --dport 7 -j DROP", "-A FORWARD -m length --length 999 -j DROP",
        "-A FORWARD -s 10.0.0.0/8 -j DROP", "-A FORWARD -m state --state ESTABLISHED -j DROP",
    ]  # fmt: skip

    def change(readings: Readings) -> None:
        readings[GW, "firewall"][1:1] = [rule("filter", text) for text in rules]

    finding, _ = found(AT_ROUTER, change)
    assert finding is None


def test_what_a_rule_counted_decides_where_its_conditions_do_not() -> None:
    """An extension that is not known here: it took the packet if it counted it, and only then."""
    text = "-A FORWARD -m u32 --u32 0x0 -j DROP"
    change: Change = lambda readings: readings[GW, "firewall"].insert(1, rule("filter", text))  # noqa: E731
    key = ("iptables", "ip", "filter", "FORWARD")
    taken, _ = found(AT_ROUTER, change, counted={GW: {(key, 0): 1}})
    passed, _ = found(AT_ROUTER, change, counted={GW: {(key, 0): 0}})
    unsure, _ = found(AT_ROUTER, change)
    assert taken is not None
    assert passed is None
    assert unsure is not None
    assert unsure.message.endswith("; no other rule can be it")


SMALL = "small"
SELECTIVE: dict[str, tuple[set[tuple[str, ...]], set[tuple[str, ...]], Code | None]] = {
    "one VLAN": ({("20", "host", "arp", SMALL)}, {("10", "host", "arp", SMALL)},
                 Code.TRUNK_DROPS_VLAN),
    "one MAC": ({("20", "endpoint", "arp", SMALL)}, {("20", "host", "icmp", SMALL)},
                Code.PORT_SECURITY),
    "ARP": ({("20", "host", "arp", SMALL)}, {("20", "host", "broadcast", SMALL)},
            Code.ARP_FILTERED),
    "NDP": ({("20", "host", "ndp", SMALL)}, {("20", "host", "unicast", SMALL)}, Code.NDP_FILTERED),
    "broadcasts": ({("20", "host", "arp", SMALL), ("20", "host", "broadcast", SMALL)},
                   {("20", "host", "unicast", SMALL)}, Code.BROADCAST_LOST_TO_MACVLAN),
    "multicast": ({("20", "host", "multicast", SMALL)}, {("20", "host", "unicast", SMALL)},
                  Code.MULTICAST_LOST_TO_MACVLAN),
    "multicast, NDP with it": (
        {("20", "host", "multicast", SMALL), ("20", "host", "ndp", SMALL)},
        {("20", "host", "unicast", SMALL)}, Code.MULTICAST_LOST_TO_MACVLAN,
    ),
    "large ones": ({("20", "host", "icmp", "large")}, {("20", "host", "icmp", SMALL)},
                   Code.MTU_MISMATCH),
    "TCP": ({("20", "host", "tcp", SMALL)}, {("20", "host", "udp", SMALL)}, Code.L4_FILTERED),
    "everything": ({("20", "host", "tcp", SMALL)}, set(), None),
}  # fmt: skip


@pytest.mark.parametrize("case", SELECTIVE)
def test_what_a_wire_drops_is_told_by_what_passes(case: str) -> None:
    """Nothing that was read says it: the difference of what is lost and what passes does."""
    lost, passed, code = SELECTIVE[case]
    finding, _ = found(ASKING, lambda _: None, lost=frozenset(lost), passed=frozenset(passed))
    assert (finding and finding.code) == code


def test_a_port_that_must_send_back_and_does_not() -> None:
    """Where the topology has a hairpin port; elsewhere no switch sends anything back."""
    plain = "host2: {management: 192.168.56.105}"
    lab = altered("macvlan-two-host", (plain, plain.replace("}", ", port: hairpin}")))
    ends = {"near": Point("switch", "host2", "in"), "far": Point("switch", "host2", "out")}
    at = place(Kind.WIRE, "switch", B4, vlan=20, **ends)
    finding, _ = found(at, of_link("switch", "host2", hairpin=0), topology=lab)
    assert finding is not None
    assert (finding.code, finding.node) == (Code.MACVLAN_PARENT_ISOLATION, "switch")
    assert finding.fix == "ip link set host2 type bridge_slave hairpin on"
    assert found(at, of_link("switch", "host2", hairpin=1), topology=lab)[0] is None
    assert found(at, of_link("switch", "host2", hairpin=0))[0] is None


def test_modes_are_asked_of_siblings_only() -> None:
    """An endpoint in another mode than its VLAN's is why its siblings do not hear it."""
    at = place(
        Kind.WIRE, B1, "bbox2", near=Point(B1, "eth0", "out"), far=Point("bbox2", "eth0", "in")
    )
    finding, _ = found(at, of_link(B1, "eth0", macvlan_mode="private"), "bbox1-to-bbox2-icmp")
    assert finding is not None
    assert (finding.code, finding.node) == (Code.MACVLAN_MODE_ISOLATES, B1)


@pytest.mark.parametrize("lossless", [True, False])
def test_what_blind_taps_did_not_see_tells_nothing_of_a_wire(lossless: bool) -> None:
    """Frames that passed unseen would make it seem as if the wire chose among them."""
    lost, passed, code = SELECTIVE["TCP"]
    verdict = verdict_of()
    seen = replace(verdict, proof=replace(verdict.proof, taps_lossless=lossless))
    more = {"passed": frozenset(passed), "lost": frozenset(lost)}
    finding = selective(Scene(lab_of(), seen, ASKING, {}, **more))
    assert (finding and finding.code) == (code if lossless else None)
