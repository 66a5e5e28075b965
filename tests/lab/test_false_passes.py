"""A run that could not see, could not ask, or was not answered never passes: on a real lab.

Each run is `pytest suites/...` as a user has it. Where something of the lab is broken it is a lab
that stays up, broken from outside; where a part of the worker is, see `sabotage`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import labs
from harness.flow import Stage
from harness.lab import Lab
from harness.machines import registry
from harness.machines.local import PRIVATE, HeldMachine
from tests.lab.sabotage import ANSWERED, DEAF

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "topologies" / "macvlan-two-host.yaml"
DEADLINE_S = 90
SUITES = ("suites/test_same_vlan.py", "suites/test_cross_vlan.py")
ISOLATED = ("--lab-stage", "isolated")


@dataclass(frozen=True)
class Outcome:
    """How a run of pytest ended, and what it reported of each cell."""

    code: int
    output: str
    cells: list[dict[str, Any]]

    def verdicts(self, **fields: str) -> set[str]:
        """The verdicts of the cells that have these fields; of at least one."""
        found = [cell for cell in self.cells if fields.items() <= cell.items()]
        assert found, self.output
        return {cell["verdict"] for cell in found}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs pytest on the suites from the project's root."""

    def pytest_run(*arguments: str, before: tuple[str, ...] = (), **environment: str) -> Outcome:
        reports = tmp_path / "reports"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*before, *command, *arguments, f"--lab-reports={reports}"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        report = reports / "latest" / "report.json"
        cells = json.loads(report.read_text(encoding="utf-8"))["cells"] if report.exists() else []
        return Outcome(done.returncode, done.stdout, cells)

    return pytest_run


@pytest.fixture
def sabotaged(run: Callable[..., Outcome]) -> Callable[[str], Outcome]:
    """Runs the isolated stage in namespaces of its own with a part of the worker broken."""

    def pytest_run(name: str) -> Outcome:
        plugin = ("-p", "tests.lab.sabotage")
        return run(*plugin, *SUITES, *ISOLATED, before=PRIVATE, SABOTAGE=name)

    return pytest_run


def test_run_without_sabotage_passes(sabotaged: Callable[[str], Outcome]) -> None:
    """What the other tests break is whole otherwise, so it is the sabotage that they see."""
    found = sabotaged("none")
    assert (found.code, found.verdicts()) == (0, {"pass"}), found.output


@pytest.mark.parametrize("name", ["dead-tap", "flapping-tap", "narrow-tap"])
def test_tap_that_failed_proves_nothing(sabotaged: Callable[[str], Outcome], name: str) -> None:
    """A tap that ended, went down or lost frames in the sweep: no cell passes by it."""
    found = sabotaged(name)
    assert found.code == 1, found.output
    assert found.verdicts(dst=DEAF[0], expected="silent") == {"unproved"}
    assert "pass" not in found.verdicts(dst=DEAF[0])
    assert "bbox3:eth0" in found.output


def test_tap_that_sees_nothing_proves_nothing(sabotaged: Callable[[str], Outcome]) -> None:
    """Absence at a tap that would not have seen a presence either is unproved."""
    found = sabotaged("blind-tap")
    assert found.code == 1
    assert found.verdicts(dst=DEAF[0], expected="silent") == {"unproved"}
    assert "pass" not in found.verdicts(dst=DEAF[0])


@pytest.mark.parametrize("name", ["nothing-sent", "foreign-tokens"])
def test_probe_that_never_left_proves_nothing(
    sabotaged: Callable[[str], Outcome], name: str
) -> None:
    """Without the cell's own token on the wire nothing passes, blocked cells least of all."""
    found = sabotaged(name)
    assert found.code == 1
    assert "pass" not in found.verdicts(), found.output


def test_one_answer_of_ten_is_nine_failures(sabotaged: Callable[[str], Outcome]) -> None:
    """An answer counts for the probe that it answers, and for no other."""
    found = sabotaged("one-in-ten")
    answered = [
        cell for cell in found.cells if cell["probe"] == "udp" and cell["expected"] == "reached"
    ]
    passed = [cell for cell in answered if cell["verdict"] == "pass"]
    assert found.code == 1
    assert len(passed) == len(answered) // ANSWERED
    assert found.verdicts(probe="icmp") == {"pass"}


@pytest.fixture
def broken_lab() -> Iterator[tuple[str, Lab]]:
    """A lab that is up in the stage isolated, to be broken from outside."""
    name = f"false-{os.getpid()}"
    record = labs.bring_up(str(TOPOLOGY), name, Stage.ISOLATED)
    with ExitStack() as undo:
        undo.callback(registry.stop, name)
        lab = undo.enter_context(closing(Lab.attached(HeldMachine(record.init_pid))))
        yield name, lab


def act(lab: Lab, node: str, *argv: str) -> None:
    """Do something to a node."""
    done = lab.run(node, list(argv))
    assert done["code"] == 0, done["err"]


def test_probe_that_cannot_be_sent_is_unproved(
    broken_lab: tuple[str, Lab], run: Callable[..., Outcome]
) -> None:
    """A source whose own filter refuses to send (EPERM) says nothing of the network."""
    name, lab = broken_lab
    act(lab, "bbox1", "iptables-nft", "-A", "OUTPUT", "-p", "udp", "-j", "DROP")
    found = run(*SUITES, "--lab-attach", name)
    assert found.code == 1
    assert found.verdicts(src="bbox1", dst="bbox3", probe="udp") == {"unproved"}
    assert found.verdicts(src="bbox1", dst="bbox4", probe="udp") <= {"unproved", "fail"}
    assert "EPERM" in found.output


def test_control_that_is_lost_proves_nothing(
    broken_lab: tuple[str, Lab], run: Callable[..., Outcome]
) -> None:
    """Where nothing gets in at a destination's parent, that nothing arrives is no proof."""
    name, lab = broken_lab
    rules = (
        "table netdev t { chain c { type filter hook ingress device eth2.20 priority 0; "
        "ether type 0x88b5 drop; }; }"
    )
    act(lab, "host2", "nft", rules)
    found = run(*SUITES, "--lab-attach", name)
    assert found.code == 1
    blocked = found.verdicts(src="bbox1", dst="bbox4", probe="l2-unicast")
    assert blocked == {"unproved"}
    assert found.verdicts(src="bbox2", dst="bbox4", probe="l2-unicast") == {"fail"}


def test_answers_lost_are_failures(
    broken_lab: tuple[str, Lab], run: Callable[..., Outcome]
) -> None:
    """A probe that arrives and is not answered is not reached."""
    name, lab = broken_lab
    act(lab, "bbox3", "iptables-nft", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
    found = run("suites/test_same_vlan.py", "--lab-attach", name)
    assert found.code == 1
    assert found.verdicts(src="bbox1", dst="bbox3", probe="icmp") == {"fail"}
    assert found.verdicts(src="bbox1", dst="bbox3", probe="udp") == {"pass"}


def test_nothing_asked_is_no_pass(broken_lab: tuple[str, Lab], run: Callable[..., Outcome]) -> None:
    """A run that has nothing to ask of a lab does not end with 0."""
    name, _ = broken_lab
    assert (
        run("suites/test_undone.py", "--lab-attach", name).code
        == pytest.ExitCode.NO_TESTS_COLLECTED
    )
