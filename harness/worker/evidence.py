"""Readings of a node's state: raw, parsed, and the command that shows a person the same."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, Callable

from harness.worker import (
    conntrack,
    drops,
    firewall,
    inquiry,
    namespaces,
    neighbours,
    netlink,
    process,
    vlan,
)

Reading = dict[str, Any]

SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_filter",
    "net.ipv4.conf.all.proxy_arp",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.conf.all.accept_local",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.neigh.default.mcast_solicit",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.all.accept_ra",
    "net.ipv6.conf.all.proxy_ndp",
    "net.ipv6.icmp.ratelimit",
    "net.bridge.bridge-nf-call-iptables",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
)
"""What decides whether a packet passes a node."""

MODULES = (
    "8021q", "macvlan", "veth", "bridge", "br_netfilter", "x_tables", "ip_tables", "nf_tables",
    "nf_conntrack", "nf_nat", "overlay",
)  # fmt: skip
"""What labs are made of where a kernel has it as a module, or says its version all the same."""

ROUTE_GET = 26
ROUTE_TO, ROUTE_INTERFACE, ROUTE_VIA, ROUTE_SOURCE = 1, 4, 5, 7
"""RTM_GETROUTE, and RTA_DST, RTA_OIF, RTA_GATEWAY and RTA_PREFSRC of <linux/rtnetlink.h>."""
ROUTE = struct.Struct("=BB10x")
"""`struct rtmsg` of <linux/rtnetlink.h>: family, length of the destination's prefix, and zeros."""

IFF_NOARP = 0x80
"""<linux/if.h>."""

TOLD_ELSEWHERE = ("IFLA_AF_SPEC", "IFLA_STATS")
"""Of a link: its sysctls, which are readings of their own, and IFLA_STATS64 in 32 bits."""

MAIN_TABLE = 254
"""RT_TABLE_MAIN of <linux/rtnetlink.h>."""
RTM_F_CLONED = 0x200
"""A route that the kernel made of another, as for a path's MTU (<linux/rtnetlink.h>)."""

SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
"""/etc/iproute2/rt_scopes."""


def read(wanted: list[tuple[str, str]]) -> list[Reading]:
    """Read (node, kind) pairs; of a node or kind that is not there there is none.

    The kind `route-get ADDRESS` asks the node for its route to an address, `route-get ADDRESS
    INTERFACE` for that out of one of its interfaces.
    """
    wanted = [one for one in wanted if namespaces.is_there(one[0])]
    begun = {
        kind: begin([node for node, sought in wanted if sought == kind])
        for kind, (_, begin) in _PRINTED.items()
    }
    said = {(node, kind): _read(node, kind) for node, kind in wanted if kind not in _PRINTED}
    for kind, (command, _) in _PRINTED.items():
        said.update({(node, kind): (command, text) for node, text in begun[kind]().items()})
    return [
        {"node": node, "kind": kind, "command": command, "parsed": parsed, "raw": raw}
        for node, kind in wanted
        for command, (parsed, raw) in (said[node, kind],)
        if parsed is not None
    ]


def _read(node: str, kind: str) -> tuple[str, tuple[Any, str]]:
    word, _, argument = kind.partition(" ")
    if argument:
        command = "ip route get " + argument.replace(" ", " oif ")
        return command, _route_get(node, *argument.split())
    command, reader = _READERS[word]
    return command, reader(node)


def versions() -> dict[str, str]:
    """The kernel and the tools that the lab is made with."""
    found = {"kernel": platform.release(), "python": platform.python_version()}
    for tool in ("iptables-nft", "iptables-legacy"):
        if shutil.which(tool):
            found[tool] = process.run(None, [tool, "--version"])["out"].strip()
    for module in MODULES:
        version = _version_of(module)
        if version:
            found["module " + module] = version
    return found


def _version_of(module: str) -> str:
    """A module's version, and the kernel's hash of its source where it has that; empty if none."""
    said = []
    for name in ("version", "srcversion"):
        try:
            with open(f"/sys/module/{module}/{name}", encoding="ascii", errors="replace") as file:
                said.append(file.read().strip())
        except OSError:
            continue
    return " ".join(said)


def facts(vlan_datapath: str | None = None) -> dict[str, Any]:
    """What the run's head names: kernel, architecture, VLAN datapath, firewall backend, CPUs.

    The datapath is given where a lab stands that has it: to ask the kernel takes 0.1 s.
    """
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "vlan_datapath": vlan_datapath or vlan.datapath(),
        "firewall_backend": firewall.backend() or "none",
        "cpus": os.cpu_count() or 1,
        "versions": versions(),
    }


def _links(node: str) -> tuple[Any, str]:
    messages = list(namespaces.route(node).get_links())
    names = {message["index"]: message.get("ifname") for message in messages}
    return [_link(message, names) for message in messages], _raw(messages)


def _link(message: Any, names: dict[int, str]) -> dict[str, Any]:
    info = message.get("linkinfo")
    kind = info.get("kind") if info else None
    data = info.get("data") if info else None
    stats = message.get("stats64") or message.get("stats")
    link = {
        "name": message.get("ifname"),
        "index": message["index"],
        "kind": kind,
        "mac": message.get("address"),
        "mtu": message.get("mtu"),
        "state": message.get("operstate"),
        "up": bool(message["flags"] & 1),
        "arp": not message["flags"] & IFF_NOARP,
        "promiscuity": message.get("promiscuity"),
        "master": names.get(message.get("master")),
        "alias": message.get("ifalias"),
        "rx_dropped": stats["rx_dropped"] if stats else None,
        "tx_dropped": stats["tx_dropped"] if stats else None,
    }
    if kind == "vlan" and data:
        link["vlan_id"] = data.get("vlan_id")
        link["parent"] = names.get(message.get("link"))
    elif kind == "veth" and message.get("link_netnsid") is None:
        link["vlan_id"] = vlan.id_behind(names.get(message.get("link")))
    elif kind == "macvlan" and data:
        link["macvlan_mode"] = data.get("macvlan_mode")
        link["parent_index"] = message.get("link")
    elif kind == "bridge" and data:
        link["vlan_filtering"] = data.get("br_vlan_filtering")
    port = info.get("slave_data") if info else None
    if port and kind != "bridge" and info.get("slave_kind") == "bridge":
        link["port_state"] = port.get_attr("IFLA_BRPORT_STATE")
        link["port_isolated"] = port.get_attr("IFLA_BRPORT_ISOLATED")
        link["hairpin"] = port.get_attr("IFLA_BRPORT_MODE")
    return link


def _addresses(node: str) -> tuple[Any, str]:
    messages = list(namespaces.route(node).get_addr())
    parsed = [
        {
            "interface": message.get("label") or message["index"],
            "address": f"{message.get('address')}/{message['prefixlen']}",
            "scope": SCOPES.get(message["scope"], str(message["scope"])),
        }
        for message in messages
    ]
    return parsed, _raw(messages)


def _routes(node: str) -> tuple[Any, str]:
    messages = [
        message
        for family in (socket.AF_INET, socket.AF_INET6)
        for message in namespaces.route(node).get_routes(family=family, table=MAIN_TABLE)
        if not message["flags"] & RTM_F_CLONED
    ]
    with namespaces.entered(node):
        parsed = [
            {
                "dst": _prefix(message),
                "via": message.get("gateway"),
                "interface": _name(message.get("oif")),
                "source": message.get("prefsrc"),
                "metric": message.get("priority"),
            }
            for message in messages
        ]
    return parsed, _raw(messages)


def _name(index: Any) -> Any:
    """An interface's name in the namespace that the thread is in; None if it has none."""
    try:
        return socket.if_indextoname(index) if index else None
    except OSError:
        return None


def _prefix(message: Any) -> str:
    return f"{message.get('dst')}/{message['dst_len']}" if message.get("dst") else "default"


def _neighbours(node: str) -> tuple[Any, str]:
    table = neighbours.table([node])
    raw = [f"{row['address']} lladdr {row['mac']} {row['state']}" for row in table]
    return table, "\n".join(raw) + "\n"


def _bridge_fdb(node: str) -> tuple[Any, str]:
    messages = list(namespaces.route(node).fdb("dump"))
    with namespaces.entered(node):
        parsed = [
            {"mac": message.get("lladdr"), "interface": _name(message["ifindex"])}
            for message in messages
        ]
    return parsed, _raw(messages)


def _firewalls(nodes: Sequence[str]) -> Callable[[], dict[str, tuple[Any, str]]]:
    saves = firewall.saves(nodes)
    return lambda: {node: _firewall(found) for node, found in saves().items()}


def _firewall(found: list[dict[str, str]]) -> tuple[Any, str]:
    raw = "".join(f"# {save['backend']}-save -c\n{save['text']}" for save in found)
    rules = [
        {"backend": save["backend"], **line}
        for save in found
        for line in firewall.parse(save["text"])
    ]
    return rules, raw


def _route_get(node: str, address: str, oif: str = "") -> tuple[Any, str]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    to = socket.inet_pton(family, address)
    asked = ROUTE.pack(family, 8 * len(to)) + netlink.attribute(ROUTE_TO, to)
    try:
        if oif:
            asked += netlink.attribute(ROUTE_INTERFACE, _index(node, oif))
        body = netlink.request(node, socket.NETLINK_ROUTE, ROUTE_GET, asked)[0]
    except OSError as error:
        return {"dst": address, "error": str(error.args[-1])}, f"{address}: {error.args[-1]}\n"
    found = netlink.attributes(body, ROUTE.size)
    via, source = (socket.inet_ntop(family, found[kind]) if kind in found else None
                   for kind in (ROUTE_VIA, ROUTE_SOURCE))  # fmt: skip
    with namespaces.entered(node):
        interface = _name(int.from_bytes(found.get(ROUTE_INTERFACE, b""), sys.byteorder))
    said = [address]
    for word, value in (("via", via), ("dev", interface), ("src", source)):
        said += [word, value] if value else []
    parsed = {"dst": address, "via": via, "interface": interface, "source": source}
    return parsed, " ".join(said) + "\n"


def _index(node: str, interface: str) -> bytes:
    with namespaces.entered(node):
        return socket.if_nametoindex(interface).to_bytes(4, sys.byteorder)


def _sysctls(node: str) -> tuple[Any, str]:
    parsed = {}
    with namespaces.entered(node):
        for key in SYSCTLS:
            try:
                with open("/proc/sys/" + key.replace(".", "/"), encoding="ascii") as file:
                    parsed[key] = file.read().strip()
            except OSError:
                continue
    return parsed, "".join(f"{key} = {value}\n" for key, value in parsed.items())


def _raw(messages: list[Any]) -> str:
    """Netlink messages as JSON, a message a line, without what is told elsewhere."""
    return "".join(json.dumps(_brief(message), default=str) + "\n" for message in messages)


def _brief(message: Any) -> dict[str, Any]:
    """A message without attributes that cost more to decode than all others of a link."""
    said = [one for one in message.get("attrs", ()) if one[0] not in TOLD_ELSEWHERE]
    return {**message, "attrs": said}


_READERS: dict[str, tuple[str, Callable[[str], tuple[Any, str]]]] = {
    "links": ("ip -details -statistics link show", _links),
    "addresses": ("ip address show", _addresses),
    "routes": ("ip route show table main; ip -6 route show table main", _routes),
    "neighbours": ("ip neighbour show", _neighbours),
    "fdb": ("bridge fdb show", _bridge_fdb),
    "conntrack": ("conntrack -L", conntrack.table),
    "sysctls": ("sysctl --all", _sysctls),
    **inquiry.READERS,
    "drops": ("bpftrace: tracepoint:skb:kfree_skb", drops.told),
}

_PRINTED: dict[str, tuple[str, Callable[..., Callable[[], dict[str, tuple[Any, str]]]]]] = {
    "firewall": ("iptables-save -c", _firewalls),
    "nftables": (inquiry.LIST, inquiry.rulesets),
}
"""What programs print: they run while all else is read."""

KINDS = (*(one for one in _READERS if one not in {*inquiry.READERS, "drops"}), "firewall")
"""Every kind of reading but `route-get` and those that only a diagnosis needs."""

__all__ = ["KINDS", "facts", "read", "versions"]
