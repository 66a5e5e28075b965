"""Two report.json as values -> what changed between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.diff.cells import cells
from harness.diff.change import CHANGED, MENDED, REGRESSION, Change, Difference
from harness.diff.facts import NONE, facts
from harness.errors import CannotCompare

Document = dict[str, Any]
RUN = ("topology", "backend", "kernel", "vlan_datapath", "firewall_backend")
"""What a run says of itself in a word."""
ORDER = (REGRESSION, MENDED, CHANGED)
KINDS = ("cell", "path", "fact", "run", "only-old", "only-new")


def compare(old: Document, new: Document) -> Difference:
    """Everything in which two runs differ; CannotCompare if they have no cell in common."""
    common = {cell["id"] for cell in old["cells"]} & {cell["id"] for cell in new["cells"]}
    if not common:
        raise CannotCompare(_called(old), _called(new))
    of_facts, compared = facts(old["evidence"], new["evidence"])
    found = [*cells(old["cells"], new["cells"]), *of_facts, *_run(old["run"], new["run"])]
    found.sort(key=_place)
    return Difference(_called(old), _called(new), tuple(found), len(common), compared)


def _place(change: Change) -> tuple[int, int, int, str]:
    """Regressions first, then by kind; of a kind what shows in most cells."""
    order = (ORDER.index(change.sense), KINDS.index(change.kind), -len(change.where))
    return (*order, change.what)


def _called(document: Document) -> str:
    run = document["run"]
    return f"{run['id']} ({run['topology']} on {run['backend']}, kernel {run['kernel']})"


def _run(old: Document, new: Document) -> Iterator[Change]:
    for what in RUN:
        if old[what] != new[what]:
            yield Change("run", what, old[what], new[what])
    for what in sorted(old["versions"].keys() | new["versions"].keys()):
        was, now = (run["versions"].get(what, NONE) for run in (old, new))
        if was != now and what != "kernel":
            yield Change("run", f"version of {what}", was, now)
    for what in ("engines", "not_applicable"):
        gone = [text for text in old[what] if text not in new[what]]
        come = [text for text in new[what] if text not in old[what]]
        if gone or come:
            yield Change("run", what.replace("_", " "), "; ".join(gone) or NONE,
                         "; ".join(come) or NONE)  # fmt: skip
