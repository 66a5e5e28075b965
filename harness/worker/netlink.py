"""Dumps over a plain netlink socket, for what a sweep reads and flushes in every namespace.

pyroute2 runs an event loop for each request (0.2 ms, and 30 ms for a conntrack dump, for which it
opens a socket anew); a sweep of a few cells takes less than that in all. Formats: RFC 3549,
<linux/netlink.h>, <linux/neighbour.h>, <linux/netfilter/nfnetlink.h>.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from harness.worker import namespaces

HEADER = struct.Struct("=IHHII")
"""`struct nlmsghdr`: length, type, flags, sequence number, port."""
ATTRIBUTE = struct.Struct("=HH")
"""`struct nlattr`: length, type."""
ERROR, DONE = 2, 3
REQUEST, ACK, REPLACE, DUMP = 0x1, 0x4, 0x100, 0x300
RECEIVE_OCTETS = 1 << 18

_sockets: dict[tuple[str, int], socket.socket] = {}


def dump(node: str, protocol: int, kind: int, payload: bytes) -> list[bytes]:
    """The bodies of all messages that answer a dump request; OSError if the kernel refuses."""
    opened = _socket(node, protocol)
    opened.send(message(kind, REQUEST | DUMP, payload))
    return list(_answers(opened))


def request(node: str, protocol: int, kind: int, payload: bytes, flags: int = 0) -> list[bytes]:
    """Ask for one thing or change; the bodies that answer, OSError if the kernel refuses."""
    opened = _socket(node, protocol)
    opened.send(message(kind, REQUEST | ACK | flags, payload))
    return list(_answers(opened))


def forget(node: str) -> None:
    """Close the sockets that are open in a node's namespace."""
    for key in [key for key in _sockets if key[0] == node]:
        _sockets.pop(key).close()


def begin_anew() -> Any:
    """Forget the open sockets, which may have answers in them; returned, they stay open."""
    had = dict(_sockets)
    _sockets.clear()
    return had


def attributes(body: bytes, start: int) -> dict[int, bytes]:
    """The attributes that follow the fixed part of a message, by their type."""
    found = {}
    while start + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, start)
        found[kind] = body[start + ATTRIBUTE.size : start + length]
        start += max((length + 3) & ~3, ATTRIBUTE.size)
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four octets."""
    octets = ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value
    return octets + bytes(-len(octets) % 4)


def _socket(node: str, protocol: int) -> socket.socket:
    """The node's socket of a netlink protocol; made on first use and kept."""
    key = (node, protocol)
    if key not in _sockets:
        with namespaces.entered(node):
            opened = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
            )
        opened.bind((0, 0))
        _sockets[key] = opened
    return _sockets[key]


def message(kind: int, flags: int, payload: bytes) -> bytes:
    """A whole message: header and body."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags, 0, 0) + payload


def _answers(opened: socket.socket) -> Iterator[bytes]:
    """Bodies until the kernel says done; an acknowledgement is an error of number 0."""
    while True:
        octets = opened.recv(RECEIVE_OCTETS)
        start = 0
        while start < len(octets):
            length, kind, _, _, _ = HEADER.unpack_from(octets, start)
            body = octets[start + HEADER.size : start + length]
            if kind == DONE:
                return
            if kind == ERROR:
                (number,) = struct.unpack_from("=i", body)
                if number:
                    raise OSError(-number, os.strerror(-number))
                return
            yield body
            start += (length + 3) & ~3
