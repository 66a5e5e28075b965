"""The report as a comment on a pull request: a headline, the matrices, what failed, run facts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tabulate import tabulate

from harness.causes import Diagnosis
from harness.flow import Ruling
from harness.report.document import raw_files
from harness.report.model import RunReport
from harness.report.summary import (
    MAX_NODES,
    Group,
    clean,
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

MAX_OCTETS = 40_000
"""Where groups of failures end, so that the rest fits too: a GitHub comment holds 65,536."""
MAX_COMMENT = 65_536
"""What a comment or a pull request of GitHub holds, in characters; counted here in octets."""
CUT = "Cut here, to fit into a comment: `{}` has the rest."
MAX_ITEMS = 12
"""Outside strings of one list that are shown; the rest is counted."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~&#]")


def markdown(report: RunReport, since: str = "") -> str:
    """The whole report in GitHub Flavored Markdown, below GitHub's size of a comment.

    `since` is what changed since a baseline, as Markdown; empty if there is none.
    """
    parts = [
        f"**{report.exit.upper()}**: {tally(report)}.",
        _listed("The kernel", tuple(map(str, report.run.kernel_events))),
        *map(_diagnosis, report.diagnoses[:MAX_ITEMS]),
        f"Since the baseline: {since.strip()}" if since else "",
        *_cells(report),
        *_failures(report),
        _listed("Not applicable", report.run.not_applicable),
        _listed("Left behind", report.leftovers),
    ]
    body = "\n\n".join(part for part in parts if part)
    return fitted(body, "report.html", f"\n\n{_facts(report)}\n")


def fitted(body: str, rest: str, end: str = "") -> str:
    """Text that a comment holds: what is too long is cut after a line, and said to be.

    `rest` is where all of it is, `end` is kept in any case.
    """
    if _octets(body + end) <= MAX_COMMENT:
        return body + end
    note = f"\n\n{CUT.format(rest)}"
    room = MAX_COMMENT - _octets(note + end)
    return body.encode()[:room].decode(errors="ignore").rpartition("\n")[0].rstrip() + note + end


def escaped(text: str, limit: int = 200) -> str:
    """An outside string as itself: no markup, no HTML, no mention of a user, one line."""
    plain = _SPECIAL.sub(r"\\\g<0>", clean(text, limit))
    return plain.replace("@", "&#64;")


def _cells(report: RunReport) -> list[str]:
    if not report.verdicts:
        return []
    entries = observed(report.verdicts)
    if len(nodes(entries)) > MAX_NODES:
        return [_table(families(entries))]
    made = matrices(entries)
    parts = [
        f"**{', '.join(matrix.stages)}: layer {matrix.layer}**\n\n{_table(matrix.rows)}"
        for matrix in made
    ]
    words = legend(text for matrix in made for row in matrix.rows[1:] for text in row[1:])
    said = "; ".join(f"{_cell(key)}: {meaning}" for key, meaning in words)
    return [*parts, f"Rows send, columns receive. {said}."]


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    header, *body = rows
    cells = [[escaped(row[0]), *map(_cell, row[1:])] for row in body]
    names = [escaped(text) for text in header]
    return str(tabulate(cells, names, tablefmt="github", disable_numparse=True))


def _cell(text: str) -> str:
    plain = escaped(text)
    return f"**{plain}**" if text.startswith(("FAIL", "??")) else plain


def _failures(report: RunReport) -> list[str]:
    shown: list[str] = []
    files = raw_files(report.evidence)
    found = groups(report)
    for group in found:
        part = _failure(group, files)
        if sum(map(_octets, shown)) + _octets(part) > MAX_OCTETS:
            break
        shown.append(part)
    rest = sum(len(group.verdicts) for group in found[len(shown) :])
    if rest:
        shown.append(f"And {many(rest, 'more cell')}; `report.json` has them all.")
    return shown


def _octets(text: str) -> int:
    return len(text.encode())


def _diagnosis(one: Diagnosis) -> str:
    fix = remedy(one)
    line = f"**CAUSE** {escaped(headline(one), 1000)}"
    return f"{line}\n\n- {escaped(fix, 1000)}" if fix else line


def _failure(group: Group, files: dict[str, str]) -> str:
    title = "FAIL" if group.ruling is Ruling.FAIL else "UNPROVED"
    cells = many(len(group.verdicts), "cell")
    names = [files.get(name, name) for name in group.evidence]
    lines = [
        f"**{title}** {group.stage}: {escaped(group.why)} ({cells})\n",
        *(f"- {escaped(text, 1000)}" for text in (*group.cells, *group.facts)),
    ]
    if names:
        lines.append(f"- evidence: {_some(names)}")
    return "\n".join(lines)


def _listed(title: str, texts: tuple[str, ...]) -> str:
    return f"{title}: {_some(texts, '; ')}" if texts else ""


def _some(texts: Iterable[str], separator: str = ", ") -> str:
    every = list(texts)
    shown = [escaped(text) for text in every[:MAX_ITEMS]]
    rest = len(every) - len(shown)
    return separator.join([*shown, *([f"and {rest} more"] if rest else [])])


def _facts(report: RunReport) -> str:
    run, readings = report.run, many(len(report.evidence), "reading")
    facts = {
        "run": run.id,
        "started": f"{run.started}, {run.duration_s:.1f} s",
        "topology": f"{run.topology} on {run.backend}",
        "stages": ", ".join(run.stages),
        "VLAN datapath": run.vlan_datapath,
        "firewall": run.firewall_backend,
        "kernel": run.kernel,
        "engines": ", ".join(run.engines) or "none",
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "evidence": f"report.json, evidence/ ({readings}), captures/*.pcapng",
    }
    rows = [[key, escaped(text)] for key, text in facts.items()]
    return str(tabulate(rows, ["", "this run"], tablefmt="github", disable_numparse=True))
