"""What keeps a node's own kernel from sending, though routes and rules let it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    one = _there(scene, lambda one: not one["filter"] and one["dropped"])
    if one is None:
        return None
    what = f"the queue of {scene.place.node}'s {scene.interface}"
    message = f"{what} has dropped {one['dropped']} frames: {text(one)}"
    return _of(scene, Code.PROBE_NOT_SENT, one, message)


def shot(scene: Scene) -> Finding | None:
    """Whether somebody's tc filter may drop what should leave the node's interface there.

    What the filter looks for nobody can read; that the packet was to leave, and nobody saw it on
    the interface, is what it does.
    """
    one = _there(scene, lambda one: one["filter"] and one["direction"] == "egress")
    if one is None:
        return None
    what = f"a filter drops what {scene.place.node} sends by {scene.interface}"
    return _of(scene, Code.OUTPUT_DROP, one, f"{what}, and nothing else can be it: {text(one)}")


def _there(scene: Scene, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The first filter or queue of the scene's interface that is one of the wanted."""
    every = scene.state.filters(scene.place.node)
    return next((one for one in every if one["interface"] == scene.interface and wanted(one)), None)


def _of(scene: Scene, code: Code, one: dict[str, Any], message: str) -> Finding:
    node = scene.place.node
    return Finding(code, node, text(one), message, removal(one), scene.state.cite(node, "tc"))
