"""A lab of a thousand endpoints in a real browser: a million pairs, told in groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.report.html.render import html
from tests.browser.conftest import SIZES, Opened, Show
from tests.unit import pages


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run in which one endpoint of a thousand reaches nobody."""
    made = tmp_path_factory.mktemp("large") / "report.html"
    made.write_text(html(*pages.large()), encoding="utf-8")
    return made


@pytest.fixture
def seen(visit: Show, file: Path) -> Opened:
    """The page opened."""
    return visit(file)


def test_the_page_is_of_a_size_that_a_mail_takes(file: Path) -> None:
    """What passed is there by groups, what failed cell by cell."""
    assert file.stat().st_size < 5_000_000


def test_groups_are_a_matrix(seen: Opened) -> None:
    """Forty groups of a VLAN and a host; the one that has the broken endpoint says so."""
    grid = seen.page.locator("table.grid")
    assert grid.locator("tbody tr").count() == 40
    assert grid.locator("td.fail").count() == 40
    first = grid.locator("tbody tr").first
    assert first.locator("th").inner_text() == "VLAN 10, host1"
    assert first.locator("td").all_inner_texts()[:2] == ["FAIL 24/600", "FAIL 25/625"]


def test_a_field_opens_its_group(seen: Opened) -> None:
    """Every pair of the two groups with its word; one that failed leads to its cell."""
    seen.page.locator("table.grid td.fail a").first.click()
    drawn = seen.page.locator("tr.drawn table.grid")
    assert drawn.locator("tbody tr").count() == 25
    assert drawn.locator("td.fail").count() == 24
    assert drawn.locator("td.pass").count() == 576
    drawn.locator("td.fail a").first.click()
    pair = seen.page.locator("details.pair[open]")
    assert pair.locator("summary").inner_text().split()[1:4] == ["bbox1", "to", "bbox41,"]
    assert seen.said == []


def test_it_is_narrowed_down(seen: Opened) -> None:
    """By what failed, by a group of the drawing; the page says what it does not search."""
    seen.page.locator("select[name=state]").select_option("fail")
    output = seen.page.locator("#filter output")
    expect(output).to_contain_text("500 of 500 cells; 998500 more, which all are in report.json")
    assert seen.page.locator("table.grid td:not(.dim)").count() == 40
    seen.page.locator("#lab [data-pick='group 20 host2']").click()
    expect(seen.page.locator("select[name=host]")).to_have_value("host2")
    expect(output).to_contain_text("13 of 500 cells")


def test_what_is_left_out_is_said(seen: Opened) -> None:
    """Where the cells are that passed, without a script as well."""
    for text in ("998500 cells are not told here", "1000 nodes are told in groups"):
        assert seen.page.get_by_text(text).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Show, file: Path, scheme: str) -> None:
    """Of a group opened, too."""
    seen = visit(file, "#group-0", color_scheme=scheme)
    assert seen.page.locator("tr.drawn").is_visible()
    # Cells are as on any page (test_access.py), and axe would look at a thousand of them.
    seen.page.evaluate("document.querySelectorAll('.pair').forEach(each => each.remove())")
    seen.accessible(scheme)


def test_it_never_scrolls_sideways(visit: Show, file: Path) -> None:
    """What is too wide scrolls by itself, a group opened included."""
    for size in SIZES:
        seen = visit(file, "#group-0", size=size)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_it_reads_without_scripts(visit: Show, file: Path) -> None:
    """A group is words and counts then, and who is in it a list."""
    seen = visit(file, "#group-1", java_script_enabled=False)
    row = seen.page.locator("tr[id='group-1']")
    assert row.inner_text().split("\t") == [
        "VLAN 20, host2", "FAIL 25/625", "625 pairs: 600 routed, 25 FAIL 1/1",
    ]  # fmt: skip
    assert "bbox1, bbox41" in seen.page.locator("details.members p").first.inner_text() or (
        seen.page.locator("details.members p").first.is_hidden()
    )
