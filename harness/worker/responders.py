"""What makes a reached destination answer, in the namespace of its node.

UDP is echoed, layer-2 frames are sent back; TCP and ICMP are the kernel's own.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterable
from typing import Any, Callable

from harness.worker import namespaces, wire

FREEBIND: dict[int, tuple[int, int]] = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}
"""IP_FREEBIND of <linux/in.h>, IPV6_FREEBIND of <linux/in6.h>: a destination that has lost its
address is a fault to find, not an error of the sweep."""
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_MULTICAST = 263, 1, 0
NOBODY_THERE = (None, errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL)
"""The namespace, its interface or its address is not there, so nothing comes in to be answered. An
interface that if_nametoindex() of Python 3.9 does not find has no number."""


class Responders:
    """What answers at the destinations of a sweep."""

    def __init__(self, wanted: Iterable[dict[str, Any]]) -> None:
        self._answer: dict[int, Callable[[], None]] = {}
        self._listeners: list[socket.socket] = []
        for want in wanted:
            try:
                with namespaces.entered(want["node"]):
                    self._respond(want)
            except OSError as error:
                if error.errno not in NOBODY_THERE:
                    raise

    def filenos(self) -> list[int]:
        """For poll(2)."""
        return list(self._answer)

    def answer(self, fileno: int) -> None:
        """Answer everything that waits on one of `filenos`."""
        self._answer[fileno]()

    def end(self) -> list[socket.socket]:
        """The sockets to close, which end the answering."""
        return self._listeners

    def _respond(self, want: dict[str, Any]) -> None:
        for family, kinds, address in (
            (socket.AF_INET, ("udp", "tcp"), "address"),
            (socket.AF_INET6, ("udp6", "tcp6"), "address6"),
        ):
            for kind, listen in zip(kinds, (self._udp, self._tcp)):
                if kind in want["kinds"]:
                    listen(family, want["node"], want[address])
        if any(kind.startswith("l2-") for kind in want["kinds"]):
            self._layer2(want)

    def _keep(self, listener: socket.socket, answer: Callable[[], None] | None) -> None:
        listener.setblocking(False)
        self._listeners.append(listener)
        if answer:
            self._answer[listener.fileno()] = answer

    def _udp(self, family: int, node: str, address: str) -> None:
        listener = _listener(family, socket.SOCK_DGRAM, node, address)

        def answer() -> None:
            for octets, asker in _received(listener):
                _sendto(listener, octets, asker)

        self._keep(listener, answer)

    def _tcp(self, family: int, node: str, address: str) -> None:
        listener = _listener(family, socket.SOCK_STREAM, node, address)
        listener.listen(4096)
        self._keep(listener, None)

    def _layer2(self, want: dict[str, Any]) -> None:
        if want["interface"] not in [name for _, name in socket.if_nameindex()]:
            return  # nothing arrives where there is no interface
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._listeners.append(listener)
        listener.bind((want["interface"], wire.ETH_P_PROBE))
        index = socket.if_nametoindex(want["interface"])
        joined = struct.pack("iHH8s", index, PACKET_MR_MULTICAST, 6, wire.GROUP)
        listener.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, joined)
        own = wire.mac(want["mac"])
        addressed = set(want["tokens"])

        def answer() -> None:
            for frame, _ in _received(listener):
                token = frame[14:30]
                if frame[30:31] == bytes([wire.REQUEST]) and token in addressed:
                    reply = wire.layer2(frame[6:12], own, token, wire.REPLY, None)
                    _sendto(listener, reply, (want["interface"], wire.ETH_P_PROBE))

        self._keep(listener, answer)


def _listener(family: int, kind: int, node: str, address: str) -> socket.socket:
    opened = socket.socket(family, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(*FREEBIND[family], 1)
    try:
        opened.bind((address, wire.ECHO_PORT))
    except OSError as error:
        opened.close()
        name = "TCP" if kind == socket.SOCK_STREAM else "UDP"
        text = f"{node}: cannot answer probes on {name} port {wire.ECHO_PORT}"
        raise OSError(error.errno, f"{text}: {error.strerror}") from error
    return opened


def _received(listener: socket.socket) -> Iterable[tuple[bytes, Any]]:
    while True:
        try:
            yield listener.recvfrom(2048)
        except OSError:
            return  # nothing more, or the interface went down: the taps tell which


def _sendto(listener: socket.socket, octets: bytes, address: Any) -> None:
    """An answer that cannot be sent is a reply that does not come: the taps show it."""
    with contextlib.suppress(OSError):
        listener.sendto(octets, address)
