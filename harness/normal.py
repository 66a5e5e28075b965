"""Readings without what changes by itself: counters, empty tables. Each rule has a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

VOLATILE_LINK = ("rx_dropped", "tx_dropped", "promiscuity", "state")
VOLATILE_SYSCTL = ("net.netfilter.nf_conntrack_count",)


def no_counters(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Links without their counters, in the order of their names."""
    kept = [
        {key: value for key, value in link.items() if key not in VOLATILE_LINK} for link in links
    ]
    return sorted(kept, key=lambda link: str(link["name"]))


def no_flows(sysctls: dict[str, str]) -> dict[str, str]:
    """Sysctls without how many flows happened to be tracked."""
    return {key: value for key, value in sysctls.items() if key not in VOLATILE_SYSCTL}


def rules_only(firewall: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Rules and policies that do something: an empty chain with policy ACCEPT is no chain."""
    return [
        (line["table"], line["chain"], line.get("rule") or line["policy"])
        for line in firewall
        if "rule" in line or line["policy"] not in ("ACCEPT", "-")
    ]


def unordered(entries: list[dict[str, Any]]) -> list[str]:
    """Entries in an order of their own, not the kernel's."""
    return sorted(str(entry) for entry in entries)


RULES: dict[str, Callable[[Any], Any]] = {
    "links": no_counters,
    "addresses": unordered,
    "routes": unordered,
    "firewall": rules_only,
    "sysctls": no_flows,
}
"""The rule of each kind of reading that can be compared."""
