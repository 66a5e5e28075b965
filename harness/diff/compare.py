"""Two report.json as values -> what changed between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.diff.cells import cells
from harness.diff.change import CHANGED, MENDED, REGRESSION, Change, Difference
from harness.diff.docker import NONE, without_made_ids
from harness.diff.facts import facts
from harness.diff.timings import timings
from harness.errors import CannotCompare

Document = dict[str, Any]
RUN = ("topology", "backend", "kernel", "vlan_datapath", "firewall_backend")
"""What a run says of itself in a word."""
MODULE = "module "
"""Of a kernel module the version is compared, not whether it was loaded already: a machine loads it
at the first use, whoever has that."""
ORDER = (REGRESSION, MENDED, CHANGED)
KINDS = ("cell", "path", "fact", "time", "run", "only-old", "only-new")
Repeats = tuple[Sequence[Document], Sequence[Document]]


def compare(old: Document, new: Document, repeats: Repeats = ((), ())) -> Difference:
    """Everything in which two runs differ; CannotCompare if they have no cell in common.

    `repeats` are runs that were made as the old one, and as the new one: they say how much of a
    difference in times is noise. See `harness.report.repeats`.
    """
    common = {cell["id"] for cell in old["cells"]} & {cell["id"] for cell in new["cells"]}
    if not common:
        raise CannotCompare(_called(old), _called(new))
    of_facts, compared = facts(old["evidence"], new["evidence"])
    of_times, untold = timings([old, *repeats[0]], [new, *repeats[1]])
    of_run = _run(old["run"], new["run"])
    found = [*cells(old["cells"], new["cells"]), *of_facts, *of_times, *of_run]
    found.sort(key=_place)
    return Difference(_called(old), _called(new), tuple(found), len(common), compared, untold)


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
        loaded = what.startswith(MODULE) and NONE in (was, now)
        if was != now and what != "kernel" and not loaded:
            yield Change("run", f"version of {what}", was, now)
    engines = ([without_made_ids(line) for line in run["engines"]] for run in (old, new))
    yield from _lists("engines", *engines)
    yield from _lists("not applicable", old["not_applicable"], new["not_applicable"])


def _lists(what: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """Only what one of them has."""
    gone = [text for text in old if text not in new]
    come = [text for text in new if text not in old]
    if gone or come:
        yield Change("run", what, "; ".join(gone) or NONE, "; ".join(come) or NONE)
