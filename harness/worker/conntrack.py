"""Connections that a node's kernel tracks: what conntrack(8) lists.

A gateway of 100 endpoints has 10,000 of them. pyroute2 decodes each into some 15 KiB of objects, in
half a millisecond; here it is a line and the tuples, and addresses that recur are one value.
Formats: <linux/netfilter/nfnetlink_conntrack.h>.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any

from harness.worker import netlink

NETLINK_NETFILTER = 12
GET = (1 << 8) | 1
"""NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_GET of <linux/netfilter/nfnetlink*.h>."""
HEAD_OCTETS = 4
"""`struct nfgenmsg`: family, version, resource."""
NESTED = 0x3FFF
"""NLA_TYPE_MASK of <linux/netlink.h>: a type without its flags."""

ORIGINAL, REPLY, STATUS, PROTOCOL_INFO, TIMEOUT = 1, 2, 3, 4, 7
"""CTA_*."""
IP, PROTOCOL = 1, 2
"""CTA_TUPLE_*."""
IPV4, IPV6 = (1, 2), (3, 4)
"""CTA_IP_V4_SRC and _DST, CTA_IP_V6_SRC and _DST."""
NUMBER, SRC_PORT, DST_PORT = 1, 2, 3
ICMP, ICMPV6 = (4, 5, 6), (7, 8, 9)
"""CTA_PROTO_*; of ICMP and ICMPv6 the id, type and code."""
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
TCP = 1
TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
    "TIME_WAIT", "CLOSE", "SYN_SENT2",
)  # fmt: skip
"""CTA_PROTOINFO_TCP, and the values of CTA_PROTOINFO_TCP_STATE, which is attribute 1 in it."""
SEEN_REPLY, ASSURED = 1 << 1, 1 << 2
"""IPS_SEEN_REPLY and IPS_ASSURED of <linux/netfilter/nf_conntrack_common.h>."""

Flow = dict[str, Any]
Attributes = dict[int, bytes]


def table(node: str) -> tuple[list[Flow], str]:
    """Each entry: its tuple as it came, and the one that replies must have; and all as text."""
    flows, lines = [], []
    asked = bytes([socket.AF_UNSPEC, 0, 0, 0])
    for body in netlink.dump(node, NETLINK_NETFILTER, GET, asked):
        found = _attributes(body, HEAD_OCTETS)
        original, reply = _attributes(found[ORIGINAL]), _attributes(found[REPLY])
        status = _number(found.get(STATUS))
        flows.append({"original": _tuple(original), "reply": _tuple(reply), "status": status})
        lines.append(_line(found, original, reply, status or 0))
    return flows, "".join(lines)


def _tuple(half: Attributes) -> dict[str, Any]:
    (src, dst), protocol = _addresses(half), _attributes(half[PROTOCOL])
    return {
        "src": src,
        "dst": dst,
        "protocol": _number(protocol.get(NUMBER)),
        "src_port": _number(protocol.get(SRC_PORT)),
        "dst_port": _number(protocol.get(DST_PORT)),
        "icmp_id": _number(protocol.get(ICMP[0], protocol.get(ICMPV6[0]))),
    }


def _line(found: Attributes, original: Attributes, reply: Attributes, status: int) -> str:
    """An entry in the words of `conntrack -L`."""
    number = _number(_attributes(original[PROTOCOL])[NUMBER]) or 0
    words = [NAMES.get(number, "unknown"), str(number), str(_number(found.get(TIMEOUT)))]
    tcp = _attributes(_attributes(found.get(PROTOCOL_INFO, b"")).get(TCP, b""))
    if tcp:
        state = tcp[1][0]
        words.append(TCP_STATES[state] if state < len(TCP_STATES) else str(state))
    words += _said(original)
    words += [] if status & SEEN_REPLY else ["[UNREPLIED]"]
    words += _said(reply)
    words += ["[ASSURED]"] if status & ASSURED else []
    return " ".join(words) + "\n"


def _said(half: Attributes) -> list[str]:
    (src, dst), protocol = _addresses(half), _attributes(half[PROTOCOL])
    named: dict[str, Any] = {"src": src, "dst": dst}
    named |= {"sport": _number(protocol.get(SRC_PORT)), "dport": _number(protocol.get(DST_PORT))}
    kinds = ICMPV6 if ICMPV6[0] in protocol else ICMP
    for name, kind in zip(("id", "type", "code"), kinds):
        named[name] = _number(protocol.get(kind))
    return [f"{name}={value}" for name, value in named.items() if value is not None]


def _addresses(half: Attributes) -> tuple[str, str]:
    found = _attributes(half[IP])
    src, dst = IPV4 if IPV4[0] in found else IPV6
    return _address(found[src]), _address(found[dst])


@lru_cache(maxsize=4096)
def _address(octets: bytes) -> str:
    family = socket.AF_INET if len(octets) == 4 else socket.AF_INET6  # noqa: PLR2004 - octets of IPv4
    return socket.inet_ntop(family, octets)


def _attributes(octets: bytes, start: int = 0) -> Attributes:
    return {kind & NESTED: value for kind, value in netlink.attributes(octets, start).items()}


def _number(octets: bytes | None) -> int | None:
    return None if octets is None else int.from_bytes(octets, "big")
