"""Faults of the tutorial lab's addresses, routes and neighbour entries."""

from __future__ import annotations

from harness.causes import Code
from harness.faults import change as do
from harness.faults import filters
from harness.faults.fault import Fault
from harness.worker import wire

GATEWAY, BBOX1, BBOX3, BBOX4 = "gateway", "bbox1", "bbox3", "bbox4"
IN10, IN20, OWN = "eth2.10", "eth2.20", "eth0"
VIA10, VIA20 = "172.16.10.1", "172.16.20.1"
NET20 = "172.16.20.0/24"
DEFAULT10 = ("ip", "route", "replace", "default", "via", VIA10)
STRANGER = "02:6e:73:00:00:77"
"""A MAC address that nobody has."""

MOVED = do.route_moved(GATEWAY, "172.16.10.0/24", IN20, IN10, VIA10)

ADDRESSES = (
    Fault(
        "gateway-address-missing",
        "The gateway has no address in VLAN 20.",
        do.address_gone(GATEWAY, IN20, f"{VIA20}/24"),
        (Code.GATEWAY_ADDRESS_MISSING,),
    ),
    Fault(
        "gateway-address-missing-in-vlan-10",
        "The addresses of the gateway's eth2.10 are flushed.",
        do.Change(
            ((GATEWAY, "ip", "address", "flush", "dev", IN10),),
            ((GATEWAY, "ip", "address", "replace", f"{VIA10}/24", "dev", IN10),),
            do.address_gone(GATEWAY, IN10, f"{VIA10}/24").alter,
        ),
        (Code.GATEWAY_ADDRESS_MISSING,),
    ),
    Fault(
        "gateway-address-wrong",
        "The gateway has another address in VLAN 20 than endpoints send to.",
        do.together(
            do.address_gone(GATEWAY, IN20, f"{VIA20}/24"),
            do.address_more(GATEWAY, IN20, "172.16.20.2/24"),
        ),
        (Code.GATEWAY_ADDRESS_WRONG,),
    ),
    Fault(
        "gateway-address-of-other-subnet",
        "The gateway's address in VLAN 10 is of another subnet.",
        do.together(
            do.address_gone(GATEWAY, IN10, f"{VIA10}/24"),
            do.address_more(GATEWAY, IN10, "172.16.11.1/24"),
        ),
        (Code.GATEWAY_ADDRESS_WRONG,),
    ),
    Fault(
        "endpoint-address-missing",
        "bbox3 has lost its address.",
        do.address_gone(BBOX3, OWN, "172.16.10.11/24", (BBOX3, *DEFAULT10)),
        (Code.ENDPOINT_ADDRESS_MISSING,),
    ),
    Fault(
        "endpoint-address-flushed",
        "The addresses of bbox4 are flushed.",
        do.Change(
            ((BBOX4, "ip", "address", "flush", "dev", OWN),),
            (
                (BBOX4, "ip", "address", "replace", "172.16.20.11/24", "dev", OWN),
                (BBOX4, "ip", "route", "replace", "default", "via", VIA20),
            ),
            do.address_gone(BBOX4, OWN, "172.16.20.11/24").alter,
        ),
        (Code.ENDPOINT_ADDRESS_MISSING,),
    ),
    Fault(
        "endpoint-address-wrong",
        "bbox3 has another address than its own.",
        do.together(
            do.address_gone(BBOX3, OWN, "172.16.10.11/24", (BBOX3, *DEFAULT10)),
            do.address_more(BBOX3, OWN, "172.16.10.33/24"),
            do.route_again(BBOX3, "default", VIA10),
        ),
        (Code.ENDPOINT_ADDRESS_WRONG,),
    ),
    Fault(
        "endpoint-address-of-other-subnet",
        "bbox4 has an address of VLAN 10.",
        do.together(
            do.address_gone(
                BBOX4, OWN, "172.16.20.11/24",
                (BBOX4, "ip", "route", "replace", "default", "via", VIA20),
            ),
            do.address_more(BBOX4, OWN, "172.16.10.44/24"),
        ),
        (Code.ENDPOINT_ADDRESS_WRONG,),
    ),
    Fault(
        "prefix-length-wrong",
        "bbox1's prefix is 16 bits long, so that VLAN 20 seems near.",
        do.together(
            do.address_more(BBOX1, OWN, "172.16.10.10/16"),
            do.address_gone(BBOX1, OWN, "172.16.10.10/24", (BBOX1, *DEFAULT10)),
            do.route_again(BBOX1, "default", VIA10),
        ),
        (Code.PREFIX_LENGTH_WRONG,),
    ),
    Fault(
        "prefix-length-wrong-at-gateway",
        "The gateway's prefix in VLAN 20 is 29 bits long, so that its endpoints seem far.",
        do.together(
            do.address_gone(GATEWAY, IN20, f"{VIA20}/24"),
            do.address_more(GATEWAY, IN20, f"{VIA20}/29"),
        ),
        (Code.PREFIX_LENGTH_WRONG,),
    ),
    Fault(
        "duplicate-address",
        "host2's loopback has bbox1's address as well, for which it answers everywhere.",
        do.address_more("host2", "lo", "172.16.10.10/32"),
        (Code.DUPLICATE_ADDRESS,),
        steady=False,
    ),
    Fault(
        "duplicate-address-at-host1",
        "host1 itself has bbox4's address as well.",
        do.address_more("host1", IN20, "172.16.20.11/32"),
        (Code.DUPLICATE_ADDRESS,),
        steady=False,
    ),
)  # fmt: skip

ROUTES = (
    Fault(
        "default-route-missing",
        "bbox1 has no default route.",
        do.route_gone(BBOX1, "default", VIA10),
        (Code.DEFAULT_ROUTE_MISSING,),
    ),
    Fault(
        "default-route-flushed",
        "The routes of bbox4 that lead by somebody are flushed.",
        do.Change(
            ((BBOX4, "ip", "route", "flush", "via", VIA20),),
            ((BBOX4, "ip", "route", "replace", "default", "via", VIA20),),
            do.route_gone(BBOX4, "default", VIA20).alter,
        ),
        (Code.DEFAULT_ROUTE_MISSING,),
    ),
    Fault(
        "default-route-wrong",
        "bbox1's default route leads to nobody.",
        do.route(BBOX1, "default", "172.16.10.99", VIA10),
        (Code.DEFAULT_ROUTE_WRONG,),
    ),
    Fault(
        "default-route-to-neighbour",
        "bbox4's default route leads to bbox2, which does not forward.",
        do.route(BBOX4, "default", "172.16.20.10", VIA20),
        (Code.DEFAULT_ROUTE_WRONG,),
    ),
    Fault(
        "route-blackhole",
        "bbox1 has a blackhole for VLAN 20.",
        do.dead_end(BBOX1, "blackhole", NET20),
        (Code.ROUTE_BLACKHOLE,),
    ),
    Fault(
        "route-unreachable",
        "The gateway has an unreachable route for bbox4.",
        do.dead_end(GATEWAY, "unreachable", "172.16.20.11/32"),
        (Code.ROUTE_BLACKHOLE,),
    ),
    Fault(
        "route-prohibit",
        "The gateway has a prohibit route for half of VLAN 10.",
        do.dead_end(GATEWAY, "prohibit", "172.16.10.0/28"),
        (Code.ROUTE_BLACKHOLE,),
    ),
    Fault(
        "route-of-the-wrong-interface",
        "The gateway's route for VLAN 10 leads out of its interface in VLAN 20.",
        MOVED,
        (Code.ROUTE_BLACKHOLE,),
    ),
    Fault(
        "route-of-the-wrong-interface-with-rp-filter",
        "The same, and it drops what does not come from where it would answer.",
        do.together(MOVED, do.sysctl(GATEWAY, "net.ipv4.conf.all.rp_filter", "1", "0")),
        (Code.ROUTE_BLACKHOLE,),
    ),
    Fault(
        "policy-rule-diverts",
        "A policy rule of the gateway ends what comes in from VLAN 10.",
        do.policy_rule(GATEWAY, f"pref 100 iif {IN10} blackhole", lambda into, _dst: into == IN10),
        (Code.POLICY_RULE_DIVERTS,),
    ),
    Fault(
        "policy-rule-diverts-at-bbox1",
        "A policy rule of bbox1 ends what goes into VLAN 20.",
        do.policy_rule(
            BBOX1, f"pref 100 to {NET20} blackhole", lambda _into, dst: dst.startswith("172.16.20.")
        ),
        (Code.POLICY_RULE_DIVERTS,),
    ),
    Fault(
        "asymmetric-path",
        "bbox4 sends what is for the gateway to bbox2, which does not forward.",
        do.route(BBOX4, f"{VIA20}/32", "172.16.20.10"),
        (Code.ASYMMETRIC_PATH,),
    ),
    Fault(
        "extra-hop",
        "bbox1 sends what is for its neighbour bbox3 to the gateway.",
        do.route(BBOX1, "172.16.10.11/32", VIA10),
        (Code.EXTRA_HOP,),
    ),
    Fault(
        "extra-hop-of-both",
        "bbox4 sends what is for bbox2 to the gateway, and says so to nobody.",
        do.route(BBOX4, "172.16.20.8/30", VIA20),
        (Code.EXTRA_HOP,),
    ),
)  # fmt: skip

NEIGHBOURS = (
    Fault(
        "stale-neighbour",
        "bbox1 has an old MAC address for its gateway.",
        do.neighbour(BBOX1, OWN, VIA10, STRANGER),
        (Code.STALE_NEIGHBOUR,),
    ),
    Fault(
        "stale-neighbour-at-gateway",
        "The gateway has bbox2's MAC address for bbox4.",
        do.neighbour(GATEWAY, IN20, "172.16.20.11", "02:42:ac:10:14:0a"),
        (Code.STALE_NEIGHBOUR,),
    ),
    Fault(
        "stale-neighbour-of-neighbour",
        "bbox3 has an old MAC address for bbox1.",
        do.neighbour(BBOX3, OWN, "172.16.10.10", STRANGER),
        (Code.STALE_NEIGHBOUR,),
    ),
    Fault(
        "arp-disabled",
        "bbox3's interface does no ARP.",
        do.no_arp(BBOX3, OWN),
        (Code.ARP_DISABLED,),
    ),
    Fault(
        "arp-ignored",
        "A sysctl of the gateway keeps it from answering ARP in VLAN 20.",
        do.sysctl(GATEWAY, f"net.ipv4.conf.{{}}.arp_ignore {IN20}", "8", "0"),
        (Code.ARP_DISABLED,),
    ),
    Fault(
        "arp-filtered",
        "An nft table of bbox4 drops ARP requests that come in.",
        filters.nft(BBOX4, "arp", "input priority 0;", "arp operation request drop",
               filters.lost_in(BBOX4, OWN, lambda packet: packet.arp_op == wire.REQUEST)),
        (Code.ARP_FILTERED,),
    ),
    Fault(
        "arp-filtered-out",
        "bbox1's arptables drops ARP replies that it sends.",
        do.Change(
            ((BBOX1, "arptables", "-A", "OUTPUT", "--opcode", "2", "-j", "DROP"),),
            ((BBOX1, "arptables", "-D", "OUTPUT", "--opcode", "2", "-j", "DROP"),),
            filters.lost_out(BBOX1, OWN, lambda packet: packet.arp_op == wire.REPLY),
        ),
        (Code.ARP_FILTERED,),
    ),
    Fault(
        "proxy-arp-leak",
        "The gateway answers for bbox3 in VLAN 10 at once, because its route for it leads away.",
        do.together(
            do.route(GATEWAY, "172.16.10.11/32", "172.16.20.10"),
            do.sysctl(GATEWAY, f"net.ipv4.conf.{{}}.proxy_arp {IN10}", "1", "0"),
            do.sysctl(GATEWAY, f"net.ipv4.neigh.{{}}.proxy_delay {IN10}", "0", "80"),
        ),
        (Code.PROXY_ARP_LEAK, Code.DEFAULT_ROUTE_WRONG, Code.ASYMMETRIC_PATH),
        steady=False,
    ),
    Fault(
        "proxy-arp-leak-of-host1",
        "host1 answers for bbox4 in VLAN 20, because it forwards and has a route for it.",
        do.together(
            do.sysctl("host1", "net.ipv4.ip_forward", "1", "0"),
            do.route("host1", "172.16.20.11/32", "192.168.56.105"),
            do.sysctl("host1", f"net.ipv4.neigh.{{}}.proxy_delay {IN20}", "0", "80"),
            do.sysctl("host1", f"net.ipv4.conf.{{}}.proxy_arp {IN20}", "1", "0"),
        ),
        (Code.PROXY_ARP_LEAK, Code.EXTRA_HOP),
        steady=False,
    ),
)  # fmt: skip

FAULTS = (*ADDRESSES, *ROUTES, *NEIGHBOURS)
