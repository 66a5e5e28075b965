"""The report for a terminal, at most 100 columns wide: matrices, what failed and why, a summary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest
from textwrap import wrap

from tabulate import tabulate

from harness.causes import Diagnosis
from harness.flow import Cell, Ruling
from harness.kernel_log import KernelEvent
from harness.report.folder import PAGE
from harness.report.model import RunReport
from harness.report.summary import (
    MAX_NODES,
    Entry,
    Group,
    Matrix,
    clean,
    expected,
    families,
    groups,
    headline,
    legend,
    many,
    matrices,
    nodes,
    observed,
    remedy,
    tally,
)

COLUMNS = 100
GAP = 4
"""Columns between two matrices that stand side by side."""
FORECAST_COLUMNS = 5
"""Columns of a table of families that say something before a run: nothing has failed yet."""
MAX_GROUPS = 12
"""Groups of failures that a screen holds; report.json has the rest."""

_RED, _YELLOW, _GREEN, _DIM = "1;31", "33", "32", "2"
"""Parameters of the escape sequence "select graphic rendition" (ECMA-48, section 8.3.117)."""
_COLOURS = {
    "FAIL": _RED,
    "CAUSE": _RED,
    "KERNEL": _RED,
    "ERROR": _YELLOW,
    "??": _YELLOW,
    "UNPROVED": _YELLOW,
    "PASS": _GREEN,
    "reach": _GREEN,
    "routed": _GREEN,
    "block": _DIM,
    "1-way": _DIM,
}
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def terminal(
    report: RunReport,
    folder: str,
    colour: bool,  # noqa: FBT001 - as callers have it
    pageless: str = "",
) -> str:
    """The whole report. `folder` is where report.json lies; colours only where `colour` is set.

    `pageless` says why there is no page, where there is none.
    """
    parts = [
        "\n".join(map(_event, report.run.kernel_events[:MAX_GROUPS])),
        "\n".join(map(_diagnosis, report.diagnoses[:MAX_GROUPS])),
        _cells(observed(report.verdicts)),
        "\n".join(_wrapped(f"not applicable: {clean(text)}") for text in report.run.not_applicable),
        *_failures(report),
        _summary(report, folder, pageless),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    return text if colour else plain(text)


def forecast(cells: Iterable[Cell], not_applicable: Iterable[str], colour: bool) -> str:  # noqa: FBT001 - as `terminal`
    """What is expected of cells, as a run in which all is well will show them."""
    parts = [_cells(expected(cells), FORECAST_COLUMNS)]
    parts += ["\n".join(_wrapped(f"not applicable: {clean(text)}") for text in not_applicable)]
    text = "\n\n".join(part for part in parts if part)
    return text if colour else plain(text)


def _cells(entries: tuple[Entry, ...], columns: int | None = None) -> str:
    """The matrices; a table of families where there are too many nodes or names are too long."""
    if not entries:
        return ""
    if len(nodes(entries)) <= MAX_NODES:
        made = matrices(entries)
        blocks = [_titled(matrix) for matrix in made]
        if all(_width(lines) <= COLUMNS for lines in blocks):
            words = (text for matrix in made for row in matrix.rows[1:] for text in row[1:])
            return "\n\n".join([*map(_beside, _placed(blocks)), _legend(words)])
    return "\n".join(drawn(tuple(row[:columns] for row in families(entries))))


def _titled(matrix: Matrix) -> list[str]:
    title = f"{', '.join(matrix.stages)}: layer {matrix.layer}"
    return [title, *drawn(matrix.rows)]


def _placed(blocks: list[list[str]]) -> list[list[list[str]]]:
    """Blocks of lines in rows, as many side by side as the screen is wide."""
    rows: list[list[list[str]]] = []
    room = 0
    for lines in blocks:
        width = _width(lines)
        if width > room:
            rows.append([])
            room = COLUMNS
        rows[-1].append(lines)
        room -= width + GAP
    return rows


def _beside(blocks: list[list[str]]) -> str:
    widths = [_width(lines) + GAP for lines in blocks]
    rows = zip_longest(*blocks, fillvalue="")
    return "\n".join("".join(map(_padded, row, widths)).rstrip() for row in rows)


def _legend(words: Iterable[str]) -> str:
    said = [f"  {_padded(coloured(key), 10)} {meaning}" for key, meaning in legend(words)]
    return "\n".join(["Rows send, columns receive.", *said])


def drawn(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """A table with a rule under its header; tabulate's own would make every column wider."""
    header, *body = [[clean(text) for text in row] for row in rows]
    cells = [[row[0], *map(coloured, row[1:])] for row in body]
    table = str(tabulate([header, *cells], tablefmt="plain", disable_numparse=True))
    first, *rest = [line.rstrip() for line in table.splitlines()]
    return [first, "-" * _width([first, *rest]), *rest]


def _failures(report: RunReport) -> list[str]:
    found = groups(report)
    shown = [_failure(group) for group in found[:MAX_GROUPS]]
    rest = sum(len(group.verdicts) for group in found[MAX_GROUPS:])
    if rest:
        shown.append(f"and {many(rest, 'more cell')} with other reasons; report.json has them all")
    shown += [_wrapped(f"left behind: {clean(text)}") for text in report.leftovers]
    return shown


def _event(one: KernelEvent) -> str:
    return _wrapped(f"KERNEL {clean(str(one))}").replace("KERNEL", coloured("KERNEL"), 1)


def _diagnosis(one: Diagnosis) -> str:
    line = _wrapped(f"CAUSE {clean(headline(one))}").replace("CAUSE", coloured("CAUSE"), 1)
    fix = remedy(one)
    # A command is to be copied: it stays in one line.
    return f"{line}\n  {clean(fix, 2000)}" if fix else line


def _failure(group: Group) -> str:
    title = "FAIL" if group.ruling is Ruling.FAIL else "UNPROVED"
    why = f" {group.stage}: {clean(group.why)} ({many(len(group.verdicts), 'cell')})"
    lines = [_wrapped(title + why).replace(title, coloured(title), 1)]
    details = [clean(text, 2000) for text in (*group.cells, *group.facts)]
    if group.evidence:
        details.append(f"evidence: {clean(', '.join(group.evidence))}")
    return "\n".join(lines + [_wrapped(text, "  ") for text in details])


def plain(text: str) -> str:
    """Text without its colours."""
    return _ESCAPES.sub("", text)


def _summary(report: RunReport, folder: str, pageless: str) -> str:
    run = report.run
    ended = report.exit.upper()
    facts = (
        f"{run.topology} on {run.backend}",
        f"stages {', '.join(run.stages)}",
        f"{run.duration_s:.1f} s",
        f"VLAN datapath {run.vlan_datapath}",
        f"firewall {run.firewall_backend}",
        f"kernel {run.kernel}",
    )
    return "\n".join(
        (
            f"{coloured(ended)} {tally(report)}",
            _wrapped("; ".join(map(clean, facts))),
            _wrapped(f"page: {pageless}") if pageless else f"page: {clean(folder, 4096)}/{PAGE}",
            f"report: {clean(folder, 4096)}",
        )
    )


def coloured(text: str) -> str:
    """One word of a report in the colour that it has there."""
    code = _COLOURS.get(text.rstrip("*").partition(" ")[0])
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def _wrapped(text: str, indent: str = "") -> str:
    lines = wrap(
        text,
        COLUMNS,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def _visible(text: str) -> int:
    return len(plain(text))


def _width(lines: list[str]) -> int:
    return max(map(_visible, lines))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _visible(text))
