"""Rules of every backend in one form: chains at hooks, conditions, verdicts, counts.

Formats: `iptables-save -c` (iptables-save(8)) as `worker.firewall.parse` splits it, and `nft --json
--handle list ruleset` (libnftables-json(5)).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

IPTABLES = {
    "raw": {"PREROUTING": -300, "OUTPUT": -300},
    "mangle": {"PREROUTING": -150, "INPUT": -150, "FORWARD": -150, "OUTPUT": -150,
               "POSTROUTING": -150},
    "nat": {"PREROUTING": -100, "INPUT": 100, "OUTPUT": -100, "POSTROUTING": 100},
    "filter": {"INPUT": 0, "FORWARD": 0, "OUTPUT": 0},
    "security": {"INPUT": 50, "FORWARD": 50, "OUTPUT": 50},
}  # fmt: skip
"""The built-in chains with their priorities (<linux/netfilter_ipv4.h>, nf_ip_hook_priorities)."""
DROPS, REJECTS = ("DROP", "drop"), ("REJECT", "reject")
TRANSLATES = ("MASQUERADE", "SNAT", "masquerade", "snat")


@dataclass(frozen=True)
class Condition:
    """What a rule asks of a packet; a field that is not known here is nobody's to answer."""

    field: str
    values: tuple[str, ...]
    inverted: bool = False


@dataclass(frozen=True)
class Rule:
    """One rule, in the words of its own tool."""

    text: str
    conditions: tuple[Condition, ...]
    verdict: str
    """`drop` `reject` `accept` `return` `jump` `goto` `nat`, or nothing: it goes on."""
    target: str = ""
    """Of a jump: the chain. Of nat: what it translates to."""
    packets: int | None = None
    """How many it has counted; None if it does not count."""
    delete: str = ""
    """The command that takes it away."""


@dataclass(frozen=True)
class Chain:
    """A chain; `hook` is empty where only other chains lead to it."""

    tool: str
    """`iptables`, `iptables-legacy`, `ip6tables`, ... or `nft`."""
    family: str
    table: str
    name: str
    hook: str = ""
    priority: int = 0
    policy: str = "accept"
    packets: int | None = None
    device: str = ""
    rules: tuple[Rule, ...] = field(default=())

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from all others of its node."""
        return self.tool, self.family, self.table, self.name


def chains(firewall: Iterable[dict[str, Any]], nftables: Iterable[dict[str, Any]]) -> list[Chain]:
    """All chains of a node."""
    return [*_of_iptables(firewall), *_of_nft(nftables)]


def _of_iptables(entries: Iterable[dict[str, Any]]) -> Iterator[Chain]:
    heads: dict[tuple[str, str, str], dict[str, Any]] = {}
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for entry in entries:
        key = (entry["backend"], entry["table"], entry["chain"])
        if "rule" in entry:
            heads.setdefault(key, {})
            rules.setdefault(key, []).append(_iptables_rule(entry))
        else:
            heads[key] = entry
    for (backend, table, name), head in heads.items():
        known = IPTABLES.get(table, {}).get(name)
        policy = head.get("policy", "ACCEPT")
        yield Chain(
            tool=_tool(backend),
            family="ip6" if backend.startswith("ip6") else "ip",
            table=table,
            name=name,
            hook=name.lower() if known is not None else "",
            priority=known or 0,
            policy="drop" if policy == "DROP" else "accept",
            packets=head.get("packets"),
            rules=tuple(rules.get((backend, table, name), ())),
        )


def _tool(backend: str) -> str:
    """The command that changes its rules: the plain one is iptables-nft nearly everywhere."""
    return backend.removesuffix("-nft")


def _iptables_rule(entry: dict[str, Any]) -> Rule:
    words = shlex.split(entry["rule"])[2:]
    conditions, verdict, target = _iptables_words(words)
    table = "" if entry["table"] == "filter" else f" -t {entry['table']}"
    return Rule(
        text=entry["rule"],
        conditions=conditions,
        verdict=verdict,
        target=target,
        packets=entry["packets"],
        delete=f"{_tool(entry['backend'])}{table} {entry['rule'].replace('-A ', '-D ', 1)}",
    )


FIELDS = {
    "-i": "iif", "-o": "oif", "-s": "src", "-d": "dst", "-p": "protocol", "--dport": "dport",
    "--sport": "sport", "--dports": "dport", "--sports": "sport", "--state": "state",
    "--ctstate": "state", "--length": "length", "--icmp-type": "icmp", "--icmpv6-type": "icmp",
    "--mac-source": "ether-src", "--ttl-eq": "ttl", "--ttl-lt": "ttl-lt",
}  # fmt: skip
IGNORED = ("-m", "--comment", "--reject-with", "--log-prefix", "--log-level", "--to-source",
           "--random", "--to-ports", "--to-destination", "--set-mss", "--ttl-set", "--ttl-dec",
           "--set-xmark")  # fmt: skip
FLAGS = ("--notrack", "--clamp-mss-to-pmtu", "--random-fully")


def _iptables_words(words: list[str]) -> tuple[tuple[Condition, ...], str, str]:
    conditions: list[Condition] = []
    verdict = target = ""
    inverted = False
    rest = iter(words)
    for word in rest:
        if word == "!":
            inverted = True
            continue
        value = "" if word in FLAGS else next(rest, "")
        if word in ("-j", "-g"):
            verdict, target = _iptables_target(word, value)
        elif word in FIELDS:
            conditions.append(Condition(FIELDS[word], tuple(value.split(",")), inverted))
        elif word == "--to-source":
            target = value
        elif word not in (*IGNORED, *FLAGS):
            conditions.append(Condition(f"? {word}", (value,), inverted))
        inverted = False
    return tuple(conditions), verdict, target


def _iptables_target(word: str, value: str) -> tuple[str, str]:
    plain = {"ACCEPT": "accept", "RETURN": "return"}
    if value in DROPS:
        return "drop", ""
    if value in REJECTS:
        return "reject", ""
    if value in TRANSLATES:
        return "nat", ""
    if value in plain:
        return plain[value], ""
    if value.isupper():  # an extension that lets it go on: LOG, MARK, TTL, CT ...
        return "", value
    return ("jump" if word == "-j" else "goto"), value


def _of_nft(entries: Iterable[dict[str, Any]]) -> Iterator[Chain]:
    """What nft(8) made; what iptables-nft made is told by `iptables-save`."""
    heads = [entry["chain"] for entry in entries if "chain" in entry]
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for entry in entries:
        if "rule" in entry:
            one = entry["rule"]
            key = (one["family"], one["table"], one["chain"])
            rules.setdefault(key, []).append(_nft_rule(one))
    of_iptables = {
        (head["family"], head["table"])
        for head in heads
        if head["family"] in ("ip", "ip6") and head["name"] in IPTABLES.get(head["table"], {})
    }
    for head in heads:
        if (head["family"], head["table"]) not in of_iptables:
            device = head.get("dev", "")
            yield Chain(
                tool="nft",
                family=head["family"],
                table=head["table"],
                name=head["name"],
                hook=head.get("hook", ""),
                priority=int(head.get("prio", 0)),
                policy=head.get("policy", "accept"),
                device=device if isinstance(device, str) else ",".join(device),
                rules=tuple(rules.get((head["family"], head["table"], head["name"]), ())),
            )


def _nft_rule(one: dict[str, Any]) -> Rule:
    conditions: list[Condition] = []
    verdict = target = ""
    packets = None
    for expression in one["expr"]:
        ((word, value),) = expression.items()
        if word == "match":
            conditions.append(_nft_match(value))
        elif word in UNTELLABLE:
            conditions.append(Condition(f"? {word}", ()))
        elif word == "counter" and isinstance(value, dict):
            packets = value.get("packets")
        else:
            verdict, target = _nft_verdict(word, value) or (verdict, target)
    where = f"{one['family']} {one['table']} {one['chain']}"
    return Rule(
        text=f"{where}: {_nft_text(one['expr'])}",
        conditions=tuple(conditions),
        verdict=verdict,
        target=target,
        packets=packets,
        delete=f"nft delete rule {where} handle {one['handle']}",
    )


UNTELLABLE = ("xt", "limit", "fib", "vmap")
"""Expressions that ask what is not known of a packet."""


def _nft_verdict(word: str, value: Any) -> tuple[str, str] | None:
    if word in ("drop", "accept", "return", "reject"):
        return word, ""
    if word in ("jump", "goto"):
        return word, value["target"]
    if word in TRANSLATES:
        return "nat", str((value or {}).get("addr", ""))
    return None


NFT_FIELDS = {
    "meta iifname": "iif", "meta oifname": "oif", "meta iif": "iif", "meta oif": "oif",
    "meta l4proto": "protocol", "ip protocol": "protocol", "ip6 nexthdr": "protocol",
    "ip saddr": "src", "ip6 saddr": "src", "ip daddr": "dst", "ip6 daddr": "dst",
    "tcp dport": "tcp dport", "udp dport": "udp dport", "th dport": "dport",
    "tcp sport": "tcp sport", "udp sport": "udp sport", "th sport": "sport",
    "icmp type": "icmp", "icmpv6 type": "icmp", "ct state": "state", "ether saddr": "ether-src",
    "ether daddr": "ether-dst", "ether type": "ethertype", "meta protocol": "ethertype",
    "vlan type": "ethertype", "vlan id": "vlan", "ip length": "length", "meta length": "length",
    "ip ttl": "ttl", "arp operation": "arp", "arp daddr ip": "arp-target",
    "arp saddr ip": "arp-sender", "meta nfproto": "nfproto", "meta pkttype": "pkttype",
}  # fmt: skip


def _nft_match(value: dict[str, Any]) -> Condition:
    left, right = value["left"], value["right"]
    name = _nft_left(left)
    known = NFT_FIELDS.get(name, f"? {name}")
    values = tuple(_nft_values(right))
    operation = value["op"]
    if operation in ("<", ">", "<=", ">="):
        known, values = f"{known} {operation}", values[:1]
    return Condition(known, values, operation == "!=")


def _nft_left(left: Any) -> str:
    if not isinstance(left, dict):
        return str(left)
    ((kind, about),) = left.items()
    if kind == "payload" and isinstance(about, dict) and "protocol" in about:
        return f"{about['protocol']} {about['field']}"
    if isinstance(about, dict) and "key" in about:
        return f"{kind} {about['key']}"
    return str(kind)


def _nft_values(right: Any) -> Iterator[str]:
    if isinstance(right, list):
        for one in right:
            yield from _nft_values(one)
    elif isinstance(right, dict) and "set" in right:
        yield from _nft_values(right["set"])
    elif isinstance(right, dict) and "prefix" in right:
        yield f"{right['prefix']['addr']}/{right['prefix']['len']}"
    elif isinstance(right, dict) and "range" in right:
        yield ":".join(map(str, right["range"]))
    else:
        yield str(right)


def _nft_text(expressions: list[dict[str, Any]]) -> str:
    """Nearly as nft(8) prints it."""
    said = []
    for expression in expressions:
        ((word, value),) = expression.items()
        if word == "match":
            values = ", ".join(_nft_values(value["right"]))
            shown = f"{{ {values} }}" if "," in values else values
            sign = "" if value["op"] in ("==", "in") else f"{value['op']} "
            left = re.sub(r"^meta (?=[io]if)", "", _nft_left(value["left"]))
            said.append(f"{left} {sign}{shown}")
        elif word in ("jump", "goto"):
            said.append(f"{word} {value['target']}")
        else:
            said.append(word)
    return " ".join(said)
