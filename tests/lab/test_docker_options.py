"""Shipped topologies with real Docker engines: green, or refused by name before they are built.

Then what a topology says of networks, containers and their image: as the engines have it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from harness import doctor, topology
from harness.endpoints import images
from harness.endpoints.containers import image
from harness.endpoints.reference import parse
from harness.flow import L3_KINDS, Stage
from harness.machines import enter, registry
from harness.worker.search import found
from tests.lab.broken import ROOT, Cell, Mutant, Up, is_small, lab_of
from tests.lab.test_docker import arguments, outcomes
from tests.unit import registries

SHIPPED = {path.stem: path for path in sorted((ROOT / "topologies").glob("*.yaml"))}
REFUSED = {"overlapping-subnets": "the engine of host1 would refuse mac_net20: its subnet"}
ELSEWHERE = ("macvlan-two-host",)
"""test_docker.py has the tutorial lab, with all of its probes and stages."""
PROBES = "--lab-probe=arp,ndp,icmp,icmp6"


@pytest.fixture(autouse=True, scope="module")
def _needs_docker() -> None:
    for program in ("dockerd", "busybox"):
        if not found(program):
            pytest.skip(f"no {program} (Debian: apt-get install docker.io busybox-static)")


@pytest.fixture
def untouched() -> None:
    """A lab of this module outlives its tests; test_docker.py sees to what engines leave."""


def run(reports: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """A run of the suites."""
    return subprocess.run(
        arguments(reports, *more), cwd=ROOT, capture_output=True, text=True, check=False
    )


def document(reports: Path) -> dict[str, Any]:
    """The report.json of the latest run."""
    found: dict[str, Any] = json.loads((reports / "latest" / "report.json").read_text())
    return found


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - set(REFUSED) - set(ELSEWHERE)))
def test_it_is_green_with_containers(tmp_path: Path, name: str) -> None:
    """Every cell is proved in the stage that asks the most of a lab, as with bare namespaces."""
    stages = topology.read(SHIPPED[name]).stages
    stage = Stage.ROUTED if Stage.ROUTED in stages else stages[0]
    options = [f"--lab-topology={SHIPPED[name]}", f"--lab-stage={stage}", PROBES]
    done = run(tmp_path, "--lab-backend=docker", *options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    with_engines = outcomes(document(tmp_path))
    assert {verdict for _, verdict, _ in with_engines.values()} == {"pass"}
    if name in ("docker-options", "dual-stack", "two-legs"):
        assert run(tmp_path, *options).returncode == 0
        assert outcomes(document(tmp_path)) == with_engines


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Before anything is built: one sentence, and pytest's code for a wrong usage."""
    done = run(tmp_path, "--lab-backend=docker", f"--lab-topology={SHIPPED[name]}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert REFUSED[name] in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_mac_address_that_an_engine_passes_over_is_named(tmp_path: Path) -> None:
    """An engine may make that of a further leg itself: then no lab is built, and it is said why."""
    text, leg = SHIPPED["two-legs"].read_text(), "{address: 172.16.20.30"
    assert leg in text
    file = tmp_path / "own-mac.yaml"
    file.write_text(text.replace(leg, f"{leg}, mac: '02:42:ac:10:14:99'"))
    options = ["--lab-backend=docker", f"--lab-topology={file}", "--lab-stage=isolated", PROBES]
    done = run(tmp_path / "reports", *options)
    if "02:42:ac:10:14:99" not in done.stdout:
        pytest.skip("this engine gives a further leg the MAC address that it is asked for")
    assert done.returncode != 0
    assert (
        "the engine of host1 gave bbox1 the MAC address 02:42:ac:10:14:1e in mac_net20, not "
        "02:42:ac:10:14:99; take an engine from 28.1 on, or leave `mac` out"
    ) in " ".join(done.stdout.split())


BY_ENGINE = "{parent: engine, subnet: 172.16.10.0/24,"


def test_without_8021q_no_engine_makes_a_parent(tmp_path: Path) -> None:
    """One sentence that says why, and the exit code for what this machine cannot do."""
    if doctor.ask_kernel()["vlan"][0] == "8021q":
        pytest.skip("this kernel has 802.1Q links")
    file = tmp_path / "lab.yaml"
    text = SHIPPED["macvlan-two-host"].read_text()
    file.write_text(text.replace("{subnet: 172.16.10.0/24,", BY_ENGINE))
    done = run(tmp_path, "--lab-backend=docker", f"--lab-topology={file}")
    assert done.returncode == 3
    assert "VLAN 10 says `parent: engine`, and an engine makes eth2.10 of" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_image_that_cannot_be_had_is_one_error(tmp_path: Path) -> None:
    """In time, with its reason, before anything is built."""
    done = run(tmp_path, "--lab-backend=docker", "--lab-image=127.0.0.1:1/x")
    assert done.returncode == 3
    assert done.stdout.count("127.0.0.1:1/x:latest cannot be pulled: [Errno 111] Connection") == 1
    assert "Traceback" not in done.stdout + done.stderr


Options = tuple[Up, str]
"""The lab, and the name of its image."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Options]:
    """docker-options.yaml, routed, its image pulled from a registry on this machine."""
    folder = tmp_path_factory.mktemp("options")
    with pytest.MonkeyPatch.context() as patch, registries.serving() as here:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        here.put("team/box", "1", image.busybox(), ("mips", registries.ours))
        name = f"{here.host}/team/box:1"
        more = ("--backend", "docker", "--image", name)
        with lab_of("docker-options", "options", folder / "reports", *more) as up:
            yield up, name


def address(up: Up, host: str) -> str:
    """The address of an engine."""
    return enter.engine(registry.find(up.name).init_pid, host)


def test_the_image_is_the_registrys(options: Options) -> None:
    """Containers are made of it, by the name that was asked for."""
    up, name = options
    for host in ("host1", "host2"):
        with closing(docker.APIClient(address(up, host))) as engine:
            assert {one["Image"] for one in engine.containers()} == {name}
            assert engine.inspect_image(name)["Config"]["Env"] == ["PATH=/bin"]


def test_the_machines_own_docker_is_read(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has needs no registry: saved once, and only read; what it has not it is not asked."""
    up, name = options
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(images, "OWN_SOCKET", address(up, "host1"))
    monkeypatch.setattr(images, "_runs", lambda: True)
    found = images.find(name)
    assert found.name == name
    assert found.archive
    written = Path(found.archive).stat().st_mtime_ns
    assert images.find(name) == found
    assert Path(found.archive).stat().st_mtime_ns == written
    assert images._of_own_docker(parse("no-such-image")) is None


def test_networks_have_their_options(options: Options) -> None:
    """Ranges, kept addresses and `internal`, as the engines themselves say."""
    with closing(docker.APIClient(address(options[0], "host1"))) as engine:
        found = {name: engine.inspect_network(name) for name in ("mac_net10", "mac_net20")}
    assert found["mac_net10"]["IPAM"]["Config"] == [
        {
            "Subnet": "172.16.10.0/24", "Gateway": "172.16.10.1", "IPRange": "172.16.10.64/26",
            "AuxiliaryAddresses": {"printer": "172.16.10.70"},
        }
    ]  # fmt: skip
    assert [found[name]["Internal"] for name in found] == [False, True]


def test_an_engine_gives_away_what_it_may(options: Options) -> None:
    """Of its range to who asks for nothing, and the kept address to nobody."""
    up, name = options
    with closing(docker.DockerClient(address(up, "host1"))) as engine:
        made = [
            engine.containers.create(name, "sleep 1000", network="mac_net10", name=f"other{number}")
            for number in (1, 2)
        ]
        try:
            made[0].start()
            its = engine.api.inspect_container(made[0].id)["NetworkSettings"]["Networks"]
            given = its["mac_net10"]["IPAddress"]
            engine.networks.get("mac_net10").disconnect(made[1])
            wanted = "172.16.10.70"
            engine.networks.get("mac_net10").connect(made[1], ipv4_address=wanted)
            with pytest.raises(docker.errors.APIError, match="Address already in use"):
                made[1].start()
        finally:
            for one in made:
                one.remove(force=True)
    assert given.startswith("172.16.10.")
    assert int(given.rpartition(".")[2]) in range(64, 128)


VLAN = {"bbox1": 10, "bbox2": 20, "bbox3": 30, "bbox4": 10, "bbox5": 20, "bbox6": 30}
WAY_OUT = ("default", "via", "172.16.30.1")
NAT = ("-t", "nat", "-A", "POSTROUTING", "-o", "eth2.20", "-j", "MASQUERADE")


def of_bbox3(cell: Cell) -> bool:
    """What bbox3 sends into other VLANs, and what comes from where a reply goes back."""
    apart = VLAN.get(cell.src, 30) != VLAN.get(cell.dst, 30)
    ends = cell.src == "bbox3" or (cell.dst == "bbox3" and cell.src in ("bbox1", "bbox4"))
    return apart and ends and cell.kind in L3_KINDS


MUTANTS = [
    Mutant(
        "internal-with-a-default-route",
        (("bbox3", "ip", "route", "add", *WAY_OUT),),
        (("bbox3", "ip", "route", "delete", *WAY_OUT),),
        of_bbox3,
        observed=lambda _cell: "reached",
    ),
    Mutant(
        "no-masquerade-into-internal",
        (("gateway", "iptables", "-t", "nat", "-F"),),
        (("gateway", "iptables", *NAT),),
        lambda cell: is_small(cell) and (VLAN.get(cell.src), VLAN.get(cell.dst)) == (10, 20),
        observed=lambda _cell: "silent",
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_mutant(options: Options, mutant: Mutant) -> None:
    """Just the cells that the break touches turn red, and heal after it."""
    options[0].turns_red(mutant)
