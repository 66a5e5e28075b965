"""Verbs about the machine, and runs that are over."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

WRONG = 1
CANNOT = 3
VERDICTS = {"pass": "green", "fail": "red", "unproved": "yellow", "error": "yellow"}
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.command(epilog="Example: harness doctor --topology topologies/lab-hosts.yaml")
@click.option("--topology", metavar="FILE", type=click.Path(), help="Its lab hosts, not this one.")
@json_option
def doctor(topology: str | None, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Say what this machine has and lacks for a lab, and what mends it.

    Given a topology whose hosts are reached by ssh, say it of all of them, and of the trunk between
    them. The exit code is 3 if something required is missing.
    """
    from harness import doctor as machine

    if topology is None:
        needs = machine.check()
        text = machine.table(needs)
    else:
        from harness import host_doctor
        from harness.topology import read

        needs = host_doctor.check(read(Path(topology)))
        text = host_doctor.table(needs)
    click.echo(machine.as_json(needs) if as_json else text)
    if machine.missing(needs):
        sys.exit(CANNOT)


@click.command(epilog="Example: harness show reports/latest")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--line", is_flag=True, help="One line, for chat or the subject of a mail.")
@click.option("--openmetrics", is_flag=True, help="Numbers, for Prometheus and its like.")
@json_option
def show(
    run: Path,
    line: bool,  # noqa: FBT001 - click calls it by name
    openmetrics: bool,  # noqa: FBT001 - click calls it by name
    as_json: bool,  # noqa: FBT001 - click calls it by name
) -> None:
    """Show a run's cells and verdicts. The exit code is the run's.

    RUN is a run folder; `reports/latest` is the newest.
    """
    from harness.report.folder import read_document
    from harness.report.line import line as in_one_line

    if line + openmetrics + as_json > 1:
        raise click.UsageError("--line, --openmetrics and --json: give one of them")
    document = read_document(run)
    if line:
        click.echo(in_one_line(document))
    elif openmetrics:
        from harness.report.openmetrics import openmetrics as in_numbers

        click.echo(in_numbers(document), nl=False)
    elif as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        _show(document)
    sys.exit({"pass": 0, "fail": WRONG}.get(document["run"]["exit"], CANNOT))


@click.command(epilog="Example: harness judge reports/latest")
@click.argument("run", type=click.Path(path_type=Path))
@json_option
def judge(run: Path, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Judge a run again, from its captures and evidence alone.

    The exit code is 0 if every verdict is the same, 3 if not: then the report is not to be trusted.
    """
    from harness.judge import rejudge

    again = rejudge(run)
    if as_json:
        found = {"agree": again.agree, "cells": again.cells, "differences": again.differences}
        click.echo(json.dumps(found, indent=2))
    else:
        for difference in again.differences:
            click.echo(difference)
        says = "agrees with the report" if again.agree else "does not agree with the report"
        click.echo(f"{again.cells} cells judged again: {says}")
    if not again.agree:
        sys.exit(CANNOT)


@click.command(
    epilog="Example: harness completion bash > ~/.local/share/bash-completion/completions/harness"
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes verbs, labs and nodes in a shell."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"this click does not know {shell}")
    program = ctx.find_root().command
    click.echo(complete(program, {}, "harness", "_HARNESS_COMPLETE").source())


def _show(document: dict[str, Any]) -> None:
    from tabulate import tabulate

    run = document["run"]
    heads = ("cell", "expected", "observed", "verdict", "why")
    rows = [
        (cell["id"], cell["expected"], cell["observed"], _coloured(cell["verdict"]), cell["why"])
        for cell in document["cells"]
    ]
    click.echo(tabulate(rows, headers=heads, tablefmt="simple"))
    click.echo(f"\n{run['id']}: {run['topology']}, {run['backend']}, {run['started']}")
    for text in run["not_applicable"]:
        click.echo(f"not applicable: {text}")
    for text in document["leftovers"]:
        click.echo(f"left over: {text}")
    click.echo(f"{len(rows)} cells: {_coloured(run['exit'])}")


def _coloured(verdict: str) -> str:
    return click.style(verdict, fg=VERDICTS.get(verdict))


VERBS = (doctor, show, judge, completion)
