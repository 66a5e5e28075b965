"""The suites that restart containers and engines, on a lab that is as it must be, and on others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.worker.search import found
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
MEASURED = (
    r"bbox1 remade with another mac, its old MAC address remembered: answers bbox3 after \d",
    r"engine of host1 restarted with live-restore: 2 of 2 containers run on; icmp: 0 of \d+ lost",
    r"engine of host1 restarted without live-restore: 0 of 2 containers run on; icmp: [1-9]\d* of ",
    r"host1's engine with docker0 and iptables: \d+ rules, 0 of them met by a packet; 128 of 128 ",
)
MUTANT = """
from harness.lifecycle import changes, healing
from harness.endpoints import engine_errors

restart = changes.Engine.restart
changes.Engine.restart = lambda self, **_: restart(self, live_restore=False)
changes.Container.connect = lambda self: None
engine_errors.named = lambda step, said: said
healing.LIMIT_S = 1.0
"""
OWN = """
def test_a_container_is_entered_again(container, probe):
    stopped = container("bbox1")
    stopped.stop()
    assert not stopped.running
    stopped.start()
    assert probe("bbox3", "bbox1", "l2-unicast").reached
    assert probe("bbox1", "bbox4", "tcp").blocked
    stopped.remake()
    assert probe("bbox1", "bbox4", "tcp").blocked

def test_an_engine_keeps_its_containers(engine, lab):
    assert engine("host2").running == ("bbox3", "bbox4")
"""


@pytest.fixture(autouse=True)
def _needs_docker(untouched: snapshot.Snapshot) -> None:
    del untouched
    for program in ("dockerd", "busybox"):
        if not found(program):
            pytest.skip(f"no {program} (Debian: apt-get install docker.io busybox-static)")


def run(*more: str) -> subprocess.CompletedProcess[str]:
    """Run suites/lifecycle, or part of it and what is named besides."""
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir", ".", "-q"]
    command += ["-p", "no:cacheprovider", "--lab-backend", "docker", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_suites_are_green_and_say_what_they_measured() -> None:
    """Nothing fails, nothing is skipped, and each measurement is a line at the end."""
    done = run("suites/lifecycle")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert re.search(r"^\d+ passed in ", done.stdout, re.MULTILINE)
    for line in MEASURED:
        assert re.search(f"^{line}", done.stdout, re.MULTILINE), done.stdout


def test_what_is_broken_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers that end or are cut off, errors that name nothing; what is not broken passes.

    A suite of one's own passes on the same lab: a container is entered again after each change, and
    what is read of its neighbours, on which the proof of a blocked probe rests, is the new one's.
    """
    (tmp_path / "mutant.py").write_text(MUTANT)
    own = tmp_path / "test_own.py"
    own.write_text(OWN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    chosen = "keeps or entered or (reconnected and forgot) or subnet-used or parent-down"
    done = run(
        "-p", "mutant", "--lab-stage", "isolated", "-k", chosen, "suites/lifecycle", str(own)
    )
    failed = re.findall(r"^FAILED \S+::(\S+)", done.stdout, re.MULTILINE)
    assert sorted(failed) == [
        "test_answers_who_asks_first[reconnected-forgot]",
        "test_live_restore_keeps_containers",
        "test_live_restore_keeps_flows",
        "test_mistake_is_named[subnet-used]",
    ], done.stdout
    assert "4 failed, 3 passed" in done.stdout
    assert "bbox3 never, to" in done.stdout
