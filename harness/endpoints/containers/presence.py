"""Which containers are there to be tested, and why the others are not.

Told by the engine, or by what it has written down where it does not answer: containers go on
without it, and what still works is to be judged as it is.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

from harness.endpoints.containers import written
from harness.endpoints.containers.client import connected
from harness.worker import engine, namespaces, steps

PATIENCE_S = 5 * engine.SLOWER
"""An engine that takes a connection and says nothing for so long does not answer."""
STOPPED, OFF_NETWORK = "container-not-running", "network-missing"
"""Codes of `harness causes`."""

Place = tuple[str, str, str, str, str]
"""A leg of a container, its host, the network that it is on, its interface there, and whose leg it
is: most containers have one, and its name is theirs."""
Answer = dict[str, Any]

_seen: dict[str, int] = {}
"""The first process of each container that was there when it was last looked."""


def look(carried: Sequence[Sequence[str]], hosts: Sequence[str]) -> Answer:
    """Ask the engines of hosts for containers, and enter again those that were started anew.

    `carried` has a `Place` of each.
    `{"absent": [{"node", "code", "why"}], "anew": [the same], "readings": [...], "silent": [hosts
    whose engine does not answer]}`; a reading as `worker.evidence.read` has it.
    """
    found: Answer = {"absent": [], "anew": [], "readings": [], "silent": []}
    for host in hosts:
        mine = [one for one in carried if one[1] == host]
        said, networks, states = _asked(host, list(dict.fromkeys(one[4] for one in mine)))
        found["readings"] += _of_engine(host, said, networks)
        found["silent"] += [host] if networks is None else []
        for name, _, network, interface, container in mine:
            place = (name, host, network, interface, container)
            _container(found, place, states[container], networks)
    return found


def still(carried: Sequence[Sequence[str]], hosts: Sequence[str]) -> Answer:
    """The same after a sweep: nothing, and at once, if all that was there has stayed."""
    if all(_stays(name, interface) for name, _, _, interface, _ in carried if name in _seen):
        return {"absent": [], "anew": [], "readings": [], "silent": []}
    return look(carried, hosts)


def _asked(host: str, names: list[str]) -> tuple[str, list[str] | None, dict[str, Answer]]:
    """What an engine says: its version or why it says nothing, its networks, its containers."""
    import docker

    states = {}
    try:
        with connected(host, PATIENCE_S) as client:
            api = client.api
            networks = [one["Name"] for one in api.networks()]
            for name in names:
                try:
                    states[name] = api.inspect_container(name)["State"]
                except docker.errors.NotFound:
                    states[name] = {}
            return f"Docker {client.version()['Version']}", networks, states
    except OSError:
        known = {name: written.container(host, name) or {} for name in names}
        return f"the engine of {host} does not answer: {_silence(host)}", None, known


def _silence(host: str) -> str:
    with socket.socket(socket.AF_UNIX) as opened:
        number = opened.connect_ex(engine.path(host, "sock"))
    return os.strerror(number) if number else f"nothing within {PATIENCE_S} s"


def _container(found: Answer, place: Place, state: Answer, networks: list[str] | None) -> None:
    """Put down what is to be said of one container."""
    name, host, network, interface, container = place
    pid, anew, on_network = state["Pid"] if state.get("Running") else 0, False, False
    try:
        anew = bool(pid) and _entered(name, pid)
        on_network = bool(pid) and _has(name, interface)
    except OSError:  # it ended since its engine was asked
        pid, state = 0, {**state, "Running": False, "Status": "just ended", "ExitCode": None}
    code, why = _problem(place, state, networks, on_network=on_network)
    if pid and not code:
        _seen[name] = pid
    else:
        _seen.pop(name, None)
    if code:
        found["absent"].append({"node": name, "code": code, "why": why})
    elif anew:
        again = f"the container {container} on {host} was started anew while it was tested"
        found["anew"].append({"node": name, "code": STOPPED, "why": again})
    if not pid:
        steps.let_go(name)
    parsed = {
        "host": host, "network": network, "interface": interface, "on_network": on_network,
        "running": bool(pid), "state": state.get("Status") or ("running" if pid else None),
        "exit_code": state.get("ExitCode"), "code": code or None, "why": why or None,
    }  # fmt: skip
    found["readings"].append(
        _reading(
            name, "container", f"docker inspect {container}", parsed, {**parsed, "State": state}
        )
    )


def _problem(
    place: Place, state: Answer, networks: list[str] | None, *, on_network: bool
) -> tuple[str, str]:
    """Code and sentence of why a container cannot be tested; two empty ones if it can."""
    _, host, network, _, name = place
    container = f"the container {name} on {host}"
    if not state:
        said = f"{container} is not there any more"
    elif not state["Running"]:
        code = state["ExitCode"]
        words = [state.get("Status"), None if code is None else f"exit code {code}"]
        said = f"{container} does not run ({', '.join(filter(None, words)) or 'it was killed'})"
    elif on_network:
        return "", ""
    else:
        said = f"{container} is not on its network {network}"
    if networks is None:
        said += f", and the engine of {host} does not answer"
    elif network not in networks:
        return OFF_NETWORK, f"{said}, and the network {network} is missing on {host}"
    running = state and state["Running"]
    return (OFF_NETWORK if running else STOPPED), said


def _entered(name: str, pid: int) -> bool:
    """Whether a container is in another namespace than the one that has its name; now it has."""
    try:
        if namespaces.is_of(name, pid):
            return False
    except FileNotFoundError:
        pass
    steps.let_go(name)
    namespaces.adopt(name, pid)
    return True


def _stays(name: str, interface: str) -> bool:
    """Whether a container's first process is still in its namespace, and the interface too."""
    try:
        return namespaces.is_of(name, _seen[name]) and _has(name, interface)
    except OSError:
        return False


def _has(name: str, interface: str) -> bool:
    with namespaces.entered(name):
        return interface in [known for _, known in socket.if_nameindex()]


def _of_engine(host: str, said: str, networks: list[str] | None) -> list[Answer]:
    answers = networks is not None
    found = [_reading(host, "engine", "docker version", {"answers": answers, "said": said})]
    if answers:
        found.append(_reading(host, "network", "docker network ls", networks))
    return found


def _reading(node: str, kind: str, command: str, parsed: Any, raw: Any = None) -> Answer:
    text = json.dumps(parsed if raw is None else raw, indent=2) + "\n"
    return {"node": node, "kind": kind, "command": command, "parsed": parsed, "raw": text}
