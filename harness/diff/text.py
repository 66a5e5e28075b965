"""A difference as text for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diff.change import CHANGED, Change, Difference
from harness.report.markdown import fitted
from harness.report.summary import clean, many

MAX_WHERE = 3
"""So many cells are named; the rest is counted."""


def text(found: Difference) -> str:
    """A line or two a change, regressions first; in the end how much was compared."""
    lines = [f"old: {clean(found.old)}", f"new: {clean(found.new)}", ""]
    lines += [line for one in found.changes for line in _lines(one)]
    return "\n".join([*lines, *_untold(found), summary(found)])


def markdown(found: Difference) -> str:
    """A table a person can read in a pull request."""
    lines = [
        f"**{summary(found)}**",
        "",
        f"- old: {clean(found.old)}",
        f"- new: {clean(found.new)}",
    ]
    if found.changes:
        lines += ["", "| | what | old | new | where |", "|---|---|---|---|---|"]
        lines += [
            f"| {_head(one)} | {_cell(one.what)} | {_cell(one.old)} | {_cell(one.new)} "
            f"| {_cell(_where(one))} |"
            for one in found.changes
        ]
    text = "\n".join([*lines, *(["", *_untold(found)] if found.untold else [])])
    return fitted(text, "harness diff")


def summary(found: Difference) -> str:
    """`kernel 6.1 -> 6.12: 0 cells changed, 3 facts in evidence`, in full."""
    cells = {name for one in found.changes if one.kind in ("cell", "path") for name in one.where}
    facts = sum(one.kind == "fact" for one in found.changes)
    kernels = [one for one in found.changes if one.what == "kernel"]
    head = f"kernel {kernels[0].old} -> {kernels[0].new}: " if kernels else ""
    return (
        f"{head}{many(len(found.regressions), 'regression')}; {len(cells)} of "
        f"{many(found.cells, 'cell')} changed, {facts} of {many(found.facts, 'fact')} in evidence"
    )


def _untold(found: Difference) -> list[str]:
    return [f"not compared: {found.untold}"] if found.untold else []


def _lines(one: Change) -> Iterator[str]:
    yield f"{_head(one).upper()} {clean(one.what)}: {clean(one.old)} -> {clean(one.new)}"
    if one.where:
        yield f"  {_where(one)}"


def _head(one: Change) -> str:
    return one.sense if one.sense != CHANGED else one.kind


def _where(one: Change) -> str:
    shown = ", ".join(one.where[:MAX_WHERE])
    rest = len(one.where) - MAX_WHERE
    return clean(shown if rest <= 0 else f"{shown} and {rest} more")


def _cell(words: str) -> str:
    return clean(words).replace("|", "\\|").replace("<", "&lt;")
