"""Faults of the catalogue in a real lab: their page shows the cause at once, on the drawing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.faults.catalogue import SINGLE
from tests.browser.conftest import SIZES, Show

ROOT = Path(__file__).parents[2]
FAULTS = {one.name: one for one in SINGLE}


@dataclass(frozen=True)
class Shown:
    """What the page of a fault must show."""

    fault: str
    box: str
    """The box of the drawing that has its cause."""
    line: bool = True
    """Whether there is a line that says so: of a route that is missing there is none."""


NAMED = (
    Shown("ip-forward-off", "gateway"),
    Shown("trunk-disconnected", "switch: 802.1Q trunk, eth2 of each host"),
    Shown("default-route-missing", "host1", line=False),
)
"""Of a router, of the switch, of an endpoint."""


def harness(*arguments: str) -> None:
    """Give a command as a person does."""
    command = [sys.executable, "-m", "harness", *arguments]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """A routed tutorial lab that is up, by its name."""
    if os.geteuid() != 0:
        pytest.skip("the tutorial lab with its faults needs root")
    name = f"page-{os.getpid()}"
    harness("up", "--name", name)
    yield name
    harness("down", name)


@pytest.mark.parametrize("shown", NAMED, ids=lambda shown: shown.fault)
def test_a_cause_is_on_the_first_screen(
    lab: str, shown: Shown, visit: Show, tmp_path: Path
) -> None:
    """On top with its fix, and marked on the drawing: without scrolling at 1280 by 800."""
    change = FAULTS[shown.fault].change
    try:
        for node, *command in change.do:
            harness("exec", "--name", lab, node, "--", *command)
        suites = ["-m", "pytest", "suites", "-q", "-p", "no:cacheprovider", "--lab-attach", lab]
        subprocess.run([sys.executable, *suites, "--lab-reports", str(tmp_path)], cwd=ROOT,
                       capture_output=True, check=False)  # fmt: skip
    finally:
        for node, *command in change.undo:
            harness("exec", "--name", lab, node, "--", *command)
    seen = visit(tmp_path / "latest" / "report.html", size=SIZES[0])
    code = str(FAULTS[shown.fault].causes[0])
    boxes = seen.page.locator("#lab rect.box.noted")
    note = seen.page.locator("#lab text.said.fault", has_text=code)
    title = seen.page.locator("#lab text.title", has_text=shown.box)
    fix = seen.page.get_by_role("banner").locator("code").first
    for each in (boxes, note.first, title, fix):
        place = each.bounding_box()
        assert place
        assert place["y"] >= 0
        assert place["y"] + place["height"] <= SIZES[0][1]
        assert place["x"] + place["width"] <= SIZES[0][0]
    assert seen.page.evaluate("scrollY") == 0
    around, inside = boxes.bounding_box(), note.first.bounding_box()
    assert around and inside  # noqa: PT018 - the same question of two
    assert around["y"] < inside["y"] < around["y"] + around["height"]
    block = seen.page.locator(".alike.fail", has=seen.page.locator(".cause", has_text=code)).first
    assert (block.locator("pre mark").count() > 0) is shown.line
    assert block.locator(".cause a").count() == 1
    assert block.locator(".cause code").count() == 1
    assert seen.said == []
