"""Judging a run again from its folder: it agrees, or says what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import pcapng
from harness.errors import InputError, RunFolderError
from harness.flow import Stage
from harness.judge import Rejudged, rejudge
from harness.report import folder
from harness.sightings import find
from harness.verdict import judge
from tests.unit.builders import report
from tests.unit.labs import TEXT, TUTORIAL, cells_of
from tests.unit.play import play

CELLS = cells_of(TUTORIAL, Stage.ISOLATED)
CHOSEN = ["isolated-bbox1-to-bbox4-l2-unicast", "isolated-bbox1-to-bbox3-tcp"]


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    """The folder of a run of two cells."""
    record = play(TUTORIAL, [CELLS[name] for name in CHOSEN])
    found = find(record.frames, record.tokens)
    verdicts = judge(TUTORIAL, record, found, CELLS.values())
    about = {"hardware": "none", "os": "none", "application": "tests"}
    captures = {"isolated": pcapng.dump(record.frames, {}, **about)}
    extra = {
        "evidence/topology.yaml": TEXT,
        "evidence/isolated-record.json": json.dumps(record.as_json()),
    }
    return folder.write(report(*verdicts, stages=("isolated",)), captures, extra, tmp_path)


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Change a JSON file in place."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_an_honest_run_agrees(run: Path) -> None:
    """Every cell, from captures alone."""
    assert rejudge(run) == Rejudged(2, ())
    assert rejudge(run).agree


def test_the_parts_of_a_stage_are_judged_together(run: Path) -> None:
    """Each from its own capture and record."""
    for number, name in enumerate(CHOSEN, 1):
        record = play(TUTORIAL, [CELLS[name]])
        ending = f"-{number}" if number > 1 else ""
        octets = pcapng.dump(record.frames, {}, hardware="", os="", application="")
        (run / f"captures/isolated{ending}.pcapng").write_bytes(octets)
        text = json.dumps(record.as_json())
        (run / f"evidence/isolated{ending}-record.json").write_text(text)
    found = rejudge(run)
    assert found.cells == 2
    assert {text.partition(" is ")[0] for text in found.differences} <= {
        f"{name}: {key}" for name in CHOSEN for key in ("token", "path", "rtt_ms", "proof", "why")
    }


def test_nothing_judged_is_no_agreement() -> None:
    """An empty run is not a proof."""
    assert not Rejudged(0, ()).agree
    assert not Rejudged(2, ("x",)).agree


CLAIMS: dict[str, tuple[Callable[[Any], object], str]] = {
    "verdict": (lambda d: d["cells"][0].update(verdict="fail"),
                f"{CHOSEN[0]}: verdict is fail in report.json, pass by the captures"),
    "token": (lambda d: d["cells"][0].update({"token": "0f" * 16}),
              f"{CHOSEN[0]}: token is {'0f' * 16} in report.json, "),
    "observed": (lambda d: d["cells"][1].pop("observed"),
                 f"{CHOSEN[1]}: observed is None in report.json, reached by the captures"),
    "a cell less": (lambda d: d["cells"].pop(1), f"{CHOSEN[1]}: not in report.json"),
    "a cell more": (lambda d: d["cells"].append(d["cells"][0] | {"id": "x"}),
                    "x: not in the captures"),
    "a cell twice": (lambda d: d["cells"].append(d["cells"][0]),
                     f"{CHOSEN[0]}: stands twice in report.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_a_report_that_says_otherwise_is_told(run: Path, name: str) -> None:
    """What it says, and what the captures say."""
    change, difference = CLAIMS[name]
    edit(run / "report.json", change)
    found = rejudge(run)
    assert not found.agree
    assert [one[: len(difference)] for one in found.differences] == [difference]


def test_a_capture_that_says_otherwise_is_told(run: Path) -> None:
    """Without its frames no cell is what it was."""
    (run / "captures" / "isolated.pcapng").write_bytes(
        pcapng.dump([], {}, hardware="", os="", application="")
    )
    assert len({one.partition(":")[0] for one in rejudge(run).differences}) == 2


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no capture": (lambda run: (run / "captures/isolated.pcapng").unlink(), "cannot be read"),
    "no record": (lambda run: (run / "evidence/isolated-record.json").unlink(), "cannot be read"),
    "no topology": (lambda run: (run / "evidence/topology.yaml").unlink(), "cannot be read"),
    "topology is not text": (
        lambda run: (run / "evidence/topology.yaml").write_bytes(b"\xff"), "not UTF-8 text",
    ),
    "topology has a mistake": (
        lambda run: (run / "evidence/topology.yaml").write_text("name: X"), "is missing",
    ),
    "record is not JSON": (
        lambda run: (run / "evidence/isolated-record.json").write_text("{"), "not JSON",
    ),
    "record nests without end": (
        lambda run: (run / "evidence/isolated-record.json").write_text("[" * 100_000), "not JSON",
    ),
    "record is a list": (
        lambda run: (run / "evidence/isolated-record.json").write_text("[]"), "not a record",
    ),
    "record is of another stage": (
        lambda run: edit(run / "evidence/isolated-record.json", lambda d: d.update(stage="undone")),
        "not of stage isolated of the topology: undone",
    ),
    "record has a cell that is none": (
        lambda run: edit(run / "evidence/isolated-record.json",
                         lambda d: d["waves"][0]["sent"][0].update(id="control/isolated-a-to-b-x")),
        "not of stage isolated of the topology: isolated, isolated-a-to-b-x",
    ),
    "capture is none": (
        lambda run: (run / "captures/isolated.pcapng").write_bytes(b"x"), "not a pcapng capture",
    ),
    "a stage that is none": (
        lambda run: edit(run / "report.json", lambda d: d["run"].update(stages=["../x"])),
        "not a whole report",
    ),
    "no stages": (
        lambda run: edit(run / "report.json", lambda d: d["run"].pop("stages")),
        "not a whole report",
    ),
    "a cell without id": (
        lambda run: edit(run / "report.json", lambda d: d["cells"][0].pop("id")),
        "not a whole report",
    ),
    "a cell that is a number": (
        lambda run: edit(run / "report.json", lambda d: d["cells"].append(3)), "not a whole report",
    ),
    "no report": (lambda run: (run / "report.json").unlink(), "it has no report.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_folder_that_is_not_whole_is_named(run: Path, name: str) -> None:
    """Each in a sentence; never a traceback."""
    change, message = BREAKS[name]
    change(run)
    with pytest.raises(InputError) as caught:
        rejudge(run)
    assert message in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before anything is judged."""
    with pytest.raises(RunFolderError, match="no such run folder"):
        rejudge(tmp_path / "gone")
