"""Faults of containers and their engine, on the docker backend."""

from __future__ import annotations

from functools import partial

from harness.causes import Code
from harness.faults.change import Change, without
from harness.faults.fault import Fault

Docker = partial(Fault, backend="docker")


def _off_network(node: str, host: str, network: str, address: str, *how: str) -> Change:
    """A container off its network; back on it, its interface has its name after a restart."""
    head = (host, "docker", "network")
    return without(
        node,
        (*head, "disconnect", *how, network, node),
        undo=(
            (*head, "connect", "--ip", address, network, node),
            (host, "docker", "restart", "--time", "0", node),
        ),
    )


def _engine(host: str, gone: str, *commands: tuple[str, ...]) -> Change:
    """An engine that does not answer, and containers of its own that ended; all are started."""
    carried = {"host1": ("bbox1", "bbox2"), "host2": ("bbox3", "bbox4")}[host]
    return without(
        gone,
        *((host, *words) for words in commands),
        undo=((host, "systemctl", "restart", "docker"), (host, "docker", "start", *carried)),
    )


FAULTS = (
    Docker(
        "container-not-running",
        "The container bbox1 is stopped.",
        without(
            "bbox1", ("host1", "docker", "stop", "--time", "0", "bbox1"),
            undo=(("host1", "docker", "start", "bbox1"),),
        ),
        (Code.CONTAINER_NOT_RUNNING,),
    ),
    Docker(
        "container-killed",
        "The container bbox4 was killed.",
        without(
            "bbox4", ("host2", "docker", "kill", "bbox4"),
            undo=(("host2", "docker", "start", "bbox4"),),
        ),
        (Code.CONTAINER_NOT_RUNNING,),
    ),
    Docker(
        "network-missing",
        "The container bbox3 is taken off its network.",
        _off_network("bbox3", "host2", "mac_net10", "172.16.10.11"),
        (Code.NETWORK_MISSING,),
    ),
    Docker(
        "network-missing-on-host1",
        "The container bbox2 is taken off its network by force.",
        _off_network("bbox2", "host1", "mac_net20", "172.16.20.10", "--force"),
        (Code.NETWORK_MISSING,),
    ),
    Docker(
        "network-removed",
        "The network mac_net20 is removed from host2, and bbox4 is on none.",
        without(
            "bbox4",
            ("host2", "docker", "network", "disconnect", "mac_net20", "bbox4"),
            ("host2", "docker", "network", "rm", "mac_net20"),
            undo=(
                ("host2", "docker", "network", "create", "--driver", "macvlan", "--subnet",
                 "172.16.20.0/24", "--gateway", "172.16.20.1", "-o", "parent=eth2.20",
                 "-o", "macvlan_mode=bridge", "mac_net20"),
                ("host2", "docker", "network", "connect", "--ip", "172.16.20.11", "mac_net20",
                 "bbox4"),
                ("host2", "docker", "restart", "--time", "0", "bbox4"),
            ),
        ),
        (Code.NETWORK_MISSING,),
    ),
    Docker(
        "engine-down",
        "host1's engine is stopped, and its containers with it.",
        _engine("host1", "bbox1 bbox2", ("systemctl", "stop", "docker")),
        (Code.ENGINE_DOWN,),
    ),
    Docker(
        "engine-down-it-hangs",
        "host2's engine hangs, and the container bbox3 has ended.",
        _engine(
            "host2", "bbox3",
            ("docker", "kill", "bbox3"),
            ("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "docker"),
        ),
        (Code.ENGINE_DOWN,),
    ),
)  # fmt: skip
