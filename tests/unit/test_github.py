"""The summary of a step of GitHub Actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.github import VARIABLE, summarise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder."""
    (tmp_path / "report.md").write_text("**PASS**: 424 cells\n", encoding="utf-8")
    return tmp_path


def test_the_report_is_appended(folder: Path) -> None:
    """What other steps have said stays."""
    target = folder / "summary"
    target.write_text("before\n", encoding="utf-8")
    assert summarise(folder, {VARIABLE: str(target)}) == ""
    assert target.read_text(encoding="utf-8") == "before\n**PASS**: 424 cells\n\n"


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}])
def test_elsewhere_nothing_is_written(folder: Path, environment: dict[str, str]) -> None:
    """The variable is not set, or empty."""
    assert summarise(folder, environment) == ""


def test_a_summary_that_cannot_be_written_is_told(folder: Path) -> None:
    """In a sentence with the file, the reason, and where the summary is."""
    assert summarise(folder, {VARIABLE: str(folder)}) == (
        f"{VARIABLE}: {folder}: Is a directory; the summary is {folder}/report.md"
    )
