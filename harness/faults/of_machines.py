"""Faults of a kernel's own limits, which hold for all namespaces: they take a virtual machine."""

from __future__ import annotations

from functools import partial

from harness.causes import Code
from harness.faults.change import Alter, Change, Lost
from harness.faults.fault import Fault
from harness.faults.filters import alters, lost_in, lost_out
from harness.frame import Packet
from harness.frame.ipv6 import ADVERTISEMENT
from harness.machines.vm_guest import MACHINE_NET
from harness.testing.state import State

OfMachine = partial(Fault, machine=True, steady=False)


def _limit(key: str, value: int, alter: Alter) -> Change:
    """Set a limit of the kernel that no other namespace may set; what it was is kept beside."""
    head = ("gateway", "nsenter", f"--net={MACHINE_NET}", "sh", "-c")
    was = f"{MACHINE_NET}-{key}"
    return Change(
        ((*head, f"sysctl -n {key} > {was} && sysctl -w {key}={value}"),),
        ((*head, f'sysctl -w {key}="$(cat {was})"'),),
        alter,
    )


def _tracked(packet: Packet) -> bool:
    return packet.src_ip is not None and not packet.nd_target


def _to_a_neighbour(packet: Packet) -> bool:
    """Also an answer to who asks for an address: the kernel wants an entry of whom it answers."""
    answers = packet.icmp_type == ADVERTISEMENT
    return ":" in str(packet.src_ip) and (answers or not packet.nd_target)


def _untracked() -> Alter:
    """What the gateway has no room to track is lost: all that it takes in or sends."""
    names = "eth2.10", "eth2.20"
    ways = (lost_in, lost_out)
    return alters(*(lost("gateway", name, _tracked) for name in names for lost in ways))


def _unresolved(lost: Lost) -> Alter:
    """No node finds room for the MAC address of another: nothing leaves by way of one."""

    def alter(state: State) -> None:
        for node in state.nodes.values():
            for link in node.links.values():
                if link.addresses:
                    link.loses_out.append(lost)

    return alter


ONE_FLOW = _limit("net.netfilter.nf_conntrack_max", 1, _untracked())
FAULTS = (
    OfMachine(
        "neighbour-overflow",
        "The kernel has room for no neighbour entry of IPv4.",
        _limit(
            "net.ipv4.neigh.default.gc_thresh3", 0,
            _unresolved(lambda packet: _tracked(packet) and ":" not in str(packet.src_ip)),
        ),
        (Code.NEIGHBOUR_OVERFLOW,),
    ),
    OfMachine(
        "neighbour-overflow-of-ipv6",
        "The kernel has room for no neighbour entry of IPv6.",
        _limit("net.ipv6.neigh.default.gc_thresh3", 0, _unresolved(_to_a_neighbour)),
        (Code.NEIGHBOUR_OVERFLOW,),
        topology="dual-stack",
    ),
    OfMachine(
        "conntrack-full",
        "The gateway may track one flow.",
        ONE_FLOW,
        (Code.CONNTRACK_FULL,),
    ),
    OfMachine(
        "conntrack-full-beside-rules",
        "The gateway may track one flow, and has rules for flows that it tracks.",
        ONE_FLOW,
        (Code.CONNTRACK_FULL,),
        topology="forward-policy-drop",
    ),
)  # fmt: skip
