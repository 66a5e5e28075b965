"""VLAN sub-interfaces: `8021q` where the kernel has it, else the same made of tc and BPF.

With `tc-bpf`, `eth2.10` is one end of a veth pair. Its peer, on the same host, pushes the tag and
redirects to the trunk; the trunk's ingress pops the tag and redirects to the peer. The wire carries
real 802.1Q frames either way.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from harness.worker import bpf, namespaces

INGRESS = "ffff:fff2"
"""tc(8)'s handle of clsact's ingress, and of its egress below."""
EGRESS = "ffff:fff3"
TPID = 0x8100
"""IEEE 802.1Q's tag protocol identifier."""

NOT_ALLOWED = (
    "this kernel makes no 802.1Q links, and the BPF programs that do instead take the machine's "
    "own CAP_BPF and CAP_NET_ADMIN, which neither an ordinary user nor a container's root has; run "
    "it with sudo, or have root load 8021q where the kernel has that module (modprobe 8021q)"
)

_datapath: list[str | None] = [None]


class NotAllowed(PermissionError):
    """The kernel has no 802.1Q links, and BPF programs are not this worker's to load."""


def datapath() -> str:
    """`8021q` or `tc-bpf`: what the first sub-interface took, else asked of the kernel apart."""
    found = _datapath[0] or ("8021q" if _kernel_has_8021q() else "tc-bpf")
    _datapath[0] = found
    return found


class NotOurs(OSError):
    """Something has the name of what a run made, but not its mark."""


class SubInterface(NamedTuple):
    """A VLAN sub-interface that is to be made; `mark` becomes its alias."""

    id: int
    name: str
    mtu: int
    mark: str = ""

    @property
    def first_name(self) -> str:
        """What it is called until it has its mark: nobody else's is called so.

        The kernel takes no alias with a new link, and whoever is killed between the two must leave
        something that is known for the run's own.
        """
        return f"h-{self.mark.rpartition('-')[2]}.{self.id}" if self.mark else self.name


def add(node: str, parent: str, made: SubInterface) -> None:
    """Make a VLAN sub-interface of the trunk and bring it up; its MAC is the trunk's."""
    netlink = namespaces.route(node)
    join(netlink, netlink.link_lookup(ifname=parent)[0], made)


def join(netlink: Any, trunk: int, made: SubInterface) -> None:
    """The same by the index of the trunk, where `netlink` is."""
    if _datapath[0] != "tc-bpf" and _added_8021q(netlink, trunk, made):
        _datapath[0] = "8021q"
    else:
        _add_bpf(netlink, trunk, made)
        _datapath[0] = "tc-bpf"


def delete(node: str, parent: str, vlan_id: int, name: str, mark: str = "") -> None:
    """Take a sub-interface away again, also one that is only half made; nothing if there is none.

    NotOurs if it has not the mark, unless there is none to have.
    """
    netlink, made = namespaces.route(node), SubInterface(vlan_id, name, 0, mark)
    for unmarked in netlink.link_lookup(ifname=made.first_name) if mark else ():
        netlink.link("del", index=unmarked)
    for own in netlink.link_lookup(ifname=name):
        if mark and netlink.get_links(own)[0].get("ifalias") != mark:
            raise NotOurs(f"{name} on {node} has not the alias {mark}: it is somebody else's")
        for trunk in netlink.link_lookup(ifname=parent):
            if _kind(netlink, own) == "veth":
                _take_filter(netlink, trunk, vlan_id)
        netlink.link("del", index=own)


def _marked(netlink: Any, made: SubInterface) -> int:
    """Give a new link its mark, then its name; its index."""
    index: int = netlink.link_lookup(ifname=made.first_name)[0]
    if made.mark:
        netlink.link("set", index=index, ifalias=made.mark)
        netlink.link("set", index=index, ifname=made.name)
    return index


def _kind(netlink: Any, index: int) -> str | None:
    kind: str | None = netlink.get_links(index)[0].get(("linkinfo", "kind"))
    return kind


def _take_filter(netlink: Any, trunk: int, vlan_id: int) -> None:
    """Take a VLAN's filter from the trunk, and with the last one clsact: empty it decides nothing.

    A filter's `info` has its priority in the upper 16 bits (<linux/pkt_sched.h>).
    """
    if not any(one.get("kind") == "clsact" for one in netlink.get_qdiscs(index=trunk)):
        return
    ingress = list(netlink.get_filters(index=trunk, parent=INGRESS))
    if any(one["info"] >> 16 == vlan_id for one in ingress):
        netlink.tc("del-filter", "bpf", index=trunk, parent=INGRESS, prio=vlan_id)
    if not any(list(netlink.get_filters(index=trunk, parent=hook)) for hook in (INGRESS, EGRESS)):
        netlink.tc("del", "clsact", index=trunk)


def id_behind(peer: str | None) -> int | None:
    """The VLAN of a sub-interface by the far end of its veth pair; None if it is none of these."""
    digits = (peer or "").partition("vlan")[2]
    return int(digits) if peer == f"vlan{digits}" and digits.isdecimal() else None


def rejoin(netlink: Any, trunk: int, peer: int, old: int, new: int) -> None:
    """Have the far end of a sub-interface's veth pair push and pop another VLAN's tag."""
    netlink.link("set", index=peer, ifname=f"vlan{new}")
    netlink.tc("del-filter", "bpf", index=peer, parent=INGRESS, prio=1)
    netlink.tc("del-filter", "bpf", index=trunk, parent=INGRESS, prio=old)
    _attach(netlink, peer, 1, _push(new, trunk))
    _attach(netlink, trunk, new, _pop(new, peer))


def _kernel_has_8021q() -> bool:
    """Try it where it is nobody's business."""
    with namespaces.aside() as node, namespaces.entered(node), IPRoute() as netlink:
        netlink.link("add", ifname="ask0", kind="veth", peer={"ifname": "ask1"})
        parent = netlink.link_lookup(ifname="ask0")[0]
        netlink.link("set", index=parent, state="up")  # what is on it cannot be up before
        try:
            return _added_8021q(netlink, parent, SubInterface(2, "ask0.2", 1500))
        finally:
            netlink.link("del", index=parent)


def _added_8021q(netlink: Any, trunk: int, made: SubInterface) -> bool:
    """Make an 802.1Q link; False if the kernel does not know the kind."""
    try:
        netlink.link(
            "add", ifname=made.first_name, kind="vlan", link=trunk, vlan_id=made.id, mtu=made.mtu
        )
    except NetlinkError as error:
        if error.code == errno.EOPNOTSUPP:
            return False
        raise
    netlink.link("set", index=_marked(netlink, made), state="up")
    return True


def _add_bpf(netlink: Any, trunk: int, made: SubInterface) -> None:
    link = netlink.get_links(trunk)[0]
    mac = link.get("address")
    peer_name = f"vlan{made.id}"
    far = {"ifname": peer_name, "mtu": link.get("mtu")}
    netlink.link("add", ifname=made.first_name, kind="veth", address=mac, mtu=made.mtu, peer=far)
    own, peer = _marked(netlink, made), netlink.link_lookup(ifname=peer_name)[0]
    if made.mark:
        netlink.link("set", index=peer, ifalias=made.mark)
    _attach(netlink, peer, 1, _push(made.id, trunk))
    _attach(netlink, trunk, made.id, _pop(made.id, peer))
    for index in (peer, own):
        netlink.link("set", index=index, state="up")


def _attach(netlink: Any, index: int, priority: int, program: list[bpf.Instruction]) -> None:
    try:
        bpf.attach(netlink, index, (INGRESS, priority, "harness"), program)
    except PermissionError as error:
        raise NotAllowed(error.errno, NOT_ALLOWED) from error


def _push(vlan_id: int, trunk: int) -> list[bpf.Instruction]:
    return [
        bpf.mov(2, socket.htons(TPID)),
        bpf.mov(3, vlan_id),
        bpf.call(bpf.VLAN_PUSH),
        bpf.jump_equal(0, 0, 2),
        bpf.mov(0, bpf.ACT_SHOT),
        bpf.leave(),
        *_redirect(trunk),
    ]


def _pop(vlan_id: int, peer: int) -> list[bpf.Instruction]:
    return [
        *bpf.only_vlan(vlan_id),
        bpf.mov_register(1, 6),
        bpf.call(bpf.VLAN_POP),
        *_redirect(peer),
    ]


def _redirect(index: int) -> list[bpf.Instruction]:
    """End by sending the frame out of an interface; `bpf_redirect` gives the action to return."""
    return [bpf.mov(1, index), bpf.mov(2, 0), bpf.call(bpf.REDIRECT), bpf.leave()]
