"""The labs that are up, and how one comes up and goes down.

There is no file: a lab is up as long as its holder's socket is, and the kernel lists those in
/proc/net/unix (proc(5)).
"""

from __future__ import annotations

import errno
import json
import os
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from harness.errors import InputError, LabExists, LabNotFound, MachineError
from harness.machines import holder, rootless

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
SOCKETS = Path("/proc/net/unix")
LISTENING = 0x10000
"""__SO_ACCEPTCON of <linux/net.h>, in the column `Flags`."""
ANSWER_S = 5.0
"""A holder only waits for requests; one that does not answer in this time is stopped or stuck."""
START_S = 30.0
"""New namespaces take some milliseconds; a machine that needs longer than this is stuck."""


@dataclass(frozen=True)
class Description:
    """What `harness up` says of the lab that it built."""

    topology: str
    """The topology's own name."""
    topology_file: str
    """Its file, as an absolute path."""
    backend: str
    stage: str
    started: str
    """ISO 8601, UTC."""
    nodes: tuple[str, ...]
    vlan_datapath: str
    firewall_backend: str
    engines: tuple[str, ...] = ()
    """The hosts that run a container engine."""
    containers: dict[str, str] = field(default_factory=dict)
    """The nodes that are containers, or further legs of them, and the host of each."""


@dataclass(frozen=True)
class LabRecord:
    """A lab that is up."""

    name: str
    uid: int
    """Whose lab it is."""
    pid: int
    """The holder's process."""
    init_pid: int
    """The first process of the lab's namespaces, as the machine numbers it."""
    description: Description


class PendingLab:
    """A lab whose namespaces exist, but which ends with this process until it is committed."""

    def __init__(self, name: str, connection: socket.socket, init_pid: int, pid: int) -> None:
        self.name = name
        self.init_pid = init_pid
        self.pid = pid
        self._connection = connection

    def commit(self, description: Description) -> None:
        """Let the lab outlive this process. MachineError if it has ended meanwhile."""
        try:
            self._connection.sendall(holder.encode({"commit": asdict(description)}))
            answer = _line(self._connection)
        except OSError:
            answer = {}
        self._connection.close()
        if not answer.get("committed"):
            raise MachineError(f"the lab {self.name!r} ended while it was built; build it again")

    def abort(self) -> None:
        """End the lab and wait until it is gone. After `commit` this does nothing."""
        if self._connection.fileno() == -1:
            return
        pidfds = [pidfd for pidfd in map(_pidfd, (self.init_pid, self.pid)) if pidfd is not None]
        self._connection.close()
        _ended(pidfds, ANSWER_S)
        for pidfd in pidfds:
            os.close(pidfd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def labs() -> tuple[LabRecord, ...]:
    """Every lab of this user that is up, by name; root sees everybody's."""
    records = [_record(uid, name) for uid, name in _visible()]
    return tuple(sorted((rec for rec in records if rec), key=lambda rec: (rec.name, rec.uid)))


def find(name: str) -> LabRecord:
    """The lab of a name, one's own before another user's. LabNotFound names those that are up."""
    check_name(name)
    records = labs()
    named = [record for record in records if record.name == name]
    if not named:
        raise LabNotFound(name, tuple(record.name for record in records))
    return min(named, key=lambda record: _not_own(record.uid))


def start(name: str) -> PendingLab:
    """Make the namespaces of a new lab, empty as yet.

    LabExists if the name is taken, Unsupported if the machine cannot have namespaces.
    """
    check_name(name)
    ours, theirs = socket.socketpair()
    ours.settimeout(START_S)
    with theirs:
        command = [sys.executable, "-I", "-S", holder.__file__, name, str(theirs.fileno())]
        null = subprocess.DEVNULL
        subprocess.run(
            command,
            pass_fds=(theirs.fileno(),),
            stdin=null,
            stdout=null,
            stderr=null,
            cwd="/",
            start_new_session=True,
            check=False,
        )
    try:
        answer = _line(ours)
    except OSError as error:
        ours.close()
        raise MachineError(f"the holder of lab {name!r} did not start: {error}") from error
    if "init_pid" in answer:
        return PendingLab(name, ours, answer["init_pid"], answer["pid"])
    ours.close()
    if answer.get("errno") == errno.EADDRINUSE:
        raise LabExists(name)
    said = rootless.refused() if shutil.which("unshare") and shutil.which("setpriv") else None
    if said is not None:
        raise rootless.refusal(said)
    reason = answer.get("error") or "its holder ended"
    raise MachineError(f"no namespaces for lab {name!r}: {reason}; `harness doctor` says more")


def stop(name: str) -> None:
    """End a lab, one that is being built included, and wait until it is gone.

    LabNotFound if there is none. A holder that does not end when asked is killed; the machine
    then ends the lab with it. MachineError if the lab is still there after that.
    """
    check_name(name)
    uids = sorted((uid for uid, listed in _visible() if listed == name), key=_not_own)
    for uid in uids:
        pidfd = _pin(uid, name)
        if pidfd is not None:
            _stop(uid, name, pidfd)
            return
    raise LabNotFound(name, tuple(record.name for record in labs()))


def names() -> tuple[str, ...]:
    """The names of this user's labs, those that are being built or do not answer included."""
    return tuple(name for uid, name in _visible() if uid == os.getuid())


def check_name(name: str) -> None:
    """InputError unless `name` can be a lab's."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a lab's name: lower-case letters, digits and hyphens, "
            "not a hyphen first, at most 31 characters"
        )


def _visible() -> tuple[tuple[int, str], ...]:
    """(uid, name) of every lab whose holder this user may talk to, in order."""
    pattern = re.compile(rf"@{holder.PREFIX}(\d+)-({NAME.pattern})")
    found = set()
    for line in SOCKETS.read_text(errors="replace").splitlines()[1:]:
        _, _, _, flags, _, _, _, *path = line.split(maxsplit=7)
        match = pattern.fullmatch(path[0]) if path else None
        if match and int(flags, 16) & LISTENING:
            found.add((int(match[1]), match[2]))
    return tuple(sorted(lab for lab in found if os.getuid() in (0, lab[0])))


def _connect(uid: int, name: str) -> socket.socket | None:
    """A connection to a lab's holder; None if there is none.

    There is none either if another user's process has the address: it is not to be believed.
    """
    connection = socket.socket(socket.AF_UNIX)
    # A socket with a time-out of Python's own does not wait for a place in the holder's queue.
    wait = struct.pack("@ll", int(ANSWER_S), int(ANSWER_S % 1 * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
    try:
        connection.connect(holder.address(uid, name))
        connection.settimeout(ANSWER_S)
    except OSError:
        connection.close()
        return None
    if holder.credentials(connection)[1] not in (0, uid):
        connection.close()
        return None
    return connection


def _ask(uid: int, name: str, request: str) -> dict[str, Any]:
    """A holder's answer; empty if it gives none."""
    connection = _connect(uid, name)
    if connection is None:
        return {}
    with connection:
        try:
            connection.sendall(holder.encode({"do": request}))
            return _line(connection)
        except OSError:
            return {}


def _line(connection: socket.socket) -> dict[str, Any]:
    """The next line of a holder; empty if the connection ends first."""
    with connection.makefile("rb") as file:
        line = file.readline(holder.MAX_LINE)
    return dict(json.loads(line)) if line.endswith(b"\n") else {}


def _record(uid: int, name: str) -> LabRecord | None:
    answer = _ask(uid, name, "describe")
    if "init_pid" not in answer:
        return None
    own = {key: answer.pop(key) for key in ("name", "pid", "init_pid")}
    known = {each.name: answer.get(each.name, "") for each in fields(Description)}
    listed = {key: tuple(answer.get(key, ())) for key in ("nodes", "engines")}
    containers = dict(answer.get("containers", {}))
    description = Description(**{**known, **listed, "containers": containers})
    return LabRecord(uid=uid, description=description, **own)


def _pin(uid: int, name: str) -> int | None:
    """A pidfd that is sure to be of this lab's holder.

    The holder's PID could be another process's by the time it is opened. It is not if the lab's
    socket, which ends with its holder, is still that PID's afterwards.
    """
    before = _peer(uid, name)
    pidfd = None if before is None else _pidfd(before)
    if pidfd is not None and _peer(uid, name) != before:
        os.close(pidfd)
        return None
    return pidfd


def _peer(uid: int, name: str) -> int | None:
    connection = _connect(uid, name)
    if connection is None:
        return None
    with connection:
        return holder.credentials(connection)[0]


def _stop(uid: int, name: str, pidfd: int) -> None:
    try:
        init_pid = _ask(uid, name, "stop").get("init_pid")
        if _ended([pidfd], ANSWER_S):
            return
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if not _ended([pidfd], ANSWER_S):
            raise MachineError(f"the lab {name!r} does not end; its first process is {init_pid}")
    finally:
        os.close(pidfd)


def _pidfd(pid: int) -> int | None:
    """A pidfd of a process; None if it has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _ended(pidfds: list[int], seconds: float) -> bool:
    """Whether all of these processes end within a time. A pidfd is readable when it has."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for pidfd in pidfds:
            selector.register(pidfd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return False
            for key, _ in ready:
                selector.unregister(key.fileobj)
    return True


def _not_own(uid: int) -> bool:
    return uid != os.getuid()
