"""A difference as a page of its own, and as a part of the page of a run."""

from __future__ import annotations

from harness.diff.change import CHANGED, MENDED, REGRESSION, Change, Difference
from harness.diff.text import summary
from harness.report.html.changes import MAX_ROWS, MAX_WHERE, Changes, Row
from harness.report.html.skeleton import fill

STYLES = ("base.css",)
MARKS = {REGRESSION: "fail", MENDED: "pass", CHANGED: "none"}


def html(found: Difference) -> str:
    """What changed, as one page of HTML that needs no other file and no network."""
    return fill(
        "diff.html.jinja", STYLES, found=told(found), max_rows=MAX_ROWS, max_where=MAX_WHERE
    )


def told(found: Difference) -> Changes:
    """What changed, as pages have it."""
    rows = tuple(map(_row, found.changes))
    return Changes(found.old, found.new, summary(found), rows, found.untold)


def _row(one: Change) -> Row:
    mark = "unproved" if one.unproved else MARKS[one.sense]
    head = one.kind if one.sense == CHANGED else one.sense
    return Row(mark, head, one.what, one.old, one.new, one.where)
