"""Many runs together: what turned red when, what is flaky, what cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.errors import RunFolderError
from harness.flow import Cell, Verdict
from harness.report import history
from harness.report.folder import write
from harness.report.history import Past, histories, read
from tests.unit.builders import cell, failed, passed, report, unproved

ENDS: dict[str, Callable[[Cell], Verdict]] = {"g": passed, "r": failed, "u": unproved}
FIRST = "isolated-bbox1-to-b0-icmp"


def run(directory: Path, minute: int, states: str, **fields: Any) -> Path:
    """A run folder; a letter a cell says whether it is green, red or unproved, `.` for none."""
    verdicts: list[Verdict] = [
        ENDS[state](cell("bbox1", f"b{place}"))
        for place, state in enumerate(states)
        if state != "."
    ]
    own = {"id": f"r{minute}", "started": f"2026-11-23T20:{minute:02}:00+00:00"}
    return write(report(*verdicts, **own | fields), {}, {}, directory)


def seen(directory: Path, *states: str, **fields: Any) -> history.History:
    """Runs one after another, and what is made of them."""
    folders = [run(directory, minute, each, **fields) for minute, each in enumerate(states)]
    (found,) = histories(map(read, folders))
    return found


def reds(found: history.History) -> list[tuple[str, str, str, int]]:
    """Since when, since which good run, until when, how many cells."""
    return [
        (one.since.id, one.before.id if one.before else "", one.until.id if one.until else "",
         len(one.cells))
        for one in found.reds
    ]  # fmt: skip


def test_what_is_remembered_of_a_run(tmp_path: Path) -> None:
    """Its head, which cells it had, and which of them did not pass."""
    engines = ("host1: Docker 20.10 (runc 1); busybox", "host2: Docker 28.5", "host3: Docker 20.10")
    past = read(run(tmp_path, 1, "gru", engines=engines))
    assert (past.id, past.exit, past.engine) == ("r1", "fail", "Docker 20.10, Docker 28.5")
    assert (len(past.cells), past.failed, past.unproved) == (3, 1, 1)
    assert f"{past.began}" == "2026-11-23 20:01:00+00:00"


def test_cells_that_turned_red_together(tmp_path: Path) -> None:
    """With the last run in which they were green; what is still red comes first."""
    assert reds(seen(tmp_path, "ggg", "ggg", "rrg", "rgg", "rgr")) == [
        ("r4", "r3", "", 1),
        ("r2", "r1", "", 1),
        ("r2", "r1", "r3", 1),
    ]


def test_cells_that_a_run_did_not_ask(tmp_path: Path) -> None:
    """Say nothing in it; those that were never green have no run before."""
    assert reds(seen(tmp_path, "r.", ".g", "r.", "g.")) == [("r0", "", "r3", 1)]


@pytest.mark.parametrize(
    ("states", "changes"),
    [("ggrgg", 2), ("grgrg", 4), ("rgrgr", 4), ("ggrrr", 0), ("rrggg", 0), ("rgr", 0), ("ggg", 0)],
)
def test_flaky_cells(tmp_path: Path, states: str, changes: int) -> None:
    """What broke and was mended once is none, nor what is broken still."""
    found = seen(tmp_path, *states)
    assert [one.changes for one in found.flaky] == ([changes] if changes else [])
    for one in found.flaky:
        assert (one.cell, one.wrong, one.runs) == (FIRST, states.count("r"), len(states))


def test_a_cell_that_differs_by_kernel_is_not_flaky(tmp_path: Path) -> None:
    """Each kernel has its own runs."""
    kernels = ("1", "2", "1", "2")
    folders = [
        run(tmp_path, minute, "g" if kernel == "1" else "r", kernel=kernel)
        for minute, kernel in enumerate(kernels)
    ]
    (found,) = histories(map(read, folders))
    assert found.flaky == ()
    assert [(kind.kernel, kind.ended("pass"), kind.seconds) for kind in found.kinds] == [
        ("1", 2, 12.34), ("2", 0, 12.34),
    ]  # fmt: skip


def test_labs_are_apart_and_the_newest_is_first(tmp_path: Path) -> None:
    """By topology and backend."""
    folders = [
        run(tmp_path, 1, "g", backend="docker"), run(tmp_path, 2, "g"),
        run(tmp_path, 3, "g", topology="jumbo", started="2026-11-24T03:00:00"),
    ]  # fmt: skip
    assert [(one.topology, one.backend) for one in histories(map(read, folders))] == [
        ("jumbo", "netns"), ("macvlan-two-host", "netns"), ("macvlan-two-host", "docker"),
    ]  # fmt: skip


def index(*arguments: str | Path) -> tuple[int, str, str]:
    """The verb; its exit code, and what it says where."""
    done = CliRunner().invoke(cli, ["reports", "index", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    """A folder without a report, a broken one, one of another shape; `latest` is no run."""
    run(tmp_path, 1, "gr")
    (run(tmp_path, 2, "g") / "report.json").write_text("{")
    odd = run(tmp_path, 3, "g") / "report.json"
    odd.write_text(json.dumps(json.loads(odd.read_text()) | {"cells": [1]}))
    (tmp_path / "20261123T200400Z-r4").mkdir()
    (tmp_path / "notes").mkdir()
    code, said, complained = index(tmp_path)
    assert (code, said) == (0, f"{tmp_path}/index.html: 1 run\n")
    lines = complained.splitlines()
    assert [re.sub(r".*/2026\S*-r(\d).*", r"\1", line) for line in lines] == ["2", "3", "4"]
    assert "not as a report is: TypeError" in lines[1]
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "3 folders could not be read" in page
    found = json.loads(index(tmp_path, "--json")[1])
    assert [one["folder"] for one in found["labs"][0]["runs"]] == ["20261123T200100Z-r1"]
    assert found["labs"][0]["red"][0]["until"] is None
    assert len(found["unread"]) == 3


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    """In a line, as any mistake in what was given."""
    with pytest.raises(RunFolderError):
        history.folders(tmp_path / "nowhere")
    assert index(tmp_path / "nowhere")[0] == 2
    assert "No such file" in index(tmp_path / "nowhere")[2]


def test_an_end_of_a_later_version_is_no_pass(tmp_path: Path) -> None:
    """What is not known is not green."""
    folder = run(tmp_path, 1, "g")
    found = json.loads((folder / "report.json").read_text())
    found["run"]["exit"] = "cancelled"
    (folder / "report.json").write_text(json.dumps(found))
    past: Past = read(folder)
    assert past.exit == "error"


def test_flaky_cells_for_programs(tmp_path: Path) -> None:
    """With the run in which each was last not green."""
    found = history.as_json([seen(tmp_path, "g", "r", "g")], ["x: gone"])
    (lab,) = found["labs"]
    assert lab["flaky"][0]["last"] == "20261123T200100Z-r1"
    assert found["unread"] == ["x: gone"]
