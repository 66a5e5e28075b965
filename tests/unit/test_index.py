"""The page over all runs, from values: what is on it, and what no name can do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from harness.report.history import Past, histories
from harness.report.html.index import MAX_BARS, MAX_CELLS, MAX_FLAKY, chart, index
from tests.unit.pages import BAD

BEGAN = datetime(2026, 11, 23, 3, tzinfo=UTC)


def past(night: int, wrong: dict[str, str] | None = None, **fields: Any) -> Past:
    """A run of a night."""
    values: dict[str, Any] = {
        "folder": f"2026-{night}", "id": f"r{night}", "began": BEGAN + timedelta(days=night),
        "seconds": 2.0 + night, "topology": "two", "backend": "netns", "kernel": "6.1",
        "engine": "", "exit": "fail" if wrong else "pass", "cells": frozenset({"a", "b", "c"}),
        "wrong": wrong or {}, "faults": ("ip-forward-off",) if wrong else (),
    }  # fmt: skip
    return Past(**values | fields)


def test_the_first_run_in_which_a_cell_was_red() -> None:
    """With its kernel, marked where it is another than that of the last green one."""
    runs = [past(1), past(2, {"a": "fail"}, kernel="6.12")]
    page = index(histories(runs), (), ["2026-1", "2026-2"])
    assert '<a href="./2026-2/report.html">2026-11-25 03:00</a>' in page
    assert '<td class="other">6.12</td>' in page
    assert "still red" in page
    assert "<code>a</code>" in page
    assert "ip-forward-off" in page


def test_a_run_without_a_page_leads_nowhere() -> None:
    """Its time is text."""
    page = index(histories([past(1)]), (), ())
    assert "2026-11-24 03:00" in page
    assert 'href="./2026' not in page
    assert "None, in any run." in page


def test_nothing_yet() -> None:
    """A directory without runs has a page that says so."""
    assert "No run has been written here yet." in index((), (), ())


def test_many_of_a_kind_are_counted() -> None:
    """Cells that turned red together, and flaky ones."""
    names = [f"c{number:03}" for number in range(MAX_FLAKY + 5)]
    wrong = dict.fromkeys(names, "fail")
    cells = frozenset(names)
    runs = [past(1, cells=cells), past(2, wrong, cells=cells), past(3, cells=cells)]
    page = index(histories(runs), (), ())
    assert f"and {len(names) - MAX_CELLS} more" in page
    assert "And 5 more." in page
    assert "Flaky cells" in page


def test_durations_are_drawn_of_the_newest() -> None:
    """A bar each, the longest as high as the drawing; the same in words."""
    runs = tuple(past(night) for night in range(MAX_BARS + 3))
    found = chart(runs)
    assert len(found.bars) == MAX_BARS
    assert (found.bars[-1].y, found.bars[-1].kind) == (0, "pass")
    assert found.said == "Durations of 120 runs, oldest first: 5.0 s to 124.0 s"
    assert [bar.height for bar in chart((past(1, seconds=0.0),)).bars] == [2]


def test_hostile_names_are_text() -> None:
    """Whatever a topology, kernel, engine, cell, fault or file is called."""
    for bad in BAD:
        runs = [
            past(1, topology=bad, kernel=bad, engine=bad, cells=frozenset({bad}), folder=bad),
            past(2, {bad: "fail"}, topology=bad, kernel=bad, engine=bad, faults=(bad,), id=bad,
                 cells=frozenset({bad}), folder=bad),
            past(3, topology=bad, kernel=bad, engine=bad, cells=frozenset({bad}), folder=bad),
        ]  # fmt: skip
        page = index(histories(runs), (bad,), (bad,))
        assert "<script" not in page.lower()
        assert "<img" not in page.lower()
        assert page.count("<style>") == page.count("</style>") == 1
