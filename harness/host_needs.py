"""What was asked of a lab host -> what it needs, found or not, each with its fix."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.doctor import manager
from harness.machines.worker import Worker
from harness.needs import ABILITIES, COMMANDS, PROGRAMS, Need, Program
from harness.topology import Host, Reach, Topology

STEPS = ("reach", "python", "privilege")
"""What must be there before anything can be asked."""
WHY = {
    "reach": "ssh",
    "python": "the worker; at least 3.9",
    "privilege": "links, rules, raw sockets",
}
PYTHON_OF_CONTAINERS = (3, 10)
"""The oldest that the Docker SDK which comes along runs on."""
OF_HOSTS = ("ip", "sysctl")
OF_GATEWAYS = ("iptables-nft",)
QUESTIONS = ("namespaces", "vlan", "macvlan", "packet")
"""Of every host; `masquerade` of gateway hosts too."""
FREE_MIB = 64
"""An image of containers, and the journal of what was made."""
CLOCK_S = 5.0
"""Nothing rests on clocks but that people compare logs."""


@dataclass
class Patient:
    """A host, and what is known of it."""

    host: Host
    reach: Reach
    worker: Worker | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    abilities: dict[str, Any] = field(default_factory=dict)
    offset_s: float = 0.0
    trouble: tuple[str, str] | None = None
    """What cannot be had of STEPS, and why."""
    foreign: bytes = field(default_factory=lambda: b"\x02" + secrets.token_bytes(5))
    """The MAC address of no card."""

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    @property
    def mac(self) -> bytes:
        """The MAC address of its trunk."""
        return bytes.fromhex(self.seen["trunk"]["mac"].replace(":", ""))

    @property
    def builds(self) -> bool:
        """Whether things may be made there."""
        return self.reach.may == "build"


Arrived = dict[tuple[str, str], set[tuple[int, str]]]
"""By sender and receiver: the VLANs in which a frame arrived, and which kind of frame."""


def needs(
    one: Patient, topology: Topology, all_of_them: list[Patient], arrived: Arrived
) -> Iterator[Need]:
    """Everything that a host needs, in order; where it cannot be asked, why."""
    yield from _first_steps(one, topology)
    if one.trouble:
        return
    own: list[Callable[[], Iterator[Need]]] = [
        lambda: _program_needs(one, topology),
        lambda: _kernel_needs(one, topology),
        lambda: _engine_needs(one, topology),
        lambda: _trunk_needs(one, topology),
        lambda: _frame_needs(one, topology, all_of_them, arrived),
        lambda: _other_needs(one),
    ]
    for each in own:
        yield from each()


def _first_steps(one: Patient, topology: Topology) -> Iterator[Need]:
    """Reach, python, privilege: the first that fails hides what comes after it."""
    python = one.seen.get("python", "")
    if python and _is_too_old(python) and has_engine(one, topology):
        fix = "install a newer one there and say `python: PATH`, or say `endpoints: namespace`"
        one.trouble = ("python", f"it is {python}, and containers need 3.10; {fix}")
    found: Mapping[str, str] = {
        "reach": one.reach.ssh,
        "python": python,
        "privilege": "root by sudo" if one.reach.sudo else "root",
    }
    for step in STEPS:
        if one.trouble and one.trouble[0] == step:
            yield Need(step, None, WHY[step], one.trouble[1], one.name)
            return
        yield Need(step, found[step] or "yes", WHY[step], "", one.name)


def _is_too_old(version: str) -> bool:
    return tuple(map(int, re.findall(r"\d+", version)[:2])) < PYTHON_OF_CONTAINERS


def _command(one: Patient, words: str) -> str:
    return f"{'sudo ' if one.reach.sudo else ''}{words}"


def _install(one: Patient, packages: Mapping[str, str]) -> str:
    system = manager(one.seen["release"])
    package = packages.get(system or "*", packages["*"])
    return _command(one, f"{COMMANDS[system]} {package}") if system else f"install {package}"


def _program_needs(one: Patient, topology: Topology) -> Iterator[Need]:
    for each in programs(one, topology):
        found = next(filter(None, (_version(one, name, each) for name in each.names)), None)
        yield Need(" or ".join(each.names), found, each.why, _install(one, each.packages), one.name)


def _version(one: Patient, name: str, sought: Program) -> str | None:
    said: str | None = one.seen["programs"].get(name)
    if said is None or sought.version is None:
        return said
    found = re.search(sought.version[1], said)
    return found[0] if found else None


def _kernel_needs(one: Patient, topology: Topology) -> Iterator[Need]:
    yield Need("kernel", one.seen["kernel"], "its features", "", one.name, required=False)
    questions = (*QUESTIONS, *(("masquerade",) if _is_gateway(one, topology) else ()))
    for each in ABILITIES:
        if each.question in questions and one.builds:
            answer, problem = one.abilities.get(each.question, (None, "was not asked"))
            fix = f"{problem}; its kernel needs {each.option}"
            yield Need(each.what, answer, each.why, fix, one.name)


def _engine_needs(one: Patient, topology: Topology) -> Iterator[Need]:
    if not has_engine(one, topology):
        return
    said = one.seen["docker"]
    packages = next(each.packages for each in PROGRAMS if "dockerd" in each.names)
    fix = (
        f"{one.reach.docker}: {said.get('failed')}; {_install(one, packages)}, "
        f"{_command(one, 'systemctl start docker')}, or say `docker: PATH` of its socket"
    )
    yield Need("Docker", said.get("version"), "its endpoints are containers", fix, one.name)


def _trunk_needs(one: Patient, topology: Topology) -> Iterator[Need]:
    trunk, name, mtu = one.seen["trunk"], topology.trunk, one.host.mtu
    fix = f"no interface {name}; plug the trunk's card in, or correct `trunk: interface`"
    found = None
    if trunk and not trunk["up"]:
        fix = f"it is down; {_command(one, f'ip link set {name} up')}"
    elif trunk and not trunk["carrier"]:
        fix = "no carrier; plug its cable in, or start the switch's port"
    elif trunk and trunk["mtu"] < mtu:
        fix = f"its MTU is {trunk['mtu']}; {_command(one, f'ip link set {name} mtu {mtu}')}"
    elif trunk:
        found = f"{trunk['mac']}, MTU {trunk['mtu']}"
    yield Need(f"trunk {name}", found, "the VLANs", fix, one.name)


def _frame_needs(
    one: Patient, topology: Topology, all_of_them: list[Patient], arrived: Arrived
) -> Iterator[Need]:
    vlans = [vlan.id for vlan in topology.vlans]
    for other in all_of_them:
        if (one.name, other.name) not in arrived:
            continue
        said = arrived[one.name, other.name]
        fix = _blocked(one, other, topology, said)
        found = None if fix else f"VLAN {', '.join(map(str, vlans))}, MACs of no card"
        yield Need(f"trunk to {other.name}", found, "frames of endpoints arrive", fix, one.name)


def _blocked(one: Patient, other: Patient, topology: Topology, said: set[tuple[int, str]]) -> str:
    """What does not arrive at another host, and what lets it; nothing if all does."""
    vlans = [vlan.id for vlan in topology.vlans]
    missing = {kind: [str(vlan) for vlan in vlans if (vlan, kind) not in said]
               for kind in ("own", "foreign", "to")}  # fmt: skip
    tagged = f"tagged {', '.join(missing['own'])}"
    if missing["own"]:
        return (
            f"no frame {tagged} arrived; let the switch ports of {one.name} and {other.name} "
            f"carry VLAN {', '.join(missing['own'])} tagged"
        )
    if missing["foreign"]:
        return (
            f"frames from {one.name}'s card arrive, those with another source MAC do not; take "
            f"port security off {one.name}'s switch port, or let a virtual machine's card send "
            "forged MACs (VirtualBox, VMware: promiscuous mode, forged transmits)"
        )
    if missing["to"]:
        return (
            f"broadcasts arrive, frames to a MAC that is not {other.name}'s card's do not; let "
            "that virtual machine's card be promiscuous (VirtualBox: Allow All; VMware: accept)"
        )
    return ""


def _other_needs(one: Patient) -> Iterator[Need]:
    free = one.seen["disk"]
    enough = f"{free} MiB" if free >= FREE_MIB else None
    yield Need("disk", enough, "images, the journal of what is made",
               f"{free} MiB are free in /var/lib; make room for {FREE_MIB}", one.name)  # fmt: skip
    ahead = one.offset_s
    words = f"{abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}"
    near = None if abs(ahead) > CLOCK_S else words if abs(ahead) >= 0.1 else "as here"  # noqa: PLR2004
    yield Need("clock", near, "to compare logs; no verdict rests on it",
               f"it is {words}; {_command(one, 'timedatectl set-ntp true')}", one.name,
               required=False)  # fmt: skip


def has_engine(one: Patient, topology: Topology) -> bool:
    """Whether it is to run a container engine."""
    carries = any(end.host == one.name for end in topology.endpoints)
    return one.name in topology.engines or (carries and one.reach.endpoints == "container")


def _is_gateway(one: Patient, topology: Topology) -> bool:
    return any(spec.host == one.name for spec in topology.configured)


def programs(one: Patient, topology: Topology) -> Iterator[Program]:
    """The programs that the worker starts there."""
    wanted = (*OF_HOSTS, *(OF_GATEWAYS if _is_gateway(one, topology) else ()))
    return (each for each in PROGRAMS if set(each.names) & set(wanted))
