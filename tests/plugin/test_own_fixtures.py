"""What suites of one's own get: the lab, single probes, and errors where it cannot be told."""

from __future__ import annotations

import errno

import pytest

from harness.flow import Outcome
from harness.testing import Faults
from tests.plugin.conftest import Project

pytest_plugins = ["pytester"]

CELL = "routed-bbox1-to-bbox4-icmp"
PROBES = """
    def test_it(probe):
        verdict = probe("bbox1", "bbox4", "icmp")
        assert verdict.reached, verdict.explain()
"""


def test_lab_is_routed_by_default(project: Project) -> None:
    """The lab is in its last wanted stage, and ends with the run; there is no run folder."""
    project.pytester.makepyfile(test_own="def test_it(lab): assert lab.stage == 'routed'")
    assert project.run("test_own.py").ret == pytest.ExitCode.OK
    assert project.worker.closed
    assert project.folders == []


def test_lab_stage_option(project: Project) -> None:
    """`--lab-stage` says in which stage the lab is wanted."""
    project.pytester.makepyfile(test_own="def test_it(lab): assert lab.stage == 'isolated'")
    assert project.run("test_own.py", "--lab-stage", "isolated").ret == pytest.ExitCode.OK


def test_suite_names_its_topology(project: Project) -> None:
    """A suite's own topology is used; the one of the command line wins over it."""
    own = (project.pytester.path / "topologies/macvlan-two-host.yaml").read_text("utf-8")
    (project.pytester.path / "own.yaml").write_text(
        own.replace("name: macvlan-two-host", "name: own")
    )
    project.pytester.makepyfile(
        test_own="""
        import pytest
        @pytest.fixture(scope="session")
        def lab_topology(): return "own.yaml"
        def test_it(lab): assert lab.topology.name == "own"
        """
    )
    assert project.run("test_own.py").ret == pytest.ExitCode.OK
    given = "--lab-topology", "topologies/macvlan-two-host.yaml"
    assert project.run("test_own.py", *given).ret == pytest.ExitCode.TESTS_FAILED


def test_probe_reaches(project: Project) -> None:
    """A probe is sent alone and judged."""
    project.pytester.makepyfile(test_own=PROBES)
    assert project.run("test_own.py").ret == pytest.ExitCode.OK
    assert project.probed == [CELL]


def test_probe_is_blocked_with_proof(project: Project) -> None:
    """A blocked probe is blocked only because a control, sent after it, arrived."""
    body = "def test_it(probe): assert probe('bbox1', 'bbox4', 'l2-unicast').blocked"
    project.pytester.makepyfile(test_own=body)
    assert project.run("test_own.py").ret == pytest.ExitCode.OK
    assert project.probed[1].startswith("control/")


def test_lost_probe_fails(project: Project) -> None:
    """A probe that does not arrive is neither reached nor, being unexpected, proved blocked."""
    body = """
    def test_it(probe):
        verdict = probe("bbox1", "bbox4", "icmp")
        assert not verdict.blocked
        assert verdict.reached, verdict.explain()
    """
    project.pytester.makepyfile(test_own=body)
    lost = Faults(lose=lambda passing: passing.point.node == "gateway")
    result = project.run("test_own.py", faults=lost)
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines([f"*observed {Outcome.NO_NEIGHBOUR}*"])


def test_unproved_probe_is_an_error(project: Project) -> None:
    """What could not be told is an ERROR in the body of a test too, in one line of its own."""
    project.pytester.makepyfile(test_own=PROBES)
    result = project.run("test_own.py", faults=Faults(refused={CELL: errno.EPERM}))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines([f"*Unproved: {CELL}: unproved: *EPERM*"])


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        ("lab.run('bbox9', ['true'])", "*no node 'bbox9'; it has host1, *"),
        ("lab.probe('bbox1', 'bbox4', 'smoke')", "*no probe 'smoke' from bbox1 to bbox4*arp, *"),
        ("lab.probe('bbox1', 'bbox9', 'icmp')", "*no node 'bbox9'*"),
    ],
)
def test_what_there_is_not(project: Project, asks: str, says: str) -> None:
    """A node or probe that there is not is an ERROR that names those that there are."""
    project.pytester.makepyfile(test_own=f"def test_it(lab): {asks}")
    result = project.run("test_own.py")
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines([says])


def test_lab_that_cannot_be_built(project: Project) -> None:
    """All tests of a lab that cannot be built are errors that say why."""
    project.pytester.makepyfile(test_own=PROBES)
    result = project.run("test_own.py", faults=Faults(fails=(3, "Operation not permitted")))
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*BuildError: ip netns add host2: Operation not permitted*"])


def test_lab_host_is_a_testinfra_host(project: Project) -> None:
    """`lab_host` gives testinfra's hosts by name, beside testinfra's own fixture `host`."""
    body = "def test_it(lab_host): assert lab_host('gateway').sysctl('net.ipv4.ip_forward') == 1"
    project.pytester.makepyfile(test_own=body)
    assert project.run("test_own.py").ret == pytest.ExitCode.OK


def test_capture_and_process(project: Project) -> None:
    """A capture sees the probe of its block and no other; a process runs until it is stopped."""
    body = """
    def test_it(lab, probe, capture):
        probe("bbox1", "bbox3", "icmp")
        with lab.start("bbox3", ["true"]) as process, capture("bbox3", "eth0") as seen:
            probe("bbox1", "bbox4", "icmp")
            probe("bbox2", "bbox3", "icmp")
            assert process.running
        assert not process.running
        assert [one.ttl for one in seen.packets if one.icmp_type == 8] == [63]
    """
    project.pytester.makepyfile(test_own=body)
    assert project.run("test_own.py").ret == pytest.ExitCode.OK
