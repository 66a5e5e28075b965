"""`harness rehearse` with real runs, on this machine's own kernel: twice the same, and not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.report.folder import read_document
from tests.lab import snapshot

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120
SHORT = ("--stage", "isolated")
DEAF_TO_PINGS = "bbox3 sysctl -w net.ipv4.icmp_echo_ignore_all=1"
GONE = "bbox3 ip link del eth0"


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """What it printed, for programs."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The command, for a folder of its own that is no checkout: as a bisection calls it."""
    return [sys.executable, "-m", "harness", "rehearse", f"--reports={tmp_path / 'reports'}"]


@pytest.fixture
def rehearse(command: list[str], tmp_path: Path) -> Callable[..., Said]:
    """Runs it to its end; environment variables by their names."""

    def run(*arguments: str, **variables: str) -> Said:
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env={**os.environ, **variables},
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def second(rehearse: Callable[..., Said], tmp_path: Path) -> Callable[..., Said]:
    """Runs it so that of two runs the second has a lab that is broken by a command."""

    def run(change: str, options: str = "") -> Said:
        return rehearse(
            "running", "running", *SHORT, "--jobs=1", PYTHONPATH=str(ROOT),
            PYTEST_ADDOPTS=f"-p tests.lab.second_run {options}",
            SECOND_RUN=f"{tmp_path / 'first'} {change}",
        )  # fmt: skip

    return run


def test_a_kernel_and_itself(rehearse: Callable[..., Said]) -> None:
    """Good, with a report each, and nothing that differs; progress is no part of the answer."""
    found = rehearse("running", "running", *SHORT, "--json")
    assert found.code == 0, found.err
    told = found.json
    assert [one["judgement"] for one in told["columns"]] == ["good", "good"]
    assert all(one["entries"][0] == one["entries"][1] for one in told["rows"])
    folders = {one["folder"] for one in told["runs"]}
    assert len(folders) == 2
    assert all(read_document(Path(one))["run"]["stages"] == ["isolated"] for one in folders)
    assert found.err.count(": begins\n") == 2


def test_what_a_kernel_does_worse_is_marked(second: Callable[..., Said]) -> None:
    """The classes that fail have a row, with the cause; the exit code is the worst kernel's."""
    found = second(DEAF_TO_PINGS)
    assert found.code == 1, found.err
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert "isolated same-vlan icmp 4/4 ! FAIL 1/4 l4-filtered" in lines
    assert "BAD: 1 of 2 kernels is bad: running (2)" in lines
    assert any(line.startswith("since running: running (2), macvlan-two-host") for line in lines)


def test_what_cannot_be_told_makes_no_kernel_bad(second: Callable[..., Said]) -> None:
    """That nothing reaches an endpoint that is gone proves nothing of what keeps it apart."""
    found = second(GONE, options="-k test_cross_vlan --lab-probe=l2-unicast")
    assert found.code == 125, found.err
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert "isolated cross-vlan-l2 all 8/8 ! ?? 6/8" in lines
    assert "UNTESTABLE: 1 of 2 kernels cannot be tested: running (2)" in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("running", "--topology", "none.yaml"), "none.yaml"),
        (("running", "--topology", str(ROOT / "LICENSE")), "LICENSE"),
        (("running", "--engine", "28"), "--engine needs --backend docker alone"),
        (("running", "--markdown", "--json"), "give one of them"),
        (("running", "--backend", "ssh"), "'ssh' is not one of"),
        (("running", "--nonsense"), "No such option"),
        (("running", "--topology", "a", "--topology", "a"), "a"),
        ((), "Missing argument 'KERNEL...'"),
    ],
)
def test_a_mistake_makes_no_kernel_bad(
    rehearse: Callable[..., Said], arguments: tuple[str, ...], words: str
) -> None:
    """`git bisect run` takes most exit codes for a bad commit: a mistake has another."""
    found = rehearse(*arguments)
    assert (found.code, found.out) == (125, "")
    assert words in found.err


def test_labs_of_one_name_cannot_be_told_apart(rehearse: Callable[..., Said]) -> None:
    """Rows are named by them."""
    here = str(ROOT / "topologies/macvlan-two-host.yaml")
    found = rehearse("running", "--topology", here, "--topology", here)
    assert found.code == 125
    assert "two topologies are named macvlan-two-host" in found.err


def test_a_run_that_is_never_over_is_ended(rehearse: Callable[..., Said]) -> None:
    """Its deadline is told, and its lab is closed."""
    found = rehearse("running", "--deadline", "0.5")
    assert found.code == 125
    assert "UNTESTABLE running, macvlan-two-host on netns: it was not over after 0.5 s" in found.out


def test_a_run_without_a_report_says_why(rehearse: Callable[..., Said]) -> None:
    """In the sentence of the program that ended it."""
    found = rehearse("running", PYTEST_ADDOPTS="--lab-probe=nonsense")
    assert found.code == 125
    assert "nonsense" in found.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_runs_that_are_ended(
    command: list[str], untouched: snapshot.Snapshot, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C, and whatever else ends the command, ends all of its runs with their labs."""
    with subprocess.Popen(
        [*command, "running", "running", "--jobs=2"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        assert snapshot.wait_until(lambda: len(_workers(process.pid)) == 2, DEADLINE_S)
        process.send_signal(number)
        wanted = -number if number is signal.SIGKILL else 130
        assert process.wait(DEADLINE_S) == wanted
    if number is not signal.SIGKILL:
        assert not snapshot.take().since(untouched)
    assert snapshot.wait_until_clean(untouched) == ()
    written = (tmp_path / "reports").glob("2*")
    assert "pass" not in {read_document(one)["run"]["exit"] for one in written}


def test_a_background_job_of_a_shell_can_be_ended(command: list[str], tmp_path: Path) -> None:
    """It ignores Ctrl-C, and so would its runs: they would go on to their end without it."""
    with subprocess.Popen(
        ["env", "--ignore-signal=INT", *command, "running"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert snapshot.wait_until(lambda: len(_workers(process.pid)) == 1, DEADLINE_S)
        process.terminate()
        assert process.wait(DEADLINE_S) == 130
    ended = [read_document(one.parent) for one in tmp_path.glob("reports/2*/report.json")]
    assert not any("undone" in one["run"]["stages"] for one in ended)


def _workers(pid: int) -> list[int]:
    """The runs of a rehearsal that have started their labs."""
    return [child for child in _children(pid) if _children(child)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text(encoding="ascii").split())
    return found
