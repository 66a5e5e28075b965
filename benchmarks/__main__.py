"""`python -m benchmarks`: measure, print a table or JSON. It never judges by its exit code."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tabulate import tabulate

from benchmarks import page, scale, sweeps, whole
from benchmarks.line import Line

PARTS = {
    "whole": whole.wall, "failing": whole.failing, "explain": whole.explain,
    "sweeps": sweeps.lines, "memory": whole.memory, "page": page.tutorial,
}  # fmt: skip
APART = ("docker", "scale", "large-page")
"""Measured only where they are asked for."""
FEWEST = 5
"""A median of fewer runs says little on a machine that others use."""


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--runs", type=int, default=FEWEST, help=f"runs a line, {FEWEST} at least")
    parser.add_argument("--only", choices=(*PARTS, *APART), help="measure one part")
    parser.add_argument(
        "--mininet",
        default="run",
        metavar="run|skip|SECONDS",
        help="scale: run mininet's pingall (12 minutes), leave it out, or take it as measured",
    )
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("building a lab needs root")
    runs = max(options.runs, FEWEST)
    os.chdir(Path(__file__).parents[1])
    with TemporaryDirectory() as compiled:
        # Python keeps what it has compiled, as it does for users; a run that nobody times makes it.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        whole.wall(1)
        found = _measured(options, runs)
    print(json.dumps(_document(found), indent=1) if options.json else _table(found))


def _measured(options: argparse.Namespace, runs: int) -> list[Line]:
    found: list[Line] = []
    for name, measure in PARTS.items():
        if options.only in (None, name):
            print(f"{name}: {runs} runs", file=sys.stderr)
            found += measure(runs)
    if options.only == "docker":
        found += whole.docker(runs)
    if options.only == "large-page":
        found += page.large(runs)
    if options.only == "scale":
        found += scale.lines(runs, options.mininet)
    return found


def _document(found: list[Line]) -> dict[str, Any]:
    lines = [{**asdict(one), "value": one.value, "verdict": one.verdict} for one in found]
    return {"machine": _machine(), "lines": lines}


def _table(found: list[Line]) -> str:
    rows = [
        (
            one.name,
            f"{one.value:.{one.digits}f} {one.unit}",
            f"{min(one.runs):.{one.digits}f} .. {max(one.runs):.{one.digits}f}",
            one.target,
            one.verdict,
        )
        for one in found
    ]
    table = tabulate(rows, headers=("", "median", "of", "target", ""), disable_numparse=True)
    load = ", ".join(f"{name} {value}" for name, value in _machine().items())
    return f"{table}\n\n{load}\nWhat each line means: benchmarks/README.md"


def _machine() -> dict[str, Any]:
    return {
        "kernel": platform.release(),
        "CPUs": os.cpu_count(),
        "load over the last minute": round(os.getloadavg()[0], 1),
        "Python": platform.python_version(),
    }


main()
