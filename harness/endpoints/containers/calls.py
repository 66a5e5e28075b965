"""Every function that a run's controller calls about containers, where the engines' sockets are.

Each imports what it needs when it is called: the controller imports this module only to name the
functions, and must not pay for what they need where they run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

READINGS = ("docker-networks", "docker-containers", "docker-images", "docker-engine", "docker-log")
WAITING = ("sleep", "1000000000")
"""What a container does: nothing, for 31 years."""
LOOK = "the topology says `may: observe`"
"""Why nothing is taken back where nothing may be changed."""


def apply(plan: list[dict[str, Any]]) -> dict[str, Any]:
    """Carry out steps; see `worker.steps.apply`."""
    from harness.endpoints.containers import operations
    from harness.worker import steps

    return steps.apply(plan, operations.OPERATIONS)


def undo(plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take steps back; see `worker.steps.undo`."""
    from harness.endpoints.containers import operations
    from harness.worker import steps

    return steps.undo(plan, operations.OPERATIONS)


def claim(host: str, who: dict[str, Any], image: str) -> dict[str, Any]:
    """Hold a lab host for a run; see `worker.keeping.claim`. `image` if it carries containers."""
    from harness.worker import keeping

    # What takes back without a connection has the modules by then that it needs.
    _take_back(host, [])
    if image:
        known(host, image)
    return keeping.claim(who, partial(_take_back, host))


def finish(host: str, who: dict[str, Any], may: str) -> dict[str, Any]:
    """Take back what runs have left on a lab host; see `worker.keeping.finish`.

    `may` is what the topology says of it: unless `build`, nothing is done.
    """
    from harness.worker import journal, keeping

    if may != "build":
        steps = journal.entries()
        return {"steps": steps, "failed": [{"step": step, "reason": LOOK} for step in steps]}
    return keeping.finish(who, partial(_take_back, host))


def _take_back(host: str, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take steps back that another lab may have made, whose topology may name this host anew."""
    from harness.worker import survey

    for step in plan:
        if step["do"] != "namespace-delete":
            survey.known_as(host, step["node"])
    return undo(plan)


def state(host: str, image: str) -> dict[str, Any]:
    """All that a run could change of a lab host; see `worker.survey.state`, `inspection.objects`.

    `image` if it carries containers.
    """
    from harness.endpoints.containers import inspection
    from harness.worker import survey

    objects = {"docker": inspection.objects(host)} if image else {}
    return {**survey.state(host), **objects}


def known(host: str, image: str) -> dict[str, Any]:
    """What an engine has already; see `inspection.known`."""
    from harness.endpoints.containers import inspection

    return inspection.known(host, image)


def evidence(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Read (node, kind) pairs, the kinds of `READINGS` included; see `worker.evidence.read`."""
    from harness.endpoints.containers import inspection

    return inspection.evidence(wanted)


def versions(hosts: Sequence[str]) -> list[str]:
    """The engine that runs on each of these hosts, in a line; see `inspection.versions`."""
    from harness.endpoints.containers import inspection

    return inspection.versions(hosts)


def control_group() -> str:
    """The name of the lab's control groups."""
    from harness.worker import engine

    return engine.control_group()


def look(carried: Sequence[Sequence[str]], hosts: Sequence[str]) -> dict[str, Any]:
    """Which containers are there; see `presence.look`."""
    from harness.endpoints.containers import presence

    return presence.look(carried, hosts)


def still(carried: Sequence[Sequence[str]], hosts: Sequence[str]) -> dict[str, Any]:
    """Which of them have not stayed; see `presence.still`."""
    from harness.endpoints.containers import presence

    return presence.still(carried, hosts)


def ping(asked: Sequence[Sequence[str]], nodes: Sequence[str]) -> list[dict[str, Any]]:
    """What scripts that ping print in containers; see `execution.ping`."""
    from harness.endpoints.containers import execution

    return execution.ping(asked, nodes)
