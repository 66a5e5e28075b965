"""Faults of containers and their engine, on the docker backend."""

from __future__ import annotations

from functools import partial

from harness.causes import Code
from harness.faults.change import Change
from harness.faults.fault import Fault
from harness.testing.state import State

CONNECT = ("docker", "network", "connect")
Docker = partial(Fault, backend="docker")


def _without_interface(
    node: str, *commands: tuple[str, ...], undo: tuple[tuple[str, ...], ...]
) -> Change:
    """A container without its interface, as far as frames know."""

    def alter(state: State) -> None:
        del state.nodes[node].links["eth0"]

    return Change(commands, undo, alter)


FAULTS = (
    Docker(
        "container-not-running",
        "The container bbox1 is stopped.",
        _without_interface(
            "bbox1", ("host1", "docker", "stop", "--time", "0", "bbox1"),
            undo=(("host1", "docker", "start", "bbox1"),),
        ),
        (Code.CONTAINER_NOT_RUNNING,),
    ),
    Docker(
        "container-killed",
        "The container bbox4 was killed.",
        _without_interface(
            "bbox4", ("host2", "docker", "kill", "bbox4"),
            undo=(("host2", "docker", "start", "bbox4"),),
        ),
        (Code.CONTAINER_NOT_RUNNING,),
    ),
    Docker(
        "network-missing",
        "The container bbox3 is taken off its network.",
        _without_interface(
            "bbox3", ("host2", "docker", "network", "disconnect", "mac_net10", "bbox3"),
            undo=(
                ("host2", *CONNECT, "--ip", "172.16.10.11", "mac_net10", "bbox3"),
                ("host2", "docker", "restart", "--time", "0", "bbox3"),
            ),
        ),
        (Code.NETWORK_MISSING,),
    ),
)  # fmt: skip
