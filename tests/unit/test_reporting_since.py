"""A run that is compared with its baseline: what its folder says of it."""

from __future__ import annotations

from pathlib import Path

from harness import reporting
from harness.report.document import document
from harness.report.repeats import Found
from tests.unit.builders import cell, failed, passed, report

GOOD = report(passed(cell("bbox1", "bbox3")))
BASELINE = Found(Path("reports/20261123T200501Z-5f3a"), document(GOOD))


def test_what_changed() -> None:
    """For a terminal, a pull request, a program and the page, in the same words."""
    found = reporting.compared(BASELINE, report(failed(cell("bbox1", "bbox3")), kernel="6.99"))
    said = "kernel 6.18.0 -> 6.99: 1 regression; 1 of 1 cell changed, 0 of 0 facts in evidence"
    assert found.texts["diff.txt"].splitlines()[-1] == said
    assert found.texts["diff.md"].startswith(f"**{said}**\n")
    assert '"sense": "regression"' in found.texts["diff.json"]
    assert found.page is not None
    assert (found.page.summary, found.page.mark) == (said, "fail")


def test_a_baseline_with_other_cells() -> None:
    """That they cannot be compared is said, and looks like no pass."""
    found = reporting.compared(BASELINE, report(passed(cell("bbox3", "bbox1"))))
    assert list(found.texts) == ["diff.txt"]
    assert found.page is not None
    assert (found.page.mark, found.page.summary) == ("unproved", "it cannot be compared")
    assert "no cell is in both runs" in found.page.untold


def test_without_a_baseline_nothing_is_said() -> None:
    """As on the first night."""
    assert reporting.compared(None, GOOD) == reporting.Compared()
