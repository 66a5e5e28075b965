"""Runs of the suites from start to report: what passes, fails, cannot be told, cannot be built."""

from __future__ import annotations

import errno
import platform
from collections import Counter

import pytest

from harness.flow import Point
from harness.frame import dissect
from harness.testing import Faults, Passing
from tests.plugin.conftest import Project

pytest_plugins = ["pytester"]

CELL = "routed-bbox1-to-bbox4-icmp"
CROSSES = f"suites/test_cross_vlan.py::test_cross_vlan_routed[{CELL}]"


def lost_in_gateway(passing: Passing) -> bool:
    """The gateway takes this cell's packet, resolves the next hop, and does not send it on."""
    if passing.probe != CELL or passing.point != Point("gateway", "eth2.20", "out"):
        return False
    return dissect(passing.raw).ttl is not None


def quiet(result: pytest.RunResult) -> None:
    """Nothing that was printed is a traceback or the inside of a test."""
    for sign in ("Traceback", "verdict.explain()", "harness/plugin.py", "_pytest/"):
        result.stdout.no_fnmatch_line(f"*{sign}*")
        result.stderr.no_fnmatch_line(f"*{sign}*")


def test_green_run(project: Project) -> None:
    """Every test passes but what asks for engines; every cell is proved, the worker is closed."""
    result = project.run("suites")
    assert result.ret == pytest.ExitCode.OK
    assert (set(result.parseoutcomes()), result.parseoutcomes()["skipped"]) == (
        {"passed", "skipped"}, 9
    )  # fmt: skip
    assert {cell["verdict"] for cell in project.report["cells"]} == {"pass"}
    assert project.report["run"]["exit"] == "pass"
    assert project.worker.closed


COUNTING = """
def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    short = [each for each in stats.get("", []) if each.duration <= 0.005]
    terminalreporter.write_line(f"kept {len(stats['passed'])} {len(short)}")
"""


@pytest.mark.parametrize(("options", "kept"), [((), False), (("--durations=0",), True)])
def test_quiet_reports(project: Project, options: tuple[str, ...], kept: bool) -> None:
    """Set-ups and take-downs in which nothing happened are kept where durations are asked for."""
    (project.pytester.path / "counting.py").write_text(COUNTING, encoding="utf-8")
    result = project.run("suites/test_same_vlan.py", "-p", "counting", *options)
    (line,) = [line for line in result.outlines if line.startswith("kept ")]
    passed, short = map(int, line.split()[1:])
    assert passed == result.parseoutcomes()["passed"] > 50
    assert bool(short) is kept


def test_ids(project: Project) -> None:
    """Test ids say stage, ends and probe, and none has a `>`, which `-k` could not take."""
    result = project.run("suites", "--collect-only", "-q")
    ids = [line for line in result.outlines if "::" in line]
    assert "suites/test_same_vlan.py::test_same_vlan[routed-bbox1-to-bbox3-icmp]" in ids
    assert not [line for line in ids if ">" in line]
    assert len(ids) == len(set(ids)) > 600


def test_collect_only_starts_nothing(project: Project) -> None:
    """To list the tests no machine is needed, and nothing is written."""
    assert project.run("suites", "--collect-only").ret == pytest.ExitCode.OK
    assert (project.machines, project.folders) == ([], [])


def test_wrong_network_fails(project: Project) -> None:
    """A wrong network is FAILED, told as expected, observed and last seen, without a traceback."""
    result = project.run(CROSSES, faults=Faults(lose=lost_in_gateway))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(
        [
            f"*{CELL}: fail: *",
            "*expected reached (gateway routes VLAN 10 to VLAN 20*",
            "*observed silent (*",
            "*last seen at gateway:eth2.10 (in)*",
            "*lost before gateway:eth2.20 (out)*",
        ]
    )
    quiet(result)


def test_a_wrong_step_is_told_in_its_own_words(project: Project) -> None:
    """Of the four steps of that cell those that differ say what was measured, and nothing else."""
    steps = f"suites/test_four_steps.py::test_router_route[{CELL}]"
    result = project.run(steps, faults=Faults(lose=lost_in_gateway))
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["gateway took it from eth2.10*did not send it out of eth2.20"])
    for line in ("*steps = FourSteps*", "*assert agree, said*"):
        result.stdout.no_fnmatch_line(line)
    quiet(result)


def test_one_wrong_cell_fails_alone(project: Project) -> None:
    """A fault of one cell leaves every other cell proved."""
    project.run("suites/test_cross_vlan.py", faults=Faults(lose=lost_in_gateway))
    wrong = [cell["id"] for cell in project.report["cells"] if cell["verdict"] != "pass"]
    assert wrong == [CELL]


def test_unproved_is_an_error(project: Project) -> None:
    """What could not be told is an ERROR, never a pass or a failure."""
    result = project.run(CROSSES, faults=Faults(refused={CELL: errno.EPERM}))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines([f"*Unproved: {CELL}: unproved: *EPERM*"])
    assert project.report["run"]["exit"] == "error"
    quiet(result)


def test_lab_that_cannot_be_built(project: Project) -> None:
    """The failed step is told once, in a person's words; all that needs the lab cites it."""
    faults = Faults(fails=(3, "Operation not permitted"))
    result = project.run("suites/test_same_vlan.py", "-q", "-rN", faults=faults)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = [line for line in result.outlines if "BuildError" in line]
    cited = [line for line in result.outlines if line.startswith("Broken: ")]
    assert told == ["BuildError: ip netns add host2: Operation not permitted"]
    assert len(cited) + 1 == result.parseoutcomes()["errors"]
    assert project.worker.closed
    quiet(result)


def test_worker_lost_in_the_middle(project: Project) -> None:
    """Stages that had ended stay judged; of the cells of the others nothing is told, once."""
    result = project.run("suites/test_same_vlan.py", "-rN", faults=Faults(lost=("sweep", 2)))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert project.report["run"]["stages"] == ["isolated", "routed", "undone"]
    cells = Counter((one["stage"], one["verdict"]) for one in project.report["cells"])
    assert cells.keys() == {("isolated", "pass"), ("routed", "unproved"), ("undone", "unproved")}
    assert outcomes["passed"] == cells["isolated", "pass"]
    assert outcomes["errors"] == cells["routed", "unproved"] + cells["undone", "unproved"]
    (found,) = project.report["diagnoses"]
    assert (found["code"], found["subject"]) == ("machine-unreachable", platform.node())
    assert len(found["cells"]) == outcomes["errors"]
    assert project.report["run"]["exit"] == "error"
    assert sum("WorkerLost: the worker ended before" in line for line in result.outlines) == 1
    result.stdout.fnmatch_lines(["CAUSE machine-unreachable: *"])
    quiet(result)


def test_sweep_that_cannot_start(project: Project) -> None:
    """A sweep that the worker refuses to start is an error that says why."""
    result = project.run(CROSSES, faults=Faults(refuses_sweep="bbox4: no port 7"))
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*MachineError: bbox4: no port 7*"])
    quiet(result)


def test_control_c(project: Project) -> None:
    """Ctrl-C in the middle closes the lab, writes what is known as no pass, and ends with 2."""
    project.pytester.makepyfile(
        test_interrupts="""
        import os, signal, pytest
        @pytest.mark.cells("same-vlan", stages=["isolated"])
        def test_presses_control_c(verdict):
            os.kill(os.getpid(), signal.SIGINT)
        """
    )
    result = project.run("test_interrupts.py", "suites", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert project.worker.closed
    assert project.report["run"]["stages"][0] == "isolated"
    assert project.report["run"]["exit"] == "error"


def test_stop_at_the_first_failure(project: Project) -> None:
    """After `-x` nothing more is waited for, and the lab is closed all the same."""
    result = project.run("suites/test_cross_vlan.py", "-x", faults=Faults(lose=lost_in_gateway))
    assert result.parseoutcomes()["failed"] == 1
    assert project.worker.closed


def test_unwritable_reports(project: Project) -> None:
    """A run folder that cannot be written is told in one line, and the run does not pass."""
    (project.pytester.path / "reports").write_text("in the way")
    result = project.run("suites/test_parent.py")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["harness: the run folder cannot be written: *"])
    quiet(result)
