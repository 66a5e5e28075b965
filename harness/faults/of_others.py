"""Faults that take another topology than the tutorial lab."""

from __future__ import annotations

from functools import partial

from harness.causes import Code
from harness.faults import change as do
from harness.faults import filters
from harness.faults.fault import Fault
from harness.faults.of_routers import FORWARD, GATEWAY, IN10, IN20, TO_10, TO_20
from harness.flow import Stage

PolicyDrop = partial(Fault, topology="forward-policy-drop")
TwoGateways = partial(Fault, topology="two-gateways")
MacvlanModes = partial(Fault, topology="macvlan-modes", stage=Stage.ISOLATED)
DualStack = partial(Fault, topology="dual-stack")
Jumbo = partial(Fault, topology="jumbo")
NEW_20, NEW_10 = FORWARD[2:]
SOLICITATION, ADVERTISEMENT = 135, 136
"""ICMPv6 types (RFC 4861)."""
TOLD = "OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"


def _icmp6(kind: int) -> do.Lost:
    return lambda packet: packet.nd_target is not None and packet.icmp_type == kind


POLICY_DROP = (
    PolicyDrop(
        "forward-rule-missing",
        "The rule that lets VLAN 10 into VLAN 20 is not there.",
        filters.rule_gone(GATEWAY, NEW_20, 3),
        (Code.FORWARD_RULE_MISSING,),
    ),
    PolicyDrop(
        "forward-rule-missing-for-new",
        "The rule that lets VLAN 20 into VLAN 10 is for replies only.",
        filters.replaced(
            GATEWAY, 4, NEW_10, f"-i {IN20} -o {IN10} -m state --state ESTABLISHED -j ACCEPT"
        ),
        (Code.FORWARD_RULE_MISSING,),
    ),
    PolicyDrop(
        "forward-rules-flushed",
        "All rules of FORWARD are flushed.",
        do.Change(
            ((GATEWAY, "iptables", "-F", "FORWARD"),),
            tuple((GATEWAY, "iptables", "-A", *line.split()) for line in FORWARD),
            filters.flushed(GATEWAY, "filter", None, FORWARD).alter,
        ),
        (Code.FORWARD_RULE_MISSING,),
    ),
    PolicyDrop(
        "rule-order",
        "A rule that drops stands before the one that lets VLAN 10 into VLAN 20.",
        filters.rule(GATEWAY, f"{TO_20} -j DROP", first=True),
        (Code.RULE_ORDER,),
    ),
    PolicyDrop(
        "rule-order-by-source",
        "A rule that drops what bbox2 sends stands before those that let it pass.",
        filters.rule(GATEWAY, "FORWARD -s 172.16.20.10 -j DROP", first=True),
        (Code.RULE_ORDER,),
    ),
    PolicyDrop(
        "wrong-interface-in-rule",
        "The rule for what goes from VLAN 10 into VLAN 20 names the management interface.",
        filters.replaced(GATEWAY, 3, NEW_20, f"-i eth1 -o {IN20} -j ACCEPT"),
        (Code.WRONG_INTERFACE_IN_RULE,),
    ),
    PolicyDrop(
        "wrong-interface-out-in-rule",
        "The rule for what goes from VLAN 20 into VLAN 10 names the trunk as where it leaves.",
        filters.replaced(GATEWAY, 4, NEW_10, f"-i {IN20} -o eth2 -j ACCEPT"),
        (Code.WRONG_INTERFACE_IN_RULE,),
    ),
)

TWO_GATEWAYS = (
    TwoGateways(
        "rp-filter-drop",
        "gw2 expects packets only from where it would answer them.",
        do.sysctl("gw2", "net.ipv4.conf.all.rp_filter", "1", "0"),
        (Code.RP_FILTER_DROP,),
    ),
    TwoGateways(
        "rp-filter-drop-at-interface",
        "gw2's eth2.20 expects packets only from where it would answer them.",
        do.sysctl("gw2", "net.ipv4.conf.{}.rp_filter eth2.20", "1", "0"),
        (Code.RP_FILTER_DROP,),
    ),
    TwoGateways(
        "route-missing-at-gw1",
        "gw1 has no route to VLAN 30.",
        do.route_gone("gw1", "172.16.30.0/24", "172.16.20.2"),
        (Code.DEFAULT_ROUTE_MISSING,),
    ),
    TwoGateways(
        "route-to-nowhere-at-gw1",
        "gw1's route to VLAN 30 leads to nobody.",
        do.route("gw1", "172.16.30.0/24", "172.16.20.77", "172.16.20.2"),
        (Code.DEFAULT_ROUTE_WRONG,),
    ),
    TwoGateways(
        "asymmetric-path-of-two",
        "gw2 sends what is for VLAN 10 by way of bbox5, which does not forward.",
        do.route("gw2", "172.16.10.10/31", "172.16.20.11"),
        (Code.ASYMMETRIC_PATH,),
    ),
    TwoGateways(
        "extra-hop-of-two",
        "gw1 sends what is for bbox2 by way of gw2.",
        do.route("gw1", "172.16.20.10/32", "172.16.20.2"),
        (Code.EXTRA_HOP,),
    ),
    TwoGateways(
        "conntrack-invalid",
        "gw1 drops what belongs to no connection: it sees replies whose requests went by gw2.",
        filters.rule("gw1", "FORWARD -m conntrack --ctstate INVALID -j DROP"),
        (Code.CONNTRACK_INVALID,),
    ),
    TwoGateways(
        "conntrack-invalid-of-nft",
        "An nft table of gw1 drops what belongs to no connection.",
        filters.nft("gw1", "inet", "forward priority 0;", "ct state invalid drop",
               filters.own_rule("gw1", "-A FORWARD -m conntrack --ctstate INVALID -j DROP")),
        (Code.CONNTRACK_INVALID,),
    ),
)  # fmt: skip

MACVLAN_MODES = (
    MacvlanModes(
        "macvlan-mode-isolates",
        "An endpoint of vepa is private.",
        do.mode("vepa2a", "eth0", "private", "vepa"),
        (Code.MACVLAN_MODE_ISOLATES,),
    ),
    MacvlanModes(
        "macvlan-mode-isolates-in-bridge",
        "An endpoint of bridge is private.",
        do.mode("bridge1a", "eth0", "private"),
        (Code.MACVLAN_MODE_ISOLATES,),
    ),
    MacvlanModes(
        "macvlan-parent-isolation",
        "host2's switch port sends nothing back to where it came from.",
        do.hairpin("host2", on=False),
        (Code.MACVLAN_PARENT_ISOLATION,),
    ),
    MacvlanModes(
        "macvlan-parent-isolation-by-bridge",
        "host2's switch port sends nothing back, as bridge(8) has it.",
        do.Change(
            (("switch", "bridge", "link", "set", "dev", "host2", "hairpin", "off"),),
            (("switch", "bridge", "link", "set", "dev", "host2", "hairpin", "on"),),
            do.hairpin("host2", on=False).alter,
        ),
        (Code.MACVLAN_PARENT_ISOLATION,),
    ),
)

DUAL_STACK = (
    DualStack(
        "ndp-filtered",
        "An nft table of bbox4 drops neighbour solicitations that come in.",
        filters.nft(
            "bbox4",
            "ip6",
            "input priority 0;",
            "icmpv6 type nd-neighbor-solicit drop",
            filters.lost_in("bbox4", "eth0", _icmp6(SOLICITATION)),
        ),
        (Code.NDP_FILTERED,),
    ),
    DualStack(
        "ndp-filtered-out",
        "ip6tables of the gateway drops neighbour advertisements that it sends.",
        do.Change(
            (
                (
                    GATEWAY,
                    "ip6tables",
                    "-A",
                    "OUTPUT",
                    "-p",
                    "icmpv6",
                    "--icmpv6-type",
                    "136",
                    "-j",
                    "DROP",
                ),
            ),
            (
                (
                    GATEWAY,
                    "ip6tables",
                    "-D",
                    "OUTPUT",
                    "-p",
                    "icmpv6",
                    "--icmpv6-type",
                    "136",
                    "-j",
                    "DROP",
                ),
            ),
            filters.alters(
                filters.lost_out(GATEWAY, IN10, _icmp6(ADVERTISEMENT)),
                filters.lost_out(GATEWAY, IN20, _icmp6(ADVERTISEMENT)),
            ),
        ),
        (Code.NDP_FILTERED,),
    ),
    DualStack(
        "ip-forward-off-for-ipv6",
        "The gateway does not forward IPv6.",
        do.sysctl(GATEWAY, "net.ipv6.conf.all.forwarding", "0", "1"),
        (Code.IP_FORWARD_OFF,),
    ),
    DualStack(
        "forward-rule-drop-for-ipv6",
        "A rule of ip6tables drops what goes from VLAN 20 into VLAN 10.",
        filters.rule(GATEWAY, f"{TO_10} -j DROP", first=True, program="ip6tables"),
        (Code.FORWARD_RULE_DROP,),
    ),
    DualStack(
        "gateway-address-missing-for-ipv6",
        "The gateway has no IPv6 address in VLAN 10.",
        do.address_gone(GATEWAY, IN10, "2001:db8:10::1/64"),
        (Code.GATEWAY_ADDRESS_MISSING,),
    ),
)

JUMBO = (
    Jumbo(
        "mtu-mismatch-nobody-told",
        "The gateway tells nobody that a packet was too big.",
        filters.rule(GATEWAY, TOLD),
        (Code.OUTPUT_DROP,),
    ),
    Jumbo(
        "mtu-mismatch-of-trunk",
        "host3's switch port takes 1500 octets only.",
        do.mtu("switch", "host3", 1500, 9000),
        (Code.MTU_MISMATCH,),
    ),
)

FAULTS = (*POLICY_DROP, *TWO_GATEWAYS, *MACVLAN_MODES, *DUAL_STACK, *JUMBO)
