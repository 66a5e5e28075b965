"""The plan of a lab on machines of its own: nothing but what it needs, each step with its undo.

A machine that is not ours keeps what it has: no link but the trunk's sub-interfaces is made, no
sysctl is set that the lab can do without, and what was there before stands in the step that takes a
step back, its `undo`. Steps of one host follow each other; hosts do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness import plan
from harness.commands import FIREWALLS
from harness.errors import InputError
from harness.marks import IMAGE_LABEL, LABEL, mark
from harness.plan import EndpointKind, Step
from harness.topology import Gateway, Host, Topology

Found = Mapping[str, dict[str, Any]]
"""What `calls.survey` says of each host before anything is made there."""

SUBINTERFACE = {
    "net.ipv4.conf.{}.rp_filter": "0",
    "net.ipv4.conf.{}.arp_ignore": "0",
    "net.ipv4.conf.{}.arp_announce": "0",
    "net.ipv4.conf.{}.arp_filter": "0",
    "net.ipv4.conf.{}.arp_accept": "0",
    "net.ipv4.conf.{}.proxy_arp": "0",
    "net.ipv4.conf.{}.accept_redirects": "0",
    "net.ipv4.conf.{}.send_redirects": "0",
}
"""What a sub-interface is given; it goes with it."""
SUBINTERFACE6 = {
    "net.ipv6.conf.{}.accept_ra": "0",
    "net.ipv6.conf.{}.autoconf": "0",
    "net.ipv6.conf.{}.accept_redirects": "0",
    "net.ipv6.conf.{}.accept_dad": "0",
    "net.ipv6.conf.{}.proxy_ndp": "0",
    "net.ipv6.conf.{}.hop_limit": "64",
}
"""What one is given besides where the host routes IPv6; every other has none of it."""
FORWARDING, FORWARDING6 = "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"
SET_BACK = (FORWARDING, FORWARDING6, "net.ipv4.conf.all.rp_filter")
"""The sysctls of a whole machine that a gateway host is given, and that are set back."""


def refuse(topology: Topology) -> None:
    """InputError if a lab of this topology cannot be had on machines of its own."""
    silent = [host.name for host in topology.hosts if not host.external and host.reach is None]
    if silent:
        raise InputError(
            f"--backend ssh: {topology.name} does not say where {', '.join(silent)} can be "
            "reached; give each an `ssh: USER@HOST`"
        )
    said = unfit(topology)
    if said:
        raise InputError(f"--backend ssh: {said}")


def unfit(topology: Topology) -> str:
    """What of a topology no machine of its own can have, in a sentence; nothing if all can be."""
    if topology.engines:
        return f"{next(iter(topology.engines))} has its engine already; leave `engine` out"
    for vlan in topology.vlans:
        if vlan.mode == "passthru":
            return f"VLAN {vlan.id} cannot be passthru on a shared trunk"
        if vlan.parent:
            return f"leave `parent: engine` of VLAN {vlan.id} out"
    for host in topology.hosts:
        if host.hairpin:
            return f"the switch port of {host.name} is not ours to set"
    return ""


def asked(topology: Topology, host: Host) -> dict[str, Any]:
    """What is to be known of a host beforehand: `calls.survey` answers it."""
    return {
        "trunk": topology.trunk,
        "links": [topology.subinterface(vlan_id) for vlan_id in legs(topology, host.name)],
        "sysctls": list(SET_BACK),
        "rules": any(spec.host == host.name for spec in topology.configured),
    }


def unusable(topology: Topology, found: Found) -> tuple[str, ...]:
    """What keeps the lab from being built there, a sentence each."""
    said: list[str] = []
    for host in topology.hosts:
        if host.name in found:
            said += _unusable(topology, host, found[host.name])
    return tuple(said)


def _unusable(topology: Topology, host: Host, found: dict[str, Any]) -> Iterable[str]:
    trunk = topology.trunk
    if "mac" not in found:
        yield f"{host.name} has no interface {trunk}; correct `trunk` in the topology"
        return
    if found["mtu"] < host.mtu:
        yield (
            f"{trunk} of {host.name} has an MTU of {found['mtu']}, less than {host.mtu}; "
            f"`ip link set {trunk} mtu {host.mtu}` there, or say `mtu: {found['mtu']}`"
        )
    for link in found["links"]:
        yield f"{host.name} has an interface {link} already, which is not of this lab; {KEPT}"
    for kind in ("containers", "networks"):
        wanted = _named(topology, host.name, kind)
        for name in [one for one in found.get(kind, ()) if one in wanted]:
            yield f"{host.name} has a Docker {kind[:-1]} {name} already, which is not ours; {KEPT}"


KEPT = "it is left as it is: remove or rename it, or say `may: observe` to test what is there"


def _named(topology: Topology, host: str, kind: str) -> list[str]:
    if kind == "containers":
        return [end.name for end in topology.endpoints if end.host == host]
    return [topology.vlan(vlan_id).network for vlan_id in topology.vlans_of_host(host)]


def build(topology: Topology, kind: EndpointKind, found: Found, run: str) -> tuple[Step, ...]:
    """The steps of the lab without its gateway: the stage of `plan.build`.

    What they make is marked as made by `run`.
    """
    steps: list[Step] = []
    for host in topology.hosts:
        if host.external:
            continue
        if not found[host.name]["up"]:
            steps.append(_link_up(topology, host.name))
        for vlan_id in topology.vlans_of_host(host.name):
            steps += _subinterface(topology, host.name, vlan_id)
    steps += [step for step in kind.together(topology)
              if step["do"] != "image" or not found[step["node"]]["image"]]  # fmt: skip
    for endpoint in topology.endpoints:
        steps += kind.steps(topology, endpoint)
    return tuple(_undoable(_marked(step, run)) for step in steps)


def gateway(topology: Topology, found: Found, run: str) -> tuple[Step, ...]:
    """The steps that make the gateway hosts route; marked likewise."""
    steps: list[Step] = []
    for spec in topology.configured:
        for step in plan.router(topology, spec):
            commented = _commented(step, run) if found[spec.host]["comments"] else step
            steps += _on_host(topology, spec, commented, found[spec.host])
    return tuple(_undoable(_marked(step, run)) for step in steps)


def unmarked(topology: Topology, found: Found) -> tuple[str, ...]:
    """What will not carry the mark of its run, a sentence each."""
    return tuple(
        f"marks on iptables rules: the iptables of {spec.host} has no comment match"
        for spec in topology.configured if not found[spec.host]["comments"]
    )  # fmt: skip


def undo(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that take `steps` back, in reverse order."""
    return tuple(step["undo"] for step in reversed(tuple(steps)) if step["undo"])


def legs(topology: Topology, host: str) -> tuple[int, ...]:
    """The VLANs whose sub-interfaces a host gets in any stage."""
    routed = [vlan_id for spec in topology.configured if spec.host == host
              for vlan_id, _ in spec.addresses]  # fmt: skip
    return tuple(dict.fromkeys((*topology.vlans_of_host(host), *routed)))


def _link_up(topology: Topology, host: str) -> Step:
    up: Step = {"do": "link", "node": host, "link": topology.trunk, "state": "up"}
    return {**up, "undo": {**up, "state": "down"}}


def _subinterface(topology: Topology, host: str, vlan_id: int) -> list[Step]:
    made = plan.vlan(topology, host, vlan_id)
    return [made, settings(host, made["name"], ipv6=topology.has_ipv6(host))]


def settings(host: str, link: str, *, ipv6: bool) -> Step:
    """What is set of a sub-interface; of a kernel without IPv6 nothing of that."""
    named = link.replace(".", "/")
    values = {key.format(named): value for key, value in SUBINTERFACE.items()}
    if ipv6:
        values |= {key.format(named): value for key, value in SUBINTERFACE6.items()}
    optional = {} if ipv6 else {f"net.ipv6.conf.{named}.disable_ipv6": "1"}
    return {"do": "sysctl", "node": host, "values": values, "optional": optional, "undo": None}


def _on_host(topology: Topology, spec: Gateway, step: Step, found: dict[str, Any]) -> list[Step]:
    """A step of a router in a private lab, as a machine that has more to do can bear it."""
    if step["do"] == "vlan":
        ipv6 = topology.has_ipv6(spec.host)
        return [step, settings(spec.host, step["name"], ipv6=ipv6)]
    if step["do"] == "sysctl":
        was = {key: found["sysctls"].get(key, "0") for key in step["values"]}
        return [] if was == step["values"] else [{**step, "was": was}]
    if step["do"] in FIREWALLS:
        return [_rules(step, found["policies"].get(step["do"], "ACCEPT"))]
    return [step]


def _rules(step: Step, policy: str) -> Step:
    """Rules; FORWARD's policy is set if it is to be DROP, and never loosened."""
    drops = {chain: one for chain, one in step["policies"].items() if one == "DROP"}
    policies = drops if policy != "DROP" else {}
    lines = [line.replace("-A ", "-D ", 1) for line in step["lines"]]
    back = {**step, "lines": tuple(lines), "policies": dict.fromkeys(policies, policy)}
    return {**step, "policies": policies, "undo": back}


def _undoable(step: Step) -> Step:
    """A step with the one that takes it back; None where it goes with another."""
    if "undo" in step:
        return step
    kind = step["do"]
    if kind == "sysctl" and "was" in step:
        return {**step, "undo": {**step, "values": step["was"], "was": step["values"]}}
    stays = kind in ("address", "route") and step["stays"]
    deleted = kind in DELETED or stays
    return {**step, "undo": {**step, "do": f"{kind}-delete"} if deleted else None}


def _marked(step: Step, run: str) -> Step:
    """A step that marks what it makes; the one that takes it back takes nothing else."""
    if step["do"] in ("vlan", "macvlan"):
        return {**step, "mark": mark(run)}
    if step["do"] in ("container", "network"):
        return {**step, "labels": {LABEL: run}}
    if step["do"] == "image" and not step["archive"]:
        return {**step, "labels": {IMAGE_LABEL: run}}
    return step


def _commented(step: Step, run: str) -> Step:
    if step["do"] not in FIREWALLS:
        return step
    said = f" -m comment --comment {mark(run)} -j "
    return {**step, "lines": tuple(line.replace(" -j ", said, 1) for line in step["lines"])}


DELETED = ("vlan", "namespace", "container", "network", "image")
"""What there is an operation for that deletes it, besides addresses and routes that stay."""
