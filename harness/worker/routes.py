"""What a router makes of packets that came in: its own answer for each, and its own count.

Linux tells a source of a missing route five times at once and then once a second (ip_error() of
net/ipv4/route.c), so most such packets end in silence. Asked for its route to a packet, and for the
number of packets that ended for want of one, it answers every time.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from typing import Any

from harness.worker import namespaces, netlink

MESSAGE = struct.Struct("=BBBBBBBBI")
"""`struct rtmsg` of <linux/rtnetlink.h>: family, lengths of destination and source, TOS, table,
protocol, scope, type, flags."""
GET = 26
"""RTM_GETROUTE."""
DESTINATION, SOURCE, INPUT_INTERFACE = 1, 2, 3
"""RTA_DST, RTA_SRC and RTA_IIF."""
ADDRESS_BITS = 32
TYPES = {1: "unicast", 2: "local", 3: "broadcast", 5: "multicast"}
"""RTN_* of <linux/rtnetlink.h>, by the names of ip(8); the others are answered with an errno."""

IPV4 = b"\x08\x00"
SOURCE_AT, DESTINATION_AT, END = 26, 30, 34
"""Where the addresses of an untagged IPv4 frame stand (RFC 894, RFC 791)."""

COUNTERS = "/proc/thread-self/net/netstat"
"""Of the namespace that the thread is in; pairs of lines, names and values."""


def asked(tap: tuple[str, str], frames: Iterable[bytes]) -> list[dict[str, Any]]:
    """A node's route to every packet that came in at one of its interfaces, each asked once."""
    node, interface = tap
    flows = {raw[SOURCE_AT:END] for raw in frames if raw[12:14] == IPV4 and len(raw) >= END}
    with namespaces.entered(node):
        index = socket.if_nametoindex(interface)
    return [
        {
            "node": node,
            "interface": interface,
            "src": socket.inet_ntoa(flow[:4]),
            "dst": socket.inet_ntoa(flow[4:]),
            "answer": _answer(node, index, flow[:4], flow[4:]),
        }
        for flow in sorted(flows)
    ]


def unrouted(node: str) -> int:
    """How many packets a node has ended for want of a route: IpExtInNoRoutes of nstat(8)."""
    with namespaces.entered(node), open(COUNTERS, encoding="ascii") as file:
        lines = [line.split() for line in file]
    for names, values in zip(lines[::2], lines[1::2]):
        if names[0] == "IpExt:":
            return int(dict(zip(names, values))["InNoRoutes"])
    raise OSError(errno.ENOENT, f"{node}: {COUNTERS} does not count packets without a route")


def _answer(node: str, index: int, src: bytes, dst: bytes) -> str:
    """The type of the route, or the errno's name: ENETUNREACH where there is none."""
    head = MESSAGE.pack(socket.AF_INET, ADDRESS_BITS, ADDRESS_BITS, 0, 0, 0, 0, 0, 0)
    question = head + netlink.attribute(DESTINATION, dst) + netlink.attribute(SOURCE, src)
    question += netlink.attribute(INPUT_INTERFACE, struct.pack("=I", index))
    try:
        (body, *_) = netlink.request(node, socket.NETLINK_ROUTE, GET, question)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    kind = MESSAGE.unpack_from(body)[7]
    return TYPES.get(kind, str(kind))
