"""Who answers, and from when on: questions asked of an address until it answers, and steady flows.

A flow is numbered. It is sent on a thread of its own, which opens no socket: those are opened in
their nodes' namespaces before it starts. Nothing is opened at the side that answers, because an
open socket would keep a container's namespace alive after its end.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, Union

from harness.worker import namespaces, wire

EVERY_S = 0.01
"""How often a question is asked, and a number of a flow sent."""
GRACE_S = 2.0
"""How long a flow that has ended waits for the answers that are under way: more than TCP's second
retransmission takes (RFC 6298: 0.2 s, 0.4 s, ... in Linux)."""
CONNECT_S = 5.0
SOL_RAW, ICMP_FILTER = 255, 1
ONLY_REPLIES = struct.pack("=I", 0xFFFFFFFE)
"""<linux/icmp.h>: a set bit is a type that is not received; 0 is the echo reply."""
IP_HEADER, ICMP_HEADER = 20, 8
"""Octets; nobody here sends IP options."""
NUMBER = struct.Struct("!I")


class Pings:
    """Echo requests from a node to an address, each with a token and its number."""

    def __init__(self, node: str, address: str) -> None:
        self._address, self._token = address, os.urandom(wire.TOKEN_OCTETS)
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self.sent = 0
        self.answered: dict[int, float] = {}
        """When each number's answer came first."""
        self.broken = ""
        with namespaces.entered(node):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.setsockopt(SOL_RAW, ICMP_FILTER, ONLY_REPLIES)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For select(2)."""
        return self._socket.fileno()

    def send(self) -> None:
        """Ask once more. What the kernel cannot send is a question without an answer."""
        data = self._token + NUMBER.pack(self.sent)
        sequence = self.sent & 0xFFFF
        echo = wire.icmp_echo(self._identifier, sequence, data, None)
        self.sent += 1
        with contextlib.suppress(OSError):
            self._socket.sendto(echo, (self._address, 0))

    def receive(self) -> None:
        """Note the answers that are there."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self._socket.recv(2048)[IP_HEADER + ICMP_HEADER :]
                if data.startswith(self._token):
                    (number,) = NUMBER.unpack_from(data, len(self._token))
                    self.answered.setdefault(number, time.monotonic())

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Stream:
    """A TCP connection from a node to a server that sends back what it gets, number by number."""

    def __init__(self, node: str, address: str, port: int) -> None:
        self.sent = 0
        self.answered: dict[int, float] = {}
        self.broken = ""
        """Why it is no more, in the kernel's words."""
        self._rest = b""
        self._socket = _connected(node, address, port)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For select(2)."""
        return self._socket.fileno()

    def send(self) -> None:
        """Send the next number; one that would not fit into the buffer is sent later."""
        if self.broken:
            self.sent += 1
            return
        try:
            self._socket.send(NUMBER.pack(self.sent))
            self.sent += 1
        except BlockingIOError:
            return
        except OSError as error:
            self.broken = error.strerror or str(error)

    def receive(self) -> None:
        """Note the numbers that have come back."""
        while not self.broken:
            try:
                octets = self._socket.recv(4096)
            except BlockingIOError:
                return
            except OSError as error:
                self.broken = error.strerror or str(error)
                return
            if not octets:
                self.broken = "closed by the other end"
            self._rest += octets
            while len(self._rest) >= NUMBER.size:
                self.answered.setdefault(NUMBER.unpack_from(self._rest)[0], time.monotonic())
                self._rest = self._rest[NUMBER.size :]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


Flow = Union[Pings, Stream]


class Steady:
    """Flows under way on a thread."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self.flows = flows
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send no more, and wait for what is under way."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for flow in self.flows:
                flow.send()
            _receive(self.flows, time.monotonic() + EVERY_S)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and any(map(_awaits, self.flows)):
            _receive(self.flows, time.monotonic() + EVERY_S)


_steady: list[Steady] = []


def first_answers(asks: list[tuple[str, str]], within: float) -> list[dict[str, Any]]:
    """Ask from each (node, address) until it answers, all at the same time.

    For each the milliseconds from the first question to the first answer, None if there was none
    `within` so many seconds, and how many questions were asked.
    """
    began = time.monotonic()
    pings = [Pings(node, address) for node, address in asks]
    waiting = list(pings)
    while waiting and time.monotonic() < began + within:
        for one in waiting:
            one.send()
        _receive(waiting, time.monotonic() + EVERY_S)
        waiting = [one for one in waiting if not one.answered]
    for one in pings:
        one.close()
    return [
        {
            "ms": round((min(one.answered.values()) - began) * 1000, 1) if one.answered else None,
            "asked": one.sent,
        }
        for one in pings
    ]


def begin(node: str, address: str, port: int) -> str:
    """Start steady flows from a node: pings to an address, and a TCP connection to its port.

    What is wrong if one has no answer at all; "" when both are under way.
    """
    try:
        flows: list[Flow] = [Pings(node, address), Stream(node, address, port)]
    except OSError as error:
        return f"{address}, port {port}: {error}"
    _steady.append(Steady(flows))
    deadline = time.monotonic() + CONNECT_S
    while not all(flow.answered for flow in flows):
        if time.monotonic() > deadline:
            end()
            return f"no answer from {address} within {CONNECT_S:.0f} s"
        time.sleep(EVERY_S)
    return ""


def end() -> list[dict[str, Any]]:
    """End the flows: of each what was sent and answered, its longest silence, why it broke."""
    steady, ended = _steady.pop(), time.monotonic()
    steady.end()
    found = []
    for flow in steady.flows:
        moments = [*sorted(flow.answered.values()), ended]
        silences = [later - sooner for sooner, later in zip(moments, moments[1:])]
        found.append(
            {
                "sent": flow.sent, "answered": len(flow.answered), "broken": flow.broken,
                "silence_ms": round(max(silences, default=0.0) * 1000, 1),
            }
        )  # fmt: skip
        flow.close()
    return found


def _awaits(flow: Flow) -> bool:
    return not flow.broken and len(flow.answered) < flow.sent


def _receive(flows: Sequence[Flow], until: float) -> None:
    """Receive until a moment."""
    open_ = [flow for flow in flows if not flow.broken]
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return
        for flow in select.select(open_, [], [], left)[0]:
            flow.receive()
        open_ = [flow for flow in open_ if not flow.broken]


def _connected(node: str, address: str, port: int) -> socket.socket:
    """A connection; tried again while the server is not there yet."""
    deadline = time.monotonic() + CONNECT_S
    while True:
        with namespaces.entered(node):
            opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.settimeout(CONNECT_S)
        try:
            opened.connect((address, port))
        except OSError:
            opened.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(EVERY_S)
        else:
            return opened
