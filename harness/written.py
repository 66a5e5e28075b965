"""Bring to lab hosts the files that they read when they start: all of them, or none anywhere.

A host is asked first what it has. A file that is not the lab's own stays, and then nothing is
written on any host. What takes the files up, or removes one of an earlier call, is the user's to
type.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

from harness import hosted
from harness.boot import FOLDERS, MARK, SOURCE, Setup
from harness.errors import InputError, MachineError
from harness.machines.fleet import Fleet
from harness.topology import Topology
from harness.worker import files


@dataclass(frozen=True)
class Written:
    """What was done on one host."""

    setup: Setup
    written: tuple[str, ...]
    """Paths of files that were absent, or had another content of ours."""
    now: tuple[str, ...]
    """The commands that take all files up, as the host is."""


def write(topology: Topology, setups: tuple[Setup, ...]) -> tuple[Written, ...]:
    """Write the files of hosts that are given any.

    InputError where a host may not be written to, MachineError where one cannot be reached, has a
    file of somebody else's, or has no room; it says what was written until then.
    """
    given = [one for one in setups if one.files]
    _refuse(topology, given)
    if not given:
        return ()
    names = {one.host for one in given}
    hosts = tuple(host for host in topology.hosts if host.name in names)
    fleet = hosted.machines(replace(topology, hosts=hosts)).start()
    try:
        return _write(topology, given, fleet)
    finally:
        fleet.close()


def _refuse(topology: Topology, given: list[Setup]) -> None:
    reached = {one.host: topology.host(one.host).reach for one in given}
    silent = [name for name, reach in reached.items() if reach is None]
    if silent:
        raise InputError(
            f"--apply: {topology.name} does not say where {', '.join(silent)} can be reached; "
            "give each an `ssh: USER@HOST`"
        )
    observed = [name for name, reach in reached.items() if reach and reach.may == "observe"]
    if observed:
        raise InputError(
            f"--apply: {topology.name} says `may: observe`, so nothing is written on "
            f"{', '.join(observed)}; copy what is printed without --apply, or say `may: build` "
            "until it is written"
        )


def _write(topology: Topology, given: list[Setup], fleet: Fleet) -> tuple[Written, ...]:
    mark = MARK.format(topology.name)
    content = {one.host: [[file.path, file.content] for file in one.files] for one in given}
    found = fleet.each(
        files.look,
        {host: ({"mark": mark, "files": its, "folders": list(FOLDERS)},)
         for host, its in content.items()},
    )  # fmt: skip
    foreign = [f"{host}: {path}" for host, one in found.items()
               for path, state in one["states"].items() if state == "foreign"]  # fmt: skip
    if foreign:
        raise MachineError(
            f"{', '.join(foreign)}: not written by `harness write-config` for this lab, so left as "
            "they are, and nothing was written on any host; move them away, or rename the lab"
        )
    wanted = {
        host: [each for each in its if found[host]["states"][each[0]] != "same"]
        for host, its in content.items()
    }
    done = fleet.each(files.write, {host: (its, mark) for host, its in wanted.items()})
    _complain(done)
    return tuple(_told(one, found[one.host], done[one.host]["written"]) for one in given)


def _complain(done: dict[str, dict[str, Any]]) -> None:
    failed = [f"{host}: {one['failed']}" for host, one in done.items() if "failed" in one]
    if failed:
        there = [f"{host}: {path}" for host, one in done.items() for path in one["written"]]
        raise MachineError(
            f"{'; '.join(failed)}; written were {', '.join(there) or 'no files'}; "
            "run it again when that is mended"
        )


def _told(setup: Setup, found: dict[str, Any], written: list[str]) -> Written:
    """With what is to be typed besides, as the host is."""
    before = [f"rm {shlex.join(found['others'])}"] if found["others"] else []
    if not found["sources"] and any("interfaces.d" in file.path for file in setup.files):
        before.append(f"echo '{SOURCE}' >>/etc/network/interfaces")
    return Written(setup, tuple(written), (*before, *setup.now))
