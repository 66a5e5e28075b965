"""The tutorial lab with real Docker engines as its hosts and real containers as its endpoints.

`HARNESS_KILLS` says how many kills at random moments there are for each victim, as in test_kills.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.errors import WorkerLost
from harness.machines import control_groups
from harness.worker.search import found
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("HARNESS_KILLS", "3"))
LONGEST_S = 5.0
"""A whole run takes about so long; moments are spread over it."""
END_S = 60.0
MACHINES = (Path("/etc/docker"), Path("/opt"), Path("/var/lib"), Path("/run"))
"""Where engines and containerd write if nobody prevents it."""


@pytest.fixture(autouse=True, scope="module")
def _needs_docker() -> None:
    for program in ("dockerd", "busybox"):
        if not found(program):
            pytest.skip(f"no {program} (Debian: apt-get install docker.io busybox-static)")


def arguments(reports: Path, *more: str) -> list[str]:
    """A run of the suites."""
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    return [*command, f"--lab-reports={reports}", *more]


def report(reports: Path, *more: str) -> dict[str, Any]:
    """Run the suites; the report.json of the run, which must have ended well."""
    done = subprocess.run(
        arguments(reports, *more), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    found: dict[str, Any] = json.loads((reports / "latest" / "report.json").read_text())
    return found


def outcomes(document: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """What was observed in each cell, and what was made of it."""
    return {
        cell["id"]: (cell["observed"], cell["verdict"], cell["why"]) for cell in document["cells"]
    }


def written() -> set[str]:
    """The names where engines would write."""
    return {str(path) for folder in MACHINES if folder.is_dir() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a run on engines, which wrote nothing of its own on the machine."""
    before = written()
    found = report(tmp_path_factory.mktemp("docker"), "--lab-backend", "docker")
    assert written() == before
    return found


def test_folders_of_whoever_runs_it_are_not_the_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session's folder below /run, which a lab has not: runc would have its files there."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    found = report(tmp_path, "--lab-backend", "docker", "--lab-stage", "isolated")
    assert found["run"]["exit"] == "pass"


def test_an_engine_that_gave_up_on_its_containerd_is_started_again(tmp_path: Path) -> None:
    """As where others keep the CPU: it ends once on each host, with what dockerd says then."""
    engine, gone = tmp_path / "dockerd", tmp_path / "gone"
    gone.mkdir()
    said = "failed to start containerd: timeout waiting for containerd to start"
    own = found("dockerd")
    engine.write_text(
        f"#!/bin/sh\nonce={gone}/$(readlink /proc/self/ns/net)\n"
        f'[ -e "$once" ] || {{ touch "$once"; echo {said}; exit 1; }}\nexec {own} "$@"\n'
    )
    engine.chmod(0o755)
    asked = ("--lab-backend", "docker", "--lab-stage", "isolated", "--lab-engine", str(engine))
    ran = report(tmp_path / "reports", *asked)
    assert ran["run"]["exit"] == "pass"
    assert len(list(gone.iterdir())) == len(ran["run"]["engines"])


def reading(run: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """What was read of both hosts, entries in one list."""
    names = [f"routed/{host}/{kind}/after" for host in ("host1", "host2")]
    return [entry for name in names for entry in run["evidence"][name]["parsed"]]


def test_the_report_says_which_engine_ran_where(run: dict[str, Any]) -> None:
    """An engine each on the hosts that carry containers, and none on the gateway host."""
    assert run["run"]["backend"] == "docker"
    assert [line.partition(": Docker ")[0] for line in run["run"]["engines"]] == ["host1", "host2"]


def test_networks_are_what_was_asked_for(run: dict[str, Any]) -> None:
    """Driver, parent, mode, subnet and gateway, as the engines themselves say."""
    found = {
        (net["Name"], net["Driver"], net["Options"]["parent"], net["Options"]["macvlan_mode"],
         net["IPAM"]["Config"][0]["Subnet"], net["IPAM"]["Config"][0]["Gateway"])
        for net in reading(run, "docker-networks")
    }  # fmt: skip
    assert found == {
        ("mac_net10", "macvlan", "eth2.10", "bridge", "172.16.10.0/24", "172.16.10.1"),
        ("mac_net20", "macvlan", "eth2.20", "bridge", "172.16.20.0/24", "172.16.20.1"),
    }


def test_containers_are_what_was_asked_for(run: dict[str, Any]) -> None:
    """Network, address and MAC address of each, as the engines themselves say."""
    found = {
        one["Name"]: {
            name: (end["IPAddress"], end["MacAddress"])
            for name, end in one["NetworkSettings"]["Networks"].items()
        }
        for one in reading(run, "docker-containers")
    }
    assert found == {
        "/bbox1": {"mac_net10": ("172.16.10.10", "02:42:ac:10:0a:0a")},
        "/bbox2": {"mac_net20": ("172.16.20.10", "02:42:ac:10:14:0a")},
        "/bbox3": {"mac_net10": ("172.16.10.11", "02:42:ac:10:0a:0b")},
        "/bbox4": {"mac_net20": ("172.16.20.11", "02:42:ac:10:14:0b")},
    }


def test_docker_itself_imposes_nothing(run: dict[str, Any], tmp_path: Path) -> None:
    """The same cells with bare namespaces: not one has another outcome, verdict or reason."""
    assert outcomes(run) == outcomes(report(tmp_path))


def test_overlapping_subnets_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    """One sentence that names the networks, and exit code 4 of pytest: usage."""
    lab = ["--lab-backend", "docker", "--lab-topology", "topologies/overlapping-subnets.yaml"]
    done = subprocess.run(
        arguments(tmp_path, *lab), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the engine of host1 would refuse mac_net20" in done.stderr


def test_an_engine_that_ends_at_once_is_a_named_error(tmp_path: Path) -> None:
    """The step that failed, and the engine's last words."""
    broken = tmp_path / "dockerd"
    broken.write_text("#!/bin/sh\necho no engine today >&2\nexit 1\n")
    broken.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "up", "--backend", "docker", "--engine", str(broken)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "dockerd on host1 ended: no engine today" in done.stderr


def offspring(pid: int) -> list[int]:
    """The processes under one, nearest first."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                found += [int(child), *offspring(int(child))]
    return found


@pytest.mark.parametrize("victim", ["controller", "other"])
@pytest.mark.parametrize("seed", range(KILLS))
def test_kills_leave_nothing(
    untouched: snapshot.Snapshot, tmp_path: Path, seed: int, victim: str
) -> None:
    """Control groups included, whatever is killed: pytest, the worker, an engine, a container."""
    null = subprocess.DEVNULL
    command = arguments(tmp_path, "--lab-backend", "docker")
    with subprocess.Popen(command, cwd=ROOT, stdin=null, stdout=null, stderr=null) as run:
        moment = random.Random(seed).uniform(0.3, LONGEST_S)
        with suppress(subprocess.TimeoutExpired):
            run.wait(moment)
        under = offspring(run.pid)
        if victim == "controller" or not under:
            run.kill()
        else:
            with suppress(ProcessLookupError):
                os.kill(random.Random(seed).choice(under), 9)
        run.wait(END_S)
    assert snapshot.wait_until_clean(untouched) == ()


OWN = r"""
folder=$1; shift
mount -t tmpfs none "$folder"; mkdir "$folder/upper" "$folder/work"
mount -t overlay none /etc -o "lowerdir=/etc,upperdir=$folder/upper,workdir=$folder/work"
for place in /var/lib /run /opt; do mount -t tmpfs none "$place"; done
mount --bind "$(which true)" "$(realpath "$(which modprobe)")"
ip link set lo up
container=own dockerd --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$GROUP" \
  >/run/log 2>&1 &
engine=$!
trap 'docker rm --force own >/run/rm; kill $engine; wait' EXIT
until docker version >/run/version 2>&1; do kill -0 $engine; sleep 0.02; done
busybox=$(realpath "$(which busybox)")
tar --directory / --create "${busybox#/}" | docker import - own
docker run --detach --name own own "$busybox" sleep 1000
state() {
  iptables-save | sed '/^#/d; s/\[[0-9:]*\]//'
  docker inspect --format '{{.State.StartedAt}} {{.State.Pid}} {{.State.Running}}' own
  docker exec own "$busybox" ping -c 1 -W 1 172.17.0.1 | grep received
  find /var/lib/docker /run/docker /etc/docker /opt -not -path '/run/docker/containerd/*' | sort
  ip -brief address; cat /proc/sys/net/ipv4/ip_forward
}
state >"$folder/before"
"$@"
state >"$folder/after"
diff "$folder/before" "$folder/after" && wc -l <"$folder/before"
"""
"""A machine with an engine of its own in use, its own rules and container, around a command."""


def test_the_machines_own_docker_stays_as_it_is(tmp_path: Path) -> None:
    """Its rules, its container, what it has written: equal after a run, while it goes on."""
    group, machine = f"standin-{os.getpid()}", tmp_path / "machine"
    machine.mkdir()
    apart = ["unshare", "--mount", "--net", "sh", "-ec", OWN, "sh", str(machine)]
    done = subprocess.run(
        [*apart, *arguments(tmp_path / "reports", "--lab-backend=docker")],
        cwd=ROOT, env={**os.environ, "GROUP": group}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert control_groups.remove(group)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert int(done.stdout.split()[-1]) > 30


def test_a_watcher_that_is_killed_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab whose control groups nobody would remove is not built."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "sleep", "1000"]
    with subprocess.Popen(command) as lab:
        try:
            assert snapshot.wait_until(lambda: bool(offspring(lab.pid)))
            inode = Path(f"/proc/{offspring(lab.pid)[0]}/ns/pid").stat().st_ino
            monkeypatch.setattr(sys, "executable", shutil.which("false"))
            with pytest.raises(WorkerLost, match="ended at once, or was killed"):
                control_groups.watch(f"harness-{inode}")
        finally:
            lab.kill()


def test_what_a_killed_watcher_left_goes_with_the_next_lab() -> None:
    """Control groups of a lab that is no more, by its name; those of a living one stay."""
    places = [place for place in control_groups.ROOT.iterdir() if place.is_dir()] or [
        control_groups.ROOT
    ]
    gone, living = "harness-1", f"harness-{Path('/proc/self/ns/pid').stat().st_ino}"
    for name in (gone, living):
        (places[0] / name / "container").mkdir(parents=True)
    try:
        control_groups.watch("harness-2")
        assert not (places[0] / gone).exists()
        assert (places[0] / living).exists()
    finally:
        assert control_groups.remove(living)
