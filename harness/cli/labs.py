"""Verbs about labs that stay up: up, list, exec, shell, down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.defaults import BACKENDS, STAGES, default_topology
from harness.errors import InputError, MachineError, UnknownNode

if TYPE_CHECKING:
    from harness.machines.registry import LabRecord


def lab_names(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[str]:
    """Complete a lab's name."""
    from harness.machines import registry

    return [lab.name for lab in registry.labs() if lab.name.startswith(typed)]


def node_names(ctx: click.Context, _param: click.Parameter, typed: str) -> list[str]:
    """Complete a node's name: of the lab that was named, or of any."""
    from harness.machines import registry

    wanted = ctx.params.get("name")
    labs = [lab for lab in registry.labs() if wanted in (None, lab.name)]
    nodes = dict.fromkeys(node for lab in labs for node in lab.description.nodes)
    return [node for node in nodes if node.startswith(typed)]


def engine_versions(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[str]:
    """Complete the last of several engines by its version."""
    from harness import fetched

    before, comma, last = typed.rpartition(",")
    return [f"{before}{comma}{version}" for version in fetched.known() if version.startswith(last)]


name_option = click.option(
    "--name",
    metavar="NAME",
    shell_complete=lab_names,
    help="Which lab; may be left out while exactly one is up.",
)
node_argument = click.argument("node", shell_complete=node_names)


@click.command(epilog="Example: harness up --stage isolated --name try1")
@click.argument("topology", required=False, type=click.Path())
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="netns",
    show_default=True,
    help="How endpoints are made.",
)
@click.option(
    "--engine",
    metavar="ENGINE[,ENGINE]",
    default="",
    shell_complete=engine_versions,
    help="The dockerd of each host that runs one, a path or a version.",
)
@click.option(
    "--image", metavar="IMAGE", default="", help="Docker: an image, or what `docker save` wrote."
)
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    help="How far to take the lab (default: routed, or the only stage that it has).",
)
@click.option("--name", metavar="NAME", help="The lab's name (default: the topology's).")
def up(  # noqa: PLR0913, PLR0917 - click calls it by name
    topology: str | None,
    backend: str,
    engine: str,
    image: str,
    stage: str | None,
    name: str | None,
) -> None:
    """Build a lab that outlives this command.

    TOPOLOGY is a file; left out, it is the tutorial lab.
    """
    from harness import labs
    from harness.backends import Backend

    path = topology or str(default_topology())
    lab = labs.bring_up(path, name, stage, Backend(backend, engine, image))
    about = lab.description
    click.echo(f"{lab.name} is up: {about.topology}, {about.stage}, {about.vlan_datapath}")
    click.echo(f"nodes: {', '.join(about.nodes)}")
    _say_engines((lab,))


@click.command("list", epilog="Example: harness list --json")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:  # noqa: FBT001 - click calls it by name
    """Show the labs that are up."""
    from harness.machines import registry

    labs = registry.labs()
    if as_json:
        click.echo(json.dumps([_plain(lab) for lab in labs], indent=2))
        return
    if not labs:
        click.echo("no lab is up; `harness up` builds one", err=True)
        return
    rows = [_row(lab) for lab in labs]
    heads = ("name", "topology", "stage", "backend", "VLANs by", "since", "first process")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
    _say_engines(labs)


@click.command(
    "exec",
    epilog="Example: harness exec bbox1 -- ping -c 1 172.16.10.11",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@name_option
@node_argument
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str | None, node: str, command: tuple[str, ...]) -> None:
    """Run a command in a node of a lab that is up.

    NODE is a host, an endpoint or `switch`. The exit code is the command's own; directory,
    environment and terminal are this shell's.
    """
    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise click.UsageError("a command is missing: harness exec NODE -- CMD...")
    _become(chosen(name), node, argv)


@click.command(epilog="Example: harness shell gateway")
@name_option
@node_argument
def shell(name: str | None, node: str) -> None:
    """Open a shell in a node of a lab that is up."""
    from harness.machines import enter

    lab = chosen(name)
    argv, environment = enter.shell(node, lab.name)
    os.environ["PS1"] = environment["PS1"]
    _become(lab, node, argv)


@click.command(epilog="Example: harness down macvlan-two-host")
@click.argument("name", required=False, shell_complete=lab_names)
@click.option("--all", "every", is_flag=True, help="All of this user's labs.")
def down(name: str | None, every: bool) -> None:  # noqa: FBT001 - click calls it by name
    """End a lab, and everything in it.

    NAME may be left out while exactly one lab is up.
    """
    from harness.machines import registry

    if name and every:
        raise click.UsageError("give a NAME or --all, not both")
    for each in registry.names() if every else (name or chosen(None).name,):
        registry.stop(each)
        click.echo(f"{each} is down")


def _say_engines(labs: Iterable[LabRecord]) -> None:
    """Say how docker(1) reaches each engine of labs, from outside of them."""
    for lab in labs:
        for host, address in _sockets(lab).items():
            click.echo(f"{lab.name}: {host}: docker -H {address}")


def _sockets(lab: LabRecord) -> dict[str, str]:
    """The address of each engine of a lab, by its host."""
    from harness.machines import enter

    return {host: enter.engine(lab.init_pid, host) for host in lab.description.engines}


def chosen(name: str | None) -> LabRecord:
    """Find the lab of a name, or the only one that is up."""
    from harness.machines import registry

    if name is not None:
        return registry.find(name)
    labs = registry.labs()
    if len(labs) == 1:
        return labs[0]
    if not labs:
        raise InputError("no lab is up; `harness up` builds one")
    raise InputError(f"several labs are up, name one of them: {', '.join(_names(labs))}")


def _names(labs: tuple[LabRecord, ...]) -> list[str]:
    return [lab.name for lab in labs]


def _become(lab: LabRecord, node: str, argv: tuple[str, ...]) -> None:
    """Turn this process into a command in a node: nothing is between it and its caller."""
    from harness.machines import enter

    known = lab.description.nodes
    if node not in known:
        raise UnknownNode(f"lab {lab.name!r}", node, known)
    command = enter.command(lab.init_pid, node, argv, _directory(), _container(lab, node))
    try:
        os.execvp(command[0], command)  # noqa: S606 - an argv list
    except FileNotFoundError as error:
        raise InputError(f"{command[0]} is missing; `harness doctor` says more") from error


def _container(lab: LabRecord, node: str) -> int | None:
    """The first process of a container as the lab numbers it; None of what is no container.

    MachineError if it does not run: its name is that of a namespace which may outlive it.
    """
    host = lab.description.containers.get(node)
    if host is None:
        return None
    from harness.endpoints.containers import written
    from harness.machines import enter

    name = node.partition(".")[0]  # a further leg, bbox1.20, is one of the container before the dot
    state = written.container(host, name, enter.root(lab.init_pid))
    if state and state["Running"]:
        return int(state["Pid"])
    said = "does not run" if state else "is not there any more"
    start = f"; docker -H {enter.engine(lab.init_pid, host)} start {name}" if state else ""
    raise MachineError(f"the container {name} on {host} {said}{start}")


def _directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "/"


def _plain(lab: LabRecord) -> dict[str, object]:
    """Flatten a lab to what `list --json` promises."""
    flat = asdict(lab)
    return {**flat.pop("description"), **flat, "engines": _sockets(lab)}


def _row(lab: LabRecord) -> tuple[str, ...]:
    about = lab.description
    return (
        lab.name,
        about.topology,
        about.stage,
        about.backend,
        about.vlan_datapath,
        about.started,
        str(lab.init_pid),
    )


VERBS = (up, list_, exec_, shell, down)
