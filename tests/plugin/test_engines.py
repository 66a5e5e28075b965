"""What tests of container engines get where a lab has none, and how measurements are told."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project

pytest_plugins = ["pytester"]

NONE = "this lab runs no container engine; --lab-backend docker makes one that does"


def test_a_lab_without_engines_has_nothing_to_ask_them(project: Project) -> None:
    """Each test of networks and containers is skipped, with the reason; the run is no failure."""
    result = project.run("suites/test_docker_state.py", "suites/test_host_state.py", "-rs")
    assert result.parseoutcomes() == {"passed": 45, "skipped": 7}
    result.stdout.fnmatch_lines([f"SKIPPED * suites/test_docker_state.py: {NONE}"])


@pytest.mark.parametrize("name", ["container", "engine", "first_contact", "refusal"])
def test_own_suites_are_skipped_likewise(project: Project, name: str) -> None:
    """A suite of one's own can run on labs of both kinds."""
    project.pytester.makepyfile(test_own=f"def test_it({name}): {name}('bbox1')")
    result = project.run("test_own.py", "-rs")
    assert result.parseoutcomes() == {"skipped": 1}
    result.stdout.fnmatch_lines([f"*{NONE}"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "*suites/lifecycle restarts engines: give it --lab-backend docker"),
        (("--lab-attach", "a"), "*suites/lifecycle changes its lab; run it without --lab-attach"),
    ],
)
def test_suites_of_engines_need_a_lab_of_their_own(
    project: Project, options: tuple[str, ...], says: str
) -> None:
    """Named without a lab that they can change they are a mistake, and no pass."""
    result = project.run("suites/lifecycle", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_plain_suites_leave_them_out(project: Project) -> None:
    """`pytest suites/` disturbs no lab."""
    result = project.run("suites", "--collect-only", "-q")
    assert "lifecycle" not in result.stdout.str()


def test_measurements_are_told(project: Project) -> None:
    """Each once, in the order of the tests, of those that failed as well."""
    body = """
    def test_one(record_property): record_property("measured", "bbox1 after 1 ms")
    def test_two(record_property):
        record_property("other", "no sentence")
        record_property("measured", "bbox1 after 2 ms")
        assert False
    """
    project.pytester.makepyfile(test_own=body)
    result = project.run("test_own.py")
    result.stdout.fnmatch_lines(["*= measured =*", "bbox1 after 1 ms", "bbox1 after 2 ms"])
    assert "no sentence" not in "".join(result.outlines[-8:])
