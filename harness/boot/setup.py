"""The files and commands of each host of a topology."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from harness import plan_on_hosts
from harness.boot import ifupdown, networkd, rules
from harness.boot.given import Given, given
from harness.boot.ifupdown import SOURCE
from harness.defaults import FORMATS
from harness.endpoints.docker import DockerEndpoints
from harness.errors import InputError
from harness.topology import Host, Reach, Topology

MARK = "# Written by `harness write-config` for the lab {}, which replaces it."
"""The first line of every file; one without it is somebody else's."""
AGAIN = ("--restart", "unless-stopped")
FOLDERS = (
    "/etc/network/interfaces.d", "/etc/systemd/network", "/etc/systemd/system", "/etc/iptables",
    "/etc/sysctl.d",
)  # fmt: skip
"""Where files of any format are."""


@dataclass(frozen=True)
class File:
    """A file of a host."""

    path: str
    content: str


@dataclass(frozen=True)
class Setup:
    """What one host is given to keep."""

    host: str
    files: tuple[File, ...] = ()
    now: tuple[str, ...] = ()
    """Commands that have the same as a reboot."""
    once: tuple[str, ...] = ()
    """Commands whose effect Docker keeps."""
    notes: tuple[str, ...] = ()
    """Sentences about what files and commands do not do."""


def setups(
    topology: Topology, format_: str = FORMATS[0], hosts: Iterable[str] = ()
) -> tuple[Setup, ...]:
    """What hosts are given, in the order of the file; all of them if none is named.

    InputError for a name that is no host's, and for what no machine of its own can have.
    """
    said = plan_on_hosts.unfit(topology)
    if said:
        raise InputError(f"write-config: {said}")
    wanted, known = set(hosts), [host.name for host in topology.hosts]
    if wanted - set(known):
        raise InputError(
            f"{topology.name} has no host {', '.join(sorted(wanted - set(known)))}; "
            f"it has {', '.join(known)}"
        )
    return tuple(_setup(topology, host, format_) for host in topology.hosts
                 if host.name in wanted or not wanted)  # fmt: skip


def _setup(topology: Topology, host: Host, format_: str) -> Setup:
    if host.external:
        return Setup(host.name, notes=("it is external: somebody else's, and given nothing",))
    has = given(topology, host)
    if not has.legs:
        return Setup(host.name, notes=("it has no part in the lab, and is given nothing",))
    sysctls = f"/etc/sysctl.d/90-{topology.name}.conf"
    made = {sysctls: "".join(f"{key} = {value}\n" for key, value in has.sysctls)}
    for program, text in has.rules:
        made[rules.path(topology.name, program)] = text
    mine, now = _links(topology.name, has, sysctls, format_)
    mark = MARK.format(topology.name)
    return Setup(
        host.name,
        files=tuple(File(path, f"{mark}\n{text}") for path, text in (mine | made).items()),
        now=(f"sysctl -q -e -p {sysctls}", *now),
        once=_once(topology, host),
        notes=tuple(_notes(topology, host, has, format_)),
    )


def _links(
    lab: str, has: Given, sysctls: str, format_: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    if format_ == "networkd":
        return networkd.files(lab, has), networkd.now(lab, has)
    return ifupdown.files(lab, has, sysctls), ifupdown.now(has)


def _once(topology: Topology, host: Host) -> tuple[str, ...]:
    """Networks and containers, which start again with their engine."""
    reach = host.reach
    if not _carries(topology, host) or (reach and reach.endpoints == "namespace"):
        return ()
    found = []
    for step in DockerEndpoints().on(topology, host.name):
        program, *words = step["argv"]
        if step["do"] == "container":
            words[2:2] = AGAIN  # behind `run --detach`
            if step["mac"] == _usual_mac(step["address"]):
                at = words.index("--mac-address")
                del words[at : at + 2]
        if step["do"] != "image":  # docker(1) pulls it
            found.append(shlex.join([program, *_socket(reach), *words]))
    return tuple(found)


def _socket(reach: Reach | None) -> list[str]:
    usual = Reach("").docker
    return ["-H", f"unix://{reach.docker}"] if reach and reach.docker != usual else []


def _usual_mac(address: str) -> str:
    """What a topology says of a MAC address that nobody chose; then Docker may choose another."""
    return ":".join(f"{octet:02x}" for octet in b"\x02\x42" + ip_address(address).packed)


def _carries(topology: Topology, host: Host) -> bool:
    return host.name in topology.endpoint_hosts.values()


def _notes(topology: Topology, host: Host, has: Given, format_: str) -> Iterable[str]:
    if format_ == "ifupdown":
        yield f"/etc/network/interfaces must have the line `{SOURCE}`, as Debian's has"
    else:
        yield f"a boot takes it up after `{networkd.enable(topology.name, has)}`"
    if _carries(topology, host) and host.reach and host.reach.endpoints == "namespace":
        yield "its endpoints are bare namespaces, which nothing keeps over a reboot"
