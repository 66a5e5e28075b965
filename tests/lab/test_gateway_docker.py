"""A gateway host that runs a Docker engine: both orders, with every backend, and nothing left.

That its FORWARD policy decides where the engine set it, test_topologies.py shows.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import docker
import pytest

from harness.endpoints.containers import image
from harness.worker.search import found
from tests.lab import snapshot
from tests.lab.broken import ROOT, lab_of, needs_engine, told
from tests.lab.test_topologies import REPLIES, rule

BEFORE = ROOT / "topologies/gateway-runs-docker.yaml"
NO_RULES = tuple(
    rule("-D", *ways, *match) for ways in ((10, 20), (20, 10)) for match in ((), REPLIES)
)


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("engines need root")
    needs_engine(BEFORE)
    if not shutil.which("busybox"):
        pytest.skip("no busybox (Debian: apt-get install busybox-static)")


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """The shipped lab, forwarding switched on before the engine starts."""
    path = tmp_path / "after.yaml"
    text = BEFORE.read_text()
    assert text.count("{starts: before-forwarding}") == 1
    path.write_text(text.replace("{starts: before-forwarding}", "{starts: after-forwarding}"))
    return path


def arguments(reports: Path, *more: str) -> list[str]:
    """A run of the suites."""
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    return [*command, f"--lab-reports={reports}", *more]


def report(reports: Path, *more: str) -> dict[str, Any]:
    """Run the suites; the report.json of the run, in which nothing has failed."""
    done = subprocess.run(
        arguments(reports, *more), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    found: dict[str, Any] = json.loads((reports / "latest/report.json").read_text())
    assert {cell["verdict"] for cell in found["cells"]} == {"pass"}
    return found


def policies(document: dict[str, Any]) -> set[str]:
    """The policy of FORWARD on the gateway host, as it was read in each stage."""
    return {
        line["policy"]
        for name, entry in document["evidence"].items()
        if name.endswith("gateway/firewall/before")
        for line in entry["parsed"]
        if (line["table"], line["chain"]) == ("filter", "FORWARD") and "policy" in line
    }


def test_it_runs_beside_the_engines_of_the_endpoints(tmp_path: Path) -> None:
    """With containers as endpoints it is one engine more, and the report says where each ran."""
    run = report(tmp_path, "--lab-topology", str(BEFORE), "--lab-backend", "docker")
    engines = [line.partition(": Docker ")[0] for line in run["run"]["engines"]]
    assert engines == ["host1", "host2", "gateway"]
    assert policies(run) == {"DROP"}
    read = {name.split("/")[2] for name in run["evidence"] if name.startswith("routed/gateway/")}
    assert {"docker-engine", "docker-log"} <= read


def test_where_forwarding_was_on_before_the_rules_decide_nothing(
    after: Path, tmp_path: Path
) -> None:
    """Green in all stages with policy ACCEPT, and green when all its rules are deleted.

    What people run on that engine changes nothing, and goes with the lab: `untouched` sees to that.
    """
    run = report(tmp_path, "--lab-topology", str(after))
    assert policies(run) == {"ACCEPT"}
    assert [line.partition(" ")[0] for line in run["run"]["engines"]] == ["gateway:"]
    with lab_of(after, "after", tmp_path) as up:
        up.do(NO_RULES)
        with closing(docker.DockerClient(socket_of(up.name))) as engine:
            engine.api.import_image_from_data(image.busybox(), "busybox", "latest")
            engine.containers.run("busybox:latest", ["sleep", "1000"], detach=True)
        cells = up.run()
    assert told(cells, "pass") == set(cells)


def socket_of(name: str) -> str:
    """The socket of the gateway host's engine, as `harness list` has it."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "list", "--json"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    found: str = next(
        lab["engines"]["gateway"] for lab in json.loads(done.stdout) if lab["name"] == name
    )
    return found


ENDS = """#!/usr/bin/env python3
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[sys.argv.index("--host") + 1].removeprefix("unix://"))
listening.listen()
listening.accept()
sys.exit("no bridge today")
"""


def test_an_engine_that_cannot_make_its_rules_is_a_named_error(name: str, tmp_path: Path) -> None:
    """It takes connections before it makes them: the step is named, and the engine's last words."""
    broken = tmp_path / "dockerd"
    broken.write_text(ENDS)
    broken.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "up", f"{BEFORE}", "--name", name, f"--engine={broken}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "dockerd on gateway ended: no bridge today" in done.stderr


def test_without_an_engine_a_run_is_refused_in_one_line(tmp_path: Path) -> None:
    """In a mount namespace whose dockerd is no program; with every backend that would need one."""
    program = found("dockerd")
    for more in (("--lab-topology", str(BEFORE)), ("--lab-backend", "docker")):
        hidden = f'mount --bind /dev/null {program}; exec "$@"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", hidden, "sh", *arguments(tmp_path, *more)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        (line,) = [line for line in done.stdout.splitlines() if "dockerd" in line]
        assert "no dockerd on this machine" in line
        assert done.returncode == 3


def test_a_kill_leaves_nothing(untouched: snapshot.Snapshot, tmp_path: Path) -> None:
    """With bare namespaces as endpoints too: control groups are removed by who watches the lab."""
    null, command = subprocess.DEVNULL, arguments(tmp_path, "--lab-topology", str(BEFORE))
    with subprocess.Popen(command, cwd=ROOT, stdin=null, stdout=null, stderr=null) as run:
        with suppress(subprocess.TimeoutExpired):
            run.wait(random.Random(4).uniform(1, 2))
        run.kill()
    assert snapshot.wait_until_clean(untouched) == ()
