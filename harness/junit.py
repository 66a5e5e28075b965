"""The JUnit file of a run: where it goes, and what CI systems show of it beside passed and failed.

Jenkins shows properties of a suite and of a test, and with its JUnit Attachments plugin the files
that a line `[[ATTACHMENT|path]]` of a test's output names; GitLab shows the first of them, if the
path is one of the job's artifacts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from harness.errors import HarnessError
from harness.keys import FINISHED, SESSION

if TYPE_CHECKING:
    from harness.asking import Ask
    from harness.flow import Verdict
    from harness.report.model import Run

ATTACHED = "lab_attached"
"""Marks a report with the files that its test has: it crosses from pytest-xdist's workers."""
OF_RUN = ("id", "topology", "backend", "kernel", "vlan_datapath", "firewall_backend")


def own(session: pytest.Session) -> None:
    """Have a JUnit file made for the run folder, its place yet unknown, if nobody else wants one.

    Only a run that tests a lab has one, which is known after collection; so pytest's own plugin is
    told late of what it has missed.
    """
    config = session.config
    if getattr(config.option, "xmlpath", "") is None and not hasattr(config, "workerinput"):
        from _pytest import junitxml

        config.option.xmlpath = os.devnull
        junitxml.pytest_configure(config)
        config.stash[junitxml.xml_key].pytest_sessionstart()


def place(config: pytest.Config, folder: Path | None) -> None:
    """Let pytest write its file into the run folder; nowhere, and silently, without one."""
    junit: Any = config.pluginmanager.get_plugin("junitxml")
    xml = _xml(config)
    if xml is None:
        return
    if FINISHED in config.stash:
        for name, value in of_run(config.stash[FINISHED].report.run):
            xml.add_global_property(name, value)
    if config.option.xmlpath == os.devnull:
        if folder:
            xml.logfile = str(folder / "junit.xml")
        else:
            junit.pytest_unconfigure(config)


def of_run(run: Run) -> Iterator[tuple[str, str]]:
    """What is said of a whole run."""
    yield from ((name, str(getattr(run, name))) for name in OF_RUN)
    yield from (("engine", line) for line in run.engines)


def of_cell(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """What is said of a test whose cell did not pass."""
    yield "cell", verdict.cell.id
    yield "expected", str(verdict.cell.expectation.outcome)
    yield "observed", str(verdict.observation.outcome)
    yield "verdict", str(verdict.ruling)
    if verdict.observation.lost_at:
        yield "lost at", str(verdict.observation.lost_at)
    if verdict.cause:
        yield "cause", str(verdict.cause.code)


def describe(item: pytest.Item, ask: Ask) -> dict[str, Any]:
    """Add its properties to a test that did not pass; the mark for its report: the files it has."""
    session = item.config.stash[SESSION]
    try:
        verdict = session.judged(ask)
    except HarnessError:  # told by the test itself
        verdict = None
    if verdict:
        item.user_properties += list(of_cell(verdict))
    folder = Path(item.config.option.lab_reports, session.folder_name).absolute()
    within = folder.is_relative_to(Path.cwd())
    shown = folder.relative_to(Path.cwd()) if within else folder
    names = ("report.html", f"captures/{ask.stage}.pcapng")
    return {ATTACHED: [f"{shown}/{name}" for name in names]}


class Attachments:
    """Names a test's files in its output, as CI systems want it, before pytest closes its case."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest: a phase of a test is over, here or in a worker of pytest-xdist."""
        attached, xml = getattr(report, ATTACHED, ()), _xml(self._config)
        if attached and xml is not None:
            said = ET.Element("system-out")
            said.text = "".join(f"\n[[ATTACHMENT|{path}]]" for path in attached) + "\n"
            xml.node_reporter(report).append(said)


def _xml(config: pytest.Config) -> Any:
    """What writes the file; None if nobody wants one."""
    junit = config.pluginmanager.get_plugin("junitxml")
    return config.stash.get(junit.xml_key, None) if junit else None
