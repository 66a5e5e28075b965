"""The page over all runs of a directory: its template, filled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from harness.report.folder import PAGE
from harness.report.history import History, Past
from harness.report.html.skeleton import fill

NAME = "index.html"
STYLES = ("base.css", "index.css")
KINDS = {"pass": "pass", "fail": "fail", "error": "unproved"}
"""A run's end as a kind of mark."""
MAX_CELLS = 12
"""Cells that are named of those that turned red together; the rest is counted."""
MAX_FLAKY = 40
BAR, HEIGHT, SIGN, MAX_BARS = 8, 64, 12, 120
"""Of the drawing: how wide a bar is with its gap, how high the longest; room for signs below."""


@dataclass(frozen=True)
class Bar:
    """A run in the drawing of durations."""

    x: int
    y: int
    height: int
    kind: str
    said: str


@dataclass(frozen=True)
class Chart:
    """How long the newest runs took, oldest on the left."""

    width: int
    bars: tuple[Bar, ...]
    longest: float
    said: str


def index(histories: tuple[History, ...], unread: Iterable[str], paged: Iterable[str]) -> str:
    """All runs as one page of HTML that needs no other file but those it leads to.

    `unread` says of each folder that could not be read why; `paged` are the folders with a page.
    """
    runs = [run for history in histories for run in history.runs]
    return fill(
        "index.html.jinja",
        STYLES,
        histories=histories,
        charts=[chart(history.runs) for history in histories],
        runs=len(runs),
        newest=max(runs, key=lambda run: run.began, default=None),
        unread=tuple(unread),
        paged=frozenset(paged),
        page=PAGE,
        kinds=KINDS,
        moment=moment,
        max_cells=MAX_CELLS,
        max_flaky=MAX_FLAKY,
        bar=BAR,
        height=HEIGHT,
        sign=SIGN,
    )


def moment(began: datetime) -> str:
    """`2026-11-29 03:00`, UTC."""
    return f"{began:%Y-%m-%d %H:%M}"


def chart(runs: tuple[Past, ...]) -> Chart:
    """A bar a run. A run that took no time still has one."""
    shown = runs[-MAX_BARS:]
    longest = max(run.seconds for run in shown)
    bars = []
    for place, run in enumerate(shown):
        height = max(2, round(HEIGHT * run.seconds / longest)) if longest else 2
        said = f"{moment(run.began)}, {run.kernel}: {run.exit}, {run.seconds:.1f} s"
        bars.append(Bar(place * BAR, HEIGHT - height, height, KINDS[run.exit], said))
    quick = min(run.seconds for run in shown)
    said = f"Durations of {len(shown)} runs, oldest first: {quick:.1f} s to {longest:.1f} s"
    return Chart(len(shown) * BAR, tuple(bars), longest, said)
