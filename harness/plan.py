"""The plan: ordered steps that make a lab, each with the step that undoes it.

A step is a plain dict, because steps cross the call channel to the worker: `do` names the
operation, the rest are its arguments. `commands.py` says the same in ip(8) and iptables(8) words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from harness.commands import FIREWALLS
from harness.sysctls import sysctls
from harness.topology import Endpoint, Engine, Gateway, Topology, Vlan

Step = dict[str, Any]


class EndpointKind(Protocol):
    """A way to make an endpoint; `harness.endpoints` has a module for each."""

    name: str
    """What `--backend` calls it."""
    bare: bool
    """Whether the plan makes the endpoints' namespaces; otherwise the kind's own steps do."""

    @property
    def apply(self) -> Callable[..., Any]:
        """What carries out steps where the lab is: `calls.apply`, or more than that."""

    @property
    def evidence(self) -> Callable[..., Any]:
        """What reads (node, kind) pairs there: `calls.evidence`, or more than that."""

    def refuse(self, topology: Topology) -> None:
        """InputError if it cannot make the endpoints of a topology."""

    def ahead(self, topology: Topology) -> tuple[Step, ...]:
        """What it starts on the hosts as soon as they have namespaces."""

    def makes_parent(self, vlan: Vlan) -> bool:
        """Whether it makes the sub-interface of a VLAN where a host carries endpoints of it."""

    def together(self, topology: Topology) -> tuple[Step, ...]:
        """What it makes of all endpoints, their hosts being there, before the `steps` of each."""

    def readings(self, topology: Topology) -> tuple[tuple[str, str], ...]:
        """What is to be read of it: (node, kind) pairs."""

    def engines(self, topology: Topology) -> tuple[str, ...]:
        """The hosts whose container engines carry endpoints."""

    def steps(self, topology: Topology, endpoint: Endpoint) -> tuple[Step, ...]:
        """The steps that make the endpoint, its host and its namespace being there."""


def build(topology: Topology, kind: EndpointKind) -> tuple[Step, ...]:
    """The steps of the lab without its gateway: the stage `isolated`.

    `kind` says how its endpoints are made.
    """
    steps: list[Step] = []
    external = [host.name for host in topology.hosts if host.external]
    made_later = set() if kind.bare else set(topology.endpoint_hosts)
    for node in (*topology.namespaces, *external):
        if node not in made_later:
            ipv6 = topology.has_ipv6(node)
            steps += [{"do": "namespace", "node": node}, sysctls(node, ipv6=ipv6)]
    steps += kind.ahead(topology)
    steps.append(_bridge("trunk", topology.mtu))
    steps.append(_bridge("mgmt", 1500))
    for host in topology.hosts:
        steps += _host(topology, host.name)
        carried = topology.vlans_of_host(host.name)
        steps += [vlan(topology, host.name, vlan_id) for vlan_id in carried
                  if not kind.makes_parent(topology.vlan(vlan_id))]  # fmt: skip
    steps += kind.together(topology)
    for endpoint in topology.endpoints:
        steps += kind.steps(topology, endpoint)
    for spec in topology.gateways:
        steps += router(topology, spec) if spec not in topology.configured else ()
    return tuple(steps)


def gateway(topology: Topology) -> tuple[Step, ...]:
    """The steps that make the gateway hosts route: the stage `routed`."""
    return tuple(step for spec in topology.configured for step in router(topology, spec))


def router(topology: Topology, spec: Gateway) -> tuple[Step, ...]:
    """The steps that make a host route, as the tutorial does it.

    Where it runs an engine, that has seen to forwarding and to FORWARD's policy already.
    """
    carried = topology.vlans_of_host(spec.host)
    steps: list[Step] = [_forwarding(spec.host, "1", was="1" if spec.engine else "0")]
    if spec.rp_filter:
        steps.append(_rp_filter(spec.host, str(spec.rp_filter), was="0"))
    for vlan_id, address in spec.addresses:
        prefix = topology.vlan(vlan_id).subnet.prefixlen
        if vlan_id not in carried:
            steps.append(vlan(topology, spec.host, vlan_id))
        steps.append(
            {
                "do": "address", "node": spec.host, "link": topology.subinterface(vlan_id),
                "cidr": f"{address}/{prefix}", "stays": vlan_id in carried,
            }
        )  # fmt: skip
    for vlan_id, via in spec.routes:
        dst = str(topology.vlan(vlan_id).subnet)
        stays = any(via in topology.vlan(leg).subnet for leg in carried)
        steps.append(
            {"do": "route", "node": spec.host, "dst": dst, "via": str(via), "stays": stays}
        )
    return (*steps, *_rules(topology, spec), *_ipv6_router(topology, spec))


def _ipv6_router(topology: Topology, spec: Gateway) -> tuple[Step, ...]:
    """The steps that make a router route IPv6 too: the same, without NAT."""
    if not spec.addresses6:
        return ()
    carried = topology.vlans_of_host(spec.host)
    steps: list[Step] = [_sysctl(spec.host, "net.ipv6.conf.all.forwarding", "1", was="0")]
    for vlan_id, address in spec.addresses6:
        prefix = topology.ipv6.vlan(vlan_id).subnet.prefixlen
        steps.append(
            {
                "do": "address", "node": spec.host, "link": topology.subinterface(vlan_id),
                "cidr": f"{address}/{prefix}", "stays": vlan_id in carried,
            }
        )  # fmt: skip
    rules = _filter(topology, spec)
    return (*steps, {**rules, "do": "ip6tables"})


def undo(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps that take `steps` back, in reverse order.

    Addresses and routes go with their link unless that stays, and a namespace with everything in
    it.
    """
    undone = [_undo(step) for step in reversed(steps)]
    return tuple(step for step in undone if step is not None)


def subinterfaces(topology: Topology, *, routed: bool) -> tuple[tuple[str, str], ...]:
    """(host, interface) of every VLAN sub-interface that exists, with or without the gateway's."""
    found = [
        (host.name, topology.subinterface(vlan_id))
        for host in topology.hosts
        for vlan_id in topology.vlans_of_host(host.name)
    ]
    for spec in topology.configured if routed else ():
        found += [(spec.host, topology.subinterface(vlan_id)) for vlan_id, _ in spec.addresses]
    return tuple(dict.fromkeys(found))


def engine(host: str, spec: Engine, program: str) -> tuple[Step, ...]:
    """The steps that start the engine of a gateway host, without waiting until it is ready."""
    bridge = str(spec.bridge)
    start: Step = {"do": "engine", "node": host, "program": program, "bridge": bridge}
    forwards = spec.starts == "after-forwarding"
    return (_forwarding(host, "1", was="0"), start) if forwards else (start,)


def _forwarding(host: str, value: str, was: str) -> Step:
    return _sysctl(host, "net.ipv4.ip_forward", value, was)


def _rp_filter(host: str, value: str, was: str) -> Step:
    """Of all interfaces: the larger of this and an interface's own counts (ip-sysctl.rst)."""
    return _sysctl(host, "net.ipv4.conf.all.rp_filter", value, was)


def _sysctl(host: str, key: str, value: str, was: str) -> Step:
    return {
        "do": "sysctl", "node": host, "values": {key: value}, "was": {key: was}, "optional": {}
    }  # fmt: skip


def _bridge(name: str, mtu: int) -> Step:
    return {"do": "bridge", "node": "switch", "name": name, "mtu": mtu}


def _host(topology: Topology, host: str) -> list[Step]:
    port, spec = topology.port(host), topology.host(host)
    steps: list[Step] = []
    if spec.management:
        steps.append(
            {
                "do": "veth", "node": host, "name": topology.management, "mac": None, "mtu": 1500,
                "peer_node": "switch", "peer": f"{port}-m", "peer_mtu": 1500, "master": "mgmt",
                "hairpin": False,
            }
        )  # fmt: skip
    steps.append(
        {
            "do": "veth", "node": host, "name": topology.trunk, "mac": topology.trunk_mac(host),
            "mtu": spec.mtu, "peer_node": "switch", "peer": port, "peer_mtu": topology.mtu,
            "master": "trunk", "hairpin": spec.hairpin,
        }
    )  # fmt: skip
    if spec.management:
        steps.append(
            {
                "do": "address", "node": host, "link": topology.management,
                "cidr": str(spec.management), "stays": False,
            }
        )  # fmt: skip
    return steps


def vlan(topology: Topology, host: str, vlan_id: int) -> Step:
    """The step that makes a host's sub-interface of a VLAN."""
    return {
        "do": "vlan", "node": host, "parent": topology.trunk, "id": vlan_id,
        "name": topology.subinterface(vlan_id), "mtu": topology.mtu_at(host, vlan_id),
    }  # fmt: skip


def _rules(topology: Topology, spec: Gateway) -> tuple[Step, ...]:
    """The tutorial's iptables rules, in its order: NAT, then replies, then what is new."""
    nat = tuple(
        f"-A POSTROUTING -o {topology.subinterface(vlan_id)} -j MASQUERADE"
        for vlan_id in spec.masquerade
    )
    return (
        {"do": "iptables", "node": spec.host, "table": "nat", "lines": nat, "policies": {}},
        _filter(topology, spec),
    )


def _filter(topology: Topology, spec: Gateway) -> Step:
    pairs = [
        f"-A FORWARD -i {topology.subinterface(a)} -o {topology.subinterface(b)}"
        for a, b in spec.forward
    ]
    back = [
        f"-A FORWARD -i {topology.subinterface(b)} -o {topology.subinterface(a)}"
        for a, b in spec.forward
    ]
    replies = tuple(
        f"{rule} -m state --state RELATED,ESTABLISHED -j ACCEPT" for rule in sorted(back)
    )
    new = tuple(f"{rule} -j ACCEPT" for rule in pairs)
    policy = {} if spec.engine else {"FORWARD": spec.forward_policy}
    return {
        "do": "iptables", "node": spec.host, "table": "filter", "lines": replies + new,
        "policies": policy,
    }  # fmt: skip


def _undo(step: Step) -> Step | None:
    kind = step["do"]
    if kind == "sysctl" and "was" in step:
        return {**step, "values": step["was"], "was": step["values"]}
    if kind == "vlan" or (kind in ("address", "route") and step["stays"]):
        return {**step, "do": f"{kind}-delete"}
    if kind in FIREWALLS:
        lines = tuple(line.replace("-A ", "-D ", 1) for line in step["lines"])
        return {**step, "lines": lines, "policies": dict.fromkeys(step["policies"], "ACCEPT")}
    return None
