"""Faults of the tutorial lab's gateway: what it forwards, filters and translates."""

from __future__ import annotations

from harness.causes import Code
from harness.faults import change as do
from harness.faults.fault import Fault

GATEWAY = "gateway"
IN10, IN20 = "eth2.10", "eth2.20"
NEW_10_20, NEW_20_10 = f"FORWARD -i {IN10} -o {IN20} -j ACCEPT", f"FORWARD -i {IN20} -o {IN10} -j ACCEPT"
FORWARDING = "net.ipv4.ip_forward"


def _rule(words: str, table: str = "filter", *, first: bool = False, program: str = "iptables") -> do.Change:
    return do.rule(GATEWAY, words, table, first=first, program=program)


def _forward_hook(words: str, line: str) -> do.Change:
    return do.nft(GATEWAY, "inet", "forward priority 0;", words, do.own_rule(GATEWAY, line))


FORWARDING_FAULTS = (
    Fault(
        "ip-forward-off",
        "The gateway does not forward.",
        do.sysctl(GATEWAY, FORWARDING, "0", "1"),
        (Code.IP_FORWARD_OFF,),
    ),
    Fault(
        "forward-rule-drop",
        "A rule of the gateway drops what goes from VLAN 10 into VLAN 20.",
        _rule(f"FORWARD -i {IN10} -o {IN20} -j DROP", first=True),
        (Code.FORWARD_RULE_DROP,),
    ),
)
