"""A run that pytest-xdist spreads over workers: each has a lab and a run folder of its own.

A worker is not told beforehand which tests it will get, so in each stage that its tests come to it
sweeps all cells that are asked for. The controller has no lab; it gathers what workers say.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.session import Finished

OUTPUT = "lab"
"""Our key in what a worker sends home at its end: plain data."""
WORST_FIRST = ("error", "fail", "pass")
NOTHING = int(pytest.ExitCode.NO_TESTS_COLLECTED)


def is_controller(config: pytest.Config) -> bool:
    """Whether this process only hands out tests."""
    return getattr(config.option, "dist", "no") != "no" and not config.option.collectonly


def worker_of(config: pytest.Config) -> str:
    """`gw0` and so on in a worker of pytest-xdist; empty otherwise."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


def refusal(config: pytest.Config) -> str:
    """Why this run cannot be spread; empty if it can."""
    if config.option.lab_attach:
        return (
            "--lab-attach: one lab cannot be swept by two at a time; leave out -n "
            "(a stage's cells are sent together anyway)"
        )
    if config.option.lab_backend == "ssh":
        return "--lab-backend ssh: lab hosts carry one lab at a time; leave out -n"
    if config.option.lab_shell_on_failure:
        return "--lab-shell-on-failure: several workers have one terminal; leave out -n"
    return ""


def tell(
    config: pytest.Config, finished: Finished | None, said: list[str], status: int, unusable: str
) -> None:
    """Send home from a worker how the run of its lab ended.

    `said` are lines to print, `unusable` says why what was given cannot be used.
    """
    told: dict[str, Any] = {"said": said, "status": status, "unusable": unusable}
    if finished:
        from harness.report.text import terminal

        told["exit"] = finished.report.exit
        told["folder"] = str(finished.folder)
        told["text"] = terminal(finished.report, str(finished.folder), False, finished.pageless)
    config.workeroutput[OUTPUT] = told  # type: ignore[attr-defined]  # xdist puts it there


class Controller:
    """What the controlling process does in the place of a lab."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """See pytest-xdist: a worker has ended; what it has sent is there, unless it was killed."""
        told = getattr(node, "workeroutput", {}).get(OUTPUT)
        if told:
            self._told[node.gateway.id] = told

    @property
    def folder(self) -> Path | None:
        """The run folder to look at first; `latest` points to it."""
        found = self._worst_first()
        return Path(found[0][1]["folder"]) if found else None

    @property
    def status(self) -> int:
        """The exit code by the labs alone: what no worker tested is no pass."""
        statuses = [told["status"] for told in self._told.values()]
        wrong = [status for status in statuses if status not in (0, NOTHING)]
        if wrong:
            return int(max(wrong))
        return NOTHING if statuses and set(statuses) == {NOTHING} else 0

    def point_latest(self) -> None:
        """Let `latest` be the folder to look at first, whichever was written last."""
        from harness.report.folder import point_latest

        if self.folder:
            point_latest(self.folder)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the worst run in full, and of each worker where its report is."""
        for unusable in sorted({told["unusable"] for told in self._told.values()} - {""}):
            terminalreporter.write_line(f"ERROR: {unusable}", red=True)
        found = self._worst_first()
        if found:
            terminalreporter.write_sep("=", "lab")
            terminalreporter.write_line(found[0][1]["text"])
        for worker, told in found:
            terminalreporter.write_line(f"{worker}: {told['exit']}: {told['folder']}")
        for worker, told in sorted(self._told.items()):
            for line in told["said"]:
                terminalreporter.write_line(f"{worker}: {line}")

    def _worst_first(self) -> list[tuple[str, dict[str, Any]]]:
        wrote = [(worker, told) for worker, told in self._told.items() if "folder" in told]
        return sorted(wrote, key=lambda each: (WORST_FIRST.index(each[1]["exit"]), each[0]))


CONTROLLER = pytest.StashKey[Controller]()
"""What gathers the workers' runs, in the process that hands out their tests."""
