"""Filters on interfaces (tc, nft's netdev and bridge tables): what they are, how they go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.diagnosis.scene import Lab


def foreign(lab: Lab, node: str, interfaces: Iterable[str]) -> list[dict[str, Any]]:
    """The tc filters and queues that somebody put on interfaces of a node, or below them."""
    wanted = set(interfaces)
    # Where a sub-interface is a veth pair, its far end is on the way too (worker/vlan.py).
    wanted |= {f"vlan{name.rpartition('.')[2]}" for name in wanted if "." in name}
    return [one for one in lab.state.filters(node) if one["interface"] in wanted]


def filter_fix(lab: Lab, node: str, interfaces: Iterable[str], direction: str = "") -> str:
    """The command that takes such a filter away; nothing if there is none."""
    found = foreign(lab, node, interfaces)
    found = [one for one in found if one["direction"] == direction] or found
    return removal(found[0]) if found else ""


def removal(one: dict[str, Any]) -> str:
    """The command that takes one filter or queue away."""
    if not one["filter"]:
        return f"tc qdisc delete dev {one['interface']} root"
    return f"tc filter delete dev {one['interface']} {one['direction']} pref {one['preference']}"


def text(one: dict[str, Any]) -> str:
    """One filter or queue in a few words."""
    if not one["filter"]:
        return f"dev {one['interface']} qdisc {one['kind']}"
    name = f" {one['name']}" if one.get("name") else ""
    return f"dev {one['interface']} {one['direction']} pref {one['preference']} {one['kind']}{name}"
