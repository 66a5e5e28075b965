"""What the lab hosts of a topology must have, asked of all at once; what is missing has its fix.

Each host is asked by a worker of its own, side by side: reach, python, privilege, programs, what
its kernel can, its engine, its trunk, its clock. Then the trunk itself is tried, by frames from
each host to each other one: in every VLAN, and with source and destination addresses that are no
card's, as those of macvlan endpoints are. Hosts that may only be observed are asked nothing that
could make their kernel load a module, and no card of theirs is made promiscuous.
"""

from __future__ import annotations

import re
import secrets
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tabulate import tabulate

from harness import host_needs
from harness.errors import HostUnusable, InputError, MachineError
from harness.host_needs import Arrived, Patient
from harness.machines.ssh import SshMachine
from harness.machines.worker import Worker
from harness.needs import Need
from harness.topology import Topology
from harness.worker import checkup

FRAME_S = 2.0
"""A frame takes less than a millisecond on a trunk."""
BROADCAST = b"\xff" * 6


def check(topology: Topology) -> tuple[Need, ...]:
    """Everything that the hosts need, found or not, host by host."""
    patients = [Patient(host, host.reach) for host in topology.hosts if host.reach]
    if not patients:
        raise InputError(
            f"no host of {topology.name} says `ssh:`, so there is none to ask; "
            "`harness doctor` without --topology asks this machine"
        )
    with ThreadPoolExecutor(len(patients)) as pool:
        try:
            list(pool.map(lambda one: _examine(one, topology), patients))
            arrived = _try_trunk([one for one in patients if _is_trunk_up(one)], topology)
        finally:
            list(pool.map(_dismiss, patients))
    return tuple(
        need for one in patients for need in host_needs.needs(one, topology, patients, arrived)
    )


def table(needs: tuple[Need, ...]) -> str:
    """A table for people, then one line for each thing that is missing and how to mend it."""
    rows = [(need.group, need.what, need.found or _absence(need), need.why) for need in needs]
    text = tabulate(rows, headers=("host", "need", "found", "for"), tablefmt="simple")
    fixes = [f"{_absence(need)} on {need.group}: {need.what}: {need.install}"
             for need in needs if not need.found]  # fmt: skip
    count = sum(not need.ok for need in needs)
    return "\n".join([text, "", *fixes, f"{count or 'nothing required is'} missing"])


def _absence(need: Need) -> str:
    return "MISSING" if need.required else "not as it should be"


def _machine(one: Patient) -> SshMachine:
    reach = one.reach
    return SshMachine(reach.ssh, name=one.name, sudo=reach.sudo, python=reach.python)


def _examine(one: Patient, topology: Topology) -> None:
    asked = {
        "trunk": topology.trunk,
        "docker": one.reach.docker if host_needs.has_engine(one, topology) else "",
        "programs": [(name, each.version[0] if each.version else "")
                     for each in host_needs.programs(one, topology) for name in each.names],
    }  # fmt: skip
    try:
        one.worker = _machine(one).start()
        one.seen = one.worker.call(checkup.look, asked)
        one.offset_s = _offset(one.worker)
        if one.builds:
            one.abilities = _abilities(one)
    except HostUnusable as error:
        one.trouble = (error.what, error.sentence)
    except MachineError as error:
        one.trouble = ("reach", str(error))


def _abilities(one: Patient) -> dict[str, Any]:
    apart = _machine(one).apart().start()
    try:
        found: dict[str, Any] = apart.call(checkup.abilities)
    finally:
        apart.close()
    return found


def _offset(worker: Worker) -> float:
    """How far its wall clock is ahead of ours, less half a round trip."""
    before = time.time()
    there: float = worker.call(checkup.clock)
    return there - (before + time.time()) / 2


def _dismiss(one: Patient) -> None:
    if one.worker:
        one.worker.close()


def _is_trunk_up(one: Patient) -> bool:
    trunk = one.seen.get("trunk")
    return one.trouble is None and bool(trunk and trunk["up"])


def _try_trunk(patients: list[Patient], topology: Topology) -> Arrived:
    """Send from each host to each, in rounds: all listen before one sends."""
    trunk, token = topology.trunk, secrets.token_bytes(16)
    vlans = [vlan.id for vlan in topology.vlans]
    workers = {one.name: one.worker for one in patients if one.worker}
    for one in patients:
        workers[one.name].call(checkup.listen, trunk, {"promiscuous": one.builds})
    kinds = (("own", "foreign"), ("to",))  # the switch has learned all addresses before `to`
    found: Arrived = {(a.name, b.name): set() for a in patients for b in patients if a is not b}
    for kind in kinds:
        for one in patients:
            others = [other for other in patients if other is not one]
            frames = [_frame(each, one, others, vlan, token) for vlan in vlans for each in kind]
            workers[one.name].call(checkup.say, trunk, [frame for made in frames for frame in made])
        wanted = len(vlans) * len(kind) * (len(patients) - 1)
        for name, answer in [
            (one.name, workers[one.name].begin(checkup.heard, trunk, wanted, token, FRAME_S))
            for one in patients
        ]:
            for text in answer():
                _note(found, name, text)
    for one in patients:
        workers[one.name].call(checkup.hush)
    return found


def _frame(
    kind: str, sender: Patient, others: list[Patient], vlan: int, token: bytes
) -> list[bytes]:
    src = sender.foreign if kind == "foreign" else sender.mac
    targets = [(other.foreign, f"to {other.name}") for other in others] if kind == "to" else [
        (BROADCAST, kind)
    ]  # fmt: skip
    made = []
    for dst, text in targets:
        head = dst + src + struct.pack("!HHH", 0x8100, vlan, checkup.ETHERTYPE)
        body = token + f"{vlan} {text} from {sender.name}".encode() + b"\0"
        made.append((head + body).ljust(64, b"\0"))
    return made


def _note(found: Arrived, receiver: str, text: bytes) -> None:
    tag = struct.unpack_from("!H", text)[0]
    said = re.fullmatch(r"(\d+) (own|foreign|to)(?: (\S+))? from (\S+)", text[2:].decode())
    if said and tag == int(said[1]) and said[3] in (None, receiver):
        found[said[4], receiver].add((tag, said[2]))
