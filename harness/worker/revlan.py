"""Give a VLAN sub-interface another VLAN, as somebody would who mistyped it. Run on its node.

`python -m harness.worker.revlan TRUNK NAME OLD NEW` keeps what is on the sub-interface, which
ip(8) could not: an 802.1Q link that is there has its VLAN for good. So this is for `tc-bpf`.
"""

from __future__ import annotations

import sys

from pyroute2 import IPRoute

from harness.worker import vlan


def main(trunk: str, name: str, old: str, new: str) -> None:
    """Replace the programs that push and pop the tag, and rename what tells which it is."""
    with IPRoute() as netlink:
        parent = netlink.link_lookup(ifname=trunk)[0]
        found = netlink.link_lookup(ifname=f"vlan{old}")
        if not found:
            raise SystemExit(f"{name} is no sub-interface made of tc and BPF for VLAN {old}")
        vlan.rejoin(netlink, parent, found[0], int(old), int(new))


if __name__ == "__main__":
    main(*sys.argv[1:])
