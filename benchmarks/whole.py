"""A whole `pytest suites/` from outside: how long it takes, and how much memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.line import Line

PROC = Path("/proc")
BETWEEN_SAMPLES_S = 0.02
"""Reading smaps_rollup makes the kernel walk a process's pages: more often would slow the run."""


def wall(runs: int) -> list[Line]:
    """Seconds from the start of the process to its end."""
    taken = []
    for _ in range(runs):
        with TemporaryDirectory() as reports:
            started = time.perf_counter()
            code = _start(reports).wait()
            taken.append(time.perf_counter() - started)
        _told(code)
    return [Line("pytest suites/, the whole process", "s", tuple(taken), at_most=2.5)]


def memory(runs: int) -> list[Line]:
    """Proportional set size (proc(5), smaps_rollup), summed over all processes, at its highest."""
    peaks, counts = [], []
    for _ in range(runs):
        with TemporaryDirectory() as reports:
            process = _start(reports)
            peak, most = 0, 0
            while process.poll() is None:
                found = [_pss(pid) for pid in _family(process.pid)]
                peak, most = max(peak, sum(found)), max(most, len(found))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(BETWEEN_SAMPLES_S)
        _told(process.returncode)
        peaks.append(peak / 1024)
        counts.append(float(most))
    return [
        Line("memory of all processes of a run", "MiB", tuple(peaks), at_most=150, digits=0),
        Line("  most processes at a time", "", tuple(counts), digits=0),
    ]


def _start(reports: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    return subprocess.Popen([*argv, "--lab-reports", reports], stdout=subprocess.DEVNULL)


def _told(code: int) -> None:
    if code:
        said = f"a run ended with exit code {code}: its figures are not those of a good run"
        print(said, file=sys.stderr)


def _family(root: int) -> set[int]:
    """A process and all that come from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                stat = (entry / "stat").read_text(errors="replace")
                children[int(stat[stat.rindex(")") + 2 :].split()[1])].append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
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
