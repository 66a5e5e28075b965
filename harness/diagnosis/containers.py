"""What a container engine says of an endpoint that is not there."""

from __future__ import annotations

import shlex

from harness import networks
from harness.causes import Code
from harness.diagnosis.scene import Finding, Lab
from harness.flow import Absent, Verdict
from harness.topology import Endpoint


def gone(lab: Lab, verdict: Verdict) -> Finding | None:
    """Which container is not there to be asked, and why; engines are asked before each sweep."""
    absent = verdict.observation.gone
    return _finding(lab, absent[0]) if absent else None


def _made_again(lab: Lab, end: Endpoint) -> str:
    """The commands that make an endpoint's container anew, with all its legs."""
    first, *further = lab.topology.legs[end.name]
    network = lab.topology.vlan(first.vlan).network
    where = f"--network {network} --ip {first.address} --mac-address {first.mac}"
    made = [f"docker run --detach --name {first.name} {where} IMAGE"]
    for leg in further:
        joined = lab.topology.vlan(leg.vlan).network
        made.append(f"docker network connect --ip {leg.address} {joined} {first.name}")
    return " && ".join(made)


def _finding(lab: Lab, absent: Absent) -> Finding:
    end = lab.topology.endpoint(absent.node)
    network, name = lab.topology.vlan(end.vlan).network, end.container
    shown = (*lab.state.cite(absent.node, "container"), *lab.state.cite(end.host, "engine"))
    engine = lab.state.reading(end.host, "engine") or {"answers": True}
    if not engine["answers"]:
        # With an engine that stops its containers stop, and one that hangs is no longer started.
        carried = [one.name for one in lab.topology.containers if one.host == end.host]
        fix = f"systemctl restart docker && docker start {' '.join(carried)}"
        silence = str(engine["said"]).removeprefix(f"the engine of {end.host} does not answer: ")
        message = f"{absent.why}: {silence}"
        return Finding(Code.ENGINE_DOWN, end.host, "dockerd", message, fix, shown)
    container = lab.state.reading(absent.node, "container") or {}
    made = _made_again(lab, end)
    if absent.code == Code.CONTAINER_NOT_RUNNING:
        fix = f"docker start {name}" if container.get("state") else made
        return Finding(Code.CONTAINER_NOT_RUNNING, end.host, name, absent.why, fix, shown)
    # The interface of a running container may get another name; at its start it is eth0.
    connect = f"docker network connect --ip {end.address} {network} {name}"
    fix = f"{connect} && docker restart --time 0 {name}"
    there = lab.state.reading(end.host, "network")
    if there is not None and network not in there:
        create = networks.create(lab.topology, end.host, lab.topology.vlan(end.vlan))
        fix = f"{shlex.join(create)} && {fix}"
    return Finding(Code.NETWORK_MISSING, end.host, network, absent.why, fix, shown)
