"""Rules of iptables and nft(8) in one form, and what they do with a packet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.diagnosis.chains import Condition, chains
from harness.diagnosis.filtering import Flow, answer, ended_by, length_of, protocol_of
from tests.unit.sick import policy, rule

FLOW = Flow("ip", "172.16.10.10", "172.16.20.11", "tcp", length=56, iif="eth2.10", oif="eth2.20",
            src_mac="02:42:ac:10:0a:0a", dst_mac="02:6e:73:00:00:03", vlan=10)  # fmt: skip
REPLY = replace(FLOW, src=FLOW.dst, dst=FLOW.src, is_reply=True)
PING = replace(FLOW, protocol="icmp")
UDP = replace(FLOW, protocol="udp")
ARP = Flow("arp", "172.16.10.10", "172.16.10.1", "", dst_mac="ff:ff:ff:ff:ff:ff")
NDP = Flow("ip6", "2001:db8::1", "2001:db8::2", "ndp", dst_mac="33:33:ff:00:00:01")

ANSWERS: list[tuple[str, tuple[str, ...], Flow, bool | None]] = [
    ("iif", ("eth2.+",), FLOW, True),
    ("iif", ("eth2.*",), FLOW, True),
    ("iif", ("eth1",), FLOW, False),
    ("oif", ("eth2.20",), FLOW, True),
    ("src", ("172.16.10.0/24",), FLOW, True),
    ("src", ("2001:db8::/64",), FLOW, False),
    ("src", ("10.0.0.0/8",), replace(FLOW, src=None), False),
    ("dst", ("10.0.0.1", "172.16.20.11"), FLOW, True),
    ("protocol", ("6",), FLOW, True),
    ("protocol", ("all",), FLOW, True),
    ("protocol", ("udp",), FLOW, False),
    ("dport", ("7",), FLOW, True),
    ("dport", ("1:6",), FLOW, False),
    ("dport", ("1-9",), FLOW, True),
    ("dport", ("echo",), FLOW, True),
    ("dport", ("7",), REPLY, None),
    ("sport", ("7",), REPLY, True),
    ("sport", ("7",), FLOW, None),
    ("tcp dport", ("7",), UDP, False),
    ("udp dport", ("7",), UDP, True),
    ("dport", ("7",), PING, False),
    ("state", ("NEW",), FLOW, True),
    ("state", ("RELATED", "ESTABLISHED"), REPLY, True),
    ("state", ("ESTABLISHED",), FLOW, False),
    ("state", ("INVALID",), FLOW, None),
    ("state", ("INVALID", "NEW"), FLOW, True),
    ("ether-src", ("02:42:AC:10:0A:0A",), FLOW, True),
    ("ether-dst", ("02:42:ac:10:0a:0a",), FLOW, False),
    ("ether-dst", ("02:42:ac:10:0a:0a",), replace(FLOW, dst_mac=""), None),
    ("ethertype", ("ip",), FLOW, True),
    ("ethertype", ("arp",), FLOW, False),
    ("nfproto", ("ipv4",), FLOW, True),
    ("vlan", ("10",), FLOW, True),
    ("vlan", ("20",), replace(FLOW, vlan=None), None),
    ("icmp", ("8",), PING, True),
    ("icmp", ("any",), PING, True),
    ("icmp", ("echo-reply",), PING, False),
    ("icmp", ("echo-reply",), replace(PING, is_reply=True), True),
    ("icmp", ("nd-neighbor-solicit",), NDP, True),
    ("icmp", ("fragmentation-needed",), replace(FLOW, protocol="icmp-error"), None),
    ("length", ("56",), FLOW, True),
    ("length", ("57:",), FLOW, False),
    ("length", (":60",), FLOW, True),
    ("length", ("56",), replace(FLOW, length=0), None),
    ("length >", ("50",), FLOW, True),
    ("length <=", ("50",), FLOW, False),
    ("pkttype", ("broadcast",), ARP, True),
    ("pkttype", ("multicast",), NDP, True),
    ("pkttype", ("host",), FLOW, True),
    ("pkttype", ("host",), replace(FLOW, dst_mac=""), None),
    ("arp", ("request",), ARP, True),
    ("arp", ("2",), replace(ARP, is_reply=True), True),
    ("arp", ("request",), FLOW, False),
    ("arp-target", ("172.16.10.1",), ARP, True),
    ("arp-sender", ("172.16.10.9",), ARP, False),
    ("? mark", ("1",), FLOW, None),
]


@pytest.mark.parametrize(("field", "values", "flow", "expected"), ANSWERS)
def test_a_condition_is_answered(
    field: str, values: tuple[str, ...], flow: Flow, expected: bool | None
) -> None:
    """True, False, or None where it is not known of the packet; its opposite if inverted."""
    assert answer(Condition(field, values), flow) is expected
    opposite = None if expected is None else not expected
    assert answer(Condition(field, values, inverted=True), flow) is opposite


def own(*texts: str) -> list[dict[str, Any]]:
    """A filter table with a chain of its own."""
    head = [policy("filter", "FORWARD", "ACCEPT"), policy("filter", "own", "-")]
    return [*head, *(rule("filter", text) for text in texts)]


JUMPS: list[tuple[tuple[str, ...], str | None]] = [
    (("-A FORWARD -j own", "-A own -j DROP"), "-A own -j DROP"),
    (("-A FORWARD -g own", "-A FORWARD -j DROP", "-A own -p udp -j DROP"), None),
    (("-A FORWARD -j own", "-A FORWARD -j DROP", "-A own -j RETURN"), "-A FORWARD -j DROP"),
    (("-A FORWARD -j own", "-A FORWARD -j DROP", "-A own -j ACCEPT"), None),
    (("-A FORWARD -j own", "-A own -j own", "-A FORWARD -j DROP"), "-A FORWARD -j DROP"),
    (("-A FORWARD -j nowhere", "-A FORWARD -j DROP"), "-A FORWARD -j DROP"),
    (("-A FORWARD -j LOG --log-prefix x", "-A FORWARD -j DROP"), "-A FORWARD -j DROP"),
    (("-A FORWARD -m u32 --u32 1 -j ACCEPT", "-A FORWARD -j DROP"), "-A FORWARD -j DROP"),
    (("-A FORWARD -m u32 --u32 1 -j DROP", "-A FORWARD -j ACCEPT"),
     "-A FORWARD -m u32 --u32 1 -j DROP"),
    (("-A FORWARD -m u32 --u32 1 -j DROP", "-A FORWARD -j own", "-A own -j ACCEPT"),
     "-A FORWARD -m u32 --u32 1 -j DROP"),
    (("-A FORWARD -m comment --comment 'two words' -j DROP",),
     "-A FORWARD -m comment --comment 'two words' -j DROP"),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "ended"), JUMPS)
def test_chains_are_followed(texts: tuple[str, ...], ended: str | None) -> None:
    """Into other chains and back, as far as the packet comes."""
    hit = ended_by(chains(own(*texts), ()), ("forward",), FLOW)
    assert (hit and hit.rule and hit.rule.text) == ended


def table(family: str, *rules: Any, **chain: Any) -> list[dict[str, Any]]:
    """A table `t` with a chain `c` at forward and another, `d`, that jumps can lead to."""
    values = {"family": family, "table": "t", "name": "c", "handle": 1, "hook": "forward",
              "prio": 0, **chain}  # fmt: skip
    second = {"family": family, "table": "t", "name": "d", "handle": 2}
    made: list[dict[str, Any]] = [{"metainfo": {}}, {"chain": values}, {"chain": second}]
    for number, (name, *expressions) in enumerate(rules, 3):
        body = {"family": family, "table": "t", "chain": name, "handle": number}
        made.append({"rule": {**body, "expr": expressions}})
    return made


DROP, COUNTER = {"drop": None}, {"counter": {"packets": 3, "bytes": 9}}
META = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth2.10"}}
OTHERS = {"set": ["10.0.0.1", {"prefix": {"addr": "10.1.0.0", "len": 16}}]}
NOT = {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                 "right": OTHERS}}  # fmt: skip
PORTS = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                   "right": {"set": [{"range": [1, 9]}]}}}  # fmt: skip
STATE = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "new"]}}
SIZE = {"match": {"op": ">", "left": {"meta": {"key": "length"}}, "right": 50}}
ODD = {"match": {"op": "==", "left": {"numgen": {"mode": "inc"}}, "right": 0}}
ODDER = {"match": {"op": "==", "left": "x", "right": 0}}

NFT: list[tuple[list[Any], str | None]] = [
    ([("c", META, COUNTER, DROP)], "ip t c: iifname eth2.10 counter drop"),
    ([("c", NOT, DROP)], "ip t c: ip saddr != { 10.0.0.1, 10.1.0.0/16 } drop"),
    ([("c", PORTS, DROP)], "ip t c: tcp dport 1:9 drop"),
    ([("c", STATE, DROP)], "ip t c: ct state { established, new } drop"),
    ([("c", SIZE, DROP)], "ip t c: meta length > 50 drop"),
    ([("c", ODD, DROP)], "ip t c: numgen 0 drop"),
    ([("c", ODDER, DROP)], "ip t c: x 0 drop"),
    ([("c", {"limit": {"rate": 1}}, DROP)], "ip t c: limit drop"),
    ([("c", {"xt": {"type": "match"}}, DROP)], "ip t c: xt drop"),
    ([("c", {"counter": None}, {"reject": {"type": "tcp reset"}})], "ip t c: counter reject"),
    ([("c", {"jump": {"target": "d"}}), ("d", DROP)], "ip t d: drop"),
    ([("c", {"goto": {"target": "d"}}), ("c", DROP)], None),
    ([("c", {"masquerade": None}), ("c", DROP)], None),
    ([("c", {"snat": {"addr": "10.0.0.1"}})], None),
    ([("c", {"accept": None}), ("c", DROP)], None),
    ([("c", {"log": None}), ("c", {"return": None}), ("c", DROP)], None),
]


@pytest.mark.parametrize(("rules", "ended"), NFT)
def test_rules_of_nft_are_read(rules: list[Any], ended: str | None) -> None:
    """Nearly in the words of nft(8), with all that they ask of a packet."""
    hit = ended_by(chains((), table("ip", *rules)), ("forward",), FLOW)
    assert (hit and hit.rule and hit.rule.text) == ended


def test_tables_of_iptables_are_read_once() -> None:
    """What iptables-nft made is in both listings, and its own is the better one."""
    listed = [
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1}},
        {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 2,
                  "expr": [DROP]}},
    ]  # fmt: skip
    assert chains((), listed) == []


def test_chains_of_devices_see_what_passes_these() -> None:
    """In or out; a table of another family sees nothing."""
    at = chains((), table("netdev", ("c", DROP), dev=["eth2.10", "x"], hook="ingress"))
    assert ended_by(at, ("ingress",), FLOW)
    assert not ended_by(at, ("ingress",), replace(FLOW, iif="y", oif="z"))
    assert not ended_by(chains((), table("arp", ("c", DROP))), ("forward",), FLOW)


def test_sizes_and_protocols_of_probes() -> None:
    """Sixteen octets of token, or an echo request's own size, and the headers."""
    assert [length_of("icmp", 1472), length_of("icmp6", None), length_of("tcp", None)] == [
        1500,
        64,
        56,
    ]
    assert [protocol_of(kind) for kind in ("tcp6", "icmp6", "ndp", "arp")] == [
        "tcp",
        "icmp6",
        "ndp",
        "",
    ]
