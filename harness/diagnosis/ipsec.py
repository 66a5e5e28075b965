"""What IPsec policies do with packets that are not encrypted, as no probe is."""

from __future__ import annotations

from typing import Any

from harness.causes import Code
from harness.diagnosis.filtering import ECHO_PORT, ICMP_TYPES, PROTOCOLS, Flow
from harness.diagnosis.scene import Finding, Scene
from harness.diagnosis.state import within

IN, OUT, FORWARD = "in", "out", "fwd"
"""Where a node asks its policies: of what it receives, sends and forwards."""


def blocked(scene: Scene, node: str, flow: Flow, way: str) -> Finding | None:
    """The policy of a node that ends a packet on this way, or that none lets it pass."""
    known = scene.state.reading(node, "xfrm")
    if not known or flow.family not in ("ip", "ip6"):
        return None
    shown = scene.state.cite(node, "xfrm")
    policy = next((one for one in known["policies"] if _takes(one, flow, way)), None)
    if policy is None:
        if way not in known["shut"]:
            return None
        message = f"{node} lets nothing pass ({way}) that no IPsec policy allows"
        fix = f"ip xfrm policy setdefault {way} accept"
        subject = f"default dir {way} action block"
        return Finding(Code.IPSEC_POLICY_BLOCK, node, subject, message, fix, shown)
    if policy["action"] == "allow" and not policy["encrypts"]:
        return None
    does = "blocks it" if policy["action"] == "block" else "lets it pass encrypted only"
    message = f"{node}'s IPsec policy {does}: {policy['text']}"
    fix = f"ip xfrm policy delete {policy['selector']}"
    return Finding(Code.IPSEC_POLICY_BLOCK, node, policy["text"], message, fix, shown)


def _takes(policy: dict[str, Any], flow: Flow, way: str) -> bool:
    """Whether a policy is the packet's: nothing is known of its mark and its ephemeral port.

    Of ICMP a policy has the type and the code where it has ports of others.
    """
    if policy["dir"] != way or policy["marked"]:
        return False
    if not (within(flow.src, policy["src"]) and within(flow.dst, policy["dst"])):
        return False
    if policy["protocol"] and str(policy["protocol"]) not in PROTOCOLS.get(flow.protocol, ()):
        return False
    known: tuple[int | None, int | None]
    ports = (policy["sport"], policy["dport"])
    types = ICMP_TYPES.get((flow.protocol, flow.is_reply))
    if types:
        known = (int(types[0]), 0)
    else:
        known = (ECHO_PORT, None) if flow.is_reply else (None, ECHO_PORT)
    return all(wanted in (None, port) for wanted, port in zip(ports, known, strict=True))
