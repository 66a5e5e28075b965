"""A whole `pytest suites/` from outside: how long it takes, and how much memory."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.line import Line, ratio
from harness import fetched, labs
from harness.flow import Stage
from harness.machines import registry
from harness.worker import search

PROC = Path("/proc")
LIBC = ctypes.CDLL(None)
KCMP = {"x86_64": 312, "aarch64": 272}
KCMP_VM = 1
"""System call kcmp(2) by machine, and what it is to compare (<linux/kcmp.h>)."""
DOCKER_S = 8.0
"""The most that a run with engines may take."""
FAILED = 1
"""The exit code of a run in which cells failed."""
NOTHING_PASSES = "iptables -P FORWARD DROP && iptables -F FORWARD"
BETWEEN_SAMPLES_S = 0.02
"""Reading smaps_rollup makes the kernel walk a process's pages: more often would slow the run."""


def wall(runs: int) -> list[Line]:
    """Seconds from the start of the process to its end."""
    taken = tuple(_seconds() for _ in range(runs))
    return [Line("pytest suites/, the whole process", "s", taken, at_most=2.5)]


def explain(runs: int) -> list[Line]:
    """Seconds of `harness explain` on a lab that is up and routed, from the shell and back."""
    name = f"bench-{os.getpid()}"
    labs.bring_up("topologies/macvlan-two-host.yaml", name, Stage.ROUTED)
    argv = [sys.executable, "-m", "harness", "explain", "--name", name, "bbox2", "bbox3"]
    taken = []
    try:
        for _ in range(runs):
            started = time.perf_counter()
            code = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False).returncode
            taken.append(time.perf_counter() - started)
            _told(code)
    finally:
        registry.stop(name)
    return [Line("harness explain, the whole process", "s", tuple(taken), at_most=1.0)]


def failing(runs: int) -> list[Line]:
    """A run on a lab that is up and routed: green, and in turn with one fault that fails cells."""
    name = f"bench-{os.getpid()}"
    labs.bring_up("topologies/macvlan-two-host.yaml", name, Stage.ROUTED)
    on_gateway = [sys.executable, "-m", "harness", "exec", "--name", name, "gateway", "--"]
    saved = subprocess.run(
        [*on_gateway, "iptables-save"], capture_output=True, check=True, text=True
    ).stdout
    taken = []
    try:
        for _ in range(runs):
            green, of_green = _seconds_and_cpu("--lab-attach", name)
            subprocess.run([*on_gateway, "sh", "-c", NOTHING_PASSES], check=True)
            red, of_red = _seconds_and_cpu("--lab-attach", name, code=FAILED)
            subprocess.run([*on_gateway, "iptables-restore"], input=saved, check=True, text=True)
            taken.append((green, red, red - green, of_red - of_green))
    finally:
        registry.stop(name)
    good, bad, added, work = zip(*taken, strict=True)
    return [
        Line("pytest suites/ on a lab that is up, green", "s", good),
        Line("  the same where the gateway passes nothing", "s", bad),
        Line("  added by the fault", "s", added, at_most=0.5),
        Line("  added by the fault, CPU time", "s", work),
    ]


def docker(runs: int) -> list[Line]:
    """The same on bare namespaces, on the machine's own engine, and on the newest that is there."""
    missing = [name for name in ("dockerd", "busybox") if not search.found(name)]
    if missing:
        print(f"docker: left out, this machine has no {' and no '.join(missing)}", file=sys.stderr)
        return []
    newest = list(fetched.known())[-1]
    on_docker = ("--lab-backend", "docker")
    taken = [
        (_seconds(), _seconds(*on_docker), _seconds(*on_docker, "--lab-engine", newest))
        for _ in range(runs)
    ]
    bare, own, new = (tuple(column) for column in zip(*taken, strict=True))
    whole = Line("pytest suites/ --lab-backend docker", "s", own, at_most=DOCKER_S)
    with_newest = Line(f"  the same with Docker {newest}", "s", new, at_most=DOCKER_S)
    namespaces = Line("pytest suites/, bare namespaces", "s", bare)
    return [
        whole,
        Line(f"  of the limit of {DOCKER_S:g} s", "x", tuple(each / DOCKER_S for each in own)),
        ratio("  docker / bare namespaces", whole, namespaces),
        with_newest,
        ratio(f"  Docker {newest} / bare namespaces", with_newest, namespaces),
        namespaces,
    ]


def memory(runs: int) -> list[Line]:
    """Proportional set size (proc(5), smaps_rollup), summed over all processes, at its highest."""
    peaks, counts = [], []
    for _ in range(runs):
        with TemporaryDirectory() as reports:
            peak, most, _ = watched(start(reports, "suites"))
        peaks.append(peak)
        counts.append(float(most))
    return [
        Line("memory of all processes of a run", "MiB", tuple(peaks), at_most=150, digits=0),
        Line("  most processes at a time", "", tuple(counts), digits=0),
    ]


def _seconds(*options: str, code: int = 0) -> float:
    """How long a run takes that ends with an exit code."""
    with TemporaryDirectory() as reports:
        started = time.perf_counter()
        ended = start(reports, "suites", *options).wait()
        taken = time.perf_counter() - started
    _told(ended, code)
    return taken


def _seconds_and_cpu(*options: str, code: int = 0) -> tuple[float, float]:
    """How long a run takes, and the CPU time of all its processes (getrusage(2))."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = _seconds(*options, code=code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used


def watched(process: subprocess.Popen[bytes]) -> tuple[float, int, float]:
    """The most MiB and processes of a run at a time, and its seconds."""
    started, peak, most = time.perf_counter(), 0, 0
    while process.poll() is None:
        found = [_pss(pid) for pid in _own_memory(_family(process.pid))]
        peak, most = max(peak, sum(found)), max(most, len(found))
        with suppress(subprocess.TimeoutExpired):
            process.wait(BETWEEN_SAMPLES_S)
    _told(process.returncode)
    return peak / 1024, most, time.perf_counter() - started


def start(reports: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start pytest on suites, its run folder in `reports`."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen([*argv, "--lab-reports", reports], stdout=subprocess.DEVNULL)


def _told(code: int, wanted: int = 0) -> None:
    if code != wanted:
        said = f"a run ended with exit code {code}, not {wanted}: its figures are of another run"
        print(said, file=sys.stderr)


def _own_memory(family: dict[int, int]) -> list[int]:
    """The processes that have memory of their own.

    One that vfork(2) just made has its parent's until it executes a program, and would count it
    twice.
    """
    return [pid for pid, parent in family.items() if not _shares(pid, parent)]


def _shares(pid: int, other: int) -> bool:
    """Whether two processes are in one address space (kcmp(2)); False where that cannot be told."""
    number = KCMP.get(platform.machine())
    return number is not None and LIBC.syscall(number, pid, other, KCMP_VM, 0, 0) == 0


def _family(root: int) -> dict[int, int]:
    """A process and all that come from it, each with its parent's id."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                stat = (entry / "stat").read_text(errors="replace")
                children[int(stat[stat.rindex(")") + 2 :].split()[1])].append(int(entry.name))
    found, waiting = {root: os.getpid()}, [root]
    while waiting:
        pid = waiting.pop()
        found |= dict.fromkeys(children[pid], pid)
        waiting += children[pid]
    return found


def _pss(pid: int) -> int:
    """KiB; 0 for a process that has ended meanwhile."""
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
