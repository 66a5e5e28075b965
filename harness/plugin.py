"""The pytest plugin: options, asks as parameters, the run, the report at the end.

It is loaded by every pytest of an environment that has the harness installed, so it imports nothing
of the harness but names until a test asks something of a lab.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from harness import junit
from harness.defaults import BACKENDS, DEFAULT_TOPOLOGY, STAGES
from harness.errors import HarnessError, InputError
from harness.keys import (
    ASKING,
    COMPLAINTS,
    FAILURES,
    FINISHED,
    KEPT,
    MEASURED,
    ONLY_LAB,
    SESSION,
    UNUSABLE,
    UNWRITTEN,
)
from harness.spread import CONTROLLER, Controller, is_controller, refusal, tell

if TYPE_CHECKING:
    from harness.asking import Ask
    from harness.session import Session

UNTOLD = "lab_untold"
"""Marks a report whose test met an error of the harness: it crosses from pytest-xdist's workers."""
CUT_SHORT = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
"""A run that ended so has not asked everything, so it is no pass whatever it has found."""
SHORT_S = 0.005
"""What `--durations-min` of pytest is unless it is set."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; `pytest --help` prints what each says."""
    group = parser.getgroup("lab", "connectivity lab")
    add = group.addoption
    add("--lab-topology", metavar="FILE", help=f"the lab to build (default: {DEFAULT_TOPOLOGY})")
    add("--lab-backend", choices=BACKENDS, default="netns", help="how endpoints are made")
    add(
        "--lab-engine",
        metavar="ENGINE",
        default="",
        help="the dockerd of each host that runs one, by commas; a path, or a version: 20.10,28.5",
    )
    add(
        "--lab-image",
        metavar="IMAGE",
        default="",
        help="docker: an image by name, or a file that `docker save` wrote",
    )
    add("--lab-stage", choices=STAGES, help="test one stage (default: all)")
    add(
        "--lab-probe",
        metavar="KINDS",
        help="send these kinds of probe only: icmp,arp (default: all)",
    )
    add("--lab-attach", metavar="NAME", help="test the lab that `harness up` built, as it is")
    add("--lab-keep", action="store_true", help="leave the lab up after the run")
    add(
        "--lab-shell-on-failure",
        action="store_true",
        help="stop at the first failure, with a shell in the node that it points at",
    )
    add(
        "--lab-kernel",
        metavar="KERNEL",
        help="run the lab on this kernel in a virtual machine: a version that `make kernels` "
        "fetched or that is installed, a vmlinuz, .deb files by commas, a build tree",
    )
    add("--lab-reports", metavar="DIR", default="reports", help="folder for run folders")
    add(
        "--lab-baseline",
        metavar="RUN",
        help="say what changed since this run; `good`: since the one `harness baseline set` keeps",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that selects cells, and the fixtures."""
    from harness import docker_fixtures, fixtures, own_fixtures

    says = "cells(*families, stages=(), kinds=()): run once for each cell of these families"
    config.addinivalue_line("markers", says)
    # What a lab host's python3 lacks is read from the packages here, in mitogen's way.
    config.addinivalue_line("filterwarnings", "ignore:read_binary:DeprecationWarning:mitogen")
    config.stash[FAILURES] = (set(), set())
    config.stash[KEPT] = []
    config.stash[COMPLAINTS] = []
    for each in (fixtures, own_fixtures, docker_fixtures):
        config.pluginmanager.register(each, each.__name__)
    config.pluginmanager.register(junit.Attachments(config), "harness.junit")
    if config.option.lab_shell_on_failure:
        from harness.on_failure import ShellOnFailure

        config.pluginmanager.register(ShellOnFailure(), "harness.on_failure")
    if is_controller(config):
        if refusal(config):
            raise pytest.UsageError(refusal(config))
        config.stash[CONTROLLER] = Controller()
        config.pluginmanager.register(config.stash[CONTROLLER], "harness.spread")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize what asks something of the lab."""
    for name in ASKING:
        if name in metafunc.fixturenames:
            from harness import selection

            selection.parametrize(name, metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Stage by stage, where something is asked of a lab."""
    if UNUSABLE in config.stash:
        if not hasattr(config, "workerinput"):
            _refuse(config.stash[UNUSABLE])
        items.clear()  # the controller says it, once for all workers
    if SESSION in config.stash:
        from harness import selection

        items.sort(key=selection.order)


def _refuse(error: HarnessError) -> NoReturn:
    """End the run before it begins: what was given is wrong, or this machine cannot do it."""
    if isinstance(error, InputError):
        raise pytest.UsageError(str(error))
    pytest.exit(f"harness: {error}", returncode=error.exit_code)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Start the lab as soon as it is known what is asked of it."""
    config = session.config
    state = config.stash.get(SESSION, None)
    if CONTROLLER in config.stash:
        junit.own(session)
    if state and not config.option.collectonly and not session.testsfailed:
        from harness import selection

        junit.own(session)
        asks = [selection.ask_of(item) for item in session.items]
        of_lab = [item for item in session.items if asks_of_lab(item)]
        config.stash[ONLY_LAB] = of_lab == session.items and not hasattr(config, "workerinput")
        if not gc.get_freeze_count():  # of several runs in one process the later ones may go
            gc.freeze()  # what pytest collected stays to the end: looking through it takes 0.1 s
        state.start(ask for ask in asks if ask)


def asks_of_lab(item: pytest.Item) -> bool:
    """Whether a test is about the lab, also one that has nothing to ask of this one."""
    return not set(ASKING).isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the lab go on while tests run that only read results."""
    state = item.config.stash.get(SESSION, None)
    if state:
        from harness import selection

        ask = selection.ask_of(item)
        if ask and not item.config.option.lab_shell_on_failure:
            state.release(ask)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let go of what pytest keeps of set-ups and take-downs in which nothing happened.

    In a large lab that is more than all verdicts. None of it is ever told: `--durations` does not
    list what was so short, unless it is asked for all.
    """
    done = yield
    config = item.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if SESSION in config.stash and reporter and config.option.durations is None:
        kept = reporter.stats.get("", [])
        kept[-2:] = [each for each in kept[-2:] if each.sections or each.duration > SHORT_S]
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count failures that are no cell's; print the harness's own errors without a traceback."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, AssertionError):
        ask = _ask_of(item)
        said, in_own_words, _ = str(error).partition("\nassert ")
        if ask and ask.cells and in_own_words:
            # In place of lines of source, which pytest would look up for nobody, 2 ms a cell.
            item.repr_failure = lambda *_, **__: said  # type: ignore[method-assign]
    report = yield
    if report.failed:
        ask = _ask_of(item)
        _count(item, call, report, judged=ask is not None and ask.judged)
        if ask:
            report.__dict__.update(junit.describe(item, ask))
    return report


def _ask_of(item: pytest.Item) -> Ask | None:
    """What a test asks of a lab, if it asks something."""
    if SESSION not in item.config.stash:
        return None
    from harness import selection

    return selection.ask_of(item)


def _count(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, *, judged: bool
) -> None:
    """Note a failure; `judged` is whether the test is of a cell's verdict."""
    error = call.excinfo.value if call.excinfo else None
    untold = isinstance(error, HarnessError) and "lab_topology" in getattr(item, "fixturenames", ())
    if untold:
        report.longrepr = f"{type(error).__name__}: {error}"
        report.__dict__[UNTOLD] = True
    failed, broken = item.config.stash[FAILURES]
    if call.when != "call" or untold:
        broken.add(item.nodeid)
    elif not judged:
        failed.add(item.nodeid)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """What a lab could not tell is an ERROR, also in the body of a test that asks it there."""
    return ("error", "E", "ERROR") if getattr(report, UNTOLD, False) else None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Close the lab, see that nothing is left, write the run folder; nothing asked is no pass."""
    stash = session.config.stash
    try:
        if SESSION in stash:
            _finish(session, stash[SESSION])
        elif CONTROLLER in stash:
            _gather(session, stash[CONTROLLER])
    except HarnessError as error:
        stash[UNWRITTEN] = str(error)
        session.exitstatus = error.exit_code
    if hasattr(session.config, "workeroutput") and _has_news(stash):
        _tell(session)
    else:
        wrote = stash.get(FINISHED, None) or stash.get(CONTROLLER, None)
        junit.place(session.config, wrote.folder if wrote else None)


def _has_news(stash: pytest.Stash) -> bool:
    return SESSION in stash or UNUSABLE in stash or bool(stash[KEPT])


def _gather(session: pytest.Session, controller: Controller) -> None:
    """Make the exit code and `latest` those of all workers together."""
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = controller.status or session.exitstatus
    controller.point_latest()


def _tell(session: pytest.Session) -> None:
    """Send the controller what it prints and counts of this worker's lab."""
    config, stash = session.config, session.config.stash
    finished = stash.get(FINISHED, None)
    said = [f"harness: {complaint}" for complaint in _complaints(stash)]
    if finished and config.option.lab_keep:
        said.append(kept_line(finished.kept, stash[SESSION].topology.endpoints[0].name))
    said += [f"lab {name} is up: harness list; harness down {name}" for name in stash[KEPT]]
    error, status = stash.get(UNUSABLE, None), session.exitstatus
    if error:
        usage = isinstance(error, InputError)
        status = pytest.ExitCode.USAGE_ERROR if usage else error.exit_code
    tell(config, finished, said, int(status), str(error or ""))


def _finish(session: pytest.Session, state: Session) -> None:
    config = session.config
    failed, broken = config.stash[FAILURES]
    untold = len(broken) + (session.exitstatus in CUT_SHORT)
    finished = state.finish(Path(config.option.lab_reports), (len(failed), untold))
    if finished:
        config.stash[FINISHED] = finished
        from harness.report import github

        complaint = github.summarise(finished.folder, os.environ)
        config.stash[COMPLAINTS] += [complaint] if complaint else []
    if session.exitstatus != pytest.ExitCode.OK or config.option.collectonly:
        return
    if finished is None:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    elif finished.report.exit != "pass" and (finished.report.verdicts or state.asks_cells):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrices, what is wrong, where the report is, and how to enter a lab kept up."""
    stash, write = terminalreporter.config.stash, terminalreporter.write_line
    finished = stash.get(FINISHED, None)
    if finished:
        from harness.report.text import terminal

        terminalreporter.write_sep("=", "lab")
        colour = terminalreporter.hasmarkup
        write(terminal(finished.report, str(finished.folder), colour, finished.pageless))
        if terminalreporter.config.option.lab_keep:
            write(kept_line(finished.kept, stash[SESSION].topology.endpoints[0].name))
        if finished.compared:
            terminalreporter.write_sep("=", "since the baseline")
            write(finished.compared.rstrip())
    measured = _measured(terminalreporter)
    if measured:
        terminalreporter.write_sep("=", "measured")
    for line in measured:
        write(line)
    for name in stash[KEPT]:
        write(f"lab {name} is up: harness list; harness down {name}")
    for complaint in _complaints(stash):
        write(f"harness: {complaint}", red=True)


def _complaints(stash: pytest.Stash) -> list[str]:
    return [*stash[COMPLAINTS], *([stash[UNWRITTEN]] if UNWRITTEN in stash else [])]


def _measured(terminalreporter: pytest.TerminalReporter) -> list[str]:
    """What tests have measured, a sentence each, in the order of the tests."""
    reports = [
        report
        for word in ("passed", "failed")
        for report in terminalreporter.stats.get(word, ())
        if getattr(report, "when", "") == "call"
    ]
    return [
        str(value)
        for report in reports
        for name, value in report.user_properties
        if name == MEASURED
    ]


def kept_line(name: str, node: str) -> str:
    """How to enter the lab that was kept up."""
    if not name:
        return "the lab is gone, though it was to be kept: it was not built, or its worker was lost"
    return f"lab {name} is up: harness exec --name {name} {node} -- ip addr; harness down {name}"
