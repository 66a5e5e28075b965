"""Taps: a capture on one interface, never promiscuous, that counts what it lost.

A frame is kept as it was on the wire: the kernel hands the outer 802.1Q tag over beside the octets
(PACKET_AUXDATA of packet(7)), and the tap puts it back where it belongs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from harness.worker import lab_filter, namespaces

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_STATISTICS, PACKET_AUXDATA = 6, 8
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
"""<linux/if_ether.h>, <linux/socket.h>, <linux/if_packet.h>, <asm-generic/socket.h>."""

STATUS_VLAN_VALID, STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
AUXDATA = struct.Struct("=IIIHHHH")
"""`struct tpacket_auxdata` of <linux/if_packet.h>."""

GONE = (None, errno.ENOENT, errno.ENODEV, errno.ENXIO)
"""No such namespace or interface any more; if_nametoindex() of Python 3.9 gives no number."""
SIOCGIFFLAGS, IFF_UP = 0x8913, 1
INTERFACE_FLAGS = struct.Struct("=16sH22x")
"""`struct ifreq` of <linux/if.h> with flags."""

BUFFER_OCTETS = 8 << 20
"""Room for some 4,000 small frames (each costs the kernel about 2 KiB) between two drains."""
SNAP_OCTETS = 65535
STAMPING_S, STAMPING_STEP_S = 1.0, 0.0005
"""The longest wait for the kernel's stamps, and how often it is looked. Without them sweeps go on:
verdicts do not rest on them."""

FAKED_NS = 500_000_000
"""No process is held up for so long between two readings of its clock and the kernel's."""

_faked: list[int] = [0]
"""How far this process's clock is ahead of the kernel's own, in ns."""
_stamping: dict[str, socket.socket] = {}
"""By the node that it is in: the one socket that has the kernel stamp packets."""
_open: dict[tuple[str, str, int], Tap] = {}
"""(node, interface, its index) of the taps that are open."""

Sighting = tuple[int, int, int, bytes]
"""(tap's number, time in ns of the epoch, 1 if outgoing, the frame)"""


class Tap:
    """One capture; `number` is its place among the taps of the sweep that uses it."""

    def __init__(self, node: str, interface: str, macs: Sequence[str] | None = None) -> None:
        """Given `macs`, it sees no more of a lab host than the lab that has these."""
        self.number, self.node, self.interface = 0, node, interface
        self.down = self.shut = False
        with namespaces.entered(node):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self.socket.setblocking(False)
        enlarge(self.socket)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if macs is not None and namespaces.is_machine(node):
            lab_filter.attach(self.socket, macs)
        self.socket.bind((interface, ETH_P_ALL))

    def fileno(self) -> int:
        """For poll(2)."""
        return self.socket.fileno()

    def is_up(self) -> bool:
        """Whether its interface is up; False where it is gone."""
        asked = INTERFACE_FLAGS.pack(self.interface.encode(), 0)
        try:
            answer = fcntl.ioctl(self.socket, SIOCGIFFLAGS, asked)
        except OSError:
            return False
        return bool(INTERFACE_FLAGS.unpack(answer)[1] & IFF_UP)

    def drain(self) -> list[Sighting]:
        """Everything captured since the last drain."""
        found: list[Sighting] = []
        while True:
            try:
                octets, ancillary, _, address = self.socket.recvmsg(SNAP_OCTETS, 128)
            except BlockingIOError:
                return found
            except OSError as error:
                self.down = True
                if error.errno != errno.ENETDOWN:
                    return found
                continue
            outgoing = 1 if address[2] == PACKET_OUTGOING else 0
            found.append((self.number, *_restored(octets, ancillary, outgoing)))

    def count(self) -> dict[str, Any]:
        """What the tap got and lost since it was last asked; a socket that has ended is down.

        `shut` is one whose interface was down before and is so still: had it been up meanwhile, the
        tap would have seen what passed.
        """
        packets = drops = 0
        try:
            answer = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
            packets, drops = struct.unpack("=II", answer)
        except OSError:
            self.down = True
        return {
            "node": self.node, "interface": self.interface, "packets": packets, "drops": drops,
            "down": self.down, "shut": self.shut and not packets and not self.is_up(),
        }  # fmt: skip


def enlarge(own: socket.socket) -> int:
    """Give a socket the buffer of a tap; the octets that it has now.

    More than net.core.rmem_max takes the machine's own CAP_NET_ADMIN (socket(7)), which the root of
    a user namespace has not: there that is all.
    """
    try:
        own.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS)
    except PermissionError:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
    return own.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def opened(where: list[tuple[str, str]], macs: Sequence[str] = ()) -> list[Tap]:
    """Taps for a sweep, in the order of `where`; empty, and counting from nothing.

    One that an earlier sweep opened is used again, if its interface is still the same and was never
    down: closing a tap is what costs time. An interface
    that is not there has none: nothing can pass it.
    """
    found: dict[tuple[str, str, int], Tap] = {}
    for number, (node, interface) in enumerate(where):
        try:
            with namespaces.entered(node):
                key = (node, interface, socket.if_nametoindex(interface))
            tap = _ready(_open.pop(key, None)) or Tap(node, interface, macs)
        except OSError as error:
            if error.errno not in GONE:
                raise
            continue
        tap.number = number
        tap.shut = not tap.is_up()
        found[key] = tap
    close([tap.socket for tap in _open.values()])
    _open.clear()
    _open.update(found)
    return list(found.values())


def _ready(tap: Tap | None) -> Tap | None:
    """A tap that was open, now empty and counting from nothing; None if it is none, or down."""
    if tap:
        tap.drain()
        tap.count()
    return tap if tap and not tap.down else None


def absent(where: list[tuple[str, str]], taps: list[Tap]) -> list[dict[str, Any]]:
    """What counts for interfaces without a tap: they are shut, unless they are there by now."""
    seen = {(tap.node, tap.interface) for tap in taps}
    return [
        {
            "node": node, "interface": interface, "packets": 0, "drops": 0, "down": True,
            "shut": not _is_there(node, interface),
        }
        for node, interface in where
        if (node, interface) not in seen
    ]  # fmt: skip


def _is_there(node: str, interface: str) -> bool:
    try:
        with namespaces.entered(node):
            return interface in [name for _, name in socket.if_nameindex()]
    except OSError:  # nor is its namespace
        return False


def now() -> int:
    """The time by which frames are stamped, in ns of the epoch.

    That is the wall clock, also where this process is shown another one (libfaketime).
    """
    return time.time_ns() - _faked[0]


def keep_stamping(nodes: list[str]) -> None:
    """Have the kernel stamp packets as they pass, from now on, until this process ends.

    The first socket that wants stamps has a kernel thread switch them on, some time later
    (net_enable_timestamp() of net/core/dev.c). What passes before gets the time at which it is read
    (net/socket.c): for a tap the next drain, so that arrival would seem to come before departure.
    The first node whose filter lets a datagram pass its own loopback shows when they are on.
    """
    for node in nodes:
        if _stamping:
            return
        with namespaces.entered(node):
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            _see_stamps(own)
            _stamping[node] = own


def _see_stamps(own: socket.socket) -> None:
    own.settimeout(STAMPING_S)
    own.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    own.bind(("127.0.0.1", 0))
    ahead = time.time_ns() - _stamp_of(own)
    _faked[0] = ahead if abs(ahead) > FAKED_NS else 0
    deadline = time.monotonic() + STAMPING_S
    while time.monotonic() < deadline and not _stamped_on_passing(own):
        time.sleep(STAMPING_STEP_S)


def _stamped_on_passing(own: socket.socket) -> bool:
    """Whether a datagram over the node's loopback is stamped before it is read."""
    own.sendto(b"", own.getsockname())
    passed = now()
    return _received(own) <= passed


def _stamp_of(own: socket.socket) -> int:
    """The time that the kernel says of a datagram that the socket sends to itself."""
    own.sendto(b"", own.getsockname())
    return _received(own)


def _received(own: socket.socket) -> int:
    octets, ancillary, _, _ = own.recvmsg(1, 128)
    return _restored(octets, ancillary, 0)[0]


def close(sockets: list[socket.socket]) -> None:
    """Close sockets; packet sockets side by side and in the background.

    Each of those waits for an RCU grace period in the kernel (packet_release() of
    net/packet/af_packet.c), 5 to 20 ms; nobody needs to wait for that with them.
    """
    slow = [each for each in sockets if each.family == socket.AF_PACKET]
    threading.Thread(target=_close_together, args=(slow,), daemon=True).start()
    for each in sockets:
        if each.family != socket.AF_PACKET:
            each.close()


def let_go(node: str) -> None:
    """Close what is open in a node's namespace, and wait for it: it would live on otherwise."""
    keys = [key for key in _open if key[0] == node]
    stamping = [_stamping.pop(node)] if node in _stamping else []
    _close_together([*(_open.pop(key).socket for key in keys), *stamping])


def close_all() -> None:
    """Close every tap, and wait for it: a process that ends closes them one after the other."""
    _close_together([tap.socket for tap in _open.values()])
    _open.clear()


def _close_together(sockets: list[socket.socket]) -> None:
    threads = [threading.Thread(target=each.close, daemon=True) for each in sockets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _restored(
    octets: bytes, ancillary: list[tuple[int, int, bytes]], outgoing: int
) -> tuple[int, int, bytes]:
    """(time, outgoing, frame with the tag that the kernel had taken off)."""
    time_ns = 0
    for level, kind, data in ancillary:
        if level == SOL_PACKET:
            status, _, _, _, _, tci, tpid = AUXDATA.unpack(data)
            if status & STATUS_VLAN_VALID:
                tpid = tpid if status & STATUS_VLAN_TPID_VALID else 0x8100
                octets = octets[:12] + struct.pack("!HH", tpid, tci) + octets[12:]
        elif kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("@ll", data)
            time_ns = seconds * 1_000_000_000 + nanoseconds
    return time_ns, outgoing, octets
