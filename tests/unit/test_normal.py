"""Readings without what changes by itself: what is kept matters as much as what goes."""

from __future__ import annotations

from typing import Any

from harness import normal


def test_links_keep_all_but_counters() -> None:
    """A flag or an MTU that changed is a change; a counter, and the order, are not."""
    first = {"name": "eth0", "mtu": 1500, "rx_dropped": 1, "tx_dropped": 2, "state": "up"}
    second = {"name": "eth1", "mtu": 9000, "promiscuity": 1}
    assert normal.no_counters([second, first]) == [
        {"name": "eth0", "mtu": 1500}, {"name": "eth1", "mtu": 9000},
    ]  # fmt: skip
    assert normal.no_counters([first | {"mtu": 1400}]) != normal.no_counters([first])


def test_sysctls_keep_all_but_how_many_flows_there_are() -> None:
    """Their limit is a setting, their number is not."""
    kept = {"net.ipv4.ip_forward": "0", "net.netfilter.nf_conntrack_max": "65536"}
    assert normal.no_flows(kept | {"net.netfilter.nf_conntrack_count": "3"}) == kept


def test_rules_and_policies_that_do_something_are_kept() -> None:
    """An empty chain with policy ACCEPT is no chain; one with DROP is."""
    lines: list[dict[str, Any]] = [
        {"table": "nat", "chain": "POSTROUTING", "policy": "ACCEPT"},
        {"table": "nat", "chain": "DOCKER", "policy": "-"},
        {"table": "filter", "chain": "FORWARD", "policy": "DROP", "packets": 4},
        {"table": "filter", "chain": "FORWARD", "rule": "-j ACCEPT", "packets": 3},
    ]
    assert normal.rules_only(lines) == [
        ("filter", "FORWARD", "DROP"), ("filter", "FORWARD", "-j ACCEPT"),
    ]  # fmt: skip


def test_the_order_of_rules_matters() -> None:
    """Of a chain the first rule that matches decides."""
    rules = [{"table": "filter", "chain": "FORWARD", "rule": rule} for rule in ("a", "b")]
    assert normal.rules_only(rules) != normal.rules_only(rules[::-1])


def test_the_order_of_routes_does_not() -> None:
    """The kernel lists them in an order of its own."""
    entries = [{"dst": "default"}, {"dst": "172.16.10.0/24"}]
    assert normal.unordered(entries) == normal.unordered(entries[::-1])
    assert normal.unordered(entries) != normal.unordered(entries[:1])


def test_every_kind_that_is_compared_has_its_rule() -> None:
    """The rules by name."""
    assert {
        "links": normal.no_counters,
        "addresses": normal.unordered,
        "routes": normal.unordered,
        "firewall": normal.rules_only,
        "sysctls": normal.no_flows,
    } == normal.RULES
