"""Neighbour (ARP and NDP) entries: read and flushed, as ip-neighbour(8) does."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

from harness.worker import namespaces, netlink

MESSAGE = struct.Struct("=BxxxiHBB")
"""`struct ndmsg` of <linux/neighbour.h>: family, interface, state, flags, type."""
NEW, DELETE, GET = 28, 29, 30
"""RTM_NEWNEIGH, RTM_DELNEIGH and RTM_GETNEIGH of <linux/rtnetlink.h>."""
DESTINATION, LINK_ADDRESS = 1, 2
"""NDA_DST and NDA_LLADDR."""
GET_TABLE = 66
TABLE_HEAD = bytes(4)
"""RTM_GETNEIGHTBL, and `struct ndtmsg` with a family of none."""
TABLE_NAME, THRESH3, CONFIG, STATISTICS = 1, 4, 5, 7
"""NDTA_NAME, NDTA_THRESH3, NDTA_CONFIG and NDTA_STATS."""
CONFIGURED = struct.Struct("=HHI")
"""The head of `struct ndt_config`: lengths of a key and of an entry, and how many entries are."""
COUNTED = struct.Struct("=11Q")
"""`struct ndt_stats` up to ndts_table_fulls, its last (Linux 4.3)."""

_full_before: dict[str, int] = {}
"""By the name of a table: how often it was full when the first sweep began."""

STATES = {
    0x01: "INCOMPLETE",
    0x02: "REACHABLE",
    0x04: "STALE",
    0x08: "DELAY",
    0x10: "PROBE",
    0x20: "FAILED",
    0x40: "NOARP",
    0x80: "PERMANENT",
}
"""NUD_* of <linux/neighbour.h>, by the names of ip(8)."""
IPV4_OCTETS = 4
STALE = 0x04
NOARP = 0x40
KEPT = NOARP | 0x80
"""NOARP and PERMANENT: what somebody set stays."""


def table(nodes: list[str]) -> list[dict[str, Any]]:
    """All entries of the nodes that are for one address, not for a group."""
    found = []
    for node in filter(namespaces.is_there, nodes):
        with namespaces.entered(node):
            for index, state, address, mac in _of_lab(node):
                found.append(
                    {
                        "node": node,
                        "interface": _name(index),
                        "address": socket.inet_ntop(_family(address), address),
                        "mac": mac.hex(":") or None,
                        "state": STATES.get(state, str(state)),
                    }
                )
    return found


def flush(nodes: list[str]) -> None:
    """Delete every entry that the kernel learned; a packet that waits in one goes with it."""
    for node in filter(namespaces.is_there, nodes):
        for index, state, address, _ in _of_lab(node):
            if state & KEPT:
                continue
            head = MESSAGE.pack(_family(address), index, 0, 0, 0)
            entry = head + netlink.attribute(DESTINATION, address)
            with contextlib.suppress(FileNotFoundError):  # it went by itself meanwhile
                netlink.request(node, socket.NETLINK_ROUTE, DELETE, entry)


def tables(node: str) -> dict[str, dict[str, int]]:
    """The kernel's tables by name: their entries, how many there may be, how often one was full.

    They are of all namespaces together, and /proc says so in the machine's own only. How often is
    counted since the kernel booted, or since `begin`.
    """
    found = {}
    for body in netlink.dump(node, socket.NETLINK_ROUTE, GET_TABLE, TABLE_HEAD):
        table = netlink.attributes(body, len(TABLE_HEAD))
        if STATISTICS in table:  # else it is an interface's parameters
            found[table[TABLE_NAME].rstrip(b"\0").decode()] = {
                "entries": CONFIGURED.unpack_from(table[CONFIG])[2],
                "gc_thresh3": int.from_bytes(table[THRESH3], sys.byteorder),
                "table_fulls": COUNTED.unpack_from(table[STATISTICS])[-1],
            }
    for name, full in _full_before.items():
        found[name]["table_fulls"] -= full
    return found


def begin(nodes: list[str]) -> None:
    """Have what was full before the first sweep be no finding of any; see `tables`."""
    if nodes and not _full_before:
        found = {name: table["table_fulls"] for name, table in tables(nodes[0]).items()}
        _full_before.update(found)


def age(node: str) -> None:
    """Make every entry that has a MAC address as old as it is 15 to 45 s after its last use."""
    for index, state, address, mac in list(_entries(node)):
        if mac and not state & KEPT:
            head = MESSAGE.pack(_family(address), index, STALE, 0, 0)
            named = netlink.attribute(DESTINATION, address) + netlink.attribute(LINK_ADDRESS, mac)
            netlink.request(node, socket.NETLINK_ROUTE, NEW, head + named, netlink.REPLACE)


def _of_lab(node: str) -> list[tuple[int, int, bytes, bytes]]:
    """The entries of the lab's interfaces: on a lab host others are not the lab's to touch."""
    entries = list(_entries(node))
    with namespaces.entered(node):
        return [entry for entry in entries if namespaces.of_lab(node, _name(entry[0]))]


def _entries(node: str) -> Iterator[tuple[int, int, bytes, bytes]]:
    """(interface index, state, address, MAC or nothing) of each entry.

    IPv6 keeps entries too for groups and for own addresses that it has sent to; those need no
    resolving.
    """
    asked = MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    for body in netlink.dump(node, socket.NETLINK_ROUTE, GET, asked):
        _, index, state, _, _ = MESSAGE.unpack_from(body)
        found = netlink.attributes(body, MESSAGE.size)
        mac = found.get(LINK_ADDRESS, b"")
        if DESTINATION in found and not _is_made_up(state, found[DESTINATION], mac):
            yield index, state, found[DESTINATION], mac


def _name(index: int) -> str:
    """An interface's name; its number if it went meanwhile."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)


def _family(address: bytes) -> int:
    return socket.AF_INET if len(address) == IPV4_OCTETS else socket.AF_INET6


def _is_made_up(state: int, address: bytes, mac: bytes) -> bool:
    """Whether it is of IPv6, and for a group (RFC 4291, section 2.7) or the loopback interface."""
    if _family(address) == socket.AF_INET:
        return False
    return address.startswith(b"\xff") or (state == NOARP and not any(mac))
