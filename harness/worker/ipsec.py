"""IPsec policies of a node: what must be encrypted, and what may not pass at all.

Formats: <linux/xfrm.h>. A policy's body is a `struct xfrm_userpolicy_info`; numbers in it are the
machine's, addresses and ports are the network's.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

from harness.worker import netlink

NETLINK_XFRM = 6
POLICY_GET, DEFAULT_GET = 0x15, 0x28
"""XFRM_MSG_GETPOLICY, and XFRM_MSG_GETDEFAULT (Linux 5.15)."""
POLICY_ID = 64
"""Octets of a `struct xfrm_userpolicy_id`."""
SELECTOR = struct.Struct("=16s16s4s4sHBBB3xii")
"""`struct xfrm_selector`: to, from, ports there and here with masks, family, lengths of the
prefixes there and here, protocol, interface, user."""
RULE_AT, RULE = SELECTOR.size + 64 + 32, struct.Struct("=IIBB")
"""Priority, index, direction and action, behind the selector and two lifetimes."""
INFO_OCTETS = RULE_AT + 16
TEMPLATES, MARK, TYPE, INTERFACE = 5, 21, 16, 31
"""XFRMA_TMPL, XFRMA_MARK, XFRMA_POLICY_TYPE and XFRMA_IF_ID."""
TEMPLATE_OCTETS, OPTIONAL_AT = 64, 50
"""Of a `struct xfrm_user_tmpl`, and where in it `optional` is."""
WAYS = ("in", "out", "fwd")
"""By their number, as ip-xfrm(8) has them; sockets have policies of their own, with others."""
ACTIONS = ("allow", "block")
BLOCK = 1
"""XFRM_USERPOLICY_BLOCK."""
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
"""Protocols by their number, as ip-xfrm(8) has them; others go by the number."""
OF_ICMP = (1, 58)
"""Protocols that have a type and a code where others have ports."""
FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 16}
"""Octets of an address."""


def policies(node: str) -> tuple[Any, str]:
    """A node's policies, in the order in which they are asked, and the ways that are shut else.

    None where there is neither, or the kernel has no IPsec.
    """
    try:
        bodies = netlink.dump(node, NETLINK_XFRM, POLICY_GET, bytes(POLICY_ID))
        shut = _shut(node)
    except OSError:
        return None, ""
    # Told newest first; of equal priority the oldest is asked first.
    found = [one for one in map(_policy, reversed(bodies)) if one]
    found.sort(key=lambda one: one["priority"])
    if not found and not shut:
        return None, ""
    lines = [one["text"] for one in found] + [f"default dir {way} action block" for way in shut]
    return {"policies": found, "shut": shut}, "".join(f"{line}\n" for line in lines)


def _shut(node: str) -> list[str]:
    """The ways that only what a policy allows may go."""
    try:
        said = netlink.request(node, NETLINK_XFRM, DEFAULT_GET, bytes(4))[0]
    except OSError:  # an older kernel
        return []
    # struct xfrm_userpolicy_default has them in another order.
    return [way for way, value in zip(("in", "fwd", "out"), said) if value == BLOCK]


def _policy(body: bytes) -> Any:
    """One policy; None of one that only some packets are asked for: a socket's, an interface's."""
    to, source, dport, sport, family, to_bits, from_bits, protocol, index, _ = SELECTOR.unpack_from(
        body
    )
    priority, _, way, action = RULE.unpack_from(body, RULE_AT)
    rest = netlink.attributes(body, INFO_OCTETS)
    of_interface = int.from_bytes(rest.get(INTERFACE, b""), sys.byteorder)
    if way >= len(WAYS) or family not in FAMILIES or of_interface or index:
        return None
    octets = FAMILIES[family]
    found = {
        "src": f"{socket.inet_ntop(family, source[:octets])}/{from_bits}",
        "dst": f"{socket.inet_ntop(family, to[:octets])}/{to_bits}",
        "protocol": protocol,
        "sport": _port(sport),
        "dport": _port(dport),
        "dir": WAYS[way],
        "action": ACTIONS[action],
        "priority": priority,
        "encrypts": _encrypts(rest.get(TEMPLATES, b"")),
        "marked": MARK in rest,
    }
    found["selector"] = _selector(found)
    found["text"] = f"{found['selector']} action {found['action']} priority {priority}"
    return found


def _port(octets: bytes) -> Any:
    """A port, None for any: it and its mask."""
    port, mask = struct.unpack("!HH", octets)
    return port if mask else None


def _encrypts(templates: bytes) -> bool:
    """Whether what the policy allows has to go by a transformation."""
    starts = range(0, len(templates) - TEMPLATE_OCTETS + 1, TEMPLATE_OCTETS)
    return any(not templates[start + OPTIONAL_AT] for start in starts)


def _selector(found: Any) -> str:
    """The words by which ip-xfrm(8) finds a policy again."""
    words = ["src", found["src"], "dst", found["dst"]]
    if found["protocol"]:
        words += ["proto", NAMES.get(found["protocol"], str(found["protocol"]))]
    said = ("type", "code") if found["protocol"] in OF_ICMP else ("sport", "dport")
    for word, end in zip(said, ("sport", "dport")):
        words += [word, str(found[end])] if found[end] is not None else []
    return " ".join([*words, "dir", found["dir"]])
