"""The page of a run: how long it takes to be written, how large it is, how soon it is seen."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.line import Line
from harness import reporting
from harness.report.html.render import html
from harness.report.model import RunReport
from harness.topology import Topology
from tests.unit import pages

SIZE = {"width": 1280, "height": 800}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def tutorial(runs: int) -> list[Line]:
    """The page of a real run of the tutorial lab."""
    report, topology = _real()
    html(report, topology)
    written, size = _written(runs, report, topology)
    lines = [
        Line("page of the tutorial run, written", "ms", written, at_most=150, digits=0),
        Line("  its size", "MB", size, at_most=2),
    ]
    opened = _opened(runs, html(report, topology), _searched)
    return lines + [
        Line(f"  {name}", "ms", values, at_most=most, digits=0)
        for name, values, most in zip(
            ("opened in Chromium, first paint", "opened, a cell found by its name"),
            opened, (500, None), strict=False,
        )
    ]  # fmt: skip


def large(runs: int) -> list[Line]:
    """The page of a thousand endpoints."""
    report, topology = pages.large()
    written, size = _written(runs, report, topology)
    paint, ready = _opened(runs, html(report, topology), _counted)
    filtered = _opened(runs, html(report, topology), _filtered)[1]
    return [
        Line("page of 1,000 endpoints, written", "ms", written, digits=0),
        Line("  its size", "MB", size, at_most=5),
        Line("  opened in Chromium, first paint", "ms", paint, digits=0),
        Line("  opened, until it can be used", "ms", ready, at_most=5000, digits=0),
        Line("  opened and filtered", "ms", filtered, digits=0),
    ]


def _real() -> tuple[RunReport, Topology]:
    """What a run gives its page to tell."""
    kept: list[tuple[RunReport, Topology]] = []

    def keep(report: RunReport, topology: Topology) -> str:
        kept.append((report, topology))
        return ""

    with (
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory() as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
    ):
        patch.setattr(reporting, "html", keep)
        pytest.main(["suites", "-q", "-p", "no:cacheprovider", "--lab-reports", folder])
    return kept[0]


def _written(
    runs: int, report: RunReport, topology: Topology
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    taken, sizes = [], []
    for _ in range(runs):
        started = time.perf_counter()
        text = html(report, topology).encode()
        taken.append((time.perf_counter() - started) * 1000)
        sizes.append(len(text) / 1e6)
    return tuple(taken), tuple(sizes)


def _opened(
    runs: int, text: str, use: Callable[[Page], None]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Milliseconds until the first paint, and until it was used, from the navigation on."""
    paints, used = [], []
    with TemporaryDirectory() as folder, _windows() as window:
        file = Path(folder) / "report.html"
        file.write_text(text, encoding="utf-8")
        for _ in range(runs):
            page = window()
            started = time.perf_counter()
            page.goto(file.as_uri(), wait_until="commit")
            use(page)
            used.append((time.perf_counter() - started) * 1000)
            paints.append(float(page.evaluate(PAINT)))
            page.close()
    return tuple(paints), tuple(used)


@contextmanager
def _windows() -> Iterator[Callable[[], Page]]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("page: no chromium on this machine; `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield lambda: browser.new_page(viewport=SIZE)  # type: ignore[arg-type]  # two numbers
        browser.close()


def _searched(page: Page) -> None:
    page.locator("input[name=q]").fill("routed bbox1 to bbox4 icmp:1472")
    expect(page.locator("#filter output")).not_to_contain_text("424 of 424")


def _counted(page: Page) -> None:
    expect(page.locator("#filter output")).to_contain_text("500 of 500 cells", timeout=60_000)


def _filtered(page: Page) -> None:
    _counted(page)
    page.locator("select[name=state]").select_option("fail")
    expect(page.locator("#filter output")).to_contain_text("998500 more", timeout=60_000)
