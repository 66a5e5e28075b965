"""Connection tracking: forget what it knows, as `conntrack -F` does."""

from __future__ import annotations

import contextlib
import socket
import struct

from harness.worker import netlink

NETLINK_NETFILTER = 12
DELETE = 1 << 8 | 2
"""NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_DELETE (<linux/netfilter/nfnetlink_conntrack.h>)."""
EVERYTHING = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
"""`struct nfgenmsg` alone, without a tuple: every entry."""


def forget(nodes: list[str]) -> None:
    """Delete every entry of the nodes; where nothing is tracked there is none."""
    for node in nodes:
        with contextlib.suppress(OSError):
            netlink.request(node, NETLINK_NETFILTER, DELETE, EVERYTHING)
