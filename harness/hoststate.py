"""What each host must look like in a stage, from the topology alone."""

from __future__ import annotations

from dataclasses import dataclass

from harness import plan
from harness.flow import Stage
from harness.topology import Gateway, Topology


@dataclass(frozen=True)
class HostState:
    """The state of one host that the cells rest on."""

    forwarding: bool
    """net.ipv4.ip_forward."""
    forwarding6: bool | None
    """net.ipv6.conf.all.forwarding; None on a host that never has an IPv6 address."""
    addresses: tuple[tuple[str, tuple[str, ...]], ...]
    """(interface, its IPv4 addresses with prefix length) for every interface that must be up."""
    absent: tuple[str, ...]
    """Sub-interfaces that must not exist."""
    rules: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(table, chain, its policy and the rules that must stand in it, in order), each line as
    `iptables -S` prints it."""
    rules6: tuple[str, ...]
    """The policy and the rules of FORWARD, likewise of ip6tables; nothing where IPv6 is off."""


def expected(topology: Topology, host: str, stage: Stage) -> HostState:
    """The state of a host in a stage."""
    management = str(topology.host(host).management)
    addresses: dict[str, tuple[str, ...]] = {topology.management: (management,)}
    addresses[topology.trunk] = ()
    for vlan_id in topology.vlans_of_host(host):
        addresses[topology.subinterface(vlan_id)] = ()
    routers = [one for one in topology.routers(stage) if one.host == host]
    for router in routers:
        for vlan_id, address in router.addresses:
            prefix = topology.vlan(vlan_id).subnet.prefixlen
            addresses[topology.subinterface(vlan_id)] = (f"{address}/{prefix}",)
    names = {topology.subinterface(vlan.id) for vlan in topology.vlans}
    return HostState(
        forwarding=bool(routers),
        forwarding6=any(one.addresses6 for one in routers) if topology.has_ipv6(host) else None,
        addresses=tuple(addresses.items()),
        absent=tuple(sorted(names - set(addresses))),
        rules=_rules(topology, routers),
        rules6=_rules6(topology, routers) if topology.has_ipv6(host) else (),
    )


def _rules(
    topology: Topology, routers: list[Gateway]
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    steps = [step for router in routers for step in plan.router(topology, router)]
    made = {step["table"]: step for step in steps if step["do"] == "iptables"}
    bare: plan.Step = {"lines": (), "policies": {}}
    return tuple(
        (table, chain, _chain(made.get(table, bare), chain))
        for table, chain in (("nat", "POSTROUTING"), ("filter", "FORWARD"))
    )


def _rules6(topology: Topology, routers: list[Gateway]) -> tuple[str, ...]:
    steps = [step for router in routers for step in plan.router(topology, router)]
    made = [step for step in steps if step["do"] == "ip6tables"]
    return _chain(made[0] if made else {"lines": (), "policies": {}}, "FORWARD")


def _chain(step: plan.Step, chain: str) -> tuple[str, ...]:
    return (f"-P {chain} {step['policies'].get(chain, 'ACCEPT')}", *step["lines"])
