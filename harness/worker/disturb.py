"""Keep on disturbing an interface, from the moment at which frames pass it, until it is stopped.

- `python -m harness.worker.disturb flap INTERFACE`: it goes down and comes up again
- `python -m harness.worker.disturb flood INTERFACE`: it sends a burst of frames that are for nobody
- `python -m harness.worker.disturb stop INTERFACE`

A sweep is met near its begin, and readings that are taken between sweeps are of an interface that
is up. It stays in the background of its network namespace, and listens there to be stopped.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Callable

from pyroute2 import IPRoute

QUIET_S = 0.5
"""Frames that follow a pause as long as that begin a sweep."""
ETH_P_ALL = 3
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
"""<linux/if_packet.h>: what is sent so, taps of the interface itself do not see."""
BURST, OCTETS = 12_000, 1000
"""Sent within 0.05 s; a tap has room for some 7,300 frames of that size."""
WORKER = 1
"""The process id of the worker, where taps are drained."""
NOBODY = bytes.fromhex("02000000009902000000009888b6")
"""An Ethernet header: to and from MAC addresses that nobody has, for local experiments."""


def flap(interface: str) -> None:
    """Set an interface down, and up again at once."""
    with IPRoute() as netlink:
        (index,) = netlink.link_lookup(ifname=interface)
        for state in ("down", "up"):
            netlink.link("set", index=index, state=state)


def flood(interface: str) -> None:
    """Send more frames than a tap has room for, while the worker hardly gets to drain it."""
    _take_the_cpu()
    frame = NOBODY + bytes(OCTETS - len(NOBODY))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        out.bind((interface, 0))
        for _ in range(BURST):
            with contextlib.suppress(OSError):
                out.send(frame)


def _take_the_cpu() -> None:
    """Be on the CPU that a sweep keeps its thread on, and more important than it."""
    threads = (int(one.name) for one in Path(f"/proc/{WORKER}/task").iterdir())
    kept = [cpus for cpus in map(os.sched_getaffinity, threads) if len(cpus) == 1]
    if kept:
        os.sched_setaffinity(0, kept[0])
    os.setpriority(os.PRIO_PROCESS, 0, -20)


ACTS: dict[str, Callable[[str], None]] = {"flap": flap, "flood": flood}


def disturb(act: Callable[[], None], heard: socket.socket, asked: socket.socket) -> None:
    """Act whenever frames pass after a pause, until somebody connects."""
    while asked not in select.select([asked, heard], [], [])[0]:
        act()
        while select.select([heard], [], [], QUIET_S)[0]:
            _forget(heard)


def _forget(heard: socket.socket) -> None:
    """Forget the frames that have passed."""
    while True:
        try:
            heard.recv(1)
        except BlockingIOError:
            return
        except OSError:
            continue  # said once of an interface that went down


def background(name: str, interface: str) -> None:
    """Go on in the background; return once whatever passes will be noticed."""
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asked.bind(_address(interface))
    asked.listen()
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    heard.bind((interface, ETH_P_ALL))
    heard.setblocking(False)
    if os.fork():
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    disturb(partial(ACTS[name], interface), heard, asked)


def stop(interface: str) -> None:
    """Have it stopped, and wait until it has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(_address(interface))
        with contextlib.suppress(ConnectionError):
            asking.recv(1)


def _address(interface: str) -> str:
    """A name that only its network namespace knows (unix(7), abstract)."""
    return f"\0harness-disturb-{interface}"


if __name__ == "__main__":
    if sys.argv[1] == "stop":
        stop(sys.argv[2])
    else:
        background(*sys.argv[1:])
