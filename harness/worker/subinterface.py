"""A VLAN sub-interface as somebody makes it by hand, whatever it is made of. Run on its node.

- `python -m harness.worker.subinterface add TRUNK NAME VLAN MTU`: make one that was deleted
- `python -m harness.worker.subinterface move TRUNK NAME OLD NEW`: give it another VLAN, as somebody
  would who mistyped it. It keeps what is on it, which ip(8) could not: an 802.1Q link that is there
  has its VLAN for good. So this is for `tc-bpf` only.
"""

from __future__ import annotations

import contextlib
import sys

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from harness.worker import vlan


def add(trunk: str, name: str, vlan_id: str, mtu: str) -> None:
    """Make a sub-interface; of one that was deleted the trunk may still have a program."""
    with IPRoute() as netlink:
        parent = netlink.link_lookup(ifname=trunk)[0]
        if netlink.link_lookup(ifname=name):
            raise SystemExit(f"{name} is there already")
        with contextlib.suppress(NetlinkError):
            netlink.tc("del-filter", "bpf", index=parent, parent=vlan.INGRESS, prio=int(vlan_id))
        vlan.join(netlink, parent, vlan.SubInterface(int(vlan_id), name, int(mtu)))


def move(trunk: str, name: str, old: str, new: str) -> None:
    """Replace the programs that push and pop the tag, and rename what tells which it is."""
    with IPRoute() as netlink:
        parent = netlink.link_lookup(ifname=trunk)[0]
        found = netlink.link_lookup(ifname=f"vlan{old}")
        if not found:
            raise SystemExit(f"{name} is no sub-interface made of tc and BPF for VLAN {old}")
        vlan.rejoin(netlink, parent, found[0], int(old), int(new))


if __name__ == "__main__":
    {"add": add, "move": move}[sys.argv[1]](*sys.argv[2:])
