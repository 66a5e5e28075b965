"""`harness rehearse`: a lab on several kernels, before any host is rebooted."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from harness.cli.boundary import UNKNOWN, boundary
from harness.cli.compare import reports_option
from harness.cli.labs import engine_versions
from harness.cli.runs import json_option
from harness.defaults import STAGES, default_topology, suites

BACKENDS = ("netns", "docker")
"""Those of labs that fit into a virtual machine."""
DEADLINE_S = 1800
"""Emulated on a busy machine a run of all stages takes five minutes, with engines ten."""
USAGE = 2
UNTESTABLE = 125


class Bisected(click.Command):
    """A verb whose exit codes are for `git bisect run`: no mistake may make a kernel bad."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """See click: reads the arguments."""
        with _bisected():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        """See click: runs the verb."""
        with _bisected():
            super().invoke(ctx)


@contextmanager
def _bisected() -> Iterator[None]:
    """Make the exit codes of errors the one that says nothing of a kernel."""
    try:
        with boundary():
            yield
    except click.ClickException as error:
        error.show()
        sys.exit(UNTESTABLE)
    except SystemExit as ended:
        sys.exit(UNTESTABLE if ended.code in (USAGE, UNKNOWN) else ended.code)


@click.command(cls=Bisected, epilog="Example: harness rehearse running 6.12 ./linux/")
@click.argument("kernels", nargs=-1, required=True, metavar="KERNEL...")
@click.option(
    "--topology",
    "files",
    multiple=True,
    type=click.Path(),
    help="A lab to build; several times for several (default: the tutorial lab).",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(BACKENDS),
    default=("netns",),
    show_default=True,
    help="How endpoints are made; several times for several.",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="ENGINE[,ENGINE]",
    shell_complete=engine_versions,
    help="docker: each with each kernel; a path, or a version.",
)
@click.option("--stage", type=click.Choice(STAGES), help="Test one stage (default: all).")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Runs side by side (default: as cores and memory allow).",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=DEADLINE_S,
    show_default=True,
    metavar="SECONDS",
    help="A run that takes longer is ended.",
)
@reports_option
@click.option("--markdown", "as_markdown", is_flag=True, help="For a pull request.")
@json_option
def rehearse(  # noqa: PLR0913, PLR0917 - click calls it by name
    kernels: tuple[str, ...],
    files: tuple[str, ...],
    backends: tuple[str, ...],
    engines: tuple[str, ...],
    stage: str | None,
    jobs: int | None,
    deadline: float,
    reports: Path,
    as_markdown: bool,  # noqa: FBT001 - click calls it by name
    as_json: bool,  # noqa: FBT001 - click calls it by name
) -> None:
    """Run the lab on each KERNEL, and show in one table what differs.

    KERNEL is what `pytest --lab-kernel` takes, or `running`: this machine's own, without a virtual
    machine. Differences from the first one are marked. Run folders are kept, as of any run.

    The exit code is fit for `git bisect run`: 0 good; 1 bad, which is a cell that fails, a kernel
    that warns, hangs or panics once it is up, or lacks a module that the lab needs; 125 cannot be
    tested, as a kernel that does not boot, and a mistake in these arguments.
    """
    from harness.flow import Stage
    from harness.matrix import matrix
    from harness.rehearsal import text
    from harness.rehearsal.combination import at_once, combinations
    from harness.rehearsal.result import Rehearsal
    from harness.rehearsal.runner import Terms, rehearse
    from harness.topology import read

    if as_markdown and as_json:
        raise click.UsageError("--markdown and --json: give one of them")
    labs = {}
    for file in files or (str(default_topology()),):
        lab = read(Path(file))
        if lab.name in labs:
            raise click.BadParameter(
                f"two topologies are named {lab.name}", param_hint="--topology"
            )
        labs[lab.name] = (file, lab)
    runs = combinations(
        kernels, {name: file for name, (file, _) in labs.items()}, backends, engines
    )
    cores = len(os.sched_getaffinity(0))
    terms = Terms(
        suites(), reports, jobs or at_once(runs, cores, _free_mib()), deadline,
        (f"--lab-stage={stage}",) if stage else (),
    )  # fmt: skip
    done = rehearse(runs, terms, lambda line: click.echo(line, err=True))
    stages = (Stage(stage),) if stage else tuple(Stage)
    families = {
        name: {cell.id: str(cell.family) for cell in matrix(lab, stages).cells}
        for name, (_, lab) in labs.items()
    }
    found = Rehearsal(done, families)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        click.echo(text.markdown(found) if as_markdown else text.text(found))
    sys.exit(found.exit_code)


def _free_mib() -> int:
    """Memory that can be had without swapping (proc_meminfo(5))."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))


VERBS = (rehearse,)
