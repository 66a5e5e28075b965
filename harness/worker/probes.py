"""Senders of probes: every socket is opened inside the namespace of its node.

A sender sends one probe and says what its kernel answered; whether anything arrived is for the taps
to tell, and whether a reply got past them for the sender's own socket.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from typing import Any, Callable

from harness.worker import namespaces, wire
from harness.worker.taps import enlarge

IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3
"""<linux/in.h>: set DF, ignore what was learned of the path's MTU."""
IPV6_MTU_DISCOVER, IPV6_DONTFRAG = 23, 62
"""<linux/in6.h>: the same for IPv6, where the source alone may fragment."""
SOL_RAW, ICMP_FILTER = 255, 1
SOL_ICMPV6, ICMPV6_FILTER = 58, 1
"""<linux/socket.h>, <linux/icmp.h>, <linux/icmpv6.h>: which types a raw socket does not receive, a
bit each, in words of 32; ours receive echo replies."""
ECHO_REPLY, ICMP_HEADER = 0, 8
"""RFC 792: the type, and octets; ICMPv6's header has as many."""
SYN_SENT = 2
"""TCP_INFO's first octet, the state, of <net/tcp_states.h>: nothing has come back."""
ANSWER_OCTETS = 96
"""As much of a reply as has its token: an IP header with options, an ICMP header, the token."""
FAMILIES = {
    "udp": socket.AF_INET,
    "tcp": socket.AF_INET,
    "udp6": socket.AF_INET6,
    "tcp6": socket.AF_INET6,
}
TCP_FASTOPEN_NO_COOKIE = 34
"""<linux/tcp.h>: put data into the SYN without a cookie (RFC 7413, Linux 4.15)."""
MSG_FASTOPEN = 0x20000000
Probe = dict[str, Any]


class Senders:
    """The sockets that a sweep's probes leave through, one a node and kind (TCP: one a probe).

    A tap sees a frame before the node's own INPUT rules do, a socket after them: of an echo, TCP or
    UDP probe it is the socket that has the last word on whether the reply came.
    """

    def __init__(self, poll: select.epoll) -> None:
        self._poll = poll
        self._sockets: dict[tuple[str, str], socket.socket] = {}
        self._connections: list[socket.socket] = []
        self._hearing: dict[int, socket.socket] = {}
        self._heard: set[bytes] = set()
        self._asking: dict[bytes, socket.socket] = {}
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._sequence = 0
        self._send: dict[str, Callable[[Probe], None]] = {
            "arp": self._arp,
            "ndp": self._ndp,
            "icmp": self._icmp,
            "icmp6": self._icmp6,
            "udp": self._udp,
            "udp6": self._udp,
            "tcp": self._tcp,
            "tcp6": self._tcp,
            "beacon": self._beacon,
        }
        self.awaited = wire.Awaited()

    def send(self, probe: Probe) -> int | None:
        """Send one probe; None, or the errno with which the kernel refused."""
        try:
            self._send.get(probe["kind"], self._layer2)(probe)
        except OSError as error:
            self.awaited.pending.pop(probe["token"], None)
            self._asking.pop(probe["token"], None)
            return error.errno
        return None

    def hear(self, fileno: int) -> bool:
        """Take in all that waits on a socket of ours; False if it is none."""
        opened = self._hearing.get(fileno)
        if opened is None:
            return False
        octets = _waiting(opened)
        while octets:
            start = _data(opened, octets)
            self._heard.add(octets[start : start + wire.TOKEN_OCTETS])
            octets = _waiting(opened)
        return True

    def unheard(self, seconds: float) -> list[bytes]:
        """The tokens whose reply came in at their node, and did not get to the socket that asked.

        A socket that is not as far as its tap yet is given some seconds.
        """
        end = time.monotonic() + seconds
        missing = [token for token in self._asking if token not in self.awaited.pending]
        while True:
            missing = [token for token in missing if not self._has_heard(token)]
            left = end - time.monotonic()
            if not missing or left <= 0:
                return missing
            waiting = select.poll()
            for token in missing:
                opened = self._asking[token]
                connects = opened.type == socket.SOCK_STREAM
                waiting.register(opened.fileno(), select.POLLOUT if connects else select.POLLIN)
            for fileno, _ in waiting.poll(left * 1000):
                self.hear(fileno)

    def _has_heard(self, token: bytes) -> bool:
        opened = self._asking[token]
        if opened.type == socket.SOCK_STREAM:
            return opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != SYN_SENT
        return token in self._heard

    def end(self) -> list[socket.socket]:
        """End the connections with RST, which leaves no state behind; the sockets yet to close."""
        for fileno in self._hearing:
            self._poll.unregister(fileno)
        for connection in self._connections:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
        return list(self._sockets.values())

    def _layer2(self, probe: Probe) -> None:
        src = wire.mac(probe["src_mac"])
        frame = wire.layer2(
            wire.mac(probe["dst_mac"]), src, probe["token"], wire.REQUEST, probe["tag"]
        )
        if probe["await"]:
            self.awaited.token(probe["node"], probe["token"])
        self._packet(probe).send(frame)

    def _arp(self, probe: Probe) -> None:
        src = wire.mac(probe["src_mac"])
        if probe["await"]:
            self.awaited.arp(probe["node"], probe["token"], src, probe["dst_ip"])
        self._packet(probe).send(wire.arp_request(src, probe["dst_ip"], probe["token"]))

    def _ndp(self, probe: Probe) -> None:
        src = wire.mac(probe["src_mac"])
        if probe["await"]:
            self.awaited.ndp(probe["node"], probe["token"], probe["dst_ip"])
        self._packet(probe).send(wire.solicitation(src, probe["dst_ip"], probe["token"]))

    def _icmp(self, probe: Probe) -> None:
        if probe["await"]:
            self.awaited.token(probe["node"], probe["token"])
        self._sequence = (self._sequence + 1) & 0xFFFF
        echo = wire.icmp_echo(self._identifier, self._sequence, probe["token"], probe["size"])
        kind = "icmp-df" if probe["size"] else "icmp"
        self._asker(probe, kind, _open_icmp).sendto(echo, (probe["dst_ip"], 0))

    def _icmp6(self, probe: Probe) -> None:
        if probe["await"]:
            self.awaited.token(probe["node"], probe["token"])
        self._sequence = (self._sequence + 1) & 0xFFFF
        echo = wire.icmp6_echo(self._identifier, self._sequence, probe["token"], probe["size"])
        kind = "icmp6-df" if probe["size"] else "icmp6"
        self._asker(probe, kind, _open_icmp6).sendto(echo, (probe["dst_ip"], 0))

    def _udp(self, probe: Probe) -> None:
        if probe["await"]:
            self.awaited.token(probe["node"], probe["token"])
        opened = self._asker(probe, probe["kind"], _open_udp)
        opened.sendto(probe["token"], (probe["dst_ip"], probe["port"]))

    def _tcp(self, probe: Probe) -> None:
        with namespaces.entered(probe["node"]):
            opened = socket.socket(FAMILIES[probe["kind"]], socket.SOCK_STREAM)
            self._connections.append(opened)
            _keep_to(opened, probe)
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        opened.bind(("", 0))
        if probe["await"]:
            ports = (probe["port"], opened.getsockname()[1])
            self.awaited.tcp(probe["node"], probe["token"], probe["dst_ip"], ports)
            self._asking[probe["token"]] = opened
        with contextlib.suppress(BlockingIOError):
            opened.sendto(probe["token"], MSG_FASTOPEN, (probe["dst_ip"], probe["port"]))

    def _beacon(self, probe: Probe) -> None:
        if probe["await"]:
            self.awaited.arrival(probe["dst"], probe["token"])
        self._packet(probe).send(probe["frame"])

    def _packet(self, probe: Probe) -> socket.socket:
        def opener(_kind: str) -> socket.socket:
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            opened.bind((probe["interface"], 0))
            return opened

        return self._socket(probe["node"], "packet " + probe["interface"], opener)

    def _asker(
        self, probe: Probe, kind: str, opener: Callable[[str], socket.socket]
    ) -> socket.socket:
        """The socket that a probe leaves through and its reply comes to."""
        opened = self._socket(probe["node"], kind, opener, probe)
        if opened.fileno() not in self._hearing:
            enlarge(opened)
            self._hearing[opened.fileno()] = opened
            self._poll.register(opened.fileno(), select.EPOLLIN)
        if probe["await"]:
            self._asking[probe["token"]] = opened
        return opened

    def _socket(
        self,
        node: str,
        kind: str,
        opener: Callable[[str], socket.socket],
        asking: Probe | None = None,
    ) -> socket.socket:
        key = (node, kind)
        if key not in self._sockets:
            with namespaces.entered(node):
                opened = self._sockets[key] = opener(kind)
                if asking:
                    _keep_to(opened, asking)
        return self._sockets[key]


def _keep_to(opened: socket.socket, probe: Probe) -> None:
    """Have a socket send and hear on one interface only, where its node has several."""
    if probe["bound"]:
        name = probe["interface"].encode() + b"\0"
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)


def _all_but(wanted: int, words: int) -> bytes:
    """A filter of so many words that lets one type through."""
    bits = [0xFFFFFFFF] * words
    bits[wanted // 32] &= ~(1 << wanted % 32)
    return struct.pack(f"={words}I", *bits)


def _waiting(opened: socket.socket) -> bytes:
    """What comes next on a socket; nothing if nothing does now."""
    try:
        return opened.recv(ANSWER_OCTETS, socket.MSG_DONTWAIT)
    except OSError:
        return b""


def _data(opened: socket.socket, octets: bytes) -> int:
    """Where the data of a reply begins: raw IPv4 sockets are handed the IP header too, raw(7)."""
    if opened.type == socket.SOCK_DGRAM:
        return 0
    return ICMP_HEADER + ((octets[0] & 0x0F) * 4 if opened.family == socket.AF_INET else 0)


def _open_icmp(kind: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    opened.setsockopt(SOL_RAW, ICMP_FILTER, _all_but(ECHO_REPLY, 1))
    if kind == "icmp-df":
        opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
    return opened


def _open_icmp6(kind: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    opened.setsockopt(SOL_ICMPV6, ICMPV6_FILTER, _all_but(wire.ICMPV6_ECHO_REPLY, 8))
    if kind == "icmp6-df":
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
    return opened


def _open_udp(kind: str) -> socket.socket:
    opened = socket.socket(FAMILIES[kind], socket.SOCK_DGRAM)
    opened.bind(("", 0))
    return opened
