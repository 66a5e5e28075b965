"""The verb that lists the faults that the harness is proved with."""

from __future__ import annotations

import json

import click

from harness.cli.runs import json_option
from harness.errors import InputError


@click.command(epilog="Example: harness faults ip-forward-off")
@click.argument("name", required=False)
@json_option
def faults(name: str | None, as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """List the faults that the diagnosis is proved with, or tell all of one.

    With a name, or --json: how it is injected and undone, and what is predicted of every cell.
    """
    from harness.faults.catalogue import FAULTS
    from harness.faults.fault import OWN_KERNEL
    from harness.faults.listing import entry, lines

    chosen = [fault for fault in FAULTS if name in (None, fault.name)]
    if not chosen:
        raise InputError(f"no fault {name!r}; `harness faults` lists them")
    if as_json:
        click.echo(json.dumps([entry(fault) for fault in chosen], indent=2))
    elif name:
        click.echo("\n".join(lines(chosen[0])))
    else:
        width = max(len(fault.name) for fault in chosen)
        for fault in chosen:
            where = f" ({OWN_KERNEL})" if fault.machine else ""
            click.echo(f"{fault.name:{width}}  {fault.sentence}{where}")


VERBS = (faults,)
