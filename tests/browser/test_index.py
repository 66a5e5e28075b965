"""The page over all runs, and that of a comparison, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.diff import Change, Difference, page
from harness.report.history import Past, histories
from harness.report.html.index import index
from tests.browser.conftest import SIZES, Show
from tests.unit.pages import BAD

BEGAN = datetime(2026, 10, 1, 3, tzinfo=UTC)
CELLS = frozenset(
    {"routed-bbox1-to-bbox4-icmp", "routed-bbox1-to-bbox4-tcp", "isolated-a-to-b-arp"}
)
BROKEN = dict.fromkeys(sorted(CELLS)[1:], "fail")


def past(night: int, wrong: dict[str, str] | None = None, **fields: Any) -> Past:
    """A run of a night."""
    began = BEGAN + timedelta(days=night)
    values: dict[str, Any] = {
        "folder": f"{began:%Y%m%dT%H%M%SZ}-r{night}", "id": f"r{night}", "began": began,
        "seconds": 2.0 + night % 5, "topology": "macvlan-two-host", "backend": "netns",
        "kernel": "6.1.0-50" if night < 20 else "6.12.95", "engine": "",
        "exit": "fail" if wrong else "pass", "cells": CELLS, "wrong": wrong or {},
        "faults": ("forward-policy-drop",) if wrong else (),
    }  # fmt: skip
    return Past(**values | fields)


def month() -> list[Past]:
    """One cell that is flaky, and two that are red since the other kernel; another lab beside."""
    flaky = {"isolated-a-to-b-arp": "unproved"}
    nights = [past(night, BROKEN if night >= 20 else flaky if night % 6 == 3 else None)
              for night in range(30)]  # fmt: skip
    return [*nights, past(1, backend="docker", engine="Docker 20.10", topology="dual-stack")]


def hostile() -> list[Past]:
    """Runs in which every name is meant to do harm."""
    return [
        past(night, {bad: "fail"} if night % 2 else None, topology=bad, backend=bad, kernel=bad,
             engine=bad, id=bad, faults=(bad,), cells=frozenset({bad}))
        for bad in BAD for night in range(4)
    ]  # fmt: skip


CHANGES = (
    Change("cell", "routed icmp", "pass, reached", "fail, silent", "regression", tuple(CELLS)),
    Change("fact", "gateway sysctls: net.ipv4.ip_forward", "1", "0", where=("routed",)),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each page."""
    folder = tmp_path_factory.mktemp("more")
    bad = Change("fact", BAD[0], BAD[1], BAD[2], where=BAD)
    runs, evil = month(), hostile()
    made = {
        "index": index(histories(runs), ("20261101T030000Z-x: no report",),
                       [run.folder for run in runs]),
        "hostile": index(histories(evil), BAD, [run.folder for run in evil]),
        "diff": page.html(Difference("r1 (two)", "r2 (two)", CHANGES, 424, 1929, "times")),
        "hostile-diff": page.html(Difference(BAD[0], BAD[1], (bad,), 1, 1, BAD[3])),
    }  # fmt: skip
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


def test_the_first_run_in_which_cells_turned_red_is_seen_at_once(
    visit: Show, written: dict[str, Path]
) -> None:
    """On the first screen, with the kernel that it came with, and a way to its page."""
    seen = visit(written["index"])
    row = seen.page.locator("tr", has_text="still red")
    assert row.get_by_text("6.12.95").is_visible()
    assert row.get_by_text("routed-bbox1-to-bbox4-icmp").is_visible()
    box = row.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < SIZES[0][1]
    to = row.get_by_role("link", name="2026-10-21 03:00").get_attribute("href")
    assert to == "./20261021T030000Z-r20/report.html"


@pytest.mark.parametrize("name", ["index", "hostile", "diff", "hostile-diff"])
def test_nothing_is_loaded_run_or_blocked(visit: Show, written: dict[str, Path], name: str) -> None:
    """The page is all there is; what is too wide scrolls by itself, in a narrow window as well."""
    seen = visit(written[name])
    assert seen.loaded == [seen.url]
    assert seen.said == []
    assert seen.page.locator("script, img, iframe, form, [onload], [onmouseover]").count() == 0
    seen.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width, height in SIZES:
        seen.page.set_viewport_size({"width": width, "height": height})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "diff"])
def test_axe_finds_nothing(visit: Show, written: dict[str, Path], name: str, scheme: str) -> None:
    """Of WCAG 2, levels A and AA."""
    visit(written[name], color_scheme=scheme).accessible(scheme)


def test_printed_it_is_on_paper(visit: Show, written: dict[str, Path]) -> None:
    """Dark on light, whatever the screen is."""
    seen = visit(written["index"], color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert seen.page.evaluate(colour) == "rgb(255, 255, 255)"


def test_a_change_opens_its_places_without_scripts(visit: Show, written: dict[str, Path]) -> None:
    """And by the keyboard."""
    seen = visit(written["diff"], java_script_enabled=False)
    cell = seen.page.get_by_text("routed-bbox1-to-bbox4-tcp")
    assert not cell.is_visible()
    seen.page.locator("summary").first.focus()
    seen.page.keyboard.press("Enter")
    assert cell.is_visible()
