"""A lab of 100 endpoints: its ICMP sweep against mininet's pingall, its memory, its cost a pair.

mininet (Debian's package `mininet`, with `bridge-utils`) runs in network, mount and PID namespaces
of its own, where /proc/sys can be read only, since it sets sysctls of the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import whole
from benchmarks.line import Line, ratio
from harness import topology
from harness.flow import Cell, Ruling, Stage
from harness.lab import Lab
from harness.machines.local import PrivateMachine
from harness.matrix import matrix
from harness.topology.generate import generate
from harness.verdict import judge_record

SMALL, LARGE = "vlans=4,hosts=5,endpoints=20", "vlans=20,hosts=5,endpoints=100"
"""Five endpoints in each VLAN, on five hosts."""
HOSTS = 100
STAGES = ("isolated", "routed")
LIMIT_MB = 400
MB_OF_MIB = (1 << 20) / 1e6
SUITES = ("suites/test_same_vlan.py", "suites/test_cross_vlan.py")
PRIVATE = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
)  # fmt: skip
SCRIPT = """
mount -t sysfs sysfs /sys && mount --bind /proc/sys /proc/sys &&
mount -o remount,bind,ro /proc/sys && ip link set lo up && exec "$@" 2>&1
"""
RESULT = re.compile(r"Results: .*\((\d+)/(\d+) received\)")


def lines(runs: int, mininet: str) -> list[Line]:
    """Everything about size; `mininet` is `run`, `skip`, or the seconds that it took before."""
    found, cost = _sweeps(runs)
    sweep = cost[LARGE]
    found += _runs()
    if mininet == "skip":
        return found
    took = _pingall() if mininet == "run" else float(mininet)
    if took is None:
        return found
    pingall = Line(f"mininet's pingall, {HOSTS} hosts", "s", (took,) * len(sweep.runs), digits=0)
    return [*found, pingall, ratio("pingall / ICMP sweep", pingall, sweep, at_least=50)]


def _sweeps(runs: int) -> tuple[list[Line], dict[str, Line]]:
    found, cost = [], {}
    for wish in (SMALL, LARGE):
        with _lab(wish) as lab:
            cells = [
                cell
                for cell in matrix(lab.topology, (Stage.ROUTED,), frozenset(("icmp",))).cells
                if cell.probe.argument is None
                and {cell.src, cell.dst} <= lab.topology.endpoint_vlans.keys()
            ]
            taken = tuple(_sweep(lab, cells, f"{wish}: run {one + 1} of {runs}")
                          for one in range(runs))  # fmt: skip
        size = len(lab.topology.endpoints)
        cost[wish] = Line(f"ICMP sweep of {size} endpoints, {len(cells)} pairs, judged", "s", taken)
        each = tuple(1e6 * one / len(cells) for one in taken)
        found += [cost[wish], Line("  each pair", "us", each, digits=0)]
    small, large = found[1], found[3]
    return [*found, ratio("a pair of 100 / a pair of 20", large, small, at_most=1.5)], cost


@contextmanager
def _lab(wish: str) -> Iterator[Lab]:
    """A lab of a size, routed."""
    lab = Lab(topology.parse(generate(wish), wish), PrivateMachine())
    with closing(lab):
        lab.build()
        lab.enter(Stage.ROUTED)
        yield lab


def _sweep(lab: Lab, cells: list[Cell], name: str) -> float:
    """Sweep and judge in parts, each sent while the one before is judged, as a run does it."""
    started = time.perf_counter()
    parts = lab.sweeps(cells, readings=False)
    swept, judged, amiss = next(parts, None), 0, 0
    while swept:
        following = next(parts, None)
        verdicts = judge_record(swept.topology, swept.record(), swept.cells)
        judged += len(verdicts)
        amiss += sum(one.ruling is not Ruling.PASS for one in verdicts)
        _progress(f"{name}: {judged} of {len(cells)} pairs")
        swept = following
    taken = time.perf_counter() - started
    _progress("")
    if amiss or judged != len(cells):
        _say(f"{name}: {judged} of {len(cells)} pairs judged, {amiss} not as they must be")
    return taken


def _runs() -> list[Line]:
    """`pytest suites/` with all pairs by icmp and arp, once in each stage."""
    found = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(generate(LARGE), encoding="utf-8")
        for stage in STAGES:
            _progress(f"pytest suites/, {stage}")
            options = ("--lab-topology", str(file), "--lab-probe=icmp,arp", "--lab-stage", stage)
            peak, _, seconds = whole.watched(whole.start(folder, *SUITES, *options))
            _progress("")
            most = peak * MB_OF_MIB
            found += [
                Line(f"pytest, {stage}: all pairs by icmp and arp", "s", (seconds,), digits=1),
                Line("  memory of all processes (PSS)", "MB", (most,), at_most=LIMIT_MB, digits=0),
                Line(f"  of {LIMIT_MB} MB", "x", (most / LIMIT_MB,), at_most=1),
            ]
    return found


def _pingall() -> float | None:
    """Seconds that mininet takes to ping all pairs, without those to set up and take down."""
    tool = shutil.which("mn")
    if tool is None or shutil.which("brctl") is None:
        _say("no mininet here (Debian: mininet, bridge-utils): nothing to compare with")
        return None
    mininet = (tool, "--topo", f"single,{HOSTS}", "--switch", "lxbr", "--controller", "none",
               "--test", "pingall")  # fmt: skip
    command = (*PRIVATE, "sh", "-c", SCRIPT, "sh", *mininet)
    started = ended = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if "testing ping reachability" in line:
                started = time.perf_counter()
            source, arrow, _ = line.partition(" -> ")
            if arrow:
                _progress(f"pingall: {source} of {HOSTS}, {time.perf_counter() - started:.0f} s")
            if RESULT.search(line):
                ended = time.perf_counter()
                _progress("")
                _say(line.strip())
    if not ended:
        _say(f"mininet ended with exit code {process.returncode}, and no result")
        return None
    return ended - started


def _progress(text: str) -> None:
    """One line that is written over, where somebody watches."""
    if sys.stderr.isatty():
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r{text[: columns - 1].ljust(columns - 1)}", end="\r" * (not text), file=sys.stderr)
    elif text:
        print(text, file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
