"""A second opinion on what reaches what: plain sockets with long timeouts, no token, no capture.

It is a script of its own, which imports nothing of the harness: `python -m harness.faults.oracle
listen SECONDS` on each endpoint, then `... ask SECONDS ADDRESS...` on all of them at once. Who
listens prints what came in, who asks what was answered.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

PORT = 7
ICMP, TCP, UDP = socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP
PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}
ECHO_REQUEST, ECHO_REPLY, SYN_ONLY = 8, 0, 0x02


def listen(seconds: float) -> None:
    """Answer on TCP and UDP port 7; print `PROTOCOL SOURCE TTL MARK` of what comes in raw."""
    raw = {socket.socket(socket.AF_INET, socket.SOCK_RAW, one): one for one in PROTOCOLS}
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", PORT))
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind(("", PORT))
    tcp.listen(64)
    kept = []
    _say("listening")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([*raw, udp, tcp], [], [], end - time.monotonic())
        for one in ready:
            if one is udp:
                octets, asker = udp.recvfrom(2048)
                _try(udp.sendto, octets, asker)
            elif one is tcp:
                kept.append(tcp.accept())
            else:
                _tell(raw[one], one.recv(2048))


def _tell(protocol: int, packet: bytes) -> None:
    """Print what an IPv4 packet says, if it asks something."""
    head = (packet[0] & 0xF) * 4
    source, ttl, body = socket.inet_ntoa(packet[12:16]), packet[8], packet[head:]
    asked = protocol == ICMP and body[0] == ECHO_REQUEST
    if asked or (protocol == UDP and struct.unpack_from("!H", body, 2)[0] == PORT):
        mark = body[8:].rstrip(b"\0").decode(errors="replace")
    elif (
        protocol == TCP
        and body[13] & 0x3F == SYN_ONLY
        and struct.unpack_from("!H", body, 2)[0] == PORT
    ):
        mark = "-"
    else:
        return
    _say(PROTOCOLS[protocol], source, ttl, mark)


def ask(seconds: float, own: str, addresses: list[str]) -> None:
    """Ask every address by each protocol at once; print `PROTOCOL ADDRESS` of what is answered."""
    pending: dict[socket.socket, tuple[str, str]] = {}
    for number, address in enumerate(addresses):
        icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, ICMP)
        icmp.setblocking(False)
        _try(icmp.sendto, _echo(number, f"{own}>{address}".encode()), (address, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        _try(udp.connect, (address, PORT))
        _try(udp.send, f"{own}>{address}".encode())
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setblocking(False)
        pending |= {icmp: ("icmp", address), udp: ("udp", address)}
        if tcp.connect_ex((address, PORT)) in (0, errno.EINPROGRESS):
            pending[tcp] = ("tcp", address)
    end = time.monotonic() + seconds
    while pending and time.monotonic() < end:
        reading = [one for one, (kind, _) in pending.items() if kind != "tcp"]
        writing = [one for one, (kind, _) in pending.items() if kind == "tcp"]
        ready, written, _ = select.select(reading, writing, [], end - time.monotonic())
        for one in (*ready, *written):
            kind, address = pending[one]
            answered = _answered(one, kind, address)
            if answered is not None:
                del pending[one]
            if answered:
                _say(kind, address)
    _say("done")


def _answered(one: socket.socket, kind: str, address: str) -> bool | None:
    """Whether a socket has its answer; None where it got something else."""
    if kind == "tcp":
        return one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    try:
        octets = one.recv(2048)
    except OSError:
        return False
    if kind == "udp":
        return True
    head = (octets[0] & 0xF) * 4
    mine = socket.inet_ntoa(octets[12:16]) == address and octets[head] == ECHO_REPLY
    return True if mine else None


def _echo(number: int, data: bytes) -> bytes:
    """An echo request (RFC 792); each has an identifier of its own."""
    identifier = (time.time_ns() + number) & 0xFFFF
    head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, identifier, 1)
    padded = data + bytes(len(data) % 2)
    words = struct.unpack(f"!{(len(head) + len(padded)) // 2}H", head + padded)
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    total = ~(total + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, total, identifier, 1) + padded


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def _try(act: Callable[..., object], *arguments: object) -> None:
    """Do what may be refused: then nothing is answered."""
    with contextlib.suppress(OSError):
        act(*arguments)


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(float(sys.argv[2]))
    else:
        ask(float(sys.argv[2]), sys.argv[3], sys.argv[4:])
