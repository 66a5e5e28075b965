"""Who cannot see colours, a mouse or the whole screen can use the page: axe finds nothing."""

from __future__ import annotations

import pytest

from tests.browser.conftest import SIZES, SOME, Show
from tests.unit.pages import LOST


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SOME)
def test_axe_finds_nothing(show: Show, name: str, scheme: str) -> None:
    """Of WCAG 2, levels A and AA, with everything that a page opens with."""
    show(name, color_scheme=scheme).accessible(scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_of_what_is_opened_and_narrowed_down(show: Show, scheme: str) -> None:
    """A cell with its path, evidence with what a stage changed, a filter, buttons to copy."""
    seen = show("some-bad", f"#?node=bbox1&probe=icmp&open={LOST}", color_scheme=scheme)
    for name in ("bbox1", "routes"):
        seen.page.locator("#part-evidence ~ details summary:visible", has_text=name).first.click()
    seen.page.locator("#part-nodes summary").click()
    seen.accessible(scheme)


def test_axe_finds_nothing_without_scripts_of_ours(show: Show) -> None:
    """As a mail program shows it, in a narrow window."""
    seen = show("some-bad", size=SIZES[1])
    seen.page.evaluate("document.querySelector('#filter').hidden = true")
    seen.accessible()


def test_axe_would_find_something(show: Show) -> None:
    """The check itself: a picture without words is a violation."""
    seen = show("some-good")
    seen.page.evaluate("document.body.append(document.createElement('img'))")
    with pytest.raises(AssertionError, match="image-alt"):
        seen.accessible()


def test_axe_would_find_a_colour_that_is_too_dark(show: Show) -> None:
    """The check of dark pages: text that is hardly lighter than what is behind it."""
    seen = show("some-good", color_scheme="dark")
    seen.page.evaluate("document.querySelector('h1').style.color = '#333'")
    with pytest.raises(AssertionError, match="color-contrast"):
        seen.accessible("dark")


def test_all_is_reached_by_tab(show: Show) -> None:
    """From the link that skips the head to the matrix: no trap, and the focus can be seen."""
    seen = show("good")
    reached = set()
    for _ in range(40):
        seen.page.keyboard.press("Tab")
        focus = seen.page.locator(":focus")
        reached.add(focus.evaluate("each => each.tagName + (each.closest('.grid') ? '.grid' : '')"))
    assert {"A", "g", "SELECT", "INPUT", "A.grid"} <= reached
    style = seen.page.locator(":focus").evaluate("each => getComputedStyle(each).outlineStyle")
    assert style == "solid"
