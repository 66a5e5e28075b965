"""The verb that keeps a lab over a reboot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.runs import json_option
from harness.defaults import FORMATS

if TYPE_CHECKING:
    from harness.boot import Setup
    from harness.topology import Topology


@click.command(
    "write-config",
    epilog="Example: harness write-config --topology topologies/lab-hosts.yaml --host gateway",
)
@click.option(
    "--topology", "file", metavar="FILE", type=click.Path(), required=True, help="The lab."
)
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="This host; may be repeated.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True,
    help="Who makes the links: ifup(8), or systemd-networkd.",
)  # fmt: skip
@click.option("--apply", "is_applied", is_flag=True, help="Write the files, by ssh.")
@json_option
def write_config(
    file: str, hosts: tuple[str, ...], format_: str, is_applied: bool, as_json: bool  # noqa: FBT001 - click calls it by name
) -> None:  # fmt: skip
    """Print what keeps a lab over a reboot: files of each host, and commands for Docker.

    The lab is that of the stage routed: sub-interfaces and their sysctls, on a gateway host
    addresses, forwarding and iptables rules.

    With --apply the files are written to the hosts, which the topology says how to reach. A file
    of the same name that is somebody else's is refused, and then nothing is written anywhere. No
    link is brought up and nothing is rebooted: the commands that do it are printed for you.
    """
    from harness import boot
    from harness.topology import read

    topology = read(Path(file))
    setups = boot.setups(topology, format_, hosts)
    if is_applied:
        _apply(topology, setups, as_json=as_json)
    elif as_json:
        made = [_json(one) for one in setups]
        click.echo(json.dumps({"lab": topology.name, "format": format_, "hosts": made}, indent=2))
    else:
        click.echo("\n".join(line for one in setups for line in _shown(one)))


def _apply(topology: Topology, setups: tuple[Setup, ...], *, as_json: bool) -> None:
    from harness import written

    done = {one.setup.host: one for one in written.write(topology, setups)}
    if as_json:
        made = [
            {
                "name": one.host,
                "written": list(done[one.host].written) if one.host in done else [],
                "now": list(done[one.host].now) if one.host in done else [],
                "once": list(one.once),
                "notes": list(one.notes),
            }
            for one in setups
        ]
        click.echo(json.dumps({"lab": topology.name, "hosts": made}, indent=2))
        return
    for one in setups:
        if one.host not in done:
            click.echo("\n".join(f"{one.host}: {note}" for note in one.notes))
            continue
        for each in one.files:
            how = "written" if each.path in done[one.host].written else "as it is to be already"
            click.echo(f"{one.host}: {each.path}: {how}")
        click.echo("\n".join(_commands(one.host, done[one.host].now, one.once)))


def _shown(setup: Setup) -> list[str]:
    lines = [f"{setup.host}: {note}\n" for note in setup.notes]
    lines += [f"==> {setup.host}:{each.path} <==\n{each.content}" for each in setup.files]
    return lines + _commands(setup.host, setup.now, setup.once)


def _commands(host: str, now: tuple[str, ...], once: tuple[str, ...]) -> list[str]:
    """What is to be typed, after the files are there."""
    lines = []
    if now:
        lines += [f"==> {host}: a reboot takes this up, or now, as root <==", *now, ""]
    if once:
        lines += [f"==> {host}: once; Docker keeps it over a reboot <==", *once, ""]
    return lines


def _json(setup: Setup) -> dict[str, Any]:
    return {
        "name": setup.host,
        "files": [{"path": each.path, "content": each.content} for each in setup.files],
        "now": list(setup.now),
        "once": list(setup.once),
        "notes": list(setup.notes),
    }


VERBS = (write_config,)
