"""Change a lab that runs: containers restarted, removed, reconnected, engines restarted.

Whatever gives a container another namespace comes after `let-go`: what this worker has open in the
old one would be read as the new one's, and would keep the old one alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.endpoints.containers import operations
from harness.endpoints.containers.client import connected
from harness.worker import engine, namespaces, neighbours, steps

DEADLINE_S = 10.0
"""An engine reads its settings again in some milliseconds."""
STEP_S = 0.01
NO_CARRIER = ("DOWN", "LOWERLAYERDOWN")
"""RFC 2863's states, as the kernel has them, of an interface whose parent is down."""

Step = dict[str, Any]


def apply(plan: list[Step]) -> dict[str, Any]:
    """Carry out steps; see `worker.steps.apply`."""
    return steps.apply(plan, {**operations.OPERATIONS, **OPERATIONS})


def running(host: str) -> list[str]:
    """The names of the containers that run on a host."""
    with connected(host) as client:
        return [name.lstrip("/") for one in client.api.containers() for name in one["Names"]]


def forget_neighbours(nodes: list[str]) -> None:
    """Have nodes forget what they have learned of others' MAC addresses."""
    neighbours.flush(nodes)


def age_neighbours(node: str) -> None:
    """Have a node take what it has learned of others' MAC addresses for old."""
    neighbours.age(node)


def _let_go(step: Step) -> None:
    for node in step["nodes"]:
        steps.let_go(node)


def _docker(step: Step) -> None:
    with connected(step["node"]) as client:
        VERBS[step["verb"]](client.api, step)


def _restart(api: Any, step: Step) -> None:
    api.restart(step["name"], timeout=0)


def _stop(api: Any, step: Step) -> None:
    api.stop(step["name"], timeout=0)


def _start(api: Any, step: Step) -> None:
    api.start(step["name"])


def _remove(api: Any, step: Step) -> None:
    api.remove_container(step["name"], force=True)


def _remove_network(api: Any, step: Step) -> None:
    api.remove_network(step["name"])


def _disconnect(api: Any, step: Step) -> None:
    api.disconnect_container_from_network(step["name"], step["network"])


def _connect(api: Any, step: Step) -> None:
    api.connect_container_to_network(
        step["name"], step["network"], ipv4_address=step["address"],
        ipv6_address=step["address6"], mac_address=step["mac"],
    )  # fmt: skip


def _execute(api: Any, step: Step) -> None:
    made = api.exec_create(step["name"], step["command"])
    api.exec_start(made["Id"], detach=True)


def _engine_restart(step: Step) -> None:
    """Restart an engine, which reads first whether its containers are to survive that."""
    host, wanted = step["node"], step["live_restore"]
    engine.configure(host, {"live-restore": wanted})
    deadline = time.monotonic() + DEADLINE_S
    while _live_restore(host) != wanted:
        if time.monotonic() > deadline:
            raise OSError(f"dockerd on {host} did not take live-restore within {DEADLINE_S:.0f} s")
        time.sleep(STEP_S)
    engine.restart(host, step["bridge"])
    engine.wait(host)


def _service(step: Step) -> None:
    """What systemctl(1) would do to an engine, where it runs one."""
    host = step["node"]
    SERVICE[step["verb"]](host)
    if step["verb"] == "restart":
        engine.wait(host)


def _live_restore(host: str) -> bool:
    with connected(host) as client:
        return bool(client.api.info()["LiveRestoreEnabled"])


def _carrier(step: Step) -> None:
    """An engine starts a container on a parent that is down, and says nothing."""
    links = [link for link in namespaces.route(step["node"]).get_links() if link["index"] != 1]
    for link in links:
        if link.get("operstate") in NO_CARRIER:
            host, parent = step["host"], step["parent"]
            raise OSError(
                f"{step['node']} on {host} runs, but its interface has no carrier: the parent "
                f"{parent} is down, of which the engine says nothing; "
                f"`ip link set {parent} up` on {host}"
            )


VERBS: dict[str, Callable[[Any, Step], None]] = {
    "restart": _restart,
    "stop": _stop,
    "start": _start,
    "remove": _remove,
    "remove-network": _remove_network,
    "disconnect": _disconnect,
    "connect": _connect,
    "execute": _execute,
}
SERVICE: dict[str, Callable[[str], None]] = {
    "stop": engine.stop,
    "restart": engine.restart,
    "kill": engine.halt,
}
OPERATIONS: dict[str, Callable[[Step], None]] = {
    "let-go": _let_go,
    "docker": _docker,
    "engine-restart": _engine_restart,
    "engine-service": _service,
    "carrier": _carrier,
}
