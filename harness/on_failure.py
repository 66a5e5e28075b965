"""--lab-shell-on-failure: a run ends at its first failure, with the lab as it is and a shell there.

The lab is not let go on while tests only read results: it is in the stage of whatever fails.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.asking import Ask
from harness.errors import HarnessError
from harness.keys import SESSION
from harness.selection import ask_of

WHY = "--lab-shell-on-failure: the first failure ends the run"


class ShellOnFailure:
    """Opens the shell, once."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Stop after the first test of the lab that failed or could not be carried out."""
        del call
        report = yield
        ask = ask_of(item)
        if report.failed and ask and not item.session.shouldfail:
            item.session.shouldfail = WHY
            _open(item.config, ask, report)
        return report


def _open(config: pytest.Config, ask: Ask, report: pytest.TestReport) -> None:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    session = config.stash[SESSION]
    capture.suspend(in_=True)
    try:
        node = session.suspect(ask)
        terminal.ensure_newline()
        terminal.write_line(f"{report.nodeid}", red=True)
        terminal.write_line(report.longreprtext)
        terminal.write_line(f"a shell in {node}; its end ends the run and the lab", bold=True)
        if not session.open_shell(ask, node):
            terminal.write_line("there is no lab to look at: it is gone", red=True)
    except HarnessError as error:
        terminal.write_line(f"there is no lab to look at: {error}", red=True)
    finally:
        capture.resume()
