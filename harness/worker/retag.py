"""Make an interface misbehave, a switch port say: change the tag of what leaves it.

- `python -m harness.worker.retag PORT FROM TO`: frames of VLAN FROM leave as VLAN TO
- `python -m harness.worker.retag PORT FROM native`: frames of VLAN FROM leave untagged
- `python -m harness.worker.retag PORT undo`
"""

from __future__ import annotations

import socket
import sys

from pyroute2 import IPRoute

from harness.worker import bpf

EGRESS = "ffff:fff3"
"""tc(8)'s handle of clsact's egress."""
PRIORITY = 1


def program(found: int, made: int | None) -> list[bpf.Instruction]:
    """Pop the tag of VLAN `found`, and push that of `made` unless it is None."""
    push = [
        bpf.mov_register(1, 6),
        bpf.mov(2, socket.htons(0x8100)),
        bpf.mov(3, made or 0),
        bpf.call(bpf.VLAN_PUSH),
    ]
    return [
        *bpf.only_vlan(found),
        bpf.mov_register(1, 6),
        bpf.call(bpf.VLAN_POP),
        *(push if made is not None else []),
        bpf.mov(0, bpf.ACT_UNSPEC),
        bpf.leave(),
    ]


def main(port: str, found: str, made: str = "") -> None:
    """Attach the program to a port's egress, or take it away; a VLAN sub-interface stays."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=port)[0]
        if found == "undo":
            netlink.tc("del-filter", "bpf", index=index, parent=EGRESS, prio=PRIORITY)
            return
        tag = None if made == "native" else int(made)
        bpf.attach(netlink, index, (EGRESS, PRIORITY, "rewrite"), program(int(found), tag))


if __name__ == "__main__":
    main(*sys.argv[1:])
