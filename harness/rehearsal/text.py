"""A rehearsal as text for a terminal, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from tabulate import tabulate

from harness.diff.text import summary
from harness.rehearsal.judgement import Word
from harness.rehearsal.result import Rehearsal
from harness.rehearsal.table import BETTER, OTHER, WORSE, Entry, Row
from harness.report.summary import NOTHING, clean, many

COLUMNS = 100
HEAD = ("stage", "family", "probes")
LEGEND = (
    ("8/8", "so many cells were proved, of so many"),
    ("FAIL 1/8", "so many are not as the topology has them; with the cause, or what was observed"),
    ("?? 1/8", "so many could not be told"),
    (WORSE, "worse than in the first column"),
    (BETTER, "better"),
    (OTHER, "otherwise different"),
    (NOTHING, "not judged"),
)


def text(found: Rehearsal) -> str:
    """The table, what each run is judged by, and what the readings differ in."""
    grid = [list(row) for row in _grid(found)]
    head = [*HEAD, *map(clean, found.columns)]
    table = str(tabulate([head, *grid], tablefmt="plain", disable_numparse=True))
    first, *rest = [line.rstrip() for line in table.splitlines()]
    width = max(map(len, [first, *rest]))
    below = ("\n".join(map(_wrapped, lines)) for lines in (_runs(found), _differences(found)))
    drawn = "\n".join([first, "-" * width, *rest])
    return "\n\n".join(filter(None, (drawn, _legend(found.rows), *below, verdict(found))))


def markdown(found: Rehearsal) -> str:
    """The same for a pull request."""
    rows = [[*HEAD, *found.columns], *_grid(found)]
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    lines.insert(1, "|---" * (len(HEAD) + len(found.columns)) + "|")
    listed = [f"- {_cell(line)}" for line in (*_runs(found), *_differences(found))]
    return "\n".join([f"**{_cell(verdict(found))}**", "", *lines, "", *listed])


def verdict(found: Rehearsal) -> str:
    """One line: `BAD: 1 of 3 kernels is bad: 7.2`."""
    if found.word is Word.GOOD:
        return f"GOOD: {many(len(found.columns), 'kernel')}, all cells proved"
    these = [clean(column) for column, word in found.words.items() if word is found.word]
    said = "bad" if found.word is Word.BAD else "cannot be tested"
    verb = f"{'is' if len(these) == 1 else 'are'} " if found.word is Word.BAD else ""
    of = many(len(found.columns), "kernel")
    return f"{found.word.upper()}: {len(these)} of {of} {verb}{said}: {', '.join(these)}"


def _grid(found: Rehearsal) -> Iterator[tuple[str, ...]]:
    """Lab by lab: its classes of cells, then what kernel ran and how it is judged."""
    for lab in dict.fromkeys(one.run.lab for one in found.done):
        yield (clean(lab), *[""] * (len(HEAD) + len(found.columns) - 1))
        yield from _classes([row for row in found.rows if row.lab == lab])
        here = [
            (one, judgement)
            for one, judgement in zip(found.done, found.judgements, strict=True)
            if one.run.lab == lab
        ]
        blank = [""] * (len(HEAD) - 1)
        yield ("kernel", *blank, *(clean(one.release) or NOTHING for one, _ in here))
        yield ("judged", *blank, *(judgement.word.upper() for _, judgement in here))


def _classes(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """A line for each row; stages that read the same share it, as in a run's matrices."""
    stages: dict[tuple[str, ...], list[str]] = {}
    kinds = Counter((row.stage, row.family) for row in rows)
    for row in rows:
        probes = "all" if kinds[row.stage, row.family] == 1 else ", ".join(row.probes)
        entries = (
            f"{sign} {entry}".lstrip() for sign, entry in zip(row.signs, row.entries, strict=True)
        )
        stages.setdefault((row.family, probes, *entries), []).append(row.stage)
    for line, of_line in stages.items():
        yield (", ".join(of_line), *line)


def _legend(rows: Iterable[Row]) -> str:
    """What the signs mean that are in the table."""
    used: set[str] = set()
    for row in rows:
        used |= set(row.signs)
        for entry in row.entries:
            used |= {key for key, has in _has(entry).items() if has}
    return "\n".join(f"  {key:9} {meaning}" for key, meaning in LEGEND if key in used)


def _has(entry: Entry) -> dict[str, bool]:
    """Which lines of `LEGEND` an entry needs."""
    return {
        NOTHING: not entry.total,
        "8/8": bool(entry.total) and entry.all_proved,
        "FAIL 1/8": entry.failed > 0,
        "?? 1/8": entry.unproved > 0,
    }


def _runs(found: Rehearsal) -> Iterator[str]:
    """A line for each run: how it is judged, why, and where its report is."""
    for one, judgement in zip(found.done, found.judgements, strict=True):
        where = f" ({clean(one.folder, 4096)})" if one.folder else ""
        yield f"{judgement.word.upper()} {clean(one.run.name)}: {judgement.why}{where}"


def _differences(found: Rehearsal) -> Iterator[str]:
    """What the runs differ in besides, in a line each; `harness diff` tells all of it."""
    for one, difference in found.differences:
        since = clean(found.columns[0])
        yield f"since {since}: {clean(one.run.name)}: {summary(difference)}"


def _wrapped(line: str) -> str:
    """A line in several; names of folders stay whole."""
    return "\n".join(
        wrap(line, COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    )


def _cell(words: str) -> str:
    return clean(words, 4096).replace("|", "\\|").replace("<", "&lt;")
