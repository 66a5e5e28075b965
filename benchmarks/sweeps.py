"""Sweeps of one lab: against a shell loop of ping(8) in the same lab, and against each other.

A sweep is timed from the moment it is handed to the worker until every cell has its verdict and
path. The shell loop runs where the worker runs: one `ping -c1 -W1` a pair, through nsenter(1).
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import permutations
from typing import Any

from benchmarks.line import Line, ratio
from harness import plan, topology
from harness.flow import L3_KINDS, Cell, Family, Outcome, Ruling, Stage
from harness.lab import Lab
from harness.machines.local import PrivateMachine
from harness.machines.worker import Worker
from harness.matrix import matrix
from harness.schedule import schedule, taps
from harness.swept import Swept
from harness.topology import Topology
from harness.verdict import judge_record
from harness.worker import calls

TOPOLOGY = "topologies/macvlan-two-host.yaml"
STAGES = (Stage.ISOLATED, Stage.ROUTED)


class _Machine:
    """A private lab's machine that lets its worker be used beside the lab."""

    def __init__(self) -> None:
        self.worker: Worker = PrivateMachine().start()

    def start(self) -> Worker:
        """See harness.machines.worker.Machine."""
        return self.worker


class _Bench:
    """A lab, in one stage after the other, and the seconds that things take in it."""

    def __init__(self) -> None:
        self.topology: Topology = topology.parse(topology.text(TOPOLOGY), TOPOLOGY)
        machine = _Machine()
        self.worker = machine.worker
        self.lab = Lab(self.topology, machine)
        self.lab.build()

    def cells(self, chosen: Callable[[Cell], bool] = lambda _: True) -> list[Cell]:
        """Cells of the stage that the lab is in."""
        every = matrix(self.topology, (self._stage(),)).cells
        return [cell for cell in every if chosen(cell)]

    def sweep(self, cells: Iterable[Cell]) -> float:
        """Sweep and judge, without the readings of nodes around it."""
        stage, every = self._stage(), self.cells()
        started = time.perf_counter()
        orders = schedule(self.topology, cells, every)
        links = plan.subinterfaces(self.topology, routed=stage is Stage.ROUTED)
        orders["taps"] = taps(self.topology, links)
        under_way = self.worker.begin(calls.sweep, orders)
        record = Swept(self.topology, stage, orders, tuple(every), under_way).record()
        verdicts = judge_record(self.topology, record, every)
        taken = time.perf_counter() - started
        _told([one.explain() for one in verdicts if one.ruling is not Ruling.PASS])
        return taken

    def sweep_and_read(self, cells: Iterable[Cell]) -> float:
        """Sweep and judge as a run does, with the readings of all nodes around it."""
        every = self.cells()
        started = time.perf_counter()
        swept = self.lab.sweep(cells)
        record = swept.record()
        judge_record(self.topology, record, every)
        swept.evidence(record)
        return time.perf_counter() - started

    def ping(self, pairs: Iterable[tuple[str, str]]) -> tuple[float, int]:
        """A shell loop over pairs; its seconds, and how many of them answered."""
        words = " ".join(f"{src}:{self.topology.endpoint(dst).address}" for src, dst in pairs)
        loop = (
            f"for pair in {words}; do "
            "nsenter --net=/run/netns/${pair%:*} ping -c1 -W1 ${pair#*:} >/dev/null && echo $pair;"
            " done; true"
        )
        started = time.perf_counter()
        answer: dict[str, Any] = self.lab.run("switch", ["sh", "-c", loop])
        taken = time.perf_counter() - started
        _told(answer["err"].splitlines() + ([f"sh: {answer['code']}"] if answer["code"] else []))
        return taken, len(answer["out"].splitlines())

    def _stage(self) -> Stage:
        return self.lab.stage or Stage.ISOLATED


def lines(runs: int) -> list[Line]:
    """Everything that is measured in one lab."""
    bench = _Bench()
    with closing(bench.lab):
        every: list[list[float]] = [[] for _ in range(runs)]
        found: dict[str, list[list[float]]] = {}
        for stage in STAGES:
            bench.lab.enter(stage)
            for name, measure in _measures(bench, stage).items():
                found.setdefault(name, []).append([measure() for _ in every])
    return _table({name: _summed(stages) for name, stages in found.items()}, _sizes(bench.topology))


def _measures(bench: _Bench, stage: Stage) -> dict[str, Callable[[], float]]:
    """What is measured in a stage. Where a name is there in both stages, the two are added."""
    end = bench.topology.endpoint_vlans
    pairs = list(permutations(end, 2))
    reachable = [pair for pair in pairs if stage is Stage.ROUTED or end[pair[0]] == end[pair[1]]]
    found: dict[str, Callable[[], float]] = {
        "all": lambda: bench.sweep(bench.cells()),
        "read": lambda: bench.sweep_and_read(bench.cells()),
        "one": lambda: bench.sweep(bench.cells(_echoes)),
        "every": lambda: bench.sweep(bench.cells(_reaching_pair)),
        stage: lambda: bench.sweep(bench.cells(_crosses)),
    }
    if shutil.which("ping") is None:
        print("no ping here (Debian: iputils-ping): nothing to compare with", file=sys.stderr)
        return found
    return {
        **found,
        "ping": lambda: _answered(bench.ping(pairs), len(reachable)),
        "ping reachable": lambda: _answered(bench.ping(reachable), len(reachable)),
    }


def _table(seconds: dict[str, tuple[float, ...]], sizes: dict[str, int]) -> list[Line]:
    line = {name: Line(name, "ms", tuple(1000 * one for one in runs), digits=0)
            for name, runs in seconds.items()}  # fmt: skip
    found = [
        _named(line["all"], f"sweep of two stages, {sizes['all']} cells, judged"),
        _named(line["read"], "  the same with readings of all nodes"),
        _named(line["one"], f"  only one echo a reachable pair, {sizes['one']} cells"),
        _named(line["every"], f"  all probes of reachable pairs, {sizes['every']} cells"),
    ]
    if "ping" in line:
        per_probe = [
            Line("", "us", tuple(1000 * one / size for one in line[name].runs))
            for name, size in (("ping reachable", sizes["one"]), ("every", sizes["every"]))
        ]
        found += [
            _named(line["ping"], f"shell loop of ping, {sizes['pairs']} pairs"),
            _named(line["ping reachable"], f"  reachable pairs only, {sizes['one']}"),
            ratio("ping loop / sweep, all pairs", line["ping"], line["all"], at_least=30),
            ratio("ping loop / sweep, one echo a reachable pair",
                  line["ping reachable"], line["one"], at_least=3),
            ratio("  a ping / a probe, reachable pairs", *per_probe),
        ]  # fmt: skip
    blocked, reached = line[Stage.ISOLATED], line[Stage.ROUTED]
    return [
        *found,
        _named(blocked, f"{sizes['cross']} cross-VLAN cells, all blocked"),
        _named(reached, f"{sizes['cross']} cross-VLAN cells, all reaching"),
        ratio("blocked / reaching", blocked, reached, at_most=1.5),
    ]


def _named(line: Line, name: str) -> Line:
    return Line(name, line.unit, line.runs, digits=line.digits)


def _sizes(model: Topology) -> dict[str, int]:
    cells = matrix(model, STAGES).cells
    return {
        "all": len(cells),
        "one": sum(map(_echoes, cells)),
        "every": sum(map(_reaching_pair, cells)),
        "pairs": 2 * len(list(permutations(model.endpoints, 2))),
        "cross": sum(map(_crosses, cells)) // 2,
    }


def _echoes(cell: Cell) -> bool:
    return str(cell.probe) == "icmp" and _reaching_pair(cell)


def _reaching_pair(cell: Cell) -> bool:
    """A cell of a pair of endpoints that ping would reach."""
    asked = cell.family in (Family.SAME_VLAN, Family.CROSS_VLAN_L3)
    return asked and cell.expectation.outcome is Outcome.REACHED


def _crosses(cell: Cell) -> bool:
    return cell.family is Family.CROSS_VLAN_L3 and cell.probe.kind in L3_KINDS


def _summed(stages: list[list[float]]) -> tuple[float, ...]:
    return tuple(sum(runs) for runs in zip(*stages, strict=True))


def _answered(ping: tuple[float, int], expected: int) -> float:
    taken, answered = ping
    _told([f"ping: {answered} pairs answered, not {expected}"] if answered != expected else [])
    return taken


def _told(amiss: list[str]) -> None:
    for line in amiss:
        print(line, file=sys.stderr)
