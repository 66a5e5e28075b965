"""The verb that lists why cells can fail."""

from __future__ import annotations

import json

import click

from harness.cli.runs import json_option


@click.command(epilog="Example: harness causes")
@json_option
def causes(as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """List the causes that a failed cell can have, with a sentence each."""
    from dataclasses import asdict

    from harness.catalogue import CATALOGUE

    if as_json:
        click.echo(json.dumps([asdict(one) for one in CATALOGUE], indent=2))
        return
    width = max(len(one.code) for one in CATALOGUE)
    for one in CATALOGUE:
        click.echo(f"{one.code:{width}}  {one.sentence}")


VERBS = (causes,)
