"""What the page's script does in a real browser: filter, search, open, copy, keys, links."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Opened, Show
from tests.unit.pages import BAD, LOST

OPENS = "undone-bbox1-to-bbox3-icmp"


def chosen(seen: Opened, **wishes: str) -> None:
    """Choose what the page is narrowed down to."""
    for name, value in wishes.items():
        seen.page.locator(f"#filter select[name={name}]").select_option(value)


def told(seen: Opened, text: str) -> None:
    """Wait until the page says how many cells it shows."""
    expect(seen.page.locator("#filter output")).to_have_text(text)


def row(seen: Opened, cell: str) -> Locator:
    """A cell's row."""
    return seen.page.locator(f"tr[id='{cell}']")


def hash_of(seen: Opened) -> str:
    """The fragment of the page's address."""
    found: str = seen.page.evaluate("location.hash")
    return found


def test_state_narrows_down_to_what_failed(show: Show) -> None:
    """Pairs, rows and fields of another state are out of the way; all come back."""
    seen = show("bad")
    told(seen, "424 of 424 cells")
    chosen(seen, state="fail")
    told(seen, "1 of 424 cells")
    assert seen.page.locator("details.pair:visible").count() == 1
    assert row(seen, LOST).is_visible()
    lit = seen.page.locator(".grid td:not(.dim) a")
    assert lit.all_inner_texts() == ["FAIL 1/5"]
    seen.page.get_by_role("button", name="clear").click()
    told(seen, "424 of 424 cells")
    assert seen.page.locator(".grid td.dim").count() == 0
    assert hash_of(seen) == ""


def test_one_stage_and_one_probe_at_a_time(show: Show) -> None:
    """Matrices of other stages are away, and fields say what became of that probe alone."""
    seen = show("bad")
    chosen(seen, stage="routed", probe="icmp")
    told(seen, "20 of 424 cells")
    assert seen.page.locator("table.grid:visible caption").all_inner_texts() == [
        "routed: layer 2", "routed: layer 3",
    ]  # fmt: skip
    layer3 = seen.page.locator("table.grid", has_text="routed: layer 3")
    words = layer3.locator("tbody tr", has=seen.page.locator("th", has_text="bbox1"))
    assert words.locator("td").all_inner_texts() == ["reach", ".", "routed", "reach", "FAIL 1/1"]
    chosen(seen, probe="tcp")
    told(seen, "12 of 424 cells")
    assert words.locator("td").all_inner_texts()[4] == "routed"
    chosen(seen, probe="")
    told(seen, "160 of 424 cells")
    assert words.locator("td").all_inner_texts()[4] == "FAIL 1/5"


def test_free_text_finds_cells(show: Show) -> None:
    """All words must be in what a cell says; what is typed is in the address."""
    seen = show("bad")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("forward-policy-drop BBOX4")
    told(seen, "1 of 424 cells")
    seen.page.wait_for_function("location.hash === '#?q=forward-policy-drop+BBOX4'")
    seen.page.keyboard.press("Escape")
    told(seen, "424 of 424 cells")


@pytest.mark.parametrize(
    ("pick", "field", "cells"),
    [("node bbox1", "node", 2), ("vlan 20", "vlan", 2), ("host host2", "host", 3)],
)
def test_the_drawing_narrows_down(show: Show, pick: str, field: str, cells: int) -> None:
    """A click on an endpoint, a VLAN or a host shows what is theirs; another one all again."""
    seen = show("bad")
    drawn = seen.page.locator(f"#lab [data-pick='{pick}']").first
    drawn.click()
    value = pick.partition(" ")[2]
    expect(seen.page.locator(f"select[name={field}]")).to_have_value(value)
    assert hash_of(seen) == f"#?{field}={value}"
    assert drawn.get_attribute("aria-pressed") == "true"
    shown = seen.page.locator("details.pair:visible")
    ends = {
        (each.get_attribute("data-src"), each.get_attribute("data-dst")) for each in shown.all()
    }
    assert all(ends_of & _nodes(pick) for ends_of in map(set, ends))
    assert seen.page.locator("details.node:visible").count() < cells
    drawn.click()
    told(seen, "424 of 424 cells")


def _nodes(pick: str) -> set[str | None]:
    return {
        "node bbox1": {"bbox1"},
        "vlan 20": {"bbox2", "bbox4"},
        "host host2": {"bbox3", "bbox4", "host2"},
    }[pick]  # type: ignore[return-value]


def test_the_drawing_is_used_by_keys_as_well(show: Show) -> None:
    """Each part of it is a button that can be reached, and says what it does."""
    seen = show("bad")
    button = seen.page.get_by_role("button", name="only bbox1")
    button.focus()
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator("select[name=node]")).to_have_value("bbox1")


def test_arrows_enter_and_escape_in_a_matrix(show: Show) -> None:
    """Arrows go from field to field, over those that nobody asked; Escape leads back."""
    seen = show("good")
    grid = seen.page.locator("table.grid", has_text="undone: layer 3")
    links = grid.locator("td a")
    links.first.focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("ArrowDown")
    focused = seen.page.locator(":focus")
    place = focused.evaluate("each => [each.closest('tr').rowIndex, each.closest('td').cellIndex]")
    href = focused.get_attribute("href")
    seen.page.keyboard.press("Enter")
    pair = seen.page.locator(f"{href}[open]")
    assert pair.is_visible()
    assert hash_of(seen) == href
    seen.page.keyboard.press("Escape")
    assert not seen.page.locator("details.pair[open]").count()
    assert seen.page.locator(":focus").get_attribute("href") == href
    assert place == [2, 3] or place[0] == 2
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        seen.page.keyboard.press(key)
    assert seen.page.locator(":focus").evaluate("each => each.closest('.grid') !== null")


def test_a_link_opens_a_cell_and_narrows_down(show: Show) -> None:
    """What somebody sees can be sent: the address holds what was chosen and what is open."""
    seen = show("good", f"#?stage=undone&node=bbox1&open={OPENS}")
    assert row(seen, OPENS).is_visible()
    expect(seen.page.locator("select[name=stage]")).to_have_value("undone")
    assert seen.page.locator("details.pair[open]").count() == 1
    row(seen, OPENS).get_by_role("link").click()
    assert hash_of(seen) == f"#?stage=undone&node=bbox1&open={OPENS}"
    seen.page.get_by_role("button", name="clear").click()
    row(seen, OPENS).get_by_role("link").click()
    assert hash_of(seen) == f"#{OPENS}"
    seen.page.go_back()
    expect(seen.page.locator("select[name=stage]")).to_have_value("")


@pytest.mark.parametrize("place", ["#%", "#?open=nobody", "#?state=nonsense", "#nothing-here"])
def test_an_address_that_leads_nowhere_shows_the_page(show: Show, place: str) -> None:
    """A link that was cut in a mail is no error."""
    seen = show("good", place)
    assert seen.page.get_by_role("heading", level=1).is_visible()
    assert seen.said == []


def test_what_is_led_to_is_shown_even_if_it_was_filtered_out(show: Show) -> None:
    """A cell of bbox1 leads to a reading of the gateway, also where only bbox1 is wanted."""
    seen = show("bad", f"#?node=bbox1&open={LOST}")
    assert seen.page.locator("details.node[data-node=gateway]").is_hidden()
    block = seen.page.locator(".alike", has=row(seen, LOST))
    block.get_by_role("link", name="routed/gateway/firewall/after").first.click()
    assert seen.page.locator("details.node[data-node=gateway]").is_visible()


def test_commands_and_readings_are_copied(show: Show) -> None:
    """Fix, filter and raw text: what is in the clipboard is what is on the page."""
    seen = show("bad", permissions=["clipboard-read", "clipboard-write"])
    header = seen.page.get_by_role("banner")
    header.get_by_role("button", name="copy iptables -P FORWARD ACCEPT").click()
    expect(header.get_by_role("button", name="copy")).to_have_text("copied")
    assert _clipboard(seen) == "iptables -P FORWARD ACCEPT"
    row(seen, LOST).get_by_role("button").click()
    expect(row(seen, LOST).get_by_role("button")).to_have_text("copied")
    assert _clipboard(seen).startswith("frame contains ")
    for name in ("gateway", "firewall", "routed/gateway/firewall/after"):
        part = seen.page.locator("#part-evidence ~ details summary:visible", has_text=name)
        part.last.click()
    raw = seen.page.locator("pre:visible", has_text=":FORWARD DROP [7:588]").last
    raw.locator("xpath=following-sibling::button").click()
    expect(raw.locator("xpath=following-sibling::button")).to_have_text("copied")
    assert _clipboard(seen).startswith("[3:252] -A INPUT")


def _clipboard(seen: Opened) -> str:
    found: str = seen.page.evaluate("navigator.clipboard.readText()")
    return found


def test_where_nothing_may_be_copied_it_is_selected(show: Show) -> None:
    """A browser that keeps its clipboard to itself still saves the reader the mouse."""
    seen = show("bad")
    seen.page.evaluate(
        "() => {navigator.clipboard.writeText = () => Promise.reject(new Error('no'))}"
    )
    button = seen.page.get_by_role("banner").get_by_role("button", name="copy")
    button.click()
    expect(button).to_have_text("selected")
    assert seen.page.evaluate("getSelection().toString()") == "iptables -P FORWARD ACCEPT"


def test_without_scripts_there_is_nothing_that_needs_them(show: Show) -> None:
    """No filter, no button, and every field and fold works."""
    seen = show("bad", java_script_enabled=False)
    assert seen.page.locator("#filter").is_hidden()
    assert seen.page.locator("button:visible").count() == 0
    assert row(seen, LOST).is_visible()


def test_hostile_names_filter_as_any_other(show: Show) -> None:
    """What is chosen, drawn and searched stays text, in the address as well."""
    seen = show("hostile")
    for drawn in seen.page.locator("#lab [data-pick]").all():
        drawn.dispatch_event("click")
        assert hash_of(seen).startswith("#?")
        drawn.dispatch_event("click")
    for text in BAD:
        seen.page.locator("input[name=q]").fill(text.replace("\r", "").replace("\ud800", ""))
    seen.page.reload()
    assert seen.page.title().startswith("FAIL ")
    assert seen.said == []
    assert seen.page.locator("script, img, iframe, [onload], [onerror]").count() == 1


def test_the_script_writes_text_only() -> None:
    """Nothing in it makes elements, or code, of a string."""
    text = resources.files("harness.report.html").joinpath("page.js").read_text("utf-8")
    ways: Any = re.findall(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function|DOMParser|"
        r"createContextualFragment|setTimeout\(\s*[\"'`]|srcdoc|fetch|XMLHttpRequest|import\(",
        text,
    )
    assert ways == []
    assert "</script" not in text
