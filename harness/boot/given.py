"""What a host has in the lab's stage `routed`, taken from the plan of a lab on lab hosts."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from harness import plan, plan_on_hosts
from harness.commands import FIREWALLS
from harness.plan import Step
from harness.topology import Host, Topology


@dataclass(frozen=True)
class Leg:
    """A sub-interface of the trunk."""

    name: str
    vlan: int
    mtu: int
    addresses: tuple[str, ...] = ()
    """With prefix length, IPv4 first."""
    routes: tuple[tuple[str, str], ...] = ()
    """(subnet, next hop) of what another router in this VLAN leads to."""


@dataclass(frozen=True)
class Given:
    """All that a host is given."""

    trunk: str
    mtu: int
    legs: tuple[Leg, ...]
    sysctls: tuple[tuple[str, str], ...]
    """Of the machine first; those of a sub-interface begin with `-`, because it may be missing."""
    rules: tuple[tuple[str, str], ...] = ()
    """(iptables or ip6tables, what its restore(8) reads)."""


def given(topology: Topology, host: Host) -> Given:
    """What a host that is not external is given; without legs it has no part in the lab."""
    routers = [spec for spec in topology.configured if spec.host == host.name]
    steps = [step for spec in routers for step in plan.router(topology, spec)]
    legs = tuple(
        _leg(topology, host.name, vlan_id, steps)
        for vlan_id in plan_on_hosts.legs(topology, host.name)
    )
    own = [pair for step in steps if step["do"] == "sysctl" for pair in step["values"].items()]
    ipv6 = topology.has_ipv6(host.name)
    for leg in legs:
        made = plan_on_hosts.settings(host.name, leg.name, ipv6=ipv6)
        own += [(f"-{key}", value) for key, value in (made["values"] | made["optional"]).items()]
    return Given(topology.trunk, host.mtu, legs, tuple(own), _rules(steps))


def _leg(topology: Topology, host: str, vlan_id: int, steps: list[Step]) -> Leg:
    name, vlan = topology.subinterface(vlan_id), topology.vlan(vlan_id)
    here = [step for step in steps if step["do"] == "address" and step["link"] == name]
    routes = [(step["dst"], step["via"]) for step in steps
              if step["do"] == "route" and ip_address(step["via"]) in vlan.subnet]  # fmt: skip
    return Leg(
        name, vlan_id, topology.mtu_at(host, vlan_id),
        tuple(step["cidr"] for step in here), tuple(routes),
    )  # fmt: skip


def _rules(steps: list[Step]) -> tuple[tuple[str, str], ...]:
    """Tables without a rule are left out, and policies that are not DROP: nothing is loosened."""
    found: dict[str, list[str]] = {}
    for step in steps:
        if step["do"] not in FIREWALLS:
            continue
        drops = [f":{chain} DROP [0:0]" for chain, policy in step["policies"].items()
                 if policy == "DROP"]  # fmt: skip
        if drops or step["lines"]:
            lines = (f"*{step['table']}", *drops, *step["lines"], "COMMIT")
            found.setdefault(step["do"], []).extend(lines)
    return tuple((program, "\n".join([*lines, ""])) for program, lines in found.items())
