"""The page of a run in a real browser, opened as a file: seen, followed, attacked, printed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from harness.report.html.render import html
from tests.unit import pages
from tests.unit.labs import TUTORIAL
from tests.unit.pages import LOST

SIZES = ((1280, 800), (400, 800))
FAILS, OPENS = "routed-bbox1-to-bbox4", "undone-bbox1-to-bbox3-icmp"
MADE: dict[str, Callable[[], str]] = {
    "good": lambda: html(pages.good(), TUTORIAL),
    "bad": lambda: html(pages.bad(), TUTORIAL),
    "hostile": lambda: html(*pages.hostile()),
}


@dataclass
class Opened:
    """A page in the browser, and what went on behind it."""

    page: Page
    url: str
    said: list[str] = field(default_factory=list)
    """What the console and errors said; a policy that blocks something says so there."""
    loaded: list[str] = field(default_factory=list)

    def box(self, selector: str) -> dict[str, float]:
        """Where an element is, in pixels from the upper left corner of the window."""
        found = self.page.locator(selector).first.bounding_box()
        assert found, selector
        return {key: float(value) for key, value in found.items()}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; skipped, with the reason, where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine; `apt-get install chromium`")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=program)
        except Error as error:
            pytest.skip(f"chromium does not start here: {error.message:.200}")
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each page, as a run folder has it."""
    folder = tmp_path_factory.mktemp("pages")
    for name, made in MADE.items():
        (folder / f"{name}.html").write_text(made(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in MADE}


@pytest.fixture
def show(browser: Browser, files: dict[str, Path]) -> Iterator[Callable[..., Opened]]:
    """Open a page, at a place on it, in a window of its own without a network."""
    contexts = []

    def opened(name: str, place: str = "", **settings: Any) -> Opened:
        size = dict(zip(("width", "height"), settings.pop("size", SIZES[0]), strict=True))
        context = browser.new_context(offline=True, viewport=size, **settings)  # type: ignore[arg-type]
        contexts.append(context)
        found = Opened(context.new_page(), f"{files[name].as_uri()}{place}")
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("dialog", lambda dialog: found.said.append(dialog.message))
        found.page.on("request", lambda request: found.loaded.append(request.url))
        found.page.goto(found.url)
        return found

    yield opened
    for context in contexts:
        context.close()


def test_a_good_run_is_seen_at_once(show: Callable[..., Opened]) -> None:
    """The sentence and the whole drawing are on the first screen; nothing is open."""
    seen = show("good")
    assert seen.page.get_by_role("heading", level=1).inner_text().startswith("✓ PASS All 424 cells")
    assert seen.box("svg")["y"] + seen.box("svg")["height"] < SIZES[0][1]
    for name in ("host1", "bbox4", "gateway", "VLAN 20 172.16.20.0/24"):
        assert seen.page.locator("svg text", has_text=name).first.is_visible()
    assert seen.page.locator("table.grid").count() == 6
    assert seen.page.locator("details[open]").count() == 0


def test_a_cause_is_seen_without_scrolling(show: Callable[..., Opened]) -> None:
    """On top with its fix, and on the drawing at its node."""
    seen = show("bad")
    assert seen.page.get_by_role("banner").get_by_text("iptables -P FORWARD ACCEPT").is_visible()
    note = seen.box("svg text:has-text('forward-policy-drop')")
    box = seen.box("svg rect.box.noted")
    assert box["y"] < note["y"] < box["y"] + box["height"] < SIZES[0][1]
    assert box["x"] < note["x"] < box["x"] + box["width"]


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_loaded_and_nothing_is_blocked(show: Callable[..., Opened], name: str) -> None:
    """The page is all there is; its policy blocks nothing of its own, and its style is in force."""
    seen = show(name)
    assert seen.loaded == [seen.url]
    assert seen.said == []
    assert seen.page.evaluate("getComputedStyle(document.querySelector('.wide')).overflowX") == (
        "auto"
    )


def test_hostile_strings_run_nothing_and_break_out_of_nothing(
    show: Callable[..., Opened],
) -> None:
    """No element and no handler comes of a name; what was opened is what is shown."""
    seen = show("hostile")
    assert seen.page.title().startswith("FAIL ")
    kinds = (
        "script, img, iframe, object, embed, form, link, base, [onload], [onerror], [onmouseover]"
    )
    assert seen.page.locator(kinds).count() == 0
    assert seen.page.locator("style").count() == seen.page.locator("body").count() == 1
    seen.page.locator("summary").first.hover()
    assert seen.page.title().startswith("FAIL ")
    assert seen.page.locator("section").count() == 6


def test_the_policy_would_stop_what_broke_out(show: Callable[..., Opened]) -> None:
    """Were a script or a style put into the page all the same, the browser would not have it."""
    seen = show("good")
    for kind, text in (("script", "document.title = 1"), ("style", "p {margin: 9px}")):
        seen.page.evaluate(
            "([kind, text]) => {const made = document.createElement(kind);"
            " made.textContent = text; document.head.append(made)}",
            [kind, text],
        )
    assert seen.page.title().startswith("PASS ")
    assert len([text for text in seen.said if "Content Security Policy" in text]) == 2


@pytest.mark.parametrize("name", MADE)
def test_the_page_never_scrolls_sideways(show: Callable[..., Opened], name: str) -> None:
    """With all opened, what is too wide scrolls by itself."""
    seen = show(name)
    seen.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width, height in SIZES:
        seen.page.set_viewport_size({"width": width, "height": height})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_where_the_reader_wants_it(show: Callable[..., Opened]) -> None:
    """Another background, the drawing's too."""
    colour = "[document.body, document.querySelector('.box')].map(each =>"
    colour += " getComputedStyle(each).backgroundColor + getComputedStyle(each).fill)"
    light, dark = (
        show("good", color_scheme=scheme).page.evaluate(colour) for scheme in ("light", "dark")
    )
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_fields_lead_to_cells_and_cells_to_evidence(show: Callable[..., Opened]) -> None:
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


def test_a_cell_can_be_led_to_by_its_id(show: Callable[..., Opened]) -> None:
    """`report.html#ID` opens it."""
    seen = show("good", f"#{OPENS}")
    assert seen.page.locator(f"tr[id='{OPENS}']").is_visible()


def test_a_failing_cell_leads_to_its_reading(show: Callable[..., Opened]) -> None:
    """The reading's own list is folded, and opens; the raw file is one click further."""
    seen = show("bad", f"#{LOST}")
    cell = seen.page.locator(f"tr[id='{LOST}']")
    seen.page.locator(".alike", has=cell).get_by_role("link", name=pages.CITED).first.click()
    raw = seen.page.locator(f"li a[href='evidence/{pages.CITED.replace('/', '-')}.txt']")
    assert raw.is_visible()


def test_printed_it_is_on_paper(show: Callable[..., Opened]) -> None:
    """Dark on light whatever the screen is, without links to nowhere, nothing cut off."""
    seen = show("bad", color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert not seen.page.locator("nav").is_visible()
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert seen.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
