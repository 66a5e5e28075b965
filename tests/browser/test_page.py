"""The page of a run in a real browser: seen, followed, attacked, printed."""

from __future__ import annotations

import pytest

from tests.browser.conftest import MADE, SIZES, Show
from tests.unit import pages
from tests.unit.pages import LOST

OPENS = "undone-bbox1-to-bbox3-icmp"


def test_a_good_run_is_seen_at_once(show: Show) -> None:
    """The sentence and the whole drawing are on the first screen; nothing is open."""
    seen = show("good")
    assert seen.page.get_by_role("heading", level=1).inner_text().startswith("✓ PASS All 424 cells")
    assert seen.box("svg")["y"] + seen.box("svg")["height"] < SIZES[0][1]
    for name in ("host1", "bbox4", "gateway", "VLAN 20 172.16.20.0/24"):
        assert seen.page.locator("svg text", has_text=name).first.is_visible()
    assert seen.page.locator("table.grid").count() == 6
    assert seen.page.locator("details[open]").count() == 0


def test_a_cause_is_seen_without_scrolling(show: Show) -> None:
    """On top with its fix, and on the drawing at its node."""
    seen = show("bad")
    assert seen.page.get_by_role("banner").get_by_text("iptables -P FORWARD ACCEPT").is_visible()
    note = seen.box("svg text:has-text('forward-policy-drop')")
    box = seen.box("svg rect.box.noted")
    assert box["y"] < note["y"] < box["y"] + box["height"] < SIZES[0][1]
    assert box["x"] < note["x"] < box["x"] + box["width"]


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_loaded_and_nothing_is_blocked(show: Show, name: str) -> None:
    """The page is all there is; its policy blocks nothing of its own, and its style is in force."""
    seen = show(name)
    assert seen.loaded == [seen.url]
    assert seen.said == []
    assert seen.page.evaluate("getComputedStyle(document.querySelector('.wide')).overflowX") == (
        "auto"
    )


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_hostile_strings_run_nothing_and_break_out_of_nothing(show: Show, scripts: bool) -> None:
    """No element and no handler comes of a name, be the page's own script on or off."""
    seen = show("hostile", java_script_enabled=scripts)
    assert seen.page.title().startswith("FAIL ")
    kinds = "img, iframe, object, embed, form, link, base, [onload], [onerror], [onmouseover]"
    assert seen.page.locator(kinds).count() == 0
    for kind in ("style", "script", "body"):
        assert seen.page.locator(kind).count() == 1
    seen.page.locator("summary").first.hover()
    assert seen.page.title().startswith("FAIL ")
    assert seen.page.locator("section").count() == 6
    assert seen.said == []


def test_the_policy_would_stop_what_broke_out(show: Show) -> None:
    """Were a script or a style put into the page all the same, the browser would not have it."""
    seen = show("good")
    assert seen.said == []
    for kind, text in (("script", "document.title = 1"), ("style", "p {margin: 9px}")):
        seen.page.evaluate(
            "([kind, text]) => {const made = document.createElement(kind);"
            " made.textContent = text; document.head.append(made)}",
            [kind, text],
        )
    assert seen.page.title().startswith("PASS ")
    assert len([text for text in seen.said if "Content Security Policy" in text]) == 2


@pytest.mark.parametrize("name", MADE)
def test_the_page_never_scrolls_sideways(show: Show, name: str) -> None:
    """With all opened, what is too wide scrolls by itself."""
    seen = show(name)
    seen.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width, height in SIZES:
        seen.page.set_viewport_size({"width": width, "height": height})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_where_the_reader_wants_it(show: Show) -> None:
    """Another background, the drawing's too."""
    colour = "[document.body, document.querySelector('.box')].map(each =>"
    colour += " getComputedStyle(each).backgroundColor + getComputedStyle(each).fill)"
    light, dark = (
        show("good", color_scheme=scheme).page.evaluate(colour) for scheme in ("light", "dark")
    )
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_fields_lead_to_cells_and_cells_to_evidence(show: Show) -> None:
    """What is folded opens when it is led to; scripts are off, as they always may be."""
    seen = show("good", java_script_enabled=False)
    cell = seen.page.locator(f"tr[id='{OPENS}']")
    assert not cell.is_visible()
    grid = seen.page.locator("table.grid", has_text="undone: layer 3")
    grid.locator("tbody tr", has_text="bbox1").first.get_by_text("reach*").click()
    pair = seen.page.locator("details.pair", has=cell)
    assert pair.is_visible()
    pair.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    assert cell.is_visible()


def test_a_cell_can_be_led_to_by_its_id(show: Show) -> None:
    """`report.html#ID` opens it."""
    seen = show("good", f"#{OPENS}")
    assert seen.page.locator(f"tr[id='{OPENS}']").is_visible()


def test_a_failing_cell_leads_to_its_reading(show: Show) -> None:
    """The reading's own list is folded, and opens; the raw file is one click further."""
    seen = show("bad", f"#{LOST}")
    cell = seen.page.locator(f"tr[id='{LOST}']")
    seen.page.locator(".alike", has=cell).get_by_role("link", name=pages.CITED).first.click()
    raw = seen.page.locator(f"li a[href='evidence/{pages.CITED.replace('/', '-')}.txt']")
    assert raw.is_visible()


def test_printed_it_is_on_paper(show: Show) -> None:
    """Dark on light whatever the screen is, without links to nowhere, nothing cut off."""
    seen = show("bad", color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert not seen.page.locator("nav").is_visible()
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert seen.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
