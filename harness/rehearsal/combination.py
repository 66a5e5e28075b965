"""Which runs a rehearsal is made of, and how many of them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from harness.errors import InputError

RUNNING = "running"
"""What a rehearsal calls the kernel of this machine, on which a lab needs no virtual machine."""
RUN_MIB = 400
"""Memory of one run without a virtual machine: pytest, its worker, the engines of the lab."""
MACHINE_MIB, ENGINES_MIB = 1536, 2560
"""Memory of one virtual machine, and of one with engines, what emulates it included."""


@dataclass(frozen=True)
class Combination:
    """One run: a kernel, and the lab that is built on it."""

    column: str
    """What is rehearsed, as the table's head has it; unique to a kernel and its engines."""
    kernel: str
    """As `--lab-kernel` takes it, or `running`."""
    engine: str
    """As `--lab-engine` takes it; empty for the machine's own."""
    topology: str
    """The topology's name."""
    file: str
    backend: str

    @property
    def lab(self) -> str:
        """What is built: `macvlan-two-host on netns`."""
        return f"{self.topology} on {self.backend}"

    @property
    def name(self) -> str:
        """For a line about this run."""
        return f"{self.column}, {self.lab}"


def combinations(
    kernels: Sequence[str],
    topologies: Mapping[str, str],
    backends: Sequence[str],
    engines: Sequence[str] = (),
) -> tuple[Combination, ...]:
    """Each kernel with each lab, kernel by kernel; `topologies` are files by their names.

    A kernel that is named twice is run twice: that shows what differs by chance. InputError if
    engines are chosen for a lab that has none.
    """
    without = [backend for backend in backends if backend != "docker"]
    if engines and without:
        raise InputError(f"--engine needs --backend docker alone; {without[0]} runs no engine")
    # In a table a difference must have one meaning.
    labs = tuple(product(topologies.items(), dict.fromkeys(backends)))
    tried = tuple(product(kernels, engines or ("",)))
    return tuple(
        Combination(column, kernel, engine, topology, file, backend)
        for (kernel, engine), column in zip(tried, _columns(tried), strict=True)
        for (topology, file), backend in labs
    )


def _columns(tried: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each kernel and engine, of a path its last part where that says enough."""
    shorts = {kernel: Path(kernel.partition(",")[0]).name for kernel, _ in tried}
    counts = Counter(shorts.values())
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for kernel, engine in tried:
        seen[kernel, engine] += 1
        short = shorts[kernel] if counts[shorts[kernel]] == 1 else kernel
        again = f" ({seen[kernel, engine]})" if seen[kernel, engine] > 1 else ""
        found.append(f"{short or kernel}{f', Docker {engine}' if engine else ''}{again}")
    return found


def at_once(runs: Iterable[Combination], cores: int, free_mib: int) -> int:
    """How many runs this machine carries side by side, at least one.

    A run keeps a core busy, a virtual machine as well; `free_mib` is memory that nobody uses.
    """
    needs = [RUN_MIB + _machine_mib(one) for one in runs]
    return max(1, min(len(needs), cores, free_mib // max(needs, default=RUN_MIB)))


def _machine_mib(run: Combination) -> int:
    if run.kernel == RUNNING:
        return 0
    return ENGINES_MIB if run.backend == "docker" else MACHINE_MIB


def arguments(run: Combination, suites: str, reports: str, more: Sequence[str]) -> tuple[str, ...]:
    """What pytest is given for a run; `more` are options that all runs share."""
    chosen = {"--lab-kernel": run.kernel if run.kernel != RUNNING else "",
              "--lab-engine": run.engine}  # fmt: skip
    return (
        suites, "-q", "--no-header", "--color=no", "-p", "no:cacheprovider",
        f"--lab-topology={run.file}", f"--lab-backend={run.backend}", f"--lab-reports={reports}",
        *(f"{option}={value}" for option, value in chosen.items() if value), *more,
    )  # fmt: skip
