"""Changes that break nothing: every cell must stay green, and no diagnosis may speak."""

from __future__ import annotations

from harness.faults import change as do
from harness.faults import filters
from harness.faults.fault import Fault
from harness.faults.of_routers import FORWARD, GATEWAY, IN10, TO_20

STRANGER = "02:6e:73:00:00:77"

BENIGN = (
    Fault(
        "benign-rule-for-a-stranger",
        "A rule drops what somebody sends who is not there.",
        filters.rule(GATEWAY, "FORWARD -s 10.99.0.1 -j DROP", first=True),
    ),
    Fault(
        "benign-rule-for-another-port",
        "A rule drops TCP to a port that nobody asks.",
        filters.rule(GATEWAY, "FORWARD -p tcp --dport 2323 -j DROP", first=True),
    ),
    Fault(
        "benign-rule-for-another-interface",
        "A rule drops what goes on from the management network.",
        filters.rule(GATEWAY, "FORWARD -i eth1 -j DROP", first=True),
    ),
    Fault(
        "benign-rule-behind",
        "A rule drops what another has let pass already.",
        filters.rule(GATEWAY, f"{TO_20} -j DROP"),
    ),
    Fault(
        "benign-policy-drop",
        "The policy of FORWARD is DROP, and the rules let pass what is to pass.",
        filters.policy(GATEWAY, "FORWARD", "DROP", "ACCEPT"),
    ),
    Fault(
        "benign-accept-twice",
        "A rule stands twice in FORWARD.",
        filters.rule(GATEWAY, FORWARD[3]),
    ),
    Fault(
        "benign-mark",
        "A rule marks packets, and nobody asks for the mark.",
        filters.rule(GATEWAY, "PREROUTING -j MARK --set-mark 7", "mangle"),
    ),
    Fault(
        "benign-raw-accept",
        "The table raw accepts everything.",
        filters.rule(GATEWAY, "PREROUTING -j ACCEPT", "raw"),
    ),
    Fault(
        "benign-nat-for-a-stranger",
        "A NAT rule is for a destination that nobody asks for.",
        filters.rule(GATEWAY, "POSTROUTING -d 10.99.0.0/16 -j SNAT --to-source 10.98.0.1", "nat",
                first=True),
    ),
    Fault(
        "benign-input-of-gateway",
        "The gateway takes no TCP itself.",
        filters.rule(GATEWAY, "INPUT -p tcp -j DROP"),
    ),
    Fault(
        "benign-output-to-a-stranger",
        "bbox1 sends nothing to somebody who is not there.",
        filters.rule("bbox1", "OUTPUT -d 10.99.0.1 -j DROP"),
    ),
    Fault(
        "benign-nft-counter",
        "An nft table counts what is passed on.",
        filters.nft(GATEWAY, "inet", "forward priority 0;", "counter accept", filters.alters()),
    ),
    Fault(
        "benign-nft-after",
        "An nft table accepts late what others have accepted.",
        filters.nft("bbox4", "ip", "input priority 50;", "ip protocol 1 accept", filters.alters()),
    ),
    Fault(
        "benign-legacy-table",
        "A table of iptables-legacy accepts what it is asked.",
        filters.rule(GATEWAY, f"{TO_20} -j ACCEPT", program="iptables-legacy"),
    ),
    Fault(
        "benign-route-to-nowhere",
        "bbox1 has a route for a network that nobody asks for.",
        do.route("bbox1", "10.99.0.0/16", "172.16.10.99"),
    ),
    Fault(
        "benign-blackhole",
        "The gateway has a blackhole for a network that nobody asks for.",
        do.dead_end(GATEWAY, "blackhole", "10.99.0.0/16"),
    ),
    Fault(
        "benign-policy-rule",
        "A policy rule looks into a table that is empty.",
        do.nothing(
            (GATEWAY, "ip", "rule", "add", "pref", "100", "iif", IN10, "lookup", "77"),
            undo=((GATEWAY, "ip", "rule", "delete", "pref", "100", "iif", IN10, "lookup", "77"),),
        ),
    ),
    Fault(
        "benign-neighbour-entry",
        "bbox1 has a neighbour entry for a stranger.",
        do.neighbour("bbox1", "eth0", "172.16.10.99", STRANGER),
    ),
    Fault(
        "benign-true-neighbour-entry",
        "bbox1 has a neighbour entry that stays, and it is right.",
        do.neighbour("bbox1", "eth0", "172.16.10.1", "02:6e:73:00:00:03"),
    ),
    Fault(
        "benign-second-address",
        "bbox3 has a second address that nobody asks for.",
        do.address_more("bbox3", "eth0", "172.16.10.33/24"),
    ),
    Fault(
        "benign-rp-filter",
        "The gateway expects packets from where it would answer them, and there they come from.",
        do.sysctl(GATEWAY, "net.ipv4.conf.all.rp_filter", "1", "0"),
    ),
    Fault(
        "benign-proxy-arp",
        "The gateway answers for others, and nobody asks it to.",
        do.sysctl(GATEWAY, "net.ipv4.conf.all.proxy_arp", "1", "0"),
    ),
    Fault(
        "benign-mode-without-sibling",
        "bbox1's macvlan is private, and there is nobody on its parent to keep it from.",
        do.mode("bbox1", "eth0", "private"),
    ),
    Fault(
        "benign-management-down",
        "host1's management interface is down: no probe goes by it.",
        do.down("host1", "eth1"),
    ),
    Fault(
        "benign-larger-mtu",
        "host1's end of the trunk takes more than anybody sends.",
        do.mtu("host1", "eth2", 1600),
    ),
)  # fmt: skip
