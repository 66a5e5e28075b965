"""What a lab host has of what a lab needs: looked at, and nothing of it changed.

`look` reads. `listen`, `say` and `heard` try the trunk with real frames: a socket hears what a
token rides in, whatever tag and addresses it has, and is closed again by `hush`.
"""

from __future__ import annotations

import errno
import http.client
import os
import platform
import select
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from harness.worker import search

ETHERTYPE = 0x88B5
"""Local experimental, IEEE 802: nothing on a host answers it."""
DEADLINE_S = 5.0
ETH_P_ALL, ETH_P_8021Q = 3, 0x8100
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
PACKET_AUXDATA = 8
AUXDATA = struct.Struct("=IIIHHHH")
"""struct tpacket_auxdata, <linux/if_packet.h>."""
VLAN_VALID = 1 << 4

_listening: dict[str, socket.socket] = {}


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """What there is of {"trunk", "docker", "programs": [[name, option]]}, and what time it is."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "release": _release(),
        "programs": {name: _said(name, option) for name, option in asked["programs"]},
        "trunk": _link(asked["trunk"]),
        "docker": _docker(asked["docker"]) if asked["docker"] else None,
        "disk": _free("/var/lib"),
    }


def clock() -> float:
    """The wall clock, in seconds since 1970."""
    return time.time()


def abilities() -> dict[str, Any]:
    """Ask the kernel for all that a lab needs of it; in new namespaces, see `abilities`.

    RuntimeError in those of a machine, whose /run would be hidden.
    """
    if os.getpid() != 1:
        raise RuntimeError("not the first process of its namespaces")
    from harness.worker import abilities as asking

    return dict(asking.answers())


def listen(interface: str, how: dict[str, bool]) -> str:
    """Hear frames on an interface from now on; why it cannot be, or nothing.

    {"promiscuous"} is what macvlan makes of a card that cannot filter by several addresses.
    """
    hush()
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    try:
        opened.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        opened.bind((interface, ETH_P_ALL))
        if how["promiscuous"]:
            wanted = struct.pack(
                "iHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b""
            )
            opened.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, wanted)
    except OSError as error:
        opened.close()
        return os.strerror(error.errno or errno.EIO)
    opened.setblocking(False)
    _listening[interface] = opened
    return ""


def say(interface: str, frames: Sequence[bytes]) -> None:
    """Send frames as they are."""
    for frame in frames:
        _listening[interface].send(frame)


def heard(interface: str, wanted: int, token: bytes, within: float) -> list[bytes]:
    """What the frames that arrive have behind a token: `wanted` ones, or all until the time is up.

    The first two octets of each are the VLAN ID that the frame had.
    """
    found: set[bytes] = set()
    opened, deadline = _listening[interface], time.monotonic() + within
    while len(found) < wanted:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([opened], [], [], left)[0]:
            break
        frame, ancillary, _, address = opened.recvmsg(2048, 64)
        at = frame.find(token)
        if at >= 0 and address[2] != socket.PACKET_OUTGOING:
            text = frame[at + len(token) :].split(b"\0")[0]
            found.add(struct.pack("!H", _vlan(frame, ancillary)) + text)
    return sorted(found)


def hush() -> None:
    """Hear nothing any more."""
    while _listening:
        _listening.popitem()[1].close()


def _vlan(frame: bytes, ancillary: Any) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = AUXDATA.unpack(data[: AUXDATA.size])
            if status & VLAN_VALID:
                return int(tci & 0xFFF)
    kind, tci = struct.unpack_from("!HH", frame, 12)
    return int(tci & 0xFFF) if kind == ETH_P_8021Q else 0


def _release() -> dict[str, str]:
    found = {}
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.strip().partition("=")
                found[key] = value.strip("\"'")
    except OSError:
        pass
    return {key: found.get(key, "") for key in ("ID", "ID_LIKE")}


def _said(name: str, option: str) -> str | None:
    """What a program says of itself; its path where it is not asked; None if it is not there."""
    path = search.found(name)
    if path is None or not option:
        return path
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, timeout=DEADLINE_S,
                              check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr


def _link(name: str) -> dict[str, Any] | None:
    folder = f"/sys/class/net/{name}"
    try:
        with open(f"{folder}/address", encoding="ascii") as file:
            mac = file.read().strip()
        with open(f"{folder}/mtu", encoding="ascii") as file:
            mtu = int(file.read())
        with open(f"{folder}/flags", encoding="ascii") as file:
            flags = int(file.read(), 16)
        with open(f"{folder}/operstate", encoding="ascii") as file:
            state = file.read().strip()
    except OSError:
        return None
    return {"mac": mac, "mtu": mtu, "up": bool(flags & 1), "carrier": state != "down"}


def _docker(path: str) -> dict[str, str]:
    """The version of the engine behind a socket, or what is wrong: {"version"} or {"failed"}."""
    connection = http.client.HTTPConnection("localhost", timeout=DEADLINE_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(DEADLINE_S)
    try:
        connection.sock.connect(path)
        connection.request("GET", "/info")
        answer = connection.getresponse()
        version = (answer.getheader("Server") or "an engine").replace("Docker/", "").split()[0]
        answer.read()
    except OSError as error:
        return {"failed": os.strerror(error.errno) if error.errno else str(error)}
    finally:
        connection.close()
    return {"version": version}


def _free(path: str) -> int:
    """MiB that can be written where a path is."""
    there = os.statvfs(path)
    return there.f_bavail * there.f_frsize >> 20
