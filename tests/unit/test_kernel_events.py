"""What a kernel did that no healthy one does: how a run ends by it, and that every view says so."""

from __future__ import annotations

from dataclasses import replace

import jsonschema
import pytest

from harness.kernel_log import KernelEvent
from harness.report.document import document, schema
from harness.report.html import overview
from harness.report.html.render import html
from harness.report.markdown import markdown
from harness.report.model import RunReport
from harness.report.text import terminal
from tests.unit.labs import TUTORIAL
from tests.unit.pages import bad, good, run

PANIC = KernelEvent("panic", "Kernel panic - not syncing: <b>sysrq</b> triggered crash")
UNBOOTED = KernelEvent("no-boot", "6.1 is not up after 120 s; its console said nothing")


def told(report: RunReport, *events: KernelEvent) -> RunReport:
    """A report with these events."""
    return replace(report, run=replace(report.run, kernel_events=events))


@pytest.mark.parametrize(
    ("report", "event", "ended", "said"),
    [
        (good(), PANIC, "fail", "The kernel is at fault. "),
        (bad(), PANIC, "fail", "The network does not do what the topology says. "),
        (run(), UNBOOTED, "error", "The kernel did not boot. "),
    ],
    ids=["all proved", "a cell failed", "not booted"],
)
def test_a_kernel_at_fault_is_no_pass(
    report: RunReport, event: KernelEvent, ended: str, said: str
) -> None:
    """Whatever the cells say; of a kernel that did not boot nothing is known to be wrong."""
    made = told(report, event)
    assert made.exit == ended
    assert overview.sentence(made, TUTORIAL).startswith(said)


def test_report_json_has_it_and_its_console() -> None:
    """As its schema wants it; a run without has no such key."""
    made = document(told(good(), PANIC))
    jsonschema.validate(made, schema())
    assert made["run"]["kernel_events"] == [
        {"kind": "panic", "text": PANIC.text, "evidence": "evidence/console.txt"}
    ]
    assert "kernel_events" not in document(good())["run"]


def test_every_view_tells_it() -> None:
    """In a line of the terminal, in Markdown, and on the page, where nothing of it is HTML."""
    made = told(good(), PANIC)
    assert "KERNEL panic: Kernel panic - not syncing: " in terminal(made, "reports/x", colour=False)
    assert "panic: Kernel panic" in markdown(made)
    page = html(made, TUTORIAL)
    assert "<b>panic</b>: Kernel panic - not syncing: &lt;b&gt;sysrq&lt;/b&gt;" in page
    assert "evidence/console.txt" in page
    assert "Kernel: <b>" not in html(good(), TUTORIAL)
