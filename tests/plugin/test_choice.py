"""What is selected decides what is sent; what cannot be selected is told; nothing is no pass."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment, StrictUndefined

from harness.report.html import skeleton
from harness.testing import Faults
from tests.plugin.conftest import Project

pytest_plugins = ["pytester"]

NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED
UNIT_TEST = "def test_of_something_else(): pass"


def test_one_cell_sends_one_probe(project: Project) -> None:
    """A cell that must reach needs no control: its probe alone is sent, in its stage alone."""
    project.run("suites", "-k", "test_same_vlan and isolated-bbox1-to-bbox3-icmp")
    assert project.probed == ["isolated-bbox1-to-bbox3-icmp"]
    assert [cell["id"] for cell in project.report["cells"]] == project.probed


def test_blocked_cell_is_lent_a_control(project: Project) -> None:
    """A blocked cell is sent with one control of its class, which is no cell of the report."""
    project.run("suites", "-k", "test_cross_vlan_layer2 and isolated-bbox1-to-bbox4-l2-unicast")
    cell, control = project.probed
    assert cell == "isolated-bbox1-to-bbox4-l2-unicast"
    assert control.startswith("control/isolated-")
    assert control.endswith("-to-bbox4-l2-unicast")
    assert [one["id"] for one in project.report["cells"]] == [cell]


def test_one_stage(project: Project) -> None:
    """`--lab-stage` tests that stage; what compares stages is skipped with a reason."""
    result = project.run("suites", "--lab-stage", "routed", "-rs")
    assert result.ret == pytest.ExitCode.OK
    assert project.report["run"]["stages"] == ["routed"]
    assert {probe.removeprefix("control/").partition("-")[0] for probe in project.probed} == {
        "routed"
    }
    result.stdout.fnmatch_lines(["SKIPPED*"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["suites", "-k", "no_such_test"], NOTHING, id="deselected"),
        pytest.param(["empty"], NOTHING, id="no-tests"),
        pytest.param(["suites/test_undone.py", "--lab-stage", "routed"], NOTHING, id="no-cells"),
        pytest.param(["missing"], pytest.ExitCode.USAGE_ERROR, id="no-such-folder"),
    ],
)
def test_nothing_tested_is_no_pass(
    project: Project, arguments: list[str], code: pytest.ExitCode
) -> None:
    """Where no cell was asked for, the exit is not 0, and no lab was built for it."""
    project.pytester.mkdir("empty")
    assert project.run(*arguments).ret == code
    assert (project.machines, project.folders) == ([], [])


def test_kinds_of_probe(project: Project) -> None:
    """`--lab-probe` asks for cells of these kinds only, and says what is left out by that."""
    result = project.run("suites", "--lab-probe", "icmp,arp", "-rs")
    assert result.ret == pytest.ExitCode.OK
    asked = {cell["probe"].partition(":")[0] for cell in project.report["cells"]}
    assert asked == {"icmp", "arp"}
    assert "own-tag: none of its probes was chosen" in project.report["run"]["not_applicable"]


def test_host_state_alone(project: Project) -> None:
    """Tests that ask for no cell pass or fail by themselves."""
    assert project.run("suites/test_host_state.py").ret == pytest.ExitCode.OK
    assert project.report["cells"] == []


BROKEN = "name: broken\nvlans: {}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lab-topology", "nope.yaml"], "*nope.yaml*cannot be read*"),
        (["--lab-topology", "broken.yaml"], "*broken.yaml*"),
        (["--lab-probe", "icmp,smoke"], "*--lab-probe: unknown 'smoke'; known: arp, icmp, *"),
        (["--lab-stage", "upside-down"], "*--lab-stage: invalid choice: 'upside-down'*"),
        (["--lab-backend", "carrier-pigeon"], "*--lab-backend: invalid choice*"),
        (["--lab-attach", "no-such-lab"], "*no lab named 'no-such-lab' is up*"),
        (["--lab-attach", "Not A Name"], "*'Not A Name' cannot be a lab's name*"),
    ],
    ids=["missing", "broken", "probe", "stage", "backend", "attach", "attach-name"],
)
def test_unusable_options(project: Project, arguments: list[str], says: str) -> None:
    """An option that cannot be used ends with pytest's usage error and says what is wrong, once."""
    (project.pytester.path / "broken.yaml").write_text(BROKEN, encoding="utf-8")
    result = project.run("suites", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    said = "\n".join(result.outlines + result.errlines)
    assert "Traceback" not in said
    assert len(result.errlines) == len(set(result.errlines))
    assert project.machines == []


@pytest.mark.parametrize("mark", ["", "@pytest.mark.cells('no-such-family')"])
def test_unusable_marker(project: Project, mark: str) -> None:
    """A test that does not say which cells, or says it wrong, is named."""
    body = f"import pytest\n{mark}\ndef test_lost(verdict): pass\n"
    project.pytester.makepyfile(test_own=body)
    result = project.run("test_own.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: test_own.py::test_lost: *cells*"])


def test_other_tests_start_no_lab(project: Project) -> None:
    """Tests that ask nothing of a lab run without one, and leave no run folder."""
    project.pytester.makepyfile(UNIT_TEST)
    result = project.run("test_other_tests_start_no_lab.py", "--lab-topology", "nope.yaml")
    assert result.parseoutcomes() == {"passed": 1}
    assert (project.machines, project.folders) == ([], [])
    result.stdout.no_fnmatch_line("*xml*")


def test_junit_file_is_in_the_run_folder(project: Project) -> None:
    """Without a word of the user's the JUnit file is beside report.json, and names each test."""
    result = project.run("suites/test_same_vlan.py")
    (folder,) = project.folders
    cases = _cases(folder / "junit.xml")
    assert len(cases) == result.parseoutcomes()["passed"]
    assert "test_same_vlan[routed-bbox1-to-bbox3-icmp]" in cases


def test_a_page_that_cannot_be_made_costs_no_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in its template is told; all else of the run folder is there, and the exit code."""
    broken = Environment(
        autoescape=True,
        loader=DictLoader({"page.html.jinja": "{{ no.such }}"}),
        undefined=StrictUndefined,
    )
    monkeypatch.setattr(skeleton, "_environment", lambda: broken)
    result = project.run("suites/test_same_vlan.py")
    (folder,) = project.folders
    there = {path.name for path in folder.iterdir()}
    assert there == {"report.json", "report.md", "junit.xml", "evidence", "captures"}
    assert (result.ret, project.report["run"]["exit"]) == (0, "pass")
    result.stdout.fnmatch_lines(["page: none could be made (UndefinedError: 'no' is undefined)*"])


def test_junit_file_of_a_lab_that_cannot_be_built(project: Project) -> None:
    """The JUnit file tells of errors too."""
    project.run("suites/test_parent.py", faults=Faults(fails=(1, "no")))
    (folder,) = project.folders
    assert "BuildError: ip netns add host1: no" in (folder / "junit.xml").read_text("utf-8")


def test_users_own_junit_file_wins(project: Project) -> None:
    """`--junitxml` goes where the user said, and nowhere else."""
    project.run("suites/test_same_vlan.py", "--junitxml", "mine.xml")
    (folder,) = project.folders
    assert _cases(project.pytester.path / "mine.xml")
    assert not (folder / "junit.xml").exists()


def _cases(path: Path) -> list[str]:
    root = ET.parse(path).getroot()  # noqa: S314 - pytest wrote it
    return [case.attrib["name"] for case in root.iter("testcase")]


def test_live_tests_out_of_order(project: Project) -> None:
    """Who turns the order of tests round gets errors, not answers from another stage."""
    body = "def pytest_collection_finish(session): session.items.reverse()"
    project.pytester.makepyfile(reversing=body)
    project.pytester.syspathinsert()
    result = project.run("suites/test_host_state.py", "-k", "forwarding", "-p", "reversing")
    assert (result.parseoutcomes()["passed"], result.parseoutcomes()["errors"]) == (3, 6)
    result.stdout.fnmatch_lines(["*the lab is in the stage undone and past routed: tests must*"])
