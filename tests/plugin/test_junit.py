"""What CI systems show of a run: properties, files, the summary of a step."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from harness.flow import Point
from harness.frame import dissect
from harness.testing import Faults, Passing
from tests.plugin.conftest import Project

pytest_plugins = ["pytester"]

LOST = "routed-bbox1-to-bbox4-icmp"


def lost_in_gateway(passing: Passing) -> bool:
    """The gateway takes this cell's packet, resolves the next hop, and does not send it on."""
    if passing.probe != LOST or passing.point != Point("gateway", "eth2.20", "out"):
        return False
    return dissect(passing.raw).ttl is not None


def test_junit_file_says_what_was_run(project: Project) -> None:
    """As properties of the suite; a test that passes has none, and no files."""
    project.run("suites/test_same_vlan.py")
    root = ET.parse(project.folders[0] / "junit.xml").getroot()  # noqa: S314 - pytest wrote it
    of_run = {one.attrib["name"]: one.attrib["value"] for one in root.iter("property")}
    assert of_run["topology"] == "macvlan-two-host"
    assert project.folders[0].name.endswith(of_run["id"])
    assert list(root.iter("system-out")) == []


def test_junit_file_leads_from_a_failure_to_its_files(project: Project) -> None:
    """In the form that Jenkins and GitLab read; each file is there, seen from where pytest ran."""
    project.run("suites/test_cross_vlan.py", faults=Faults(lose=lost_in_gateway))
    root = ET.parse(project.folders[0] / "junit.xml").getroot()  # noqa: S314 - pytest wrote it
    case = next(each for each in root.iter("testcase") if each.find("failure") is not None)
    said = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert (said["cell"], said["verdict"], said["expected"]) == (LOST, "fail", "reached")
    lines = (case.findtext("system-out") or "").split()
    assert [line[:13] for line in lines] == ["[[ATTACHMENT|"] * 2
    files = [project.pytester.path / line[13:-2] for line in lines]
    assert [path.name for path in files] == ["report.html", "routed.pcapng"]
    assert all(path.is_file() for path in files)
    assert not any(line[13:].startswith("/") for line in lines)


def test_the_summary_of_a_step_has_the_report(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of GitHub Actions; one that cannot be written is told, and costs the run nothing."""
    target = project.pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    project.run("suites/test_same_vlan.py")
    assert target.read_text("utf-8").startswith("**PASS**: ")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.pytester.path))
    result = project.run("suites/test_same_vlan.py")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["harness: GITHUB_STEP_SUMMARY: *: Is a directory; the summary is *"]
    )
