"""What each host must look like in a stage, from the topology alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness import plan
from harness.flow import Stage
from harness.marks import without
from harness.topology import DOCKER0, Engine, Gateway, Topology

OF_ENGINE = re.compile(rf"-A DOCKER\S* -j RETURN|-A .*-j DOCKER\S*|-A .*(?<!! )-[io] {DOCKER0} .*")
"""A rule of an engine that decides nothing of what does not go through its own bridge: it is left
at once, leads to another chain of its own, or names the bridge as the one way in or out."""


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
    engine: Engine | None = None
    """A Docker engine that handles iptables on it."""
    only_of: tuple[str, ...] = ()
    """On a machine that has more to do than the lab: the interfaces whose rules are the lab's."""

    def lab_rules(self, chain: Iterable[str]) -> tuple[str, ...]:
        """A chain as `iptables -S` prints it, without the rules that do not concern the lab.

        Those are an engine's that stand first in it, or of other interfaces.
        """
        policy, *rules = map(without, chain)
        if self.only_of:
            return (policy, *filter(self._concerns, rules))
        while self.engine and rules and self._is_engines(rules[0]):
            del rules[0]
        return (policy, *rules)

    def strangers(self, saved: Iterable[str]) -> tuple[str, ...]:
        """The rules in `iptables-save` that are neither the topology's nor of the engine alone."""
        own = {line for _, _, lines in self.rules for line in lines}
        lines = (without(line) for line in saved if line.startswith("-A "))
        rules = (line for line in lines if line not in own)
        if self.only_of:
            return tuple(filter(self._concerns, rules))
        return tuple(line for line in rules if not self._is_engines(line))

    def _concerns(self, rule: str) -> bool:
        return not set(self.only_of).isdisjoint(rule.split())

    def _is_engines(self, rule: str) -> bool:
        if self.engine is None:
            return False
        source = f"-A POSTROUTING -s {self.engine.bridge.network} "
        return rule.startswith(source) or bool(OF_ENGINE.fullmatch(rule))


def expected(
    topology: Topology, host: str, stage: Stage, before: dict[str, Any] | None = None
) -> HostState:
    """The state of a host in a stage.

    `before` is what a machine that has more to do had when the lab came, as `calls.survey` has it:
    what the lab does not change there is so still.
    """
    management = str(topology.host(host).management)
    addresses: dict[str, tuple[str, ...]] = {topology.management: (management,)}
    addresses[topology.trunk] = ()
    for vlan_id in topology.vlans_of_host(host):
        addresses[topology.subinterface(vlan_id)] = ()
    routers = [one for one in topology.routers(stage) if one.host == host]
    engine = topology.engines.get(host)
    given = {"FORWARD": engine.forward_policy} if engine else {}
    given6: dict[str, str] = {}
    if before:
        given, given6 = (_policy(before, name, routers) for name in ("iptables", "ip6tables"))
    if engine:
        addresses[DOCKER0] = (str(engine.bridge),)
    for router in routers:
        for vlan_id, address in router.addresses:
            prefix = topology.vlan(vlan_id).subnet.prefixlen
            addresses[topology.subinterface(vlan_id)] = (f"{address}/{prefix}",)
    forwards = {"net.ipv4.ip_forward": engine is not None, "net.ipv6.conf.all.forwarding": False}
    if before:
        forwards |= {key: before["sysctls"].get(key) == "1" for key in forwards}
    names = {topology.subinterface(vlan.id) for vlan in topology.vlans}
    return HostState(
        forwarding=bool(routers) or forwards["net.ipv4.ip_forward"],
        forwarding6=(
            any(one.addresses6 for one in routers) or forwards["net.ipv6.conf.all.forwarding"]
            if topology.has_ipv6(host)
            else None
        ),
        addresses=tuple(addresses.items()),
        absent=tuple(sorted(names - set(addresses))),
        rules=_rules(topology, routers, given),
        rules6=_rules6(topology, routers, given6) if topology.has_ipv6(host) else (),
        engine=engine,
        only_of=tuple(sorted(names)) if before else (),
    )


def _policy(before: dict[str, Any], program: str, routers: list[Gateway]) -> dict[str, str]:
    """FORWARD's policy on a machine that had one: the lab may set DROP, and loosens nothing."""
    drops = any(one.forward_policy == "DROP" for one in routers)
    return {"FORWARD": "DROP" if drops else before["policies"].get(program, "ACCEPT")}


def _rules(
    topology: Topology, routers: list[Gateway], given: dict[str, str]
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    steps = [step for router in routers for step in plan.router(topology, router)]
    made = {step["table"]: step for step in steps if step["do"] == "iptables"}
    bare: plan.Step = {"lines": (), "policies": {}}
    return tuple(
        (table, chain, _chain(made.get(table, bare), chain, given))
        for table, chain in (("nat", "POSTROUTING"), ("filter", "FORWARD"))
    )


def _rules6(topology: Topology, routers: list[Gateway], given: dict[str, str]) -> tuple[str, ...]:
    steps = [step for router in routers for step in plan.router(topology, router)]
    made = [step for step in steps if step["do"] == "ip6tables"]
    return _chain(made[0] if made else {"lines": (), "policies": {}}, "FORWARD", given)


def _chain(step: plan.Step, chain: str, given: dict[str, str]) -> tuple[str, ...]:
    """A chain with the policy that it was given by an engine, or by the step."""
    policies = step["policies"] | given
    return (f"-P {chain} {policies.get(chain, 'ACCEPT')}", *step["lines"])
