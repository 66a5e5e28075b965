"""The steps of a plan in the words of ip(8), iptables(8) and docker(1)."""

from __future__ import annotations

import shlex
from typing import Any


def command(step: dict[str, Any]) -> str:
    """A step as the command that a person would type on its node."""
    words = {**step}
    if step["do"] == "sysctl":
        words["values"] = " ".join(f"{key}={value}" for key, value in step["values"].items())
    if step["do"] in FIREWALLS:
        policies = [f"-P {chain} {policy}" for chain, policy in step["policies"].items()]
        rules = [f"{step['do']} -t {step['table']} {line}" for line in (*policies, *step["lines"])]
        words["rules"] = "; ".join(rules)
    if step["do"] == "side-by-side":
        words["commands"] = "; ".join(command(one) for group in step["groups"] for one in group)
    if step["do"] == "let-go":
        words["nodes"] = " ".join(f"/run/netns/{node}" for node in step["nodes"])
    if step["do"] == "engine":
        words["options"] = f" --bip {step['bridge']}" if step.get("bridge") else ""
    if "argv" in step:
        words["argv"] = shlex.join(step["argv"])
    return _COMMANDS[step["do"]].format(**words)


FIREWALLS = ("iptables", "ip6tables")

_COMMANDS = {
    "namespace": "ip netns add {node}",
    "engine": "{node}# {program}{options}",
    "engine-ready": "{node}# docker version",
    "image": "{node}# {argv}",
    "network": "{node}# {argv}",
    "container": "{node}# {argv}",
    "leg": "ln -s {of} /run/netns/{node}",
    "connect": "{node}# {argv}",
    "namespace-delete": "ip netns delete {node}",
    "link": "{node}# ip link set {link} {state}",
    "container-delete": "{node}# docker rm --force {name}",
    "network-delete": "{node}# docker network rm {name}",
    "image-delete": "{node}# docker rmi {image}",
    "side-by-side": "{commands}",
    "docker": "{node}# {argv}",
    "let-go": "umount {nodes}",
    "engine-restart": "{node}# {argv}",
    "engine-service": "{node}# {argv}",
    "carrier": "{node}# ip link show",
    "adopt": "{host}# docker inspect {node}",
    "sysctl": "{node}# sysctl -w {values}",
    "bridge": "{node}# ip link add {name} type bridge",
    "veth": "{node}# ip link add {name} type veth peer {peer} netns {peer_node}",
    "vlan": "{node}# ip link add link {parent} name {name} mtu {mtu} type vlan id {id}",
    "vlan-delete": "{node}# ip link delete {name}",
    "macvlan": "{parent_node}# ip link add link {parent} name {name} type macvlan mode {mode}",
    "address": "{node}# ip address add {cidr} dev {link}",
    "address-delete": "{node}# ip address delete {cidr} dev {link}",
    "route": "{node}# ip route add {dst} via {via}",
    "route-delete": "{node}# ip route delete {dst} via {via}",
    "iptables": "{node}# {rules}",
    "ip6tables": "{node}# {rules}",
}
