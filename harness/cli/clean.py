"""The verb that takes away what runs have left that were killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from harness.cli.runs import CANNOT, json_option


@click.command(epilog="Example: harness clean --topology topologies/lab-hosts.yaml")
@click.option("--topology", metavar="FILE", type=click.Path(), help="Its lab hosts, not this one.")
@json_option
def clean(topology: str | None, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Take back what killed runs have left, and say what is left for you.

    Each lab host of a topology has written down what was made on it. A host that a run holds is not
    touched. Without a topology: what is left on this machine of labs that are no more. The exit
    code is 3 if something stays, or could not be told.
    """
    from harness import clean as cleaning

    if topology is None:
        removed, stay = cleaning.this_machine()
        said = [f"removed: {one}" for one in removed] + [f"stays: {one}" for one in stay]
        document = {"ok": not stay, "removed": list(removed), "stays": list(stay)}
        said = said or ["nothing is left of labs that are no more"]
    else:
        from harness import tenants
        from harness.topology import read

        found = cleaning.hosts(read(Path(topology)))
        document = tenants.document(found)
        said = [line for one in found for line in one.sentences()]
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(said))
    if not document["ok"]:
        sys.exit(CANNOT)


VERBS = (clean,)
