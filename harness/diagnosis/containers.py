"""What a container engine says of an endpoint, where one carries it."""

from __future__ import annotations

from typing import Any

from harness.causes import Code
from harness.diagnosis.scene import Finding, Lab


def state_of(lab: Lab, node: str) -> Finding | None:
    """Whether an endpoint's container runs, on its network, of an engine that answers."""
    end = lab.endpoint(node)
    if end is None:
        return None
    host = end.host
    if lab.state.knows(host, "docker-failed"):
        said = "; ".join(lab.state.reading(host, "docker-failed"))
        shown = lab.state.cite(host, "docker-failed")
        message = f"{host}'s engine does not answer: {said}"
        return Finding(Code.ENGINE_DOWN, host, "dockerd", message, "start dockerd", shown)
    containers = lab.state.reading(host, "docker-containers")
    if containers is None:
        return None
    shown = lab.state.cite(host, "docker-containers")
    found = next((one for one in containers if one.get("Name", "").strip("/") == node), None)
    if found is None or not found.get("State", {}).get("Running", True):
        status = found["State"].get("Status", "not running") if found else "not there"
        message = f"the container {node} is {status}"
        fix = f"docker start {node}"
        return Finding(Code.CONTAINER_NOT_RUNNING, host, node, message, fix, shown)
    network = lab.topology.vlan(end.vlan).network
    return _network(lab, host, node, network, found)


def _network(
    lab: Lab, host: str, node: str, network: str, container: dict[str, Any]
) -> Finding | None:
    known = [one.get("Name") for one in lab.state.reading(host, "docker-networks") or ()]
    on = container.get("NetworkSettings", {}).get("Networks", {})
    if network in on and (not known or network in known):
        return None
    shown = lab.state.cite(host, "docker-containers", "docker-networks")
    problem = "is not on" if network in known else "cannot be on, because there is not,"
    message = f"{node} {problem} the network {network}"
    end = lab.topology.endpoint(node)
    # Only a container that starts has the interface named as it was.
    connect = f"docker network connect --ip {end.address} {network} {node}"
    fix = f"{connect} && docker restart --time 0 {node}"
    return Finding(Code.NETWORK_MISSING, host, network, message, fix, shown)
