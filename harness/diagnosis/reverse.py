"""What a node drops because it would answer by another way (rp_filter, RFC 3704)."""

from __future__ import annotations

from dataclasses import replace

from harness.causes import Code
from harness.diagnosis import routing
from harness.diagnosis.scene import Finding, Scene, assigned

LOOSE = 2
"""rp_filter: any way back will do."""
FAMILIES = ("ip", "arp")
"""What is held against the way back; of ARP that is a question, by its sender's address."""


def path(scene: Scene) -> Finding | None:
    """Whether rp_filter drops the packet, because its source is routed elsewhere.

    Where that route is not the one that must be there, the route is at fault.
    """
    node, flow, state = scene.place.node, scene.place.flow, scene.state
    if scene.is_ipv6 or not flow.src or flow.family not in FAMILIES:
        return None
    mode = state.both(node, "rp_filter", scene.interface)
    back = state.routes(node, flow.src) if mode else []
    through = back[0]["interface"] if back else None
    if not mode or through == scene.interface or (mode == LOOSE and through):
        return None
    what = f"what comes from {flow.src} in {scene.interface}"
    astray = routing.back(scene, node, flow.src)
    if astray:
        return replace(astray, message=f"{astray.message}; by rp_filter it drops {what}")
    named = [
        key
        for key in (f"net.ipv4.conf.{name}.rp_filter" for name in ("all", scene.interface))
        if state.sysctl(node, key) not in (None, "0")
    ]
    fix = " && ".join(assigned(key, 0) for key in named)
    way = f"by way of {through}" if through else "nowhere"
    message = f"{node} drops {what}, because its route back is {way}: {named[0]} is {mode}"
    shown = state.cite(node, "conf", "tables")
    return Finding(Code.RP_FILTER_DROP, node, named[0], message, fix, shown)
