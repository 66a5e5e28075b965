"""A gateway host that runs a Docker engine: its steps, what it makes of the host, what it needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import plan, topology
from harness.backends import Backend
from harness.commands import command
from harness.endpoints.containers import calls
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.gateway import with_engines
from harness.endpoints.namespace import NamespaceEndpoints
from harness.errors import InputError, Unsupported
from harness.flow import Expectation, Outcome, Stage
from harness.hoststate import expected
from harness.topology import Topology
from harness.worker import engine
from tests.unit.labs import FILE, TUTORIAL, altered, cells_of, shipped

STARTS = "{starts: before-forwarding}"
BEFORE = shipped("gateway-runs-docker")
AFTER = altered("gateway-runs-docker", (STARTS, "{starts: after-forwarding}"))
RULES = "forward: {between: [[10, 20], [20, 10]]}"
NO_RULES = altered("gateway-runs-docker", (RULES, "forward: {between: []}"))
ON_HOST1 = altered(
    "gateway-on-host1",
    ("gateway:\n", f"gateway:\n  engine: {STARTS}\n"),
    ("policy: ACCEPT, ", ""),
)
"""The host that routes carries endpoints as well."""
PROGRAMS = ("/a/dockerd", "/b/dockerd", "/c/dockerd")
OF_ENGINE = (
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
    "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -o docker0 -j DOCKER",
    "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
)
"""As 20.10 and 26.1 have them; 28.5 has fewer, with the same words."""


def ahead(lab: Topology) -> list[str]:
    """What is started before the links are there, as a person would."""
    return [command(step) for step in with_engines(NamespaceEndpoints(), lab).ahead(lab)]


def test_a_lab_without_such_a_gateway_is_as_it_was() -> None:
    """Nothing is put around the endpoint kind."""
    kind = NamespaceEndpoints()
    assert with_engines(kind, TUTORIAL) is kind


@pytest.mark.parametrize(
    ("lab", "commands"),
    [
        (BEFORE, ["gateway# dockerd --bip 172.17.0.1/16"]),
        (AFTER, ["gateway# sysctl -w net.ipv4.ip_forward=1",
                 "gateway# dockerd --bip 172.17.0.1/16"]),
    ],
    ids=["before", "after"],
)  # fmt: skip
def test_the_order_is_the_files(lab: Topology, commands: list[str]) -> None:
    """Forwarding is switched on before the engine starts, or left to it."""
    assert ahead(lab) == commands


def test_an_engine_is_ready_before_anything_is_tested() -> None:
    """It starts before the links are made, and is waited for when they are there."""
    steps = [step["do"] for step in plan.build(BEFORE, with_engines(NamespaceEndpoints(), BEFORE))]
    assert steps.index("engine") < steps.index("bridge") < steps.index("engine-ready")


def test_endpoints_stay_what_they_are() -> None:
    """Bare namespaces, or containers of their own engines; a gateway host's carries none."""
    bare = with_engines(NamespaceEndpoints(), BEFORE)
    docker = with_engines(DockerEndpoints(), BEFORE)
    assert (bare.name, bare.bare, bare.engines(BEFORE)) == ("netns", True, ())
    assert (docker.name, docker.bare) == ("docker", False)
    assert docker.engines(BEFORE) == ("host1", "host2")
    assert (bare.apply, bare.evidence) == (calls.apply, calls.evidence)
    endpoint = BEFORE.endpoint("bbox1")
    assert bare.steps(BEFORE, endpoint) == NamespaceEndpoints().steps(BEFORE, endpoint)
    with pytest.raises(InputError, match="would refuse mac_net20"):
        docker.refuse(shipped("overlapping-subnets"))


@pytest.mark.parametrize(
    ("count", "program"), [(3, "/c/dockerd"), (2, "/b/dockerd"), (1, "/a/dockerd")]
)
def test_a_gateways_engine_comes_after_those_of_endpoints(count: int, program: str) -> None:
    """The third path is for it, or the last."""
    given = PROGRAMS[:count]
    steps = with_engines(DockerEndpoints(given), BEFORE, given).ahead(BEFORE)
    assert [step["node"] for step in steps] == ["host1", "host2", "gateway"]
    assert (steps[-1]["program"], steps[-1]["bridge"]) == (program, "172.17.0.1/16")
    assert "bridge" not in steps[0]


def test_a_gateway_host_that_carries_containers_runs_one_engine() -> None:
    """It handles iptables, and is read and waited for once."""
    kind = with_engines(DockerEndpoints(PROGRAMS), ON_HOST1, PROGRAMS)
    steps = {step["node"]: step for step in kind.ahead(ON_HOST1)}
    assert len(kind.ahead(ON_HOST1)) == len(steps) == 2
    assert steps["host1"]["program"] == "/a/dockerd"
    assert steps["host1"]["bridge"] == "172.17.0.1/16"
    assert "bridge" not in steps["host2"]
    assert kind.readings(ON_HOST1) == DockerEndpoints().readings(ON_HOST1)


def test_what_is_read_of_a_gateways_engine() -> None:
    """What it says of itself; it has no networks of the lab's, and no containers."""
    kind = with_engines(NamespaceEndpoints(), BEFORE)
    assert kind.readings(BEFORE) == (("gateway", "docker-engine"), ("gateway", "docker-log"))


def test_docker0_keeps_out_of_the_labs_subnets() -> None:
    """It has the first of Docker's that nobody else has."""
    text = FILE.with_name("gateway-runs-docker.yaml").read_text()
    moved = text.replace("172.16.10.", "172.17.10.").replace("172.16.20.", "172.18.10.")
    (router,) = topology.parse(moved, "moved.yaml").gateways
    assert router.engine
    assert str(router.engine.bridge) == "172.19.0.1/16"


def test_an_engine_handles_iptables_only_where_it_is_to() -> None:
    """The others touch neither links nor rules."""
    assert "--bip=172.17.0.1/16" in engine.command("gateway", "dockerd", "172.17.0.1/16")
    assert "--iptables=false" not in engine.command("gateway", "dockerd", "172.17.0.1/16")
    assert "--iptables=false" in engine.command("host1", "dockerd")


@pytest.mark.parametrize("lab", [BEFORE, AFTER], ids=["before", "after"])
def test_what_the_engine_made_is_not_taken_back(lab: Topology) -> None:
    """Forwarding was on before the host became a gateway, and nobody else sets a policy."""
    routed = plan.gateway(lab)
    undone = plan.undo(routed)
    assert [step["policies"] for step in routed if step["do"] == "iptables"] == [{}, {}]
    assert undone[-1]["values"] == {"net.ipv4.ip_forward": "1"}
    assert undone[0]["policies"] == {}


@pytest.mark.parametrize(("lab", "policy"), [(BEFORE, "DROP"), (AFTER, "ACCEPT")])
@pytest.mark.parametrize("stage", Stage)
def test_the_state_of_the_host(lab: Topology, policy: str, stage: Stage) -> None:
    """It forwards in every stage, with the policy that the engine left, and has its bridge."""
    state = expected(lab, "gateway", stage)
    assert state.forwarding
    assert ("docker0", ("172.17.0.1/16",)) in state.addresses
    (_, _, nat), (_, chain, rules) = state.rules
    assert (chain, rules[0]) == ("FORWARD", f"-P FORWARD {policy}")
    assert nat[0] == "-P POSTROUTING ACCEPT"
    assert len(rules) == (5 if stage is Stage.ROUTED else 1)
    assert not expected(lab, "host1", stage).forwarding


def test_an_engines_rules_stand_before_the_topologys() -> None:
    """Those that come first are not counted; one that comes later, or elsewhere, is."""
    state = expected(BEFORE, "gateway", Stage.ROUTED)
    policy, *own = state.rules[1][2]
    assert state.lab_rules([policy, *OF_ENGINE, *own]) == (policy, *own)
    assert state.lab_rules([policy, *own, OF_ENGINE[0]]) == (policy, *own, OF_ENGINE[0])
    assert state.lab_rules([policy, *OF_ENGINE]) == (policy,)
    other = expected(TUTORIAL, "gateway", Stage.ROUTED)
    assert other.lab_rules([policy, *OF_ENGINE]) == (policy, *OF_ENGINE)


@pytest.mark.parametrize(
    ("rule", "strange"),
    [
        *((rule, False) for rule in OF_ENGINE),
        ("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", False),
        ("-A POSTROUTING ! -o docker0 -j MASQUERADE", True),
        ("-A POSTROUTING -s 172.16.0.0/12 ! -o docker0 -j MASQUERADE", True),
        ("-A DOCKER ! -i docker0 -o docker0 -j DROP", False),
        ("-A DOCKER-USER -j RETURN", False),
        ("-A DOCKER-USER -i eth2.10 -o eth2.20 -j DROP", True),
        ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", False),
        ("-A PREROUTING -d 172.16.20.0/24 -j DROP", True),
        ("-A FORWARD ! -i docker0 -j DROP", True),
        ("-A FORWARD -j DROP", True),
        ("-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT", False),
        ("-A POSTROUTING -o eth2.10 -j MASQUERADE", False),
        (":DOCKER-USER - [0:0]", False),
    ],
)
def test_strangers(rule: str, strange: bool) -> None:
    """Rules that are neither the topology's nor about the engine's own bridge."""
    state = expected(BEFORE, "gateway", Stage.ROUTED)
    assert state.strangers(["*filter", rule, "COMMIT"]) == ((rule,) if strange else ())


def test_without_an_engine_its_rules_are_strangers() -> None:
    """As all are that the topology does not name."""
    state = expected(TUTORIAL, "gateway", Stage.ROUTED)
    assert state.strangers([*OF_ENGINE, "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"]) == OF_ENGINE


def of(lab: Topology, cell: str) -> Expectation:
    """What is expected of a routed cell."""
    return cells_of(lab, Stage.ROUTED)[f"routed-{cell}"].expectation


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        (BEFORE, "a rule that accepts it, and policy DROP of dockerd, which found forwarding off"),
        (AFTER, "policy ACCEPT, because dockerd found forwarding on"),
    ],
    ids=["before", "after"],
)
def test_what_lets_it_pass_is_named(lab: Topology, said: str) -> None:
    """The chain, its policy, and who has set it."""
    why = of(lab, "bbox1-to-bbox4-tcp").why
    routes = "gateway routes VLAN 10 to VLAN 20, with its own address as source"
    assert why == f"{routes}; FORWARD of gateway has {said}"


def test_without_rules_the_engines_policy_drops() -> None:
    """Nothing crosses; with forwarding on before the engine, everything would."""
    expected = of(NO_RULES, "bbox1-to-bbox4-tcp")
    assert (expected.outcome, expected.via) == (Outcome.SILENT, ("gateway",))
    assert expected.why == (
        "no rule of gateway lets VLAN 10 into VLAN 20, policy DROP of dockerd, which found "
        "forwarding off"
    )
    rest = altered(
        "gateway-runs-docker",
        (RULES, "forward: {between: []}"),
        (STARTS, "{starts: after-forwarding}"),
    )
    assert of(rest, "bbox1-to-bbox4-tcp").outcome is Outcome.REACHED


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, as far as anybody asks."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("root")
def test_a_machine_without_an_engine_says_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bare namespaces as endpoints too, in one line with the command."""
    monkeypatch.setattr("harness.worker.search.path", lambda: "/nowhere")
    with pytest.raises(
        Unsupported,
        match=r"^no dockerd on this machine, and gateway of gateway-runs-docker runs a Docker "
        r"engine; .+$",
    ):
        Backend().kind(BEFORE)


def test_an_ordinary_user_is_told_what_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the host's name and the lab's."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = "^gateway of gateway-runs-docker runs a Docker engine, which needs root; use sudo$"
    with pytest.raises(Unsupported, match=said):
        Backend().kind(BEFORE)


@pytest.mark.usefixtures("root")
def test_its_engine_can_be_chosen(tmp_path: Path) -> None:
    """Beside bare namespaces too; an image is for containers only."""
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    kind = Backend("netns", str(program)).kind(BEFORE)
    assert [step["program"] for step in kind.ahead(BEFORE)] == [str(program)]
    with pytest.raises(InputError, match="are for --lab-backend docker"):
        Backend("netns", image=str(program)).kind(BEFORE)
