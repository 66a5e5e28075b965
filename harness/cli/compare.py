"""`harness diff` and `harness baseline`: what changed, and since which run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.runs import json_option

if TYPE_CHECKING:
    from harness.diff import Difference

IN_FOLDER = "-"
"""What `--html` means without a file: beside NEW's own page."""

reports_option = click.option(
    "--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True,
    help="The folder of run folders.",
)  # fmt: skip


@click.command(epilog="Example: harness diff reports/20261127T030000Z-1f reports/latest")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--markdown", "as_markdown", is_flag=True, help="For a pull request.")
@click.option(
    "--html",
    metavar="[FILE]",
    is_flag=False,
    flag_value=IN_FOLDER,
    help="Write a page; without FILE, NEW/diff.html. Give it last, or as --html=FILE.",
)
@json_option
def diff(
    old: Path,
    new: Path,
    as_markdown: bool,  # noqa: FBT001 - click calls it by name
    html: str | None,
    as_json: bool,  # noqa: FBT001 - click calls it by name
) -> None:
    """Show what changed from run OLD to run NEW: cells, paths, readings; regressions first.

    The exit code is 0 without regressions, 1 with one, 3 if the runs cannot be compared or all that
    is worse is that it could not be told. Counters, ages and random MACs are no change. Round trips
    are, where they differ beyond noise: other runs beside OLD and NEW that were made alike are read
    for how much of a difference that is.
    """
    from harness.diff import compare
    from harness.diff.text import markdown, text
    from harness.report.repeats import read, repeats

    if as_markdown + as_json + bool(html) > 1:
        raise click.UsageError("--markdown, --html and --json: give one of them")
    before, after = read(old), read(new)
    found = compare(before.document, after.document, repeats(before, after))
    if html:
        _write(new / "diff.html" if html == IN_FOLDER else Path(html), found)
    elif as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        click.echo(markdown(found) if as_markdown else text(found))
    sys.exit(found.exit_code)


def _write(file: Path, found: Difference) -> None:
    """Write the page; its path, and what is on top of it."""
    from harness.diff import page
    from harness.diff.text import summary
    from harness.report.folder import add

    add(file.parent, file.name, page.html(found))
    click.echo(f"{summary(found)}\n{file}")


@click.group(epilog="Example: harness baseline set reports/latest")
def baseline() -> None:
    """Keep a good run, by topology, backend and machine, that later ones are compared with.

    `pytest suites/ --lab-baseline good` says what changed since; `harness reports prune` leaves it.
    """


@baseline.command("set", epilog="Example: harness baseline set reports/latest")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Keep also a run in which not all was proved.")
def set_(run: Path, force: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Keep RUN, in place of the one that was kept for its topology and backend."""
    from harness.report.baselines import keep

    link = keep(run, failed_too=force)
    click.echo(f"{link} is {link.resolve().name}")


@baseline.command(epilog="Example: harness baseline show macvlan-two-host")
@click.argument("topology")
@click.option("--backend", default="netns", show_default=True, help="How endpoints were made.")
@reports_option
def show(topology: str, backend: str, reports: Path) -> None:
    """Print the run folder that is kept for a TOPOLOGY's name on this machine."""
    from harness.errors import InputError
    from harness.report.baselines import find

    found = find(reports, topology, backend)
    if found is None:
        raise InputError(
            f"no baseline of {topology} on {backend} in {reports}; `harness baseline set RUN`"
        )
    click.echo(found)


@baseline.command("list", epilog="Example: harness baseline list")
@reports_option
@json_option
def list_(reports: Path, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """List what is kept."""
    from harness.report.baselines import kept

    found = {name: str(run) for name, run in kept(reports)}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, run in found.items():
        click.echo(f"{name}: {run}")


VERBS = (diff, baseline)
