"""Faults of the tutorial lab's gateway: what it forwards, filters and translates."""

from __future__ import annotations

import socket

from harness.causes import Code
from harness.faults import change as do
from harness.faults import filters
from harness.faults.fault import Fault

GATEWAY = "gateway"
IN10, IN20 = "eth2.10", "eth2.20"
TO_20, TO_10 = f"FORWARD -i {IN10} -o {IN20}", f"FORWARD -i {IN20} -o {IN10}"
REPLIES = "-m state --state RELATED,ESTABLISHED -j ACCEPT"
FORWARD = (f"{TO_20} {REPLIES}", f"{TO_10} {REPLIES}", f"{TO_20} -j ACCEPT", f"{TO_10} -j ACCEPT")
"""The rules of the chain FORWARD, in their order."""
NAT_10, NAT_20 = (f"POSTROUTING -o {name} -j MASQUERADE" for name in (IN10, IN20))
BBOX4 = "172.16.20.11"
UDP_IS_SHOT = (
    f"6,40 0 0 12,21 0 3 2048,48 0 0 23,21 0 1 {socket.IPPROTO_UDP},6 0 0 2,6 0 0 4294967295,"
)
"""Classic BPF as tc-bpf(8) has it: TC_ACT_SHOT if a frame's type (octet 12) is IPv4's and octet 23,
the protocol, is UDP. Frames of another type have a token there, which may be any number."""
OWN_CHAIN = (
    "add table ip fault; "
    "add chain ip fault c { type filter hook forward priority 10; policy drop; }"
)


def _rule(
    words: str, table: str = "filter", *, first: bool = False, program: str = "iptables"
) -> do.Change:
    return filters.rule(GATEWAY, words, table, first=first, program=program)


def _nft(hook: str, words: str, line: str) -> do.Change:
    return filters.nft(GATEWAY, "inet", hook, words, filters.own_rule(GATEWAY, line))


FORWARDING = (
    Fault(
        "ip-forward-off",
        "The gateway does not forward.",
        do.sysctl(GATEWAY, "net.ipv4.ip_forward", "0", "1"),
        (Code.IP_FORWARD_OFF,),
    ),
    Fault(
        "ip-forward-off-at-eth2.10",
        "The gateway does not forward what comes in at eth2.10.",
        do.sysctl(GATEWAY, f"net.ipv4.conf.{{}}.forwarding {IN10}", "0", "1"),
        (Code.IP_FORWARD_OFF,),
    ),
    Fault(
        "forward-policy-drop",
        "The rules of FORWARD are flushed, and its policy is DROP.",
        filters.flushed(GATEWAY, "filter", "DROP", FORWARD),
        (Code.FORWARD_POLICY_DROP,),
    ),
    Fault(
        "forward-policy-drop-of-nft",
        "A chain of somebody's own nft table has the policy drop.",
        do.Change(
            ((GATEWAY, "nft", OWN_CHAIN),),
            ((GATEWAY, "nft", "delete table ip fault"),),
            filters.own_rule(GATEWAY, "-A FORWARD -j DROP"),
        ),
        (Code.FORWARD_POLICY_DROP,),
    ),
    Fault(
        "forward-rule-drop",
        "A rule of the gateway drops what goes from VLAN 10 into VLAN 20.",
        _rule(f"{TO_20} -j DROP", first=True),
        (Code.FORWARD_RULE_DROP,),
    ),
    Fault(
        "forward-rule-drop-of-nft",
        "A rule in an nft table of its own drops what goes from VLAN 20 into VLAN 10.",
        _nft("forward priority 0;", f"iifname {IN20} oifname {IN10} drop", f"-A {TO_10} -j DROP"),
        (Code.FORWARD_RULE_DROP,),
    ),
    Fault(
        "forward-rule-drop-of-security",
        "A rule of the table security drops what goes to bbox4.",
        _rule(f"FORWARD -d {BBOX4} -j DROP", "security"),
        (Code.FORWARD_RULE_DROP,),
    ),
    Fault(
        "forward-rule-drop-of-legacy",
        "A rule of iptables-legacy drops what bbox1 sends.",
        _rule("FORWARD -s 172.16.10.10 -j DROP", program="iptables-legacy"),
        (Code.FORWARD_RULE_DROP,),
    ),
    Fault(
        "raw-drop",
        "The gateway's table raw drops what comes from VLAN 10, before anything else sees it.",
        _rule(f"PREROUTING -i {IN10} -s 172.16.10.0/24 -d 172.16.20.0/24 -j DROP", "raw"),
        (Code.RAW_DROP,),
    ),
    Fault(
        "raw-drop-of-nft",
        "An nft chain at priority raw drops what comes from bbox2.",
        _nft("prerouting priority raw;", "ip saddr 172.16.20.10 drop",
             "-A PREROUTING -s 172.16.20.10 -j DROP"),
        (Code.RAW_DROP,),
    ),
    Fault(
        "mangle-drop",
        "The gateway's table mangle drops what goes into VLAN 20.",
        _rule(f"FORWARD -o {IN20} -j DROP", "mangle"),
        (Code.MANGLE_DROP,),
    ),
    Fault(
        "mangle-drop-behind",
        "The gateway's table mangle drops what leaves by eth2.10 for bbox1.",
        _rule(f"POSTROUTING -o {IN10} -d 172.16.10.10 -j DROP", "mangle"),
        (Code.MANGLE_DROP,),
    ),
    Fault(
        "mangle-drop-at-bbox3",
        "bbox3's table mangle drops what comes from the gateway.",
        filters.rule("bbox3", "PREROUTING -s 172.16.10.1 -j DROP", "mangle"),
        (Code.MANGLE_DROP,),
    ),
    Fault(
        "input-drop",
        "bbox4 drops everything that comes in.",
        filters.rule("bbox4", "INPUT -j DROP"),
        (Code.INPUT_DROP,),
    ),
    Fault(
        "input-drop-by-policy",
        "The policy of bbox3's INPUT is DROP.",
        filters.policy("bbox3", "INPUT", "DROP", "ACCEPT"),
        (Code.INPUT_DROP,),
    ),
    Fault(
        "input-drop-of-nft",
        "An nft table of bbox2 drops what its neighbour bbox4 sends.",
        filters.nft("bbox2", "ip", "input priority 0;", f"ip saddr {BBOX4} drop",
               filters.own_rule("bbox2", f"-A INPUT -s {BBOX4} -j DROP")),
        (Code.INPUT_DROP,),
    ),
    Fault(
        "input-drop-of-tcp-replies",
        "bbox1 drops the answers to the TCP connections that it opens.",
        filters.rule("bbox1", "INPUT -p tcp -m state --state ESTABLISHED -j DROP"),
        (Code.L4_FILTERED,),
    ),
    Fault(
        "input-drop-of-echo-replies",
        "bbox2 drops the echo replies that come in, so that it pings nobody, and all ping it.",
        filters.rule("bbox2", "INPUT -p icmp --icmp-type echo-reply -j DROP"),
        (Code.L4_FILTERED,),
    ),
    Fault(
        "output-drop",
        "bbox1 drops what it sends into VLAN 20 itself.",
        filters.rule("bbox1", "OUTPUT -d 172.16.20.0/24 -j DROP"),
        (Code.OUTPUT_DROP,),
    ),
    Fault(
        "output-drop-of-replies",
        "An nft table of bbox4 drops what bbox4 answers the gateway.",
        filters.nft("bbox4", "ip", "output priority 0;", "ip daddr 172.16.20.1 drop",
               filters.own_rule("bbox4", "-A OUTPUT -d 172.16.20.1 -j DROP")),
        (Code.OUTPUT_DROP,),
    ),
    Fault(
        "output-drop-of-tc",
        "A tc filter drops what bbox2 sends of UDP, before anybody sees it on its interface.",
        do.Change(
            (("bbox2", "tc", "qdisc", "add", "dev", "eth0", "clsact"),
             ("bbox2", "tc", "filter", "add", "dev", "eth0", "egress", "bpf", "bytecode",
              UDP_IS_SHOT, "direct-action")),
            (("bbox2", "tc", "qdisc", "delete", "dev", "eth0", "clsact"),),
            filters.lost_out("bbox2", "eth0", lambda packet: packet.ip_proto == socket.IPPROTO_UDP),
        ),
        (Code.OUTPUT_DROP,),
    ),
    Fault(
        "ipsec-policy-block",
        "An IPsec policy of the gateway blocks what goes from VLAN 10 into VLAN 20.",
        filters.xfrm(GATEWAY, "src 172.16.10.0/24 dst 172.16.20.0/24", "fwd",
                     "-A PREROUTING -s 172.16.10.0/24 -d 172.16.20.0/24 -j DROP"),
        (Code.IPSEC_POLICY_BLOCK,),
    ),
    Fault(
        "ipsec-policy-block-of-source",
        "An IPsec policy of bbox1 blocks UDP that bbox1 sends to VLAN 20.",
        filters.xfrm("bbox1", "src 172.16.10.10/32 dst 172.16.20.0/24 proto udp", "out",
                     "-A OUTPUT -d 172.16.20.0/24 -p udp -j DROP"),
        (Code.IPSEC_POLICY_BLOCK,),
    ),
    Fault(
        "ipsec-policy-block-of-tcp",
        "An IPsec policy of bbox3 blocks TCP that comes in.",
        filters.xfrm("bbox3", "src 0.0.0.0/0 dst 172.16.10.11/32 proto tcp", "in",
                     "-A INPUT -p tcp -j DROP"),
        (Code.IPSEC_POLICY_BLOCK,),
    ),
    Fault(
        "ipsec-policy-block-by-default",
        "bbox4 lets nothing in that no IPsec policy speaks of.",
        do.Change(
            (("bbox4", "ip", "xfrm", "policy", "setdefault", "in", "block"),),
            (("bbox4", "ip", "xfrm", "policy", "setdefault", "in", "accept"),),
            filters.own_rule("bbox4", "-A INPUT -j DROP"),
        ),
        (Code.IPSEC_POLICY_BLOCK,),
    ),
    Fault(
        "rejected-by-rule",
        "The gateway answers what goes from VLAN 20 into VLAN 10 that it is prohibited.",
        _rule(f"{TO_10} -j REJECT --reject-with icmp-admin-prohibited", first=True),
        (Code.REJECTED_BY_RULE,),
    ),
    Fault(
        "rejected-at-bbox4",
        "bbox4 answers all that comes in that its host is prohibited.",
        filters.rule("bbox4", "INPUT -j REJECT --reject-with icmp-host-prohibited"),
        (Code.REJECTED_BY_RULE,),
    ),
    Fault(
        "l4-filtered-tcp",
        "The gateway passes no TCP.",
        _rule("FORWARD -p tcp -j DROP", first=True),
        (Code.L4_FILTERED,),
    ),
    Fault(
        "l4-filtered-port",
        "bbox4 takes nothing on UDP port 7.",
        filters.rule("bbox4", "INPUT -p udp --dport 7 -j DROP"),
        (Code.L4_FILTERED,),
    ),
    Fault(
        "l4-filtered-icmp",
        "An nft table of the gateway drops echo requests.",
        _nft("forward priority 0;", "icmp type echo-request drop",
             "-A FORWARD -p icmp --icmp-type echo-request -j DROP"),
        (Code.L4_FILTERED,),
    ),
    Fault(
        "service-refused",
        "At bbox4 another port than the one that is asked takes TCP, and nobody listens there.",
        filters.rule("bbox4", "PREROUTING -p tcp --dport 7 -j REDIRECT --to-ports 9", "nat"),
        (Code.SERVICE_REFUSED,),
    ),
    Fault(
        "service-refused-udp",
        "At bbox3 nobody listens on the UDP port where datagrams for port 7 end.",
        filters.rule("bbox3", "PREROUTING -p udp --dport 7 -j REDIRECT --to-ports 9", "nat"),
        (Code.SERVICE_REFUSED,),
    ),
    Fault(
        "ttl-expired",
        "The gateway sets the TTL of what comes in to 1.",
        _rule(f"PREROUTING -i {IN10} -j TTL --ttl-set 1", "mangle"),
        (Code.TTL_EXPIRED,),
    ),
    Fault(
        "ttl-expired-at-bbox1",
        "What bbox1 sends has a TTL of 1.",
        do.sysctl("bbox1", "net.ipv4.ip_default_ttl", "1", "64"),
        (Code.TTL_EXPIRED,),
    ),
)  # fmt: skip

NAT = (
    Fault(
        "masquerade-missing",
        "What goes into VLAN 20 is not masqueraded.",
        filters.rule_gone(GATEWAY, NAT_20, 2, "nat"),
        (Code.MASQUERADE_MISSING,),
    ),
    Fault(
        "nat-flushed",
        "The NAT rules are flushed.",
        filters.flushed(GATEWAY, "nat", None, (NAT_10, NAT_20)),
        (Code.MASQUERADE_MISSING,),
    ),
    Fault(
        "masquerade-wrong-address",
        "What goes into VLAN 20 has the gateway's address in VLAN 10 as its source.",
        _rule(f"POSTROUTING -o {IN20} -j SNAT --to-source 172.16.10.1", "nat", first=True),
        (Code.MASQUERADE_WRONG_ADDRESS,),
    ),
    Fault(
        "masquerade-strange-address",
        "What goes into VLAN 10 has the address of nobody as its source.",
        _rule(f"POSTROUTING -o {IN10} -j SNAT --to-source 172.16.10.77", "nat", first=True),
        (Code.MASQUERADE_WRONG_ADDRESS,),
    ),
    Fault(
        "masquerade-wrong-interface",
        "The NAT rule for VLAN 20 names another interface.",
        filters.replaced(GATEWAY, 2, NAT_20, "-o eth1 -j MASQUERADE", "nat"),
        (Code.WRONG_INTERFACE_IN_RULE,),
    ),
)

FAULTS = (*FORWARDING, *NAT)
