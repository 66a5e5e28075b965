"""The process that owns a lab which stays up. It imports nothing but the standard library.

The holder is a daemon in the machine's own namespaces. Its child is the lab's first process, PID 1
of the lab's namespaces, and the parent-death signal ties the two: whichever ends, however it ends,
the kernel ends the other and takes the lab with it.

What says that a lab is up is the holder's listening socket, in the abstract namespace of unix(7):
it ends with the process, so nothing is ever left to be cleaned up, and two labs of one name cannot
be. A connection takes one request line and is answered with one line, both JSON:

    {"do": "describe"}  ->  {"name": ..., "init_pid": ..., ...}   or   {"building": true}
    {"do": "stop"}      ->  {"stopping": true}, and the lab ends

Until `harness up` has committed the lab it lives as long as that command: the holder has one end of
a socket pair to it, on which `{"commit": {...}}` comes, or the end of file.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PREFIX = "harness-lab-"
MAX_LINE = 1 << 20
"""Octets of a request. A commit names every node of the lab: a few kilobytes."""
FIRST = Path(__file__).with_name("first.py")


def address(uid: int, name: str) -> str:
    """The abstract socket address of a lab."""
    return f"\0{PREFIX}{uid}-{name}"


def credentials(connection: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the process at the other end of a unix socket, as the kernel has them."""
    size = struct.calcsize("3i")
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, _ = struct.unpack("3i", peer)
    return pid, uid


def encode(message: dict[str, Any]) -> bytes:
    """One line of the protocol."""
    return json.dumps(message).encode() + b"\n"


def namespaces_command(*, root: bool | None = None) -> list[str]:
    """What gives its argument new namespaces, and ties its life to that of who runs this.

    `--kill-child` covers unshare's own death; the second setpriv says the same of the first
    process itself. Without root a user namespace gives the rights for the others; left
    out, `root` is whether this process has it.
    """
    user = [] if (os.geteuid() == 0 if root is None else root) else ["--user", "--map-root-user"]
    tie = ["setpriv", "--pdeathsig", "KILL"]
    own = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*tie, "unshare", *user, *own, "--", *tie]


class Holder:
    """One lab: its first process, its socket, and the `harness up` that is building it."""

    def __init__(self, name: str, builder: socket.socket) -> None:
        self._name = name
        self._builder = builder
        self._selector = selectors.DefaultSelector()
        self._description: dict[str, Any] | None = None
        self._buffers: dict[socket.socket, bytes] = {}
        self._init_pid = 0
        self._first = -1

    def run(self) -> None:
        """Hold the lab until it is stopped, its first process ends or its builder goes away."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(address(os.getuid(), self._name))
        except OSError as error:
            self._builder.send(encode({"error": error.strerror or "", "errno": error.errno}))
            return
        listener.listen(64)
        try:
            child = self._spawn()
        except OSError as error:
            self._builder.send(encode({"error": str(error), "errno": 0}))
            return
        with child:
            try:
                self._serve(listener, child)
            finally:
                self._end(child)

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the lab's first process, wait until it is in place, and return what runs it.

        OSError, with what unshare said, if it cannot be.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        first = [sys.executable, "-I", "-S", str(FIRST), str(theirs.fileno())]
        child = subprocess.Popen(
            [*namespaces_command(), *first],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        with ours:
            said, ancillary, _, _ = ours.recvmsg(64, socket.CMSG_SPACE(struct.calcsize("3i")))
            if not said:
                with child:
                    _, complaint = child.communicate()
                raise OSError(complaint.decode(errors="replace").strip() or "unshare failed")
            # The kernel writes the sender's PID as it is in our PID namespace.
            self._init_pid = struct.unpack("3i", ancillary[0][2])[0]
            self._first = os.pidfd_open(self._init_pid)
            ours.send(b"go")
        if child.stderr:
            child.stderr.close()
        return child

    def _serve(self, listener: socket.socket, child: subprocess.Popen[bytes]) -> None:
        self._builder.send(encode({"init_pid": self._init_pid, "pid": os.getpid()}))
        keeper = os.pidfd_open(child.pid)
        self._watch(listener, lambda: self._accept(listener))
        self._watch(self._builder, lambda: self._read(self._builder, self._building))
        self._watch(keeper, _false)
        self._watch(self._first, _false)
        going = True
        while going:
            going = all(key.data() for key, _ in self._selector.select())

    def _watch(self, source: socket.socket | int, handle: Callable[[], bool]) -> None:
        """Call `handle` when there is something to read; it says whether the lab goes on."""
        self._selector.register(source, selectors.EVENT_READ, handle)

    def _accept(self, listener: socket.socket) -> bool:
        try:
            connection, _ = listener.accept()
        except OSError:
            return True
        if credentials(connection)[1] not in (0, os.getuid()):
            connection.close()
            return True
        connection.settimeout(0)
        self._watch(connection, lambda: self._read(connection, self._asked))
        return True

    def _read(
        self, connection: socket.socket, handle: Callable[[socket.socket, dict[str, Any]], bool]
    ) -> bool:
        """Collect a line; give it to `handle`, an empty message if there is none to come."""
        try:
            octets = connection.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            octets = b""
        line = self._buffers.pop(connection, b"") + octets
        if octets and b"\n" not in line and len(line) < MAX_LINE:
            self._buffers[connection] = line
            return True
        self._selector.unregister(connection)
        try:
            return handle(connection, _message(line))
        finally:
            connection.close()

    def _building(self, builder: socket.socket, message: dict[str, Any]) -> bool:
        """The builder's word: it commits the lab, or it is gone and the lab goes with it."""
        ended, _, _ = select.select([self._first], [], [], 0)
        if ended or not isinstance(message.get("commit"), dict):
            return False
        own = {"name": self._name, "init_pid": self._init_pid, "pid": os.getpid()}
        self._description = {**message["commit"], **own}
        _answer(builder, {"committed": True})
        return True

    def _asked(self, connection: socket.socket, message: dict[str, Any]) -> bool:
        """A request on the lab's socket."""
        if message.get("do") == "stop":
            _answer(connection, {"stopping": True})
            return False
        if message.get("do") == "describe":
            _answer(connection, self._description or {"building": True})
        return True

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        """End the lab's first process, and wait until the kernel has taken the lab's all."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        child.wait()
        select.select([self._first], [], [])


def _false() -> bool:
    return False


def _message(line: bytes) -> dict[str, Any]:
    """The message of a line; an empty one if it is none."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _answer(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a line to whoever may be gone, or not reading, already."""
    with contextlib.suppress(OSError):
        connection.sendall(encode(message))


def main(argv: list[str]) -> None:
    """`holder.py NAME FD`: become a daemon and hold the lab NAME for the builder behind FD."""
    name, descriptor = argv
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=int(descriptor)) as builder:
        os.set_inheritable(builder.fileno(), False)
        Holder(name, builder).run()


if __name__ == "__main__":
    main(sys.argv[1:])
