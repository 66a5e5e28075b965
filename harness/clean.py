"""What runs have left that were killed: on the lab hosts of a topology, or on this machine."""

from __future__ import annotations

import getpass
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from harness.endpoints.containers import calls as of_containers
from harness.errors import InputError, MachineError
from harness.machines import control_groups
from harness.machines.ssh import SshMachine
from harness.tenants import Cleaned
from harness.topology import Reach, Topology
from harness.worker import calls


def who() -> str:
    """Who holds a lab host: the user, the controller, and the process there."""
    return f"{getpass.getuser()}@{platform.node()}, process {os.getpid()}"


def hosts(topology: Topology) -> tuple[Cleaned, ...]:
    """Finish on all hosts, side by side, from what each has written down.

    InputError if none of them says how it is reached.
    """
    reached = {host.name: host.reach for host in topology.hosts if host.reach}
    if not reached:
        raise InputError(
            f"no host of {topology.name} says `ssh:`, so there is none to clean; "
            "`harness clean` without --topology cleans this machine"
        )
    with ThreadPoolExecutor(len(reached)) as pool:
        return tuple(pool.map(lambda name: _host(name, reached[name], topology), reached))


def this_machine() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove what is left of labs that are no more: what was removed, and what could not be.

    The kernel takes all else with them.
    """
    left = control_groups.left_behind()
    removed = [name for name in left if control_groups.remove(name)]
    stay = [f"the control group {name}; a process of another PID namespace may be in it"
            for name in left if name not in removed]  # fmt: skip
    return tuple(f"control group {name}" for name in removed), tuple(stay)


def _host(name: str, reach: Reach, topology: Topology) -> Cleaned:
    machine = SshMachine(reach.ssh, name=name, sudo=reach.sudo, python=reach.python)
    asked: dict[str, Any] = {"who": who(), "doing": "harness clean"}
    try:
        with closing(machine.start()) as worker:
            worker.call(calls.settle, name, topology.trunk, reach.docker)
            answer = worker.call(of_containers.finish, name, asked, reach.may)
    except MachineError as error:
        return Cleaned(name, trouble=str(error))
    return Cleaned.of(name, answer)
