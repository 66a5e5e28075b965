"""Pages in a real browser, opened as files, as a mail attachment is: no network, no server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, sync_playwright

from harness.flow import Stage
from harness.report.html.render import html
from harness.report.model import RunReport
from tests.unit import pages
from tests.unit.labs import TUTORIAL

SIZES = ((1280, 800), (400, 800))
MADE: dict[str, Callable[[], str]] = {
    "good": lambda: html(pages.good(), TUTORIAL),
    "bad": lambda: html(pages.bad(), TUTORIAL),
    "hostile": lambda: html(*pages.hostile()),
}
"""Pages by name."""
SOME: dict[str, Callable[[], str]] = {
    "some-good": lambda: html(some(pages.good()), TUTORIAL),
    "some-bad": lambda: html(some(pages.bad()), TUTORIAL),
    "some-hostile": lambda: html(some(pages.hostile()[0]), pages.hostile()[1]),
}
"""The same with less on them."""


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

    def accessible(self, scheme: str = "light") -> None:
        """What axe finds of WCAG 2.2, levels A and AA: nothing.

        A page in dark colours differs from the same in light ones in nothing else.
        """
        only = {"type": "tag", "values": WCAG} if scheme == "light" else COLOURS
        found = Axe().run(self.page, options={"resultTypes": ["violations"], "runOnly": only})
        said = [
            f"{one['id']}: {one['nodes'][0]['html']:.300} ({len(one['nodes'])})"
            for one in found.response["violations"]
        ]
        assert said == []


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
Show = Callable[..., Opened]


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


def some(report: RunReport) -> RunReport:
    """Of a run what axe has to see: it looks at each element for longer than a reader does."""
    kept = [one for one in report.verdicts if one.cell.stage is Stage.ROUTED]
    wrong = [one for one in kept if not one.ok]
    return replace(report, verdicts=(*wrong[:3], *kept[::12]))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each page, as a run folder has it."""
    folder = tmp_path_factory.mktemp("pages")
    for name, made in (MADE | SOME).items():
        (folder / f"{name}.html").write_text(made(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in MADE | SOME}


@pytest.fixture
def visit(browser: Browser) -> Iterator[Show]:
    """Open a file, at a place in it, in a window of its own without a network."""
    contexts = []

    def opened(file: Path, place: str = "", **settings: Any) -> Opened:
        size = dict(zip(("width", "height"), settings.pop("size", SIZES[0]), strict=True))
        context = browser.new_context(offline=True, viewport=size, **settings)  # type: ignore[arg-type]
        contexts.append(context)
        found = Opened(context.new_page(), f"{file.as_uri()}{place}")
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("dialog", lambda dialog: found.said.append(dialog.message))
        found.page.on("request", lambda request: found.loaded.append(request.url))
        found.page.goto(found.url)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def show(visit: Show, files: dict[str, Path]) -> Show:
    """Open one of the pages of `MADE` or `SOME`."""

    def opened(name: str, place: str = "", **settings: Any) -> Opened:
        return visit(files[name], place, **settings)

    return opened
