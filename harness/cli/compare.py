"""`harness diff`: what changed between two runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from harness.cli.runs import json_option


@click.command(epilog="Example: harness diff reports/20261127T030000Z-1f reports/latest")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--markdown", "as_markdown", is_flag=True, help="For a pull request.")
@json_option
def diff(
    old: Path,
    new: Path,
    as_markdown: bool,  # noqa: FBT001 - click calls it by name
    as_json: bool,  # noqa: FBT001 - click calls it by name
) -> None:
    """Show what changed from run OLD to run NEW: cells, paths, readings; regressions first.

    The exit code is 0 without regressions, 1 with one, 3 if the runs cannot be compared or all that
    is worse is that it could not be told. Counters, ages and random MACs are no change.
    """
    from harness.diff import compare
    from harness.diff.text import markdown, text
    from harness.report.folder import read_document

    if as_markdown and as_json:
        raise click.UsageError("--markdown and --json: give one of them")
    found = compare(read_document(old), read_document(new))
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        click.echo(markdown(found) if as_markdown else text(found))
    sys.exit(found.exit_code)


VERBS = (diff,)
