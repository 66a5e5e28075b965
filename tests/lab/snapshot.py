"""What a lab that was killed could leave behind on the machine, as values that can be compared.

A snapshot reads; it changes nothing. Take one before, one after, and compare: `left(before)` gives
what is new, `wait_until_clean(before)` waits for that to become nothing.

What other programs do on the machine meanwhile is no leftover. Processes are told apart by a mark
in their environment: importing this module sets it, and every process that a test starts inherits
it. Control groups are told apart by the lab in their name, which processes of others live in. An
ended process that only the machine's own init has yet to reap is that one's affair.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from harness.machines import vm_folder
from harness.needs import MODULES

MARK = "HARNESS_TEST_MARK"
os.environ[MARK] = f"{os.getpid()}-{time.monotonic_ns()}"
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
PLACES = (Path("/run"), Path("/tmp"), Path("/dev/shm"))
DOCKERS = tuple(map(Path, ("/etc/docker", "/var/lib/docker", "/run/docker", "/opt/containerd")))
COUNTED = re.compile(r"\[\d+:\d+\]|packets \d+ bytes \d+")
OURS = re.compile(r"harness|netns|mitogen|docker|containerd|xtables")
LAB = re.compile(r"/harness-(\d+)")
"""A lab's control group, named after its PID namespace."""
DEADLINE_S = 15.0
"""A killed lab is gone within a second; within this time on a machine that has much other work."""


@dataclass(frozen=True)
class Snapshot:
    """Everything of a lab that the machine can see; each item is a line for a person to read."""

    processes: frozenset[str]
    """Marked processes, alive, and what they run."""
    zombies: frozenset[str]
    """Ended processes that a marked one, or this one, has not reaped."""
    namespaces: frozenset[str]
    """Namespaces that a marked process is in, or that is mounted where we are."""
    mounts: frozenset[str]
    links: frozenset[str]
    sockets: frozenset[str]
    """Abstract unix sockets of labs that marked processes hold."""
    cgroups: frozenset[str]
    files: frozenset[str]
    machines: frozenset[str]
    """What is the machine's own and nobody's to change: firewall, forwarding, modules, Docker."""

    def since(self, before: Snapshot) -> tuple[str, ...]:
        """What is there now and was not before; of what is the machine's also what has gone."""
        new = []
        for field in fields(self):
            added = getattr(self, field.name) - getattr(before, field.name)
            new += [f"{field.name}: {item}" for item in sorted(added)]
        return (*new, *(f"gone: {item}" for item in sorted(before.machines - self.machines)))


def take() -> Snapshot:
    """Read the machine."""
    pids, processes, zombies, namespaces = _processes()
    return Snapshot(
        processes=processes,
        zombies=zombies,
        namespaces=namespaces | _mounted_namespaces(),
        mounts=frozenset(_mounts()),
        links=frozenset(name for _, name in socket.if_nameindex()),
        sockets=frozenset(_sockets(pids)),
        cgroups=frozenset(_cgroups(_of_others())),
        files=frozenset(_files()),
        machines=frozenset((*_rules(), *_modules(), *_dockers(), f"forwards {_forwards()}")),
    )


def _rules() -> Iterator[str]:
    """Every rule of the machine's firewall, numbered, without what it counts."""
    commands = [["nft", "list", "ruleset"]]
    for version in ("ip", "ip6"):
        with suppress(OSError):
            if (PROC / f"net/{version}_tables_names").read_text():
                commands.append([f"{version}tables-legacy-save"])
    for argv in commands:
        if shutil.which(argv[0]) and _has_nftables():
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            for number, line in enumerate(done.stdout.splitlines()):
                if not line.startswith("#"):
                    yield f"{argv[0]} {number}: {COUNTED.sub('', line)}"


def _has_nftables() -> bool:
    """Whether nft(8) would not have the kernel load its module."""
    loaded = PROC / "modules"
    return not loaded.exists() or "\nnf_tables " in f"\n{loaded.read_text()}"


def _modules() -> Iterator[str]:
    """Modules that no lab has the kernel load: those of `harness doctor` it may."""
    known = {module.name for module in MODULES}
    with suppress(FileNotFoundError):
        for line in (PROC / "modules").read_text().splitlines():
            if line.split()[0] not in known:
                yield f"module {line.split()[0]}"


def _dockers() -> Iterator[str]:
    """Where the machine's own engine has its files, and what it writes when it runs."""
    for folder in DOCKERS:
        with suppress(OSError):
            yield from (f"file {path}" for path in folder.iterdir())


def _forwards() -> str:
    return (PROC / "sys/net/ipv4/ip_forward").read_text().strip()


def left(before: Snapshot) -> tuple[str, ...]:
    """What is there now and was not before."""
    return take().since(before)


def wait_until(condition: Callable[[], bool], seconds: float = DEADLINE_S) -> bool:
    """Whether a condition comes true within a time."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        pass
    return met


def wait_until_clean(before: Snapshot, seconds: float = DEADLINE_S) -> tuple[str, ...]:
    """Wait until nothing is new; what still is when the time is over."""
    deadline = time.monotonic() + seconds
    remaining = left(before)
    while remaining and time.monotonic() < deadline:
        remaining = left(before)
    return remaining


def _processes() -> tuple[list[int], frozenset[str], frozenset[str], frozenset[str]]:
    """(pids, alive, zombies, namespaces) of the marked processes, without this one itself."""
    alive: dict[int, str] = {}
    ended: dict[int, tuple[int, str]] = {}
    namespaces: set[str] = set()
    for entry in PROC.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            comm, state, parent = _stat(entry)
            if state in "ZX":
                ended[int(entry.name)] = (parent, comm)
            elif _is_marked(entry):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                alive[int(entry.name)] = command or comm
                namespaces |= _namespaces(entry)
    parents = {os.getpid(), *alive}
    zombies = {f"{pid} {comm}" for pid, (parent, comm) in ended.items() if parent in parents}
    return (
        list(alive),
        frozenset(f"{pid} {command}" for pid, command in alive.items()),
        frozenset(zombies),
        frozenset(namespaces - _namespaces(PROC / "self")),
    )


def _of_others() -> set[int]:
    """The PID namespaces that only processes without the mark live in."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for entry in PROC.iterdir():
        with suppress(OSError):
            if entry.name.isdecimal():
                found[_is_marked(entry)].add((entry / "ns/pid").stat().st_ino)
    return found[False] - found[True]


def _is_marked(entry: Path) -> bool:
    mark = f"{MARK}={os.environ[MARK]}".encode()
    return mark in (entry / "environ").read_bytes().split(b"\0")


def _stat(entry: Path) -> tuple[str, str, int]:
    """(name, state, parent's PID) of a process, proc_pid_stat(5)."""
    text = (entry / "stat").read_text(errors="replace")
    comm = text[text.index("(") + 1 : text.rindex(")")]
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    return comm, state, int(parent)


def _namespaces(entry: Path) -> set[str]:
    return {str(link.readlink()) for link in (entry / "ns").iterdir()}


def _mounts() -> Iterator[str]:
    """Mounts of our own mount namespace, without their numbers, proc_pid_mountinfo(5)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        columns = line.split()
        rest = columns[columns.index("-") + 1 :]
        yield f"{columns[4]} {' '.join(rest[:2])} {columns[3]}"


def _mounted_namespaces() -> frozenset[str]:
    return frozenset(line for line in _mounts() if " nsfs " in line)


def _sockets(pids: list[int]) -> Iterator[str]:
    """Lab sockets of these processes, proc(5): an abstract socket ends with who has it open."""
    held = {inode for pid in pids for inode in _socket_inodes(PROC / str(pid) / "fd")}
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines():
        columns = line.split()
        if columns[-1].startswith("@harness-") and columns[6] in held:
            yield columns[-1]


def _socket_inodes(descriptors: Path) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in descriptors.iterdir():
            with suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _cgroups(others: set[int]) -> Iterator[str]:
    """Control groups that a container engine or a lab made, cgroups(7), but not those of others."""
    for path, names, _ in os.walk(CGROUPS):
        for name in names:
            lab = LAB.search(f"{path}/{name}")
            if OURS.search(f"{path}/{name}") and not (lab and int(lab[1]) in others):
                yield str(Path(path, name))


def _of_a_machine(path: Path) -> bool:
    """Whether a virtual machine that runs has it: a marked one is told by its processes."""
    return path.name.startswith(vm_folder.PREFIX) and vm_folder.is_held(path)


def _files() -> Iterator[str]:
    """Names that a run could have left where programs leave things."""
    for place in PLACES:
        with suppress(OSError):
            yield from (str(path) for path in place.iterdir()
                        if OURS.search(path.name) and not _of_a_machine(path))  # fmt: skip
    with suppress(OSError):
        yield from (str(path) for path in Path("/run/netns").iterdir())
