"""`-n` of pytest-xdist: each worker has a lab and a run folder of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plugin.conftest import ROOT, Project

pytest.importorskip("xdist", reason="pytest-xdist is missing; it is in the extra `dev`")
pytest_plugins = ["pytester"]

FAKE = """
from harness import labs
from harness.testing import FakeMachine, Faults
FAULTS = None
labs.PrivateMachine = lambda: FakeMachine(FAULTS)
"""
LOSING = FAKE.replace("None", "Faults(lose=lambda one: one.point.node == 'gateway')")


class Spread:
    """A project whose tests are run by two workers, each with a lab on a fake machine."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.pytester = project, project.pytester
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(self, *arguments: str, fake: str = FAKE) -> pytest.RunResult:
        """Run pytest with two workers."""
        (self.pytester.path / "fake_machine.py").write_text(fake, "utf-8")
        plain = ("-p", "fake_machine", "-p", "no:cacheprovider", "-n", "2")
        return self.pytester.runpytest_subprocess(*arguments, *plain)

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The report.json of every run folder, by its name."""
        found = sorted(folder / "report.json" for folder in self.project.folders)
        return [json.loads(path.read_text("utf-8")) for path in found]


@pytest.fixture
def spread(project: Project, monkeypatch: pytest.MonkeyPatch) -> Spread:
    """A project whose tests are spread."""
    return Spread(project, monkeypatch)


def test_green_run(spread: Spread) -> None:
    """All tests pass once, and every cell is proved in the folder of a worker, or of both."""
    result = spread.run("suites/test_same_vlan.py", "suites/test_host_state.py")
    assert result.ret == pytest.ExitCode.OK
    cells = [cell for one in spread.reports for cell in one["cells"]]
    assert {cell["verdict"] for cell in cells} == {"pass"}
    assert {cell["stage"] for cell in cells} == {"isolated", "routed", "undone"}
    ids = {one["run"]["id"].rpartition("-")[2] for one in spread.reports}
    assert ids == {"gw0", "gw1"}


def test_controller_names_every_folder(spread: Spread) -> None:
    """Each worker's folder is named; `latest` is one of them, with the JUnit file of all tests."""
    result = spread.run("suites/test_same_vlan.py")
    result.stdout.fnmatch_lines(["gw0: pass: *-gw0", "gw1: pass: *-gw1"])
    latest = spread.pytester.path / "reports/latest"
    assert latest.resolve().name.endswith("-gw0")
    cells = spread.reports[0]["cells"]
    junit = (latest / "junit.xml").read_text("utf-8")
    assert [cell["id"] for cell in cells if f"[{cell['id']}]" not in junit] == []


def test_wrong_network_fails(spread: Spread) -> None:
    """Wrong cells are FAILED tests, and the run is not green."""
    result = spread.run("suites/test_cross_vlan.py", "-k", "routed and icmp", fake=LOSING)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] > 0
    assert {one["run"]["exit"] for one in spread.reports} == {"fail"}
    junit = (spread.pytester.path / "reports/latest/junit.xml").read_text("utf-8")
    assert junit.count("[[ATTACHMENT|reports/") == 2 * result.parseoutcomes()["failed"]


def test_own_suite(spread: Spread) -> None:
    """Tests that have the lab for themselves find one in each worker."""
    spread.pytester.makepyfile(
        test_own="""
        import pytest
        @pytest.mark.parametrize("number", range(4))
        def test_it(probe, number): assert probe("bbox1", "bbox4", "icmp").reached
        """
    )
    result = spread.run("test_own.py")
    assert (result.ret, result.parseoutcomes()["passed"]) == (pytest.ExitCode.OK, 4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--lab-attach", "one"), "ERROR: --lab-attach: one lab cannot be swept by two*"),
        (("--lab-topology", "nope.yaml"), "ERROR: *nope.yaml*cannot be read*"),
        (("--lab-shell-on-failure",), "ERROR: --lab-shell-on-failure: several workers have one*"),
    ],
    ids=["attach", "topology", "shell"],
)
def test_refusals(spread: Spread, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be used is a usage error, said once, without a traceback."""
    result = spread.run("suites", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result_lines = result.outlines + result.errlines
    assert len([line for line in result_lines if line.startswith("ERROR: ")]) == 1
    pytest.LineMatcher(result_lines).fnmatch_lines([says])
    assert "Traceback" not in "\n".join(result_lines)


def test_nothing_selected_is_no_pass(spread: Spread) -> None:
    """Where no worker was given a test, the exit is not 0."""
    assert spread.run("suites", "-k", "no_such_test").ret == pytest.ExitCode.NO_TESTS_COLLECTED
