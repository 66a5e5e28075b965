"""A difference as a page: what is on it, and what no name can do to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.diff import Change, Difference, page
from harness.report.folder import write
from harness.report.html.changes import MAX_ROWS, MAX_WHERE
from tests.unit.builders import cell, failed, passed, report
from tests.unit.pages import BAD

WORSE = Change("cell", "routed icmp", "pass, reached", "fail, silent", "regression", ("a", "b"))
UNTOLD = replace(WORSE, new="unproved, inconclusive", unproved=True)
FACT = Change("fact", "gateway sysctls: net.x", "1", "2", where=("routed",))


def shown(*changes: Change, untold: str = "") -> str:
    """The page of these changes."""
    return page.html(Difference("r1 (two, 6.1)", "r2 (two, 6.12)", changes, 424, 1929, untold))


def test_what_changed() -> None:
    """The sentence on top with a sign; a row a change, its places where it is opened."""
    text = shown(WORSE, FACT, untold="times")
    assert "1 regression; 2 of 424 cells changed, 1 of 1929 facts in evidence</h1>" in text
    assert '</span> regression</td><th scope="row">routed icmp</th>' in text
    assert "<summary>2 places</summary>" in text
    assert '<td class="gone">1</td><td class="come">2</td><td><code>routed</code></td>' in text
    assert "not compared: times" in text


def test_marks() -> None:
    """Worse, untold, mended and merely changed look different, without colour as well."""
    marks = [
        page.told(Difference("a", "b", (one,), 1, 1)).mark
        for one in (WORSE, UNTOLD, replace(WORSE, sense="mended"), FACT)
    ]
    assert marks == ["fail", "unproved", "pass", "none"]
    assert page.told(Difference("a", "b", (), 1, 1)).mark == "pass"
    assert page.told(Difference("a", "b", (), 1, 1, "times")).mark == "unproved"
    assert "Nothing changed." in shown()


def test_much_is_counted() -> None:
    """Rows, and the places of one."""
    many = tuple(f"c{number}" for number in range(MAX_WHERE + 4))
    text = shown(replace(WORSE, where=many), *[FACT] * (MAX_ROWS + 1))
    assert "and 4 more" in text
    assert "And 2 more: <code>harness diff</code>" in text


def test_hostile_names_are_text() -> None:
    """Of nodes, rules, kernels and cells."""
    for bad in BAD:
        odd = Change("fact", bad, bad, bad, where=(bad, bad))
        text = page.html(Difference(bad, bad, (odd,), 1, 1, bad))
        assert "<script" not in text.lower()
        assert "<img" not in text.lower()
        assert text.count("<style>") == text.count("</style>") == 1


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A good run, and a bad one."""
    good, bad = passed(cell("bbox1", "bbox3")), failed(cell("bbox1", "bbox3"))
    return tuple(
        write(report(one, id=name), {}, {}, tmp_path) for name, one in (("a", good), ("b", bad))
    )  # type: ignore[return-value]


def diff(*arguments: str | Path) -> tuple[int, str]:
    """The verb; its exit code and what it says."""
    done = CliRunner().invoke(cli, ["diff", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_page_is_beside_the_new_runs_own_or_where_it_is_said(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    """The exit code is that of the comparison."""
    code, said = diff(*runs, "--html")
    assert (code, said.splitlines()[-1]) == (1, f"{runs[1]}/diff.html")
    assert said.startswith("1 regression; 1 of 1 cell changed, ")
    assert "regression" in (runs[1] / "diff.html").read_text("utf-8")
    assert diff(*runs, f"--html={tmp_path}/x.html")[0] == 1
    assert (tmp_path / "x.html").is_file()


def test_a_page_that_cannot_be_written_is_said(runs: tuple[Path, Path]) -> None:
    """In a line; and that it goes together with no other form."""
    code, said = diff(*runs, "--html", "/proc/none/x.html")
    assert (code, "No such file" in said, "Traceback" in said) == (2, True, False)
    assert diff(*runs, "--json", "--html")[0] == 2
