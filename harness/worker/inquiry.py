"""Readings that only a diagnosis needs: policy rules, all routes, filters, nftables, counts.

They are taken when something failed, of a lab that is still as it was; a green run does not pay for
them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, Callable

from pyroute2.netlink.exceptions import NetlinkError

from harness.worker import ipsec, namespaces, neighbours, netlink, process

NETLINK_NETFILTER = 12
TABLE_GET = (10 << 8) | 1
"""NFNL_SUBSYS_NFTABLES and NFT_MSG_GETTABLE of <linux/netfilter/nf_tables.h>."""

LINK_GET, IFINFOMSG_OCTETS = 18, 16
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA = 3, 18, 1, 2
BC_QUEUE_LEN, BC_QUEUE_LEN_USED = 7, 8
"""RTM_GETLINK, `struct ifinfomsg`, and attributes of <linux/if_link.h> that pyroute2 does not name:
IFLA_MACVLAN_BC_QUEUE_LEN and IFLA_MACVLAN_BC_QUEUE_LEN_USED (Linux 5.12)."""

INTERFACE_KEYS = (
    "rp_filter", "arp_ignore", "arp_filter", "arp_announce", "proxy_arp", "forwarding",
)  # fmt: skip
IPV6_INTERFACE_KEYS = ("disable_ipv6", "forwarding", "proxy_ndp")
KEYS = (
    "net.ipv4.ip_forward",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv6.icmp.echo_ignore_all",
    "net.ipv6.conf.all.hop_limit",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-arptables",
    "net.bridge.bridge-nf-filter-vlan-tagged",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
)

ROUTE_TYPES = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
    7: "unreachable", 8: "prohibit", 9: "throw", 10: "nat",
}  # fmt: skip
"""RTN_* of <linux/rtnetlink.h>, by the names of ip(8)."""
OF_THE_KERNEL = ("local", "broadcast", "anycast", "multicast")
RULE_ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
"""FR_ACT_* of <linux/fib_rules.h>, by the names of ip-rule(8)."""
TABLES = {253: "default", 254: "main", 255: "local"}
"""/etc/iproute2/rt_tables."""
CLONED = 0x200

QDISC_GET, TCA_KIND, TCA_STATS = 38, 1, 3
"""RTM_GETQDISC, and attributes of <linux/rtnetlink.h>."""
TCMSG = struct.Struct("=BxxxiIII")
"""`struct tcmsg` of <linux/rtnetlink.h>: family, interface, handle, parent, info."""
TC_STATS = struct.Struct("=QIIIIIII4x")
"""`struct tc_stats` of <linux/pkt_sched.h>: octets, packets, drops, and what is not read here."""
CLSACT = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
"""TC_H_CLSACT with its minors (<linux/pkt_sched.h>)."""
PLAIN_QDISCS = ("noqueue", "clsact", "ingress", "pfifo_fast", "mq", "fq_codel", "fq")
"""What a healthy interface has, and what holds filters."""

LIST = "nft --json --handle list ruleset"

Parsed = tuple[Any, str]


def _tables(node: str) -> Parsed:
    """Routes of every table but what the kernel makes of addresses."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in namespaces.route(node).get_routes(family=family):
            kind = ROUTE_TYPES.get(message["type"], str(message["type"]))
            if kind in OF_THE_KERNEL or message["flags"] & CLONED:
                continue
            number = message.get("table") or message["table"]
            dst = f"{message.get('dst')}/{message['dst_len']}" if message.get("dst") else "default"
            found.append(
                {
                    "table": TABLES.get(number, str(number)),
                    "type": kind,
                    "dst": dst,
                    "family": 4 if family == socket.AF_INET else 6,
                    "via": message.get("gateway"),
                    "index": message.get("oif"),
                    "metric": message.get("priority") or 0,
                    "source": message.get("prefsrc"),
                }
            )
    with namespaces.entered(node):
        for one in found:
            one["interface"] = _name(one.pop("index"))
    return found, _lines(found)


def _rules(node: str) -> Parsed:
    """Policy routing rules, in their order."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in namespaces.route(node).get_rules(family=family):
            number = message.get("table") or message["table"]
            action = message["action"]
            found.append(
                {
                    "priority": message.get("priority") or 0,
                    "family": 4 if family == socket.AF_INET else 6,
                    "action": RULE_ACTIONS.get(action, str(action)),
                    "table": TABLES.get(number, str(number)),
                    "src": _network(message, "src"),
                    "dst": _network(message, "dst"),
                    "iif": message.get("iifname"),
                    "oif": message.get("oifname"),
                    "mark": message.get("fwmark"),
                    "protocol": message.get("ip_proto"),
                    "inverted": bool(message["flags"] & 2),
                }
            )
    return found, _lines(found)


def _network(message: Any, end: str) -> Any:
    address = message.get(end)
    return f"{address}/{message[end + '_len']}" if address else None


def _conf(node: str) -> Parsed:
    """The sysctls that decide about packets, of the node and of each interface."""
    found = {}
    with namespaces.entered(node):
        for family, keys in (("ipv4", INTERFACE_KEYS), ("ipv6", IPV6_INTERFACE_KEYS)):
            top = f"/proc/sys/net/{family}/conf"
            for interface in sorted(os.listdir(top)) if os.path.isdir(top) else []:
                for key in keys:
                    found[f"net.{family}.conf.{interface}.{key}"] = _said(
                        f"{top}/{interface}/{key}"
                    )
        for key in KEYS:
            found[key] = _said("/proc/sys/" + key.replace(".", "/"))
    said = {key: value for key, value in found.items() if value is not None}
    return said, "".join(f"{key} = {value}\n" for key, value in said.items())


def _said(path: str) -> Any:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("ascii").strip()
    except OSError:
        return None


def rulesets(nodes: Sequence[str]) -> Callable[[], dict[str, Parsed]]:
    """All tables of each node, as nft(8) prints them for programs; who calls it waits for them.

    Nothing is started where there are none.
    """
    asked = [node for node in nodes if shutil.which("nft") and has_tables(node)]
    texts = process.start_together([(node, LIST.split()) for node in asked])

    def found() -> dict[str, Parsed]:
        printed = dict(zip(asked, texts()))
        return {node: _ruleset(*printed.get(node, ("", ""))) for node in nodes}

    return found


def _ruleset(text: str, errors: str) -> Parsed:
    try:
        return (json.loads(text).get("nftables", []) if text else []), text or errors
    except ValueError:
        return [], text + errors


def has_tables(node: str) -> bool:
    """Whether nf_tables of a node has any table."""
    asked = bytes([socket.AF_UNSPEC, 0, 0, 0])  # struct nfgenmsg
    try:
        return bool(netlink.dump(node, NETLINK_NETFILTER, TABLE_GET, asked))
    except OSError:
        return False


def _traffic_control(node: str) -> Parsed:
    """Filters at the ingress and egress of interfaces, and queues that are not a plain one."""
    found: list[dict[str, Any]] = []
    qdiscs = netlink.dump(node, socket.NETLINK_ROUTE, QDISC_GET, bytes(TCMSG.size))
    with namespaces.entered(node):
        names = {index: _name(index) for index in (TCMSG.unpack_from(one)[1] for one in qdiscs)}
    for body in qdiscs:
        index = TCMSG.unpack_from(body)[1]
        said = netlink.attributes(body, TCMSG.size)
        kind = said[TCA_KIND].rstrip(b"\0").decode()
        if kind not in PLAIN_QDISCS:
            dropped = TC_STATS.unpack_from(said[TCA_STATS])[2] if TCA_STATS in said else 0
            found.append({"interface": names[index], "direction": "out", "kind": kind,
                          "filter": False, "dropped": dropped})  # fmt: skip
        if kind not in ("clsact", "ingress"):
            continue
        for direction, parent in CLSACT.items():
            found += [
                {"interface": names[index], "direction": direction, **_filter(one)}
                for one in _filters(namespaces.route(node), index, parent)
                if one["handle"]  # a head of its preference, which holds the others
            ]
    return found, _lines(found)


def _filters(opened: Any, index: int, parent: int) -> list[Any]:
    try:
        return list(opened.get_filters(index=index, parent=parent))
    except NetlinkError:
        return []


def _filter(message: Any) -> dict[str, Any]:
    options = message.get("options")
    name = options.get("TCA_BPF_NAME") or options.get("name") if options else None
    return {
        "kind": message.get("kind"),
        "filter": True,
        "preference": message["info"] >> 16,
        "handle": message["handle"],
        "name": name,
    }


def _counters(node: str) -> Parsed:
    """What the kernel counts of packets that it ended, by the names of nstat(8)."""
    found: dict[str, int] = {}
    with namespaces.entered(node):
        for path in ("/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"):
            lines = [line.split() for line in (_said(path) or "").splitlines()]
            for names, values in zip(lines[::2], lines[1::2]):
                head = names[0].rstrip(":")
                if head in ("Ip", "IpExt", "TcpExt", "Icmp"):
                    found.update(
                        {head + name: int(value) for name, value in zip(names[1:], values[1:])}
                    )
        for key, value in _per_cpu("/proc/thread-self/net/stat/nf_conntrack").items():
            found[f"nf_conntrack.{key}"] = value
    for name, table in neighbours.tables(node).items():
        found.update({f"{name}.{key}": value for key, value in table.items()})
    return found, "".join(f"{key} {value}\n" for key, value in found.items())


def _per_cpu(path: str) -> dict[str, int]:
    """A table of hexadecimal counts, a row a CPU, summed; `entries` is the same in each."""
    rows = [line.split() for line in (_said(path) or "").splitlines()]
    if not rows:
        return {}
    names, *counted = rows
    found = dict.fromkeys(names, 0)
    for row in counted:
        for name, value in zip(names, row):
            found[name] = int(value, 16) if name == "entries" else found[name] + int(value, 16)
    return found


def _macvlan(node: str) -> Parsed:
    """The queue that macvlan interfaces have for broadcasts: asked for, and in use."""
    found = []
    for body in netlink.dump(node, socket.NETLINK_ROUTE, LINK_GET, bytes(IFINFOMSG_OCTETS)):
        link = netlink.attributes(body, IFINFOMSG_OCTETS)
        info = netlink.attributes(link.get(IFLA_LINKINFO, b""), 0)
        if info.get(IFLA_INFO_KIND, b"").rstrip(b"\0") == b"macvlan":
            data = netlink.attributes(info.get(IFLA_INFO_DATA, b""), 0)
            queues = [_number(data.get(kind)) for kind in (BC_QUEUE_LEN, BC_QUEUE_LEN_USED)]
            name = link[IFLA_IFNAME].rstrip(b"\0").decode()
            found.append({"name": name, "queue": queues[0], "used": queues[1]})
    return found or None, _lines(found)


def _number(octets: Any) -> Any:
    return None if octets is None else int.from_bytes(octets, sys.byteorder)


def _name(index: Any) -> Any:
    try:
        return socket.if_indextoname(index) if index else None
    except OSError:
        return None


def _lines(found: list[Any]) -> str:
    return "".join(json.dumps(one, default=str) + "\n" for one in found)


READERS: dict[str, tuple[str, Callable[[str], Parsed]]] = {
    "tables": ("ip route show table all; ip -6 route show table all", _tables),
    "rules": ("ip rule show; ip -6 rule show", _rules),
    "conf": ("sysctl net.ipv4.conf net.ipv6.conf", _conf),
    "tc": ("tc qdisc show; tc filter show dev INTERFACE ingress", _traffic_control),
    "xfrm": ("ip xfrm policy show; ip xfrm policy getdefault", ipsec.policies),
    "macvlan": ("ip -details link show type macvlan", _macvlan),
    "counters": ("nstat -az; conntrack -S; ip -statistics ntable show", _counters),
}
