"""The verb that follows one packet through a lab that is up."""

from __future__ import annotations

import json
import sys

import click

from harness.cli.labs import chosen, name_option, node_names
from harness.cli.runs import CANNOT, WRONG, json_option

EXIT_CODES = {"pass": 0, "fail": WRONG}


@click.command(epilog="Example: harness explain bbox1 bbox4")
@name_option
@json_option
@click.argument("src", shell_complete=node_names)
@click.argument("dst", shell_complete=node_names)
def explain(name: str | None, src: str, dst: str, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Send one ping from SRC to DST in a lab that is up, and show its way, hop by hop.

    The exit code is 0 if it fared as expected, 1 if not, 3 if that could not be told.
    """
    from harness import live
    from harness.report import explanation

    found = live.explain(chosen(name).name, src, dst)
    if as_json:
        click.echo(json.dumps(explanation.document(found), indent=2))
    else:
        # click takes the colours away where nobody would see them.
        click.echo(explanation.terminal(found, colour=True), nl=False)
    sys.exit(EXIT_CODES.get(found.verdict.ruling, CANNOT))


VERBS = (explain,)
