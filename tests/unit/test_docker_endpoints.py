"""Containers as endpoints: the steps, in docker(1)'s words, and what is refused before them."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from harness import doctor, plan, topology
from harness.backends import Backend
from harness.commands import command
from harness.endpoints.containers import calls, inspection
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.images import LOADED, Image
from harness.endpoints.namespace import NamespaceEndpoints
from harness.errors import InputError, Unsupported
from tests.unit.labs import FILE, NO_DEFAULT_ROUTE, TUTORIAL, shipped, variant

KIND = DockerEndpoints(("/opt/a/dockerd", "/opt/b/dockerd"))
BUILT = plan.build(TUTORIAL, KIND)
OVERLAPPING = FILE.with_name("overlapping-subnets.yaml")


def of(kind: str) -> list[dict[str, Any]]:
    """The steps that do one thing."""
    return [step for step in BUILT if step["do"] == kind]


def test_hosts_that_carry_endpoints_run_an_engine() -> None:
    """Each its own, started as soon as it has a namespace; the gateway host runs none."""
    assert KIND.engines(TUTORIAL) == ("host1", "host2")
    assert [(step["node"], step["program"]) for step in of("engine")] == [
        ("host1", "/opt/a/dockerd"), ("host2", "/opt/b/dockerd"),
    ]  # fmt: skip
    assert BUILT.index(of("engine")[-1]) < BUILT.index(of("bridge")[0])


def test_the_last_engine_is_for_the_rest() -> None:
    """One path is enough for all hosts."""
    steps = DockerEndpoints(("/opt/a/dockerd",)).ahead(TUTORIAL)
    assert [step["program"] for step in steps] == ["/opt/a/dockerd"] * 2


def test_the_engine_makes_the_endpoints_namespaces() -> None:
    """The plan makes those of hosts and switch; a container's is entered, and given its sysctls."""
    assert [step["node"] for step in of("namespace")] == ["host1", "host2", "gateway", "switch"]
    assert [step["node"] for step in of("adopt")] == ["bbox1", "bbox2", "bbox3", "bbox4"]
    given = next(step for step in of("sysctl") if step["node"] == "bbox1")
    for name in ("all", "default", "eth0"):
        assert given["values"][f"net.ipv4.conf.{name}.rp_filter"] == "0"


def test_commands_are_those_that_people_type() -> None:
    """Engines side by side; on each the image, its networks, its containers."""
    (step,) = of("side-by-side")
    assert [command(one) for one in step["groups"][0]] == [
        "host1# docker version",
        "host1# docker import - busybox:latest",
        (
            "host1# docker network create --driver macvlan --subnet 172.16.10.0/24 "
            "--gateway 172.16.10.1 -o parent=eth2.10 -o macvlan_mode=bridge mac_net10"
        ),
        (
            "host1# docker network create --driver macvlan --subnet 172.16.20.0/24 "
            "--gateway 172.16.20.1 -o parent=eth2.20 -o macvlan_mode=bridge mac_net20"
        ),
        (
            "host1# docker run --detach --name bbox1 --network mac_net10 --ip 172.16.10.10 "
            "--mac-address 02:42:ac:10:0a:0a busybox:latest sleep 1000000000"
        ),
        (
            "host1# docker run --detach --name bbox2 --network mac_net20 --ip 172.16.20.10 "
            "--mac-address 02:42:ac:10:14:0a busybox:latest sleep 1000000000"
        ),
    ]
    assert command(step).startswith("host1# docker version; host1# docker import")
    assert "host2# docker run --detach --name bbox3" in command(step)


def networks(lab: topology.Topology, host: str = "host1") -> dict[str, dict[str, Any]]:
    """The steps that make a host's networks, by network."""
    (step,) = DockerEndpoints().together(lab)
    made = [one for group in step["groups"] for one in group if one["do"] == "network"]
    return {one["name"]: one for one in made if one["node"] == host}


def test_a_network_without_a_gateway_is_internal() -> None:
    """Docker would choose a gateway otherwise, and give its containers a default route."""
    made = networks(NO_DEFAULT_ROUTE)
    assert made["mac_net20"]["pools"][0]["gateway"] is None
    assert [made[name]["internal"] for name in made] == [False, True]
    assert "--internal" in made["mac_net20"]["argv"]
    assert "--internal" not in made["mac_net10"]["argv"]


def test_options_of_networks_are_dockers() -> None:
    """Each engine has a range of its own; the router's address is an internal network's too."""
    made = [networks(shipped("docker-options"), host) for host in ("host1", "host2")]
    assert [command(one["mac_net10"]) for one in made] == [
        f"{host}# docker network create --driver macvlan --subnet 172.16.10.0/24 "
        f"--gateway 172.16.10.1 --ip-range {given} --aux-address printer=172.16.10.70 "
        "-o parent=eth2.10 -o macvlan_mode=bridge mac_net10"
        for host, given in (("host1", "172.16.10.64/26"), ("host2", "172.16.10.128/26"))
    ]
    assert command(made[0]["mac_net20"]) == (
        "host1# docker network create --driver macvlan --internal --subnet 172.16.20.0/24 "
        "--gateway 172.16.20.1 -o parent=eth2.20 -o macvlan_mode=bridge mac_net20"
    )


def test_ipv6_is_a_second_pool() -> None:
    """Containers have an address of each, and the sysctls that namespaces have."""
    lab = shipped("dual-stack")
    made = networks(lab)["mac_net10"]
    assert command(made) == (
        "host1# docker network create --driver macvlan --subnet 172.16.10.0/24 "
        "--gateway 172.16.10.1 --ipv6 --subnet 2001:db8:10::/64 --gateway 2001:db8:10::1 "
        "-o parent=eth2.10 -o macvlan_mode=bridge mac_net10"
    )
    assert made["ipv6"]
    (step,) = DockerEndpoints().together(lab)
    run = next(command(one) for one in step["groups"][0] if one.get("name") == "bbox1")
    assert "--ip 172.16.10.10 --ip6 2001:db8:10::10 --mac-address" in run
    _, given = DockerEndpoints().steps(lab, lab.endpoint("bbox1"))
    for name in ("all", "default", "eth0"):
        assert given["values"][f"net.ipv6.conf.{name}.accept_ra"] == "0"


def test_the_engine_makes_its_parents_where_it_is_to() -> None:
    """Its hosts get none of the plan then; a gateway host does, and so do bare namespaces."""
    lab = variant(("{subnet: 172.16.10.0/24,", "{parent: engine, subnet: 172.16.10.0/24,"))

    def made(kind: plan.EndpointKind) -> list[tuple[str, str]]:
        steps = (*plan.build(lab, kind), *plan.gateway(lab))
        return [(step["node"], step["name"]) for step in steps if step["do"] == "vlan"]

    own = [
        ("host1", "eth2.20"),
        ("host2", "eth2.20"),
        ("gateway", "eth2.10"),
        ("gateway", "eth2.20"),
    ]
    assert made(KIND) == own
    assert set(made(NamespaceEndpoints())) == {*own, ("host1", "eth2.10"), ("host2", "eth2.10")}
    assert networks(lab)["mac_net10"]["options"]["parent"] == "eth2.10"


def test_an_image_can_come_from_a_file() -> None:
    """It is given a name of the lab's own."""
    (step,) = DockerEndpoints(image=Image(LOADED, "/tmp/own.tar")).together(TUTORIAL)
    image = step["groups"][0][1]
    assert (image["archive"], image["image"]) == ("/tmp/own.tar", "endpoint:latest")
    assert command(image) == "host1# docker load --input /tmp/own.tar"


def test_engines_are_read_on_their_hosts() -> None:
    """Networks, containers, engine and log of each, by functions that know how."""
    readings = KIND.readings(TUTORIAL)
    assert [host for host, kind in readings if kind == "docker-engine"] == ["host1", "host2"]
    assert (KIND.apply, KIND.evidence) == (calls.apply, calls.evidence)
    assert tuple(inspection.READERS) == calls.READINGS


def test_overlapping_subnets_on_one_engine_are_refused() -> None:
    """By name, with what to do; on engines of their own they are no trouble."""
    read = topology.read(OVERLAPPING)
    with pytest.raises(InputError, match=r"engine of host1 would refuse mac_net20: its subnet"):
        KIND.refuse(read)
    KIND.refuse(TUTORIAL)


def test_names_that_docker_does_not_take_are_refused() -> None:
    """One letter is enough for a namespace, and too little for a container."""
    with pytest.raises(InputError, match="'b' cannot be a container's name"):
        KIND.refuse(variant(("bbox1:", "b:")))


def dual_stack(*changes: tuple[str, str]) -> topology.Topology:
    """dual-stack.yaml without a gateway host, and with changes."""
    text = FILE.with_name("dual-stack.yaml").read_text().partition("\ngateway:")[0]
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return topology.parse(text, "variant.yaml")


GATEWAY, GATEWAY6 = "    gateway: 172.16.10.1\n", "    gateway6: 2001:db8:10::1\n"


@pytest.mark.parametrize(("gone", "other"), [(GATEWAY, "172.16.10.0/24"), (GATEWAY6, ":10::/64")])
def test_a_gateway_for_half_of_a_network_is_refused(gone: str, other: str) -> None:
    """Docker would choose the other; for both, for none, and for internal ones it does not."""
    with pytest.raises(InputError, match=rf"would choose a gateway of its own in \S*{other} for"):
        KIND.refuse(dual_stack((gone, "")))
    KIND.refuse(dual_stack((gone, "    access: internal\n")))
    KIND.refuse(dual_stack((GATEWAY, ""), (GATEWAY6, "")))


FIRST, FIRST6 = ("address: 172.16.10.10,", "address: 172.16.10.1,"), ("10::10", "10::1")


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ((FIRST,), "172.16.10.1 .* bbox1"),
        ((FIRST6,), "2001:db8:10::1 .* bbox1"),
        ((("    subnet: 172.16.10.0/24\n",
           "    subnet: 172.16.10.0/24\n    aux_addresses: {tv: 172.16.10.1}\n"),),
         "172.16.10.1 .* tv"),
        ((("    subnet: 172.16.10.0/24\n",
           "    subnet: 172.16.10.0/24\n    ip_ranges: {host1: 172.16.10.10/32}\n"),),
         "172.16.10.10 .* bbox1"),
    ],
)  # fmt: skip
def test_what_docker_keeps_for_a_gateway_is_refused(
    changes: tuple[tuple[str, str], ...], kept: str
) -> None:
    """Where none is named it keeps the first address, of an internal network too."""
    with pytest.raises(
        InputError, match=rf"^--backend docker: the engine of host1 would keep {kept}"
    ):
        KIND.refuse(dual_stack((GATEWAY, ""), (GATEWAY6, ""), *changes))


def test_overlapping_ipv6_subnets_are_refused() -> None:
    """As those of IPv4 are."""
    lab = dual_stack(
        ("2001:db8:20::/64\n", "2001:db8:10::/64\n    overlap: intended\n"),
        ("    gateway6: 2001:db8:20::1\n", "    gateway6: 2001:db8:10::1\n"),
        ("2001:db8:20::10", "2001:db8:10::20"), ("2001:db8:20::11", "2001:db8:10::21"),
    )  # fmt: skip
    with pytest.raises(InputError, match="its subnet 2001:db8:10::/64 overlaps with 2001:db8:10::"):
        KIND.refuse(lab)


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, as far as anybody asks."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("root")
def test_a_machine_without_an_engine_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the command; bare namespaces go on working."""
    monkeypatch.setattr("harness.worker.search.path", lambda: "/nowhere")
    with pytest.raises(Unsupported, match=r"^no dockerd on this machine; .+"):
        Backend("docker").kind(TUTORIAL)
    assert Backend().kind(TUTORIAL).name == "netns"


def test_docker_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine does."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unsupported, match="needs root"):
        Backend("docker").kind(TUTORIAL)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("datapath", "refused"), [("8021q", False), ("tc-bpf", True)])
def test_an_engine_makes_parents_of_8021q_only(
    monkeypatch: pytest.MonkeyPatch, datapath: str, *, refused: bool
) -> None:
    """Without it, one sentence before anything is built; the harness itself has another way."""
    monkeypatch.setattr(doctor, "ask_kernel", lambda: {"vlan": (datapath, None)})
    monkeypatch.setattr("harness.backends._program", lambda path, _: path)
    lab = variant(("{subnet: 172.16.10.0/24,", "{parent: engine, subnet: 172.16.10.0/24,"))
    assert Backend().kind(lab).name == "netns"
    with (
        pytest.raises(Unsupported, match=r"^VLAN 10 says .+ eth2.10 .+ this kernel has not;")
        if refused
        else nullcontext()
    ):
        Backend("docker", image=str(FILE)).kind(lab)


@pytest.mark.usefixtures("root")
def test_options_choose_engines_and_image(tmp_path: Path) -> None:
    """Paths, in the order of the hosts; what is not there is named."""
    engine, image = tmp_path / "dockerd", tmp_path / "image.tar"
    engine.write_text("#!/bin/sh\n")
    engine.chmod(0o755)
    image.write_bytes(b"")
    kind = Backend("docker", f"{engine},{engine}", str(image)).kind(TUTORIAL)
    assert [step["program"] for step in kind.ahead(TUTORIAL)] == [str(engine)] * 2
    with pytest.raises(InputError, match="is neither a file nor the name of an image"):
        Backend("docker", str(engine), f"{image}.gz").kind(TUTORIAL)
    with pytest.raises(InputError, match="is no program"):
        Backend("docker", "/nowhere/dockerd").kind(TUTORIAL)
    with pytest.raises(InputError, match="are for --lab-backend docker"):
        Backend("netns", str(engine)).kind(TUTORIAL)


def test_namespaces_are_let_go_in_words() -> None:
    """As a person would, before a container gets another."""
    assert (
        command({"do": "let-go", "nodes": ["bbox1", "bbox2"]})
        == "umount /run/netns/bbox1 /run/netns/bbox2"
    )
