"""The command `harness`. Only this package imports click.

Every verb imports what it needs when it runs, so that help and `list` answer at once.
"""

from __future__ import annotations

import click

from harness.cli import (
    causes,
    clean,
    compare,
    config,
    explain,
    faults,
    labs,
    rehearse,
    reports,
    runs,
    topologies,
)
from harness.cli.boundary import Program

cli = Program(
    name="harness",
    help="""Connectivity test harness for Docker macvlan labs.

    Build a lab that stays up, look into it, take it down. The tests themselves are run by
    `pytest suites/`.

    \b
    harness doctor                    what this machine lacks
    harness up                        build the tutorial lab
    harness exec bbox1 -- ping -c1 172.16.10.11
    harness down                      end it
    """,
)
verbs = (
    *runs.VERBS[:1],
    *topologies.VERBS,
    *runs.VERBS[1:],
    *labs.VERBS,
    *clean.VERBS,
    *config.VERBS,
    *explain.VERBS,
    *causes.VERBS,
    *faults.VERBS,
    *compare.VERBS,
    *rehearse.VERBS,
    *reports.VERBS,
)
for verb in verbs:
    cli.add_command(verb)
click.version_option(package_name="macvlan-harness")(cli)


def main() -> None:
    """Entry point of the console script; ends the process with the exit code."""
    cli.main(prog_name="harness")
