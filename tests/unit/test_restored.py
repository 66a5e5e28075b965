"""Whether a host is what it was: what is told as a difference, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from harness import restored

LINK: dict[str, Any] = {
    "name": "eth2", "index": 3, "mtu": 1500, "up": True, "state": "UP", "rx_dropped": 0,
    "promiscuity": 0, "port_state": 3, "alias": None,
}  # fmt: skip
RULE: dict[str, Any] = {
    "backend": "iptables-nft", "table": "filter", "chain": "FORWARD", "packets": 7,
    "rule": "-A FORWARD -j ACCEPT",
}  # fmt: skip
ROUTE: dict[str, Any] = {"dst": "default", "via": "192.168.56.1", "interface": "eth1"}
BOX = {"name": "web", "id": "0123456789abcdef", "state": "running"}


def told(kind: str, before: Any, after: Any) -> tuple[str, ...]:
    """The differences of one kind, on host1."""
    return restored.differences("host1", {kind: before}, {kind: after})


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("links", [LINK], [LINK | {"rx_dropped": 9, "state": "DOWN", "promiscuity": 1}]),
        ("links", [LINK], [LINK | {"index": 4, "port_state": 0}]),
        ("firewall", [RULE], [RULE | {"packets": 900}]),
        ("firewall", [], [{"backend": "x", "table": "nat", "chain": "INPUT", "policy": "ACCEPT"}]),
        ("routes", [ROUTE, {"dst": "10.0.0.0/8"}], [{"dst": "10.0.0.0/8"}, ROUTE]),
        ("sysctls", {"net.netfilter.nf_conntrack_count": "1"},
         {"net.netfilter.nf_conntrack_count": "2"}),
        ("sysctls", {"net.ipv4.tcp_fastopen_key": "a"}, {"net.ipv4.tcp_fastopen_key": "b"}),
        ("sysctls", {"net.ipv4.conf.eth9.rp_filter": "1"}, {"net.netfilter.nf_conntrack_max": "9"}),
    ],
)  # fmt: skip
def test_what_changes_by_itself_is_no_difference(kind: str, before: Any, after: Any) -> None:
    """Counters, carrier, kernel's numbers, empty chains, order of routes, what modules bring."""
    assert told(kind, before, after) == ()


@pytest.mark.parametrize(
    ("kind", "before", "after", "sentence"),
    [
        ("links", [LINK], [],
         "the link eth2 is gone, and was there before the run: mtu 1500, up True"),
        ("links", [LINK], [LINK | {"mtu": 1400}],
         "the link eth2 was mtu 1500, up True, and is mtu 1400, up True"),
        ("links", [], [LINK | {"alias": "macvlan-harness-1a"}],
         ("the link eth2 is there, and was not before the run: alias macvlan-harness-1a, mtu 1500, "
         "up True")),
        ("addresses", [], [{"address": "10.0.0.1/8", "interface": "eth2", "scope": "global"}],
         "the address 10.0.0.1/8 of eth2 is there, and was not before the run: global"),
        ("routes", [ROUTE], [],
         ("the route (dst default, interface eth1, via 192.168.56.1) is gone, and was there before "
         "the run")),
        ("routes", [ROUTE], [ROUTE, ROUTE],
         "the route (dst default, interface eth1, via 192.168.56.1) was once, and is 2 times"),
        ("rules", [], [{"priority": 100}],
         "the policy rule (priority 100) is there, and was not before the run"),
        ("filters", [], [{"interface": "eth2", "kind": "bpf"}],
         "the tc filter or queue (interface eth2, kind bpf) is there, and was not before the run"),
        ("firewall", [RULE], [RULE, RULE | {"rule": "-A FORWARD -j DROP"}],
         ("iptables-nft: the chain FORWARD of filter was -A FORWARD -j ACCEPT, and is "
         "-A FORWARD -j ACCEPT; -A FORWARD -j DROP")),
        ("sysctls", {"net.ipv4.ip_forward": "0"}, {"net.ipv4.ip_forward": "1"},
         "the sysctl net.ipv4.ip_forward was 0, and is 1"),
        ("docker", {"container": [BOX]}, {"container": [BOX | {"state": "exited"}]},
         "the Docker container web (0123456789ab) was running, and is exited"),
        ("docker", {"container": [BOX]}, None,
         "its engine does not answer, so Docker's objects could not be compared"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_is_told(kind: str, before: Any, after: Any, sentence: str) -> None:
    """The host, the thing, what it was and what it is."""
    assert told(kind, before, after) == (f"host1: {sentence}",)


def test_the_order_of_rules_is_a_difference() -> None:
    """The first that fits decides."""
    rules = [RULE, RULE | {"rule": "-A FORWARD -j DROP"}]
    assert len(told("firewall", rules, rules[::-1])) == 1


def test_a_host_without_an_engine_has_no_objects() -> None:
    """Nobody asked for them."""
    assert restored.differences("gateway", {"links": [LINK]}, {"links": [LINK]}) == ()
