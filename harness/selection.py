"""From pytest's options and markers to a session and its asks.

Imported when the first test asks something of a lab, and not before: who has the plugin installed
and tests no lab pays for nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from harness import asking, labs
from harness.asking import Ask
from harness.backends import Backend
from harness.defaults import default_topology
from harness.errors import HarnessError, InputError
from harness.flow import Stage
from harness.keys import NO_ENGINES, NOT_ITS_OWN, OF_ENGINES, SESSION, UNUSABLE
from harness.matrix import ALL_KINDS
from harness.report import baselines
from harness.report.repeats import Found, read
from harness.session import Session
from harness.spread import worker_of

ELSEWHERE = "is for labs on this machine; what is on a lab host"
NOTHING = {
    "steps": "no pair is routed by a gateway host that can be looked into",
    "readings": "the stages isolated and undone are not both tested",
    "outcomes": "the stages isolated and undone are not both tested",
    "docker_ping": "no container sends the probe icmp",
}
"""Why a fixture has nothing to ask."""


def parametrize(name: str, metafunc: pytest.Metafunc) -> None:
    """Parametrize a fixture that asks something of the lab."""
    metafunc.parametrize(name, _parameters(name, metafunc), indirect=True)


def ask_of(item: pytest.Item) -> Ask | None:
    """What a test asks of the lab."""
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec else ()
    return next((value for value in parameters if isinstance(value, Ask)), None)


def order(item: pytest.Item) -> tuple[int, bool]:
    """Stage by stage; in each first what needs the lab to be in it, so that it can go on early."""
    ask = ask_of(item)
    return (tuple(Stage).index(ask.stage), not ask.live) if ask else (-1, False)


def source(config: pytest.Config, topology: str = "") -> labs.Source:
    """The lab that the options choose; `topology` where they name none."""
    option = config.option
    if option.lab_kernel is not None:
        _alone(option)
    if option.lab_attach:
        return labs.attached(option.lab_attach)
    path = option.lab_topology or topology or str(default_topology())
    backend = Backend(option.lab_backend, option.lab_engine, option.lab_image)
    if option.lab_backend == "ssh":
        if option.lab_keep:
            raise InputError(f"--lab-keep {ELSEWHERE} is taken back")
        if option.lab_shell_on_failure:
            raise InputError(f"--lab-shell-on-failure {ELSEWHERE} is entered by ssh")
        if labs.observes(path):
            return labs.observed(path, backend, option.lab_stage)
        return labs.on_hosts(path, backend)
    if option.lab_keep:
        return labs.kept(path, backend)
    return labs.private(path, backend, option.lab_kernel)


def _alone(option: argparse.Namespace) -> None:
    """InputError where another option wants a lab that is not in a machine of its own."""
    other = {
        "--lab-attach": bool(option.lab_attach),
        "--lab-keep": option.lab_keep,
        "--lab-shell-on-failure": option.lab_shell_on_failure,
        "--lab-backend ssh": option.lab_backend == "ssh",
    }
    for name in (name for name, given in other.items() if given):
        raise InputError(f"{name} does not go with --lab-kernel: that lab ends with its machine")


def argv(config: pytest.Config) -> tuple[str, ...]:
    """The command line; a worker of pytest-xdist is told its controller's."""
    workerinput = getattr(config, "workerinput", {})
    return tuple(workerinput.get("mainargv", sys.argv))


def _parameters(name: str, metafunc: pytest.Metafunc) -> list[ParameterSet]:
    """An ask each; none if what was given cannot be used here, which is told after collection."""
    config = metafunc.config
    if UNUSABLE in config.stash:
        return []
    try:
        session = _session_of(config)
        asks = _asks(name, session, metafunc)
    except HarnessError as error:
        config.stash[UNUSABLE] = error
        return []
    return [pytest.param(ask, id=ask.id) for ask in asks] or [_nothing(name, session, metafunc)]


def _nothing(name: str, session: Session, metafunc: pytest.Metafunc) -> ParameterSet:
    """A test that the topology or the chosen stages leave nothing for: skipped, and why."""
    why = NO_ENGINES if name in OF_ENGINES and not session.engines else NOTHING.get(name)
    if name == "imposed" and not session.topology.switched:
        why = NOT_ITS_OWN
    why = why or _no_cells(session, metafunc.definition.get_closest_marker("cells"))
    return pytest.param(None, id="not-applicable", marks=pytest.mark.skip(reason=why))


def _no_cells(session: Session, marker: pytest.Mark | None) -> str:
    """Why there is no cell of what a test asks for."""
    families = marker.args if marker else ()
    stages = marker.kwargs.get("stages", ()) if marker else ()
    if stages and not set(stages) & set(session.stages):
        return f"no stage {' or '.join(stages)} is tested"
    lines = [line for line in session.matrix.not_applicable if line.partition(":")[0] in families]
    return "; ".join(lines) or f"no cell of {', '.join(families)} in the chosen stages"


def _asks(name: str, session: Session, metafunc: pytest.Metafunc) -> list[Ask]:
    topology, stages, found = session.topology, session.stages, session.engines
    without_cells = {
        "on_host": lambda: asking.hosts(topology, stages),
        "steps": lambda: asking.routed(topology, session.matrix),
        "readings": lambda: asking.readings(topology, stages),
        "outcomes": lambda: asking.twins(session.matrix, stages),
        "docker_network": lambda: asking.networks(topology, stages, found),
        "docker_container": lambda: asking.containers(topology, stages, found),
        "imposed": lambda: asking.imposed(stages, found if topology.switched else ()),
        "docker_ping": lambda: asking.pinged(topology, session.matrix.cells, found),
        "docker_engine": lambda: asking.engines(found, stages),
    }
    if name in without_cells:
        return without_cells[name]()
    marker = metafunc.definition.get_closest_marker("cells")
    if marker is None:
        raise InputError(f"{metafunc.definition.nodeid}: say which cells: @mark.cells(...)")
    given = marker.kwargs
    try:
        return asking.cells(
            session.matrix, marker.args, given.get("stages", ()), given.get("kinds", ())
        )
    except ValueError as error:
        raise InputError(f"{metafunc.definition.nodeid}: @mark.cells: {error}") from error


def _session_of(config: pytest.Config) -> Session:
    """The run's session, made on first use: who collects nothing of a lab pays for nothing."""
    if SESSION not in config.stash:
        config.stash[SESSION] = _open(config)
    return config.stash[SESSION]


def _open(config: pytest.Config) -> Session:
    option, lab = config.option, source(config)
    possible = (lab.stage,) if lab.stage else lab.topology.stages
    chosen = (Stage(option.lab_stage),) if option.lab_stage else possible
    if not set(chosen) <= set(possible):
        known = ", ".join(possible)
        raise InputError(f"this lab has no stage {option.lab_stage} to test, only {known}")
    kinds = _kinds(option.lab_probe) if option.lab_probe else ALL_KINDS
    session = Session(lab, chosen, argv(config), worker_of(config), kinds)
    session.baseline = _baseline(option, lab)
    return session


def _baseline(option: argparse.Namespace, lab: labs.Source) -> Found | None:
    """The run to compare with; none on the first night of `good`."""
    wish = option.lab_baseline
    if wish == baselines.GOOD:
        found = baselines.find(Path(option.lab_reports), lab.topology.name, lab.backend)
        return read(found) if found else None
    return read(Path(wish)) if wish else None


def _kinds(wish: str) -> frozenset[str]:
    """The kinds of probe that a list names."""
    kinds = frozenset(name.strip() for name in wish.split(","))
    unknown = sorted(kinds - ALL_KINDS)
    if unknown:
        known = ", ".join(sorted(ALL_KINDS))
        raise InputError(f"--lab-probe: unknown {', '.join(unknown)!r:.60}; known: {known}")
    return kinds
