"""What keeps a node's own kernel from sending, though routes and rules let it."""

from __future__ import annotations

from harness.causes import Code
from harness.diagnosis.scene import Finding, Scene
from harness.diagnosis.wire_filters import removal, text

PORT_RANGE, RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"
NO_PORT = "EADDRINUSE"
"""How bind(2) fails where no port is left (`observe` has it in an outcome's detail)."""


def no_port(scene: Scene) -> Finding | None:
    """Whether the source has no port to send from: all that it may choose are reserved."""
    node, state = scene.cell.src, scene.state
    said, reserved = state.sysctl(node, PORT_RANGE), state.sysctl(node, RESERVED)
    if NO_PORT not in scene.verdict.observation.detail or not said or not reserved:
        return None
    low, high = map(int, said.split())
    if not _ports(reserved).issuperset(range(low, high + 1)):
        return None
    message = f"{node} has no port left to send from: {RESERVED} has all of {low} to {high}"
    shown = state.cite(node, "conf")
    return Finding(
        Code.PROBE_NOT_SENT, node, RESERVED, message, f"sysctl -w {RESERVED}=", shown,
    )  # fmt: skip


def _ports(listed: str) -> set[int]:
    """Ports as the kernel lists them: `8080,32768-60999`."""
    found: set[int] = set()
    for one in listed.split(","):
        low, _, high = one.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def full_queue(scene: Scene) -> Finding | None:
    """Whether a queue that somebody gave the node's interface drops what should leave there."""
    node, name = scene.place.node, scene.interface
    dropping = (
        one
        for one in scene.state.filters(node)
        if not one["filter"] and one["interface"] == name and one["dropped"]
    )
    one = next(dropping, None)
    if one is None:
        return None
    message = f"the queue of {node}'s {name} has dropped {one['dropped']} frames: {text(one)}"
    shown = scene.state.cite(node, "tc")
    return Finding(Code.PROBE_NOT_SENT, node, text(one), message, removal(one), shown)


def shot(scene: Scene) -> Finding | None:
    """Whether somebody's tc filter may drop what should leave the node's interface there.

    What the filter looks for nobody can read; that the packet was to leave, and nobody saw it on
    the interface, is what it does.
    """
    node, name = scene.place.node, scene.interface
    filters = (
        one
        for one in scene.state.filters(node)
        if one["filter"] and (one["interface"], one["direction"]) == (name, "egress")
    )
    one = next(filters, None)
    if one is None:
        return None
    message = f"a filter drops what {node} sends by {name}, and nothing else can be it: {text(one)}"
    shown = scene.state.cite(node, "tc")
    return Finding(Code.OUTPUT_DROP, node, text(one), message, removal(one), shown)
