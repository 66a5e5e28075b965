"""Runs side by side, each a process of its own, which none outlives."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import RunFolderError
from harness.rehearsal.combination import Combination, arguments
from harness.rehearsal.judgement import Rehearsed, broken, folder_of, judge, sentence
from harness.report.folder import read_document

GRACE_S = 30.0
"""So long a run may take to close its lab when it is told to end."""


@dataclass(frozen=True)
class Terms:
    """What all runs of a rehearsal share."""

    suites: Path
    reports: Path
    jobs: int
    deadline_s: float
    """A run that takes longer is ended: its kernel hangs, or this machine is too slow."""
    more: tuple[str, ...] = ()
    """Further options of pytest."""


def rehearse(
    runs: Sequence[Combination], terms: Terms, tell: Callable[[str], None]
) -> tuple[Rehearsed, ...]:
    """Carry all runs out; `tell` gets a line when one begins, and one when it is over.

    KeyboardInterrupt, after every run has closed its lab, if this process is told to end.
    """
    try:
        return asyncio.run(_all(runs, terms, tell))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _all(
    runs: Sequence[Combination], terms: Terms, tell: Callable[[str], None]
) -> tuple[Rehearsed, ...]:
    whole = asyncio.current_task()
    assert whole  # noqa: S101 - for mypy: this is a task
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, whole.cancel)
    seats = asyncio.Semaphore(terms.jobs)

    async def one(number: int, run: Combination) -> Rehearsed:
        async with seats:
            tell(f"[{number}/{len(runs)}] {run.name}: begins")
            began = time.monotonic()
            done = await _run(run, terms)
            told = judge(done)
            took = time.monotonic() - began
            tell(f"[{number}/{len(runs)}] {run.name}: {told.word}: {told.why} ({took:.0f} s)")
            return done

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(*numbered)) for numbered in enumerate(runs, start=1)]
    return tuple(task.result() for task in tasks)


async def _run(run: Combination, terms: Terms) -> Rehearsed:
    """One run. What it prints goes to a file, so that it never waits for a reader."""
    given = arguments(run, str(terms.suites), str(terms.reports), terms.more)
    # It gets no signal of this terminal: it is told to end, once. If this process is killed, the
    # kernel tells it. A shell has its background jobs ignore what tells it, and that is inherited.
    command = (
        "env", "--default-signal=INT", "setpriv", "--pdeathsig", "INT", "--",
        sys.executable, "-P", "-m", "pytest", *given,
    )  # fmt: skip
    with tempfile.TemporaryFile() as printed:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=printed, stderr=printed,
            start_new_session=True,
        )  # fmt: skip
        late = False
        try:
            async with asyncio.timeout(terms.deadline_s):
                await process.wait()
        except TimeoutError:
            late = True
        finally:
            await _end(process)
        return _read(run, process.returncode or 0, _text(printed), terms.deadline_s * late)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Have a run close its lab, as after Ctrl-C; kill what does not, and all that it started."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _text(printed: IO[bytes]) -> str:
    printed.seek(0)
    return printed.read().decode(errors="replace")


def _read(run: Combination, code: int, printed: str, deadline_s: float) -> Rehearsed:
    """What a run left: its report, also of what it got to, or why there is none."""
    late = f"it was not over after {deadline_s:g} s (--deadline)" if deadline_s else ""
    folder = folder_of(printed)
    if not folder:
        return Rehearsed(run, late or sentence(printed), code)
    try:
        document = read_document(Path(folder))
    except RunFolderError as error:
        return Rehearsed(run, str(error), code)
    why = late or ("" if document["cells"] else broken(printed))
    return Rehearsed(run, why, code, folder, document)
