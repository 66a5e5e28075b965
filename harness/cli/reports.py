"""Verbs about all run folders of a directory."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from harness.cli.runs import json_option

SHOWN = 50
"""From so many runs on, how far the reading is is shown on a terminal."""
KEPT = 30
"""A month of nightly runs."""
MB = 1e6


@click.group(epilog="Example: harness reports prune --keep 30")
def reports() -> None:
    """Look after the run folders that have been written."""


@reports.command(epilog="Example: harness reports prune reports/ --keep 30 --days 90")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("reports"))
@click.option(
    "--keep", type=click.IntRange(min=0), default=KEPT, show_default=True,
    help="So many of the newest stay in any case.",
)  # fmt: skip
@click.option("--days", type=click.FloatRange(min=0), help="Runs of the last so many days stay.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
@json_option
def prune(
    directory: Path,
    keep: int,
    days: float | None,
    dry_run: bool,  # noqa: FBT001 - click calls it by name
    as_json: bool,  # noqa: FBT001 - click calls it by name
) -> None:
    """Remove old run folders from DIRECTORY, by default `reports/`.

    The newest stay, what `latest` points at, and baselines; only run folders are ever removed.
    """
    from harness.report import prune as pruning

    found = pruning.runs(directory)
    age = None if days is None else timedelta(days=days)
    old = pruning.outdated(found, keep, age, datetime.now(UTC))
    size = sum(map(pruning.octets, old))
    for run in old if not dry_run else ():
        pruning.remove(run)
    names = [run.folder.name for run in old]
    if as_json:
        told = {"removed": names, "octets": size, "kept": len(found) - len(old), "dry_run": dry_run}
        click.echo(json.dumps(told, indent=2))
        return
    for name in names:
        click.echo(name)
    verb = "would go from" if dry_run else "removed from"
    click.echo(f"{len(old)} {verb} {directory} ({size / MB:.1f} MB), {len(found) - len(old)} stay")


@reports.command(epilog="Example: harness reports index reports/")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("reports"))
@json_option
def index(directory: Path, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Write DIRECTORY/index.html, a page over all runs, by default of `reports/`.

    It has each lab's runs over time, by kernel and engine, with their durations, the cells that
    turned red with the first run in which they did, and cells that are flaky. What cannot be read
    is named and left out. With --json the same is printed, and nothing is written.
    """
    from harness.errors import RunFolderError
    from harness.report import folder as run_folder
    from harness.report import history
    from harness.report.html import index as page
    from harness.report.summary import many

    found, unread = [], []
    folders = history.folders(directory)
    hidden = as_json or len(folders) < SHOWN or not sys.stderr.isatty()
    with click.progressbar(folders, label="reading", file=sys.stderr, hidden=hidden) as shown:
        for one in shown:
            try:
                found.append(history.read(one))
            except RunFolderError as error:
                unread.append(str(error))
    made = history.histories(found)
    if as_json:
        click.echo(json.dumps(history.as_json(made, unread), indent=2))
        return
    paged = [one.name for one in folders if (one / run_folder.PAGE).is_file()]
    run_folder.add(directory, page.NAME, page.index(made, unread, paged))
    for line in unread:
        click.echo(f"not read: {line}", err=True)
    click.echo(f"{directory / page.NAME}: {many(len(found), 'run')}")


VERBS = (reports,)
