"""A lab with Docker engines that is up, and what people do to it: the right cells turn red.

One lab for all of these tests, which they leave as they found it, but for the last.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from harness import labs
from harness.endpoints.containers import execution
from harness.flow import Absent, Ruling, Verdict
from harness.judge import rejudge
from harness.machines import registry
from harness.matrix import matrix
from harness.verdict import judge_record
from harness.worker import engine
from harness.worker.search import found
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
NAME = f"docker-{os.getpid()}"
PROBES = "icmp,l2-unicast"
LIAR = """rm /bin/ping
cat >/bin/ping <<'END'
#!/bin/sh
echo "1 packets transmitted, 0 packets received, 100% packet loss"
END
chmod +x /bin/ping"""
"""A ping that always says the same."""
KILLED = (
    "the container bbox4 on host2 does not run (it was killed), "
    "and the engine of host2 does not answer"
)


@pytest.fixture(autouse=True, scope="module")
def untouched() -> Iterator[snapshot.Snapshot]:
    """The machine is as it was when all of it is over: containers come and go between tests."""
    for program in ("dockerd", "busybox"):
        if os.geteuid() != 0 or not found(program):
            pytest.skip(f"needs root, and {program} (apt-get install docker.io busybox-static)")
    before = snapshot.take()
    yield before
    assert snapshot.wait_until_clean(before) == ()


def harness(*words: str, code: int = 0) -> str:
    """Run the command line, which must end with a code; what it said."""
    command = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Lab:
    """The lab, and clients of its engines."""

    record: registry.LabRecord
    engines: dict[str, docker.DockerClient]

    def container(self, name: str) -> Any:
        """A container, by the engine of its host."""
        return self.engines[self.record.description.containers[name]].containers.get(name)

    def kill(self, pid: int | str) -> None:
        """SIGKILL to a process as the lab numbers it."""
        inside = ["nsenter", f"--target={self.record.init_pid}", "--pid", "--mount", "--"]
        subprocess.run([*inside, "kill", "-KILL", str(pid)], check=True)

    def file(self, path: str) -> Path:
        """A file of the lab's."""
        return Path(f"/proc/{self.record.init_pid}/root{path}")


@pytest.fixture(scope="module")
def lab(untouched: snapshot.Snapshot) -> Iterator[Lab]:
    """A lab with engines that is up."""
    del untouched
    harness("up", "--backend", "docker", "--name", NAME)
    listed = json.loads(harness("list", "--json"))
    sockets = next(one["engines"] for one in listed if one["name"] == NAME)
    clients = {host: docker.DockerClient(address) for host, address in sockets.items()}
    yield Lab(registry.find(NAME), clients)
    for client in clients.values():
        client.close()
    registry.stop(NAME)


@dataclass(frozen=True)
class Run:
    """An attached run: its report, and the tests that were not passed, with how they ended."""

    report: dict[str, Any]
    tests: dict[str, str]
    said: str

    def cells(self, verdict: str) -> dict[str, str]:
        """The cells of a verdict, and why."""
        return {one["id"]: one["why"] for one in self.report["cells"] if one["verdict"] == verdict}

    def ended(self, part: str) -> dict[str, str]:
        """The tests with a part in their name that were not passed."""
        return {name: how for name, how in self.tests.items() if part in name}


def attached(reports: Path) -> Run:
    """Run the suites on the lab; what the run folder says must be what its captures say."""
    command = [
        sys.executable, "-m", "pytest", "suites", "-q", "-rfE", "-p", "no:cacheprovider",
        f"--lab-reports={reports}", f"--lab-attach={NAME}", f"--lab-probe={PROBES}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    latest = reports / "latest"
    assert rejudge(latest.resolve()).agree, done.stdout[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line.split(" - ")[0].split(" ", 1) for line in done.stdout.splitlines()]
    ends = {line[1]: line[0] for line in lines if line[0] in {"FAILED", "ERROR"} and len(line) > 1}
    return Run(json.loads((latest / "report.json").read_text()), ends, done.stdout)


def end_at(name: str, run: Run) -> dict[bool, Counter[tuple[str, str]]]:
    """The (verdict, expected) of cells that do, and do not, end at an endpoint, counted."""
    found: dict[bool, Counter[tuple[str, str]]] = {True: Counter(), False: Counter()}
    for cell in run.report["cells"]:
        must = "reach" if cell["expected"] == "reached" else "block"
        found[name in {cell["src"], cell["dst"]}][cell["verdict"], must] += 1
    return found


def test_what_an_exec_printed_before_its_answer_was_read_is_not_lost(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that has other work the engine is done before the answer's head is read."""
    monkeypatch.setitem(engine._settled, "host1", str(lab.file("/run/engine/host1/sock")))
    real = http.client.HTTPResponse.begin

    def late(answer: http.client.HTTPResponse) -> None:
        ended = select.poll()
        ended.register(answer.fp.fileno(), select.POLLRDHUP)
        ended.poll(500)  # answers to other requests leave the connection open
        real(answer)

    monkeypatch.setattr(http.client.HTTPResponse, "begin", late)
    script = "echo one; echo two; sleep 0.1; echo three; echo four >&2"
    (said,) = execution.ping([("bbox1", "host1", script, "bbox1")], [])
    assert said["node"] == "bbox1"
    lines = said["out"].splitlines()
    assert [line for line in lines if line != "four"] == ["one", "two", "three"]
    assert "four" in lines  # of another stream, whose place among them is not told


def test_commands_find_a_container_that_was_restarted(lab: Lab, tmp_path: Path) -> None:
    """Its address is not that of the namespace which it left; an attached run finds it too."""
    lab.container("bbox1").restart(timeout=0)
    said = harness("exec", "--name", NAME, "bbox1", "--", "ip", "-br", "address")
    assert "172.16.10.10/24" in said
    run = attached(tmp_path)
    assert (run.report["run"]["backend"], run.report["run"]["exit"]) == ("docker", "pass")
    assert not run.tests
    pings = [one for one in run.report["evidence"].values() if one["kind"] == "docker-ping"]
    assert [len(one["parsed"]) for one in pings] == [4, 4, 4, 4]


def test_a_stopped_container_turns_its_cells_red(lab: Lab, tmp_path: Path) -> None:
    """With its exit code; what others say of each other stays proved, and pings that lie show."""
    stopped = lab.container("bbox1")
    stopped.kill()
    lab.container("bbox3").exec_run(["sh", "-c", LIAR])
    lab.container("bbox4").exec_run(["rm", "/bin/ping"])
    try:
        run = attached(tmp_path)
        assert "does not run; docker -H" in harness("exec", "--name", NAME, "bbox1", "ip", code=3)
    finally:
        stopped.start()
    cells = end_at("bbox1", run)
    assert set(cells[False]) == {("pass", "reach"), ("pass", "block")}
    assert set(cells[True]) == {("fail", "reach"), ("unproved", "block")}
    why = "the container bbox1 on host1 does not run (exited, exit code 137)"
    assert {text.partition(": ")[2] for text in run.cells("fail").values()} == {why}
    said = run.report["evidence"]["routed/bbox1/container/before"]["parsed"]
    assert (said["code"], said["exit_code"]) == ("container-not-running", 137)

    disagree = run.ended("test_docker_ping[routed-bbox3-to-bbox2-icmp]")
    assert list(disagree.values()) == ["FAILED"]
    assert set(run.ended("test_docker_ping[routed-bbox4-").values()) == {"ERROR"}
    assert set(run.ended("test_docker_ping[routed-bbox2-to-bbox4").values()) == set()


def test_containers_that_end_while_they_are_tested(lab: Lab) -> None:
    """No error, and nothing of them passes; nothing else fails."""
    held = labs.attached(NAME).open()
    container = lab.container("bbox1")
    try:
        cells = matrix(held.topology, (held.stage or "",)).cells  # type: ignore[arg-type]
        for change, restarts in ((container.kill, False), (container.restart, True)):
            swept = next(held.sweeps(cells))
            thread = threading.Thread(target=change, kwargs={"timeout": 0} if restarts else {})
            thread.start()
            record = swept.record()
            verdicts = judge_record(held.topology, record, cells)
            swept.evidence(record)
            thread.join()
            _nothing_false(record.absent, verdicts)
            container.start()
    finally:
        held.close()


def _nothing_false(absent: tuple[Absent, ...], verdicts: tuple[Verdict, ...]) -> None:
    """If the engine was faster than the sweep, bbox1 is absent; if not, all is as it was."""
    gone = {one.node for one in absent}
    assert gone <= {"bbox1"}
    for one in verdicts:
        touched = not gone.isdisjoint((one.cell.src, one.cell.dst))
        assert one.ok is False if touched else one.ruling is not Ruling.FAIL, one.explain()


def test_networks_engines_and_containers_that_went(lab: Lab, tmp_path: Path) -> None:
    """Each its own reason; what runs without its engine is proved, and the engine a failure."""
    host1 = lab.engines["host1"]
    network = host1.networks.get("mac_net10")
    network.disconnect("bbox1")
    network.remove()
    lab.kill(lab.file("/run/engine/host2/pid").read_text().strip())
    run = attached(tmp_path)
    cells = end_at("bbox1", run)
    assert set(cells[False]) == {("pass", "reach"), ("pass", "block")}
    assert set(cells[True]) == {("fail", "reach"), ("unproved", "block")}
    why = "is not on its network mac_net10, and the network mac_net10 is missing on host1"
    assert all(text.endswith(why) for text in run.cells("fail").values())
    engines = run.ended("test_docker_engine")
    assert engines == {"suites/test_with_docker.py::test_docker_engine[routed-host2]": "FAILED"}
    assert "the engine of host2 does not answer: Connection refused" in run.said

    host1.containers.get("bbox2").remove(force=True)
    [state] = [
        found["State"]
        for file in lab.file("/run/engine/host2/data/containers").glob("*/config.v2.json")
        if (found := json.loads(file.read_text()))["Name"] == "/bbox4"
    ]
    lab.kill(state["Pid"])
    assert snapshot.wait_until(lambda: not lab.file(f"/proc/{state['Pid']}/cgroup").exists())
    run = attached(tmp_path)
    assert {(one["node"], one["parsed"]["why"]) for one in run.report["evidence"].values()
            if one["kind"] == "container" and one["parsed"]["code"] == "container-not-running"} == {
        ("bbox2", "the container bbox2 on host1 is not there any more"),
        ("bbox4", KILLED),
    }  # fmt: skip
    left = {one["id"] for one in run.report["cells"] if one["verdict"] == "pass"}
    assert left == {
        "routed-bbox3-to-gateway-icmp", "routed-gateway-to-bbox3-icmp",
        "routed-host1-to-bbox3-l2-unicast", "routed-host2-to-bbox3-l2-unicast",
    }  # fmt: skip
    assert "is not there any more" in harness("exec", "--name", NAME, "bbox2", "ip", code=3)
    assert "172.16.10.11/24" in harness("exec", "--name", NAME, "bbox3", "ip", "-br", "address")
