"""A run in one line, for chat and for the subject of a mail."""

from __future__ import annotations

from typing import Any

from harness.report.summary import clean, many

WORDS = {"pass": "PASS", "fail": "FAIL", "error": "UNPROVED"}
MAX_MESSAGE = 160
"""Characters of one sentence from outside."""


def line(document: dict[str, Any]) -> str:
    """What a report.json says, in its first fault's words; the rest is counted."""
    run = document["run"]
    where = f"{run['topology']} on {run['backend']}, kernel {run['kernel']}"
    told = [f"{WORDS.get(run['exit'], 'UNPROVED')} {clean(where)}: {_counted(document)}"]
    found = document["diagnoses"]
    if found:
        told.append(_fault(found[0]))
        if found[1:]:
            told.append(f"and {many(len(found) - 1, 'other fault')}")
    if document["leftovers"]:
        told.append(f"{many(len(document['leftovers']), 'thing')} left over")
    return f"{'; '.join(told)} ({run['id']}, {run['duration_s']:.1f} s)"


def _counted(document: dict[str, Any]) -> str:
    cells = document["cells"]
    if document["run"]["exit"] == "pass":
        return f"all {many(len(cells), 'cell')} proved"
    counted = {
        word: sum(cell["verdict"] == verdict for cell in cells)
        for word, verdict in (("failed", "fail"), ("unproved", "unproved"))
    }
    said = [f"{count} {word}" for word, count in counted.items() if count]
    if said:
        return f"{', '.join(said)} of {many(len(cells), 'cell')}"
    failed = document["run"]["exit"] == "fail"
    return "a test beside the cells failed" if failed else "a part of it could not be done"


def _fault(one: dict[str, Any]) -> str:
    said = f"{one['code']}: {clean(one['message'], MAX_MESSAGE)}"
    if not one["fix"]:
        return said
    where = f" on {one['node']}" if one["node"] else ""
    return f"{said}; mend it{where}: {clean(one['fix'], MAX_MESSAGE)}"
