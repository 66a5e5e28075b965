"""Faults of the tutorial lab's links: interfaces, the trunk, and a switch that misbehaves."""

from __future__ import annotations

from harness.causes import Code
from harness.faults import change as do
from harness.faults import filters
from harness.faults.fault import Fault
from harness.testing.state import State

GATEWAY, HOST1, HOST2, SWITCH = "gateway", "host1", "host2", "switch"
IN10, IN20, TRUNK, OWN = "eth2.10", "eth2.20", "eth2", "eth0"
HOST1_MAC = "02:6e:73:00:00:01"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
GROUP = "03:88:b5:00:00:01"
BBOX4 = "172.16.20.11"
TC_BPF = "tc-bpf"
"""Of an 802.1Q link nobody can change the VLAN, and with its trunk it has no carrier."""
RETAG = (do.PYTHON, "-m", "harness.worker.retag")


def _netdev(node: str, name: str, words: str, lost: do.Lost) -> do.Change:
    """An nft table that drops what comes in at an interface."""
    hook = f"ingress device {name} priority 0;"
    return filters.nft(node, "netdev", hook, words, filters.lost_in(node, name, lost))


def _bridge(words: str, lost: do.Lost) -> do.Change:
    """An nft table of the switch that drops what it would pass on."""
    return filters.nft(
        SWITCH, "bridge", "forward priority 0;", words, filters.lost_in(SWITCH, "trunk", lost)
    )


def retagged(node: str, name: str, found: int, made: int | None) -> do.Change:
    """Frames of one VLAN leave by an interface as those of another, or without a tag."""

    def alter(state: State) -> None:
        state.link((node, name)).retags_out[found] = made

    return do.Change(
        ((node, *RETAG, name, str(found), "native" if made is None else str(made)),),
        ((node, *RETAG, name, "undo"),),
        alter,
    )


def _no_queue(node: str, host: str, parent: str) -> do.Change:
    """What comes in for a group gets no further than macvlan, which has no queue for it."""
    head = (node, "ip", "link", "set", OWN, "type", "macvlan", "bcqueuelen")
    lost = filters.lost_in(host, parent, lambda packet: int(str(packet.dst_mac)[1], 16) & 1 == 1)
    return do.Change(((*head, "0"),), ((*head, "1000"),), lost)


def _in_vlan(vlan: int) -> do.Lost:
    return lambda packet: packet.vlans[:1] == (vlan,)


def _to(mac: str) -> do.Lost:
    return lambda packet: packet.dst_mac == mac


ANEW = (
    (HOST2, "ip", "link", "add", "link", IN10, "name", OWN, "netns", "bbox3",
     "address", "02:42:ac:10:0a:0b", "type", "macvlan", "mode", "bridge"),
    ("bbox3", "ip", "address", "add", "172.16.10.11/24", "dev", OWN),
    ("bbox3", "ip", "link", "set", OWN, "up"),
    ("bbox3", "ip", "route", "replace", "default", "via", "172.16.10.1"),
)  # fmt: skip
"""What brings bbox3's interface back."""

INTERFACES = (
    Fault(
        "parent-down",
        "host2's eth2.20 is down.",
        do.down(HOST2, IN20),
        (Code.PARENT_DOWN,),
    ),
    Fault(
        "parent-down-on-host1",
        "host1's eth2.10 is down.",
        do.down(HOST1, IN10),
        (Code.PARENT_DOWN,),
    ),
    Fault(
        "gateway-down",
        "The gateway's eth2.20 is down.",
        do.down(GATEWAY, IN20),
        (Code.GATEWAY_DOWN,),
    ),
    Fault(
        "gateway-down-in-vlan-10",
        "The gateway's eth2.10 is down.",
        do.down(GATEWAY, IN10),
        (Code.GATEWAY_DOWN,),
    ),
    Fault(
        "endpoint-down",
        "bbox1's interface is down.",
        do.down("bbox1", OWN, ("bbox1", "ip", "route", "replace", "default", "via", "172.16.10.1")),
        (Code.ENDPOINT_DOWN,),
    ),
    Fault(
        "endpoint-down-bbox4",
        "bbox4's interface is down.",
        do.down("bbox4", OWN, ("bbox4", "ip", "route", "replace", "default", "via", "172.16.20.1")),
        (Code.ENDPOINT_DOWN,),
    ),
    Fault(
        "subinterface-missing",
        "The gateway has no eth2.20.",
        do.deleted(
            GATEWAY, IN20, (GATEWAY, "ip", "address", "replace", "172.16.20.1/24", "dev", IN20)
        ),
        (Code.SUBINTERFACE_MISSING,),
    ),
    Fault(
        "subinterface-missing-on-host2",
        "host2 has no eth2.10, and bbox3 nothing that was on it.",
        do.deleted(HOST2, IN10, *ANEW, on=("bbox3",)),
        (Code.SUBINTERFACE_MISSING,),
    ),
    Fault(
        "mtu-mismatch",
        "bbox1's interface takes 1400 octets only.",
        do.mtu("bbox1", OWN, 1400),
        (Code.MTU_MISMATCH,),
    ),
    Fault(
        "mtu-mismatch-at-switch",
        "The switch port of host2 takes 1400 octets only.",
        do.mtu(SWITCH, HOST2, 1400),
        (Code.MTU_MISMATCH,),
    ),
    Fault(
        "duplicate-mac",
        "bbox3 has bbox1's MAC address.",
        do.mac("bbox3", OWN, "02:42:ac:10:0a:0a", "02:42:ac:10:0a:0b"),
        (Code.DUPLICATE_MAC,),
        steady=False,
    ),
    Fault(
        "duplicate-mac-of-gateway",
        "bbox4 has the MAC address of the gateway's trunk.",
        do.mac("bbox4", OWN, "02:6e:73:00:00:03", "02:42:ac:10:14:0b"),
        (Code.DUPLICATE_MAC,),
        steady=False,
    ),
    Fault(
        "broadcast-lost-to-macvlan",
        "macvlan has no queue for the broadcasts that come in for bbox3.",
        _no_queue("bbox3", HOST2, IN10),
        (Code.BROADCAST_LOST_TO_MACVLAN,),
    ),
    Fault(
        "broadcast-lost-to-macvlan-of-bbox2",
        "macvlan has no queue for the broadcasts that come in for bbox2.",
        _no_queue("bbox2", HOST1, IN20),
        (Code.BROADCAST_LOST_TO_MACVLAN,),
    ),
    Fault(
        "broadcast-lost-to-macvlan-on-host2",
        "What host2's eth2.10 gets for everybody gets no further.",
        _netdev(HOST2, IN10, f"ether daddr {EVERYBODY} drop", _to(EVERYBODY)),
        (Code.BROADCAST_LOST_TO_MACVLAN,),
    ),
    Fault(
        "multicast-lost-in-switch",
        "The switch passes on nothing for the group.",
        _bridge(f"ether daddr {GROUP} drop", _to(GROUP)),
        (Code.MULTICAST_LOST_TO_MACVLAN,),
    ),
    Fault(
        "multicast-lost-to-macvlan",
        "What host2's eth2.20 gets for a group gets no further.",
        _netdev(HOST2, IN20, f"ether daddr {GROUP} drop", _to(GROUP)),
        (Code.MULTICAST_LOST_TO_MACVLAN,),
    ),
)  # fmt: skip

TRUNKS = (
    Fault(
        "trunk-disconnected",
        "host1's port is not plugged into the switch.",
        do.unplugged(HOST1),
        (Code.TRUNK_DISCONNECTED,),
    ),
    Fault(
        "trunk-disconnected-port-listens",
        "Spanning tree keeps host2's switch port from passing anything.",
        do.port_state(HOST2, 1),
        (Code.TRUNK_DISCONNECTED,),
    ),
    Fault(
        "trunk-disconnected-gateway-port-down",
        "The gateway's switch port is down.",
        do.down(SWITCH, GATEWAY),
        (Code.TRUNK_DISCONNECTED,),
        datapath=TC_BPF,
    ),
    Fault(
        "trunk-drops-vlan",
        "host2's switch port takes no frames of VLAN 20.",
        _netdev(SWITCH, HOST2, "vlan id 20 drop", _in_vlan(20)),
        (Code.TRUNK_DROPS_VLAN,),
    ),
    Fault(
        "trunk-drops-vlan-everywhere",
        "The switch passes no frames of VLAN 10.",
        _bridge("vlan id 10 drop", _in_vlan(10)),
        (Code.TRUNK_DROPS_VLAN,),
    ),
    Fault(
        "port-security",
        "host1's switch port takes frames with host1's own MAC address only.",
        _netdev(SWITCH, HOST1, f"ether saddr != {HOST1_MAC} drop",
                lambda packet: packet.src_mac != HOST1_MAC),
        (Code.PORT_SECURITY,),
    ),
    Fault(
        "port-security-of-bridge",
        "The switch passes on what comes from host1 with its own MAC address only.",
        filters.nft(SWITCH, "bridge", "prerouting priority 0;",
               f'iifname "{HOST1}" ether saddr != {HOST1_MAC} drop',
               filters.lost_in(SWITCH, HOST1, lambda packet: packet.src_mac != HOST1_MAC)),
        (Code.PORT_SECURITY,),
    ),
    Fault(
        "vlan-leak",
        "host2's switch port sends frames of VLAN 10 as those of VLAN 20.",
        retagged(SWITCH, HOST2, 10, 20),
        (Code.VLAN_LEAK,),
    ),
    Fault(
        "vlan-leak-into-10",
        "The gateway's switch port sends frames of VLAN 20 as those of VLAN 10.",
        retagged(SWITCH, GATEWAY, 20, 10),
        (Code.VLAN_LEAK,),
    ),
    Fault(
        "native-vlan-mismatch",
        "host2's switch port takes the tag off frames of VLAN 10.",
        retagged(SWITCH, HOST2, 10, None),
        (Code.NATIVE_VLAN_MISMATCH,),
    ),
    Fault(
        "native-vlan-mismatch-of-gateway",
        "The gateway's switch port takes the tag off frames of VLAN 20.",
        retagged(SWITCH, GATEWAY, 20, None),
        (Code.NATIVE_VLAN_MISMATCH,),
    ),
    Fault(
        "vlan-id-mismatch",
        "host2 sends what is of VLAN 20 with the tag of VLAN 30.",
        retagged(HOST2, TRUNK, 20, 30),
        (Code.VLAN_ID_MISMATCH,),
    ),
    Fault(
        "vlan-id-mismatch-of-gateway",
        "The gateway's eth2.10 takes and sends frames of VLAN 30.",
        do.revlan(GATEWAY, IN10, 10, 30),
        (Code.VLAN_ID_MISMATCH,),
        datapath=TC_BPF,
    ),
    Fault(
        "vlan-id-mismatch-of-bbox4",
        "host2's eth2.20 takes and sends frames of VLAN 30: bbox4 is in the wrong VLAN.",
        do.revlan(HOST2, IN20, 20, 30),
        (Code.VLAN_ID_MISMATCH,),
        datapath=TC_BPF,
    ),
    Fault(
        "untagged-leak",
        "host1 sends what is of VLAN 10 without a tag.",
        retagged(HOST1, TRUNK, 10, None),
        (Code.UNTAGGED_LEAK,),
    ),
    Fault(
        "untagged-leak-of-gateway",
        "The gateway sends what is of VLAN 20 without a tag.",
        retagged(GATEWAY, TRUNK, 20, None),
        (Code.UNTAGGED_LEAK,),
    ),
    Fault(
        "bridge-netfilter",
        "The switch hands its frames to iptables, whose policy there is DROP.",
        do.together(
            do.sysctl(SWITCH, "net.bridge.bridge-nf-filter-vlan-tagged", "1", "0"),
            do.sysctl(SWITCH, "net.bridge.bridge-nf-call-iptables", "1", "0"),
            do.Change(
                ((SWITCH, "iptables", "-P", "FORWARD", "DROP"),),
                ((SWITCH, "iptables", "-P", "FORWARD", "ACCEPT"),),
                filters.lost_in(SWITCH, "trunk", lambda packet: packet.src_ip is not None),
            ),
        ),
        (Code.BRIDGE_NETFILTER,),
    ),
    Fault(
        "bridge-netfilter-rule",
        "The switch hands its frames to iptables, where a rule drops what is for bbox4.",
        do.together(
            do.sysctl(SWITCH, "net.bridge.bridge-nf-filter-vlan-tagged", "1", "0"),
            do.sysctl(SWITCH, "net.bridge.bridge-nf-call-iptables", "1", "0"),
            do.Change(
                ((SWITCH, "iptables-legacy", "-A", "FORWARD", "-d", BBOX4, "-j", "DROP"),),
                ((SWITCH, "iptables-legacy", "-D", "FORWARD", "-d", BBOX4, "-j", "DROP"),),
                filters.lost_in(SWITCH, "trunk", lambda packet: packet.dst_ip == BBOX4),
            ),
        ),
        (Code.BRIDGE_NETFILTER,),
    ),
)  # fmt: skip

REFLECTED = (
    Fault(
        "macvlan-parent-isolation-undone",
        "host1's switch port sends back what came from there: host1 hears its own containers.",
        do.hairpin(HOST1, on=True),
        (Code.MACVLAN_PARENT_ISOLATION,),
    ),
    Fault(
        "macvlan-parent-isolation-undone-by-mirror",
        "A tc filter of host2's switch port mirrors what comes in back out of it.",
        do.Change(
            ((SWITCH, "tc", "qdisc", "add", "dev", HOST2, "clsact"),
             (SWITCH, "tc", "filter", "add", "dev", HOST2, "ingress", "protocol", "all", "u32",
              "match", "u32", "0", "0", "action", "mirred", "egress", "mirror", "dev", HOST2)),
            ((SWITCH, "tc", "qdisc", "delete", "dev", HOST2, "clsact"),),
            do.hairpin(HOST2, on=True).alter,
        ),
        (Code.MACVLAN_PARENT_ISOLATION,),
    ),
)  # fmt: skip

FAULTS = (*REFLECTED, *INTERFACES, *TRUNKS)
