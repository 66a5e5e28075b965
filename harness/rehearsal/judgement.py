"""Whether a kernel is good, bad, or cannot be tested; made for `git bisect run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.errors import BuildError, MachineError, WorkerFailed, WorkerLost
from harness.kernel_log import NO_BOOT
from harness.rehearsal.combination import Combination
from harness.report.summary import clean, many


class Word(StrEnum):
    """What can be said of a kernel, worst first."""

    BAD = "bad"
    UNTESTABLE = "untestable"
    GOOD = "good"


HARNESS_ERRORS = {one.__name__ for one in (BuildError, MachineError, WorkerLost, WorkerFailed)}
"""What ends a lab before its cells are asked."""
EXIT_CODES = {Word.GOOD: 0, Word.BAD: 1, Word.UNTESTABLE: 125}
"""As git-bisect(1) has them: 125 skips what cannot be tested."""


@dataclass(frozen=True)
class Judgement:
    """The word, and a sentence that says why."""

    word: Word
    why: str


@dataclass(frozen=True)
class Rehearsed:
    """One run that is over."""

    run: Combination
    said: str
    """Why it ended, where it was ended or wrote no report; else empty."""
    code: int = 0
    """pytest's exit code."""
    folder: str = ""
    document: dict[str, Any] | None = None
    """Its report.json; None if there is none."""

    @property
    def events(self) -> tuple[dict[str, str], ...]:
        """What the kernel said of itself: warnings, a panic, a module that is missing."""
        return tuple(self.document["run"].get("kernel_events", ())) if self.document else ()

    @property
    def release(self) -> str:
        """The kernel that carried the lab, as `uname -r` says it; empty if none did."""
        return str(self.document["run"]["kernel"]) if self.document else ""


def judge(done: Rehearsed) -> Judgement:
    """Judge one run. What is bad outweighs what could not be told."""
    if done.document is None:
        return Judgement(Word.UNTESTABLE, done.said)
    wrong = list(_wrong(done.document, done.events))
    if wrong:
        return Judgement(Word.BAD, "; ".join(wrong))
    untold = done.said or _untold(done, done.document)
    if untold:
        return Judgement(Word.UNTESTABLE, untold)
    return Judgement(Word.GOOD, f"all {many(len(done.document['cells']), 'cell')} proved")


def _wrong(document: dict[str, Any], events: Iterable[dict[str, str]]) -> Iterator[str]:
    """What speaks against a kernel."""
    told = [event for event in events if event["kind"] != NO_BOOT]
    for event in told:
        yield f"{event['kind']}: {clean(event['text'])}"
    failed = [cell for cell in document["cells"] if cell["verdict"] == "fail"]
    if failed:
        causes = Counter(cause_of(cell) for cell in failed)
        said = ", ".join(cause for cause, _ in causes.most_common())
        yield f"{len(failed)} of {many(len(document['cells']), 'cell')} failed ({said})"
    elif document["run"]["exit"] == "fail" and not told:
        yield "a test beside the cells failed"


def _untold(done: Rehearsed, document: dict[str, Any]) -> str:
    """Why nothing can be said of a run in which nothing is wrong; empty if all was proved."""
    cells = document["cells"]
    if done.events:
        return f"{NO_BOOT}: {clean(done.events[0]['text'])}"
    unproved = [cell["why"] for cell in cells if cell["verdict"] == "unproved"]
    if unproved:
        first = Counter(unproved).most_common(1)[0][0]
        return f"{len(unproved)} of {many(len(cells), 'cell')} unproved: {clean(first)}"
    if not cells:
        return "no cell was asked"
    if document["run"]["exit"] != "pass" or done.code:
        return f"a part of it could not be done (pytest ended with {done.code})"
    return ""


def cause_of(cell: dict[str, Any]) -> str:
    """Why a cell of a report failed, in a code; where none is known, what was observed."""
    cause = cell["cause"]
    return str(cause["code"] if cause else cell["observed"])


def worst(words: Iterable[Word]) -> Word:
    """One word for several; of nothing nothing can be said."""
    found = set(words)
    return next((word for word in Word if word in found), Word.UNTESTABLE)


def sentence(output: str) -> str:
    """The one sentence in what pytest printed that says why there is no report.

    It is the harness's own (`harness: ...`, between exclamation marks where pytest ends early) or
    pytest's about its options (`ERROR: ...`); else the last line that it printed.
    """
    lines = [line.strip("! \t") for line in output.splitlines()]
    for lead in ("harness: ", "ERROR: "):
        for line in lines:
            before, found, after = line.partition(lead)
            if found and (not before or before.endswith(("Exit: ", "harness: "))):
                return clean(after)
    return clean(next((line for line in reversed(lines) if line), "it ended without a word"))


def broken(output: str) -> str:
    """The harness's first error in what pytest printed: why nothing was asked; empty if none."""
    for line in map(str.strip, output.splitlines()):
        name, found, _ = line.partition(": ")
        if found and name in HARNESS_ERRORS:
            return clean(line)
    return ""


def folder_of(output: str) -> str:
    """The run folder, of which a run says `report: FOLDER`; empty if it says nothing of one."""
    lines = [line for line in output.splitlines() if line.startswith("report: ")]
    return lines[-1].removeprefix("report: ") if lines else ""
