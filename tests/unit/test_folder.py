"""The run folder: whole or not there, and read back with a sentence for everything wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.errors import RunFolderError
from harness.report import folder
from harness.report.document import document, schema
from tests.unit.builders import cell, failed, passed, reading, report, tutorial

ONE = report(
    failed(cell("bbox1", "bbox4")),
    passed(cell("bbox1", "bbox3")),
    evidence=(reading("routed/gateway/firewall/after"), reading("a-b"), reading("a/b")),
)


def written(directory: Path, extra: dict[str, str] | None = None) -> Path:
    """A run folder of the report above."""
    captures = {"routed": b"\x0a\x0d\x0d\x0a"}
    return folder.write(ONE, captures, extra or {"report.html": "<html>"}, directory)


def test_a_run_folder_has_everything(tmp_path: Path) -> None:
    """Name, reports, raw readings, captures, and what others added."""
    made = written(tmp_path / "reports", extra={"report.html": "<html>", "deep/er/x.txt": "x"})
    assert made == tmp_path / "reports" / "20261123T200501Z-5f3a"
    files = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert files == [
        "captures/routed.pcapng",
        "deep/er/x.txt",
        "evidence/a-b-2.txt",
        "evidence/a-b.txt",
        "evidence/routed-gateway-firewall-after.txt",
        "report.html",
        "report.json",
        "report.md",
    ]
    assert (made / "evidence" / "a-b.txt").read_text() == "-P FORWARD ACCEPT\n"
    assert (made / "report.md").read_text().startswith("**FAIL**")


def test_a_file_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    """The page comes last; where it cannot be written, the folder is as it was."""
    made = written(tmp_path, extra={"x": ""})
    folder.add(made, "report.html", "<html>\udcff")
    assert (made / "report.html").read_text() == "<html>\\udcff"
    (made / "taken").mkdir()
    before = sorted(made.iterdir())
    with pytest.raises(RunFolderError, match="taken: Is a directory"):
        folder.add(made, "taken", "")
    assert sorted(made.iterdir()) == before


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    """report.json is the document, and keeps to the schema."""
    found = folder.read_document(written(tmp_path))
    assert found == document(ONE)
    jsonschema.Draft202012Validator(schema()).validate(found)


def test_every_raw_file_that_the_report_names_is_there(tmp_path: Path) -> None:
    """Whoever follows a reading finds its text."""
    made = written(tmp_path)
    for entry in folder.read_document(made)["evidence"].values():
        assert (made / entry["raw_file"]).is_file()


def test_latest_points_to_the_newest(tmp_path: Path) -> None:
    """A relative link, so that the directory can be moved."""
    written(tmp_path)
    second = folder.write(report(id="second"), {}, {}, tmp_path)
    assert (tmp_path / "latest").readlink() == Path("20261123T200501Z-second")
    assert (tmp_path / "latest").resolve() == second
    assert folder.read_document(tmp_path / "latest")["cells"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20261123T200501Z-5f3a",
        "20261123T200501Z-second",
        "latest",
    ]


def test_a_cell_is_a_line(tmp_path: Path) -> None:
    """Two runs differ in the lines of the cells that differ."""
    lines = (written(tmp_path) / "report.json").read_text().splitlines()
    assert sum(line.startswith('{"id":"isolated-') for line in lines) == 2
    assert sum(line.startswith('"routed/gateway/firewall/after":') for line in lines) == 1


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("2026-11-23T20:05:01Z", "20261123T200501Z-5f3a"),
        ("2026-11-23T20:05:01.250", "20261123T200501Z-5f3a"),
        ("2026-11-23T22:05:01+02:00", "20261123T200501Z-5f3a"),
    ],
)
def test_the_name_is_in_utc(tmp_path: Path, started: str, name: str) -> None:
    """Folders of hosts in different places sort by time."""
    assert folder.write(report(started=started), {}, {}, tmp_path).name == name


def test_a_hostile_id_stays_in_the_directory(tmp_path: Path) -> None:
    """An id is a name, not a path."""
    made = folder.write(report(id="../../x y"), {}, {}, tmp_path)
    assert made == tmp_path / "20261123T200501Z-..-..-x-y"


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x"])
def test_an_extra_file_stays_in_the_folder(tmp_path: Path, path: str) -> None:
    """A path that leads out is a mistake of the caller, and leaves nothing behind."""
    with pytest.raises(ValueError, match="leads out of the run folder"):
        written(tmp_path, extra={path: "x"})
    assert list(tmp_path.iterdir()) == []


def test_raw_text_that_is_not_unicode_is_kept_as_escapes(tmp_path: Path) -> None:
    """A tool's odd octet loses no report."""
    entry = reading("odd", raw="x\udcff", parsed={"path": Path("x"), "text": "\udcff"})
    made = folder.write(report(evidence=(entry,)), {}, {}, tmp_path)
    assert (made / "evidence" / "odd.txt").read_text() == "x\\udcff"
    assert folder.read_document(made)["evidence"]["odd"]["parsed"]["path"] == "x"


def test_a_run_that_dies_while_writing_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What bears a run folder's name is whole: the name comes last."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_written_over(tmp_path: Path) -> None:
    """The same run twice is refused by name; the first stays."""
    made = written(tmp_path)
    with pytest.raises(RunFolderError, match=r"cannot be written: .*: Directory not empty"):
        written(tmp_path)
    assert folder.read_document(made) == document(ONE)


def test_a_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    """`--lab-reports` given a file says so in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"cannot be written: .*: (Not a dir|File exists)"):
        written(tmp_path / "file")


def test_a_latest_that_is_no_link_is_named(tmp_path: Path) -> None:
    """Somebody's directory of that name is not touched; the run folder is there all the same."""
    (tmp_path / "latest" / "mine").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="cannot be written"):
        written(tmp_path)
    assert (tmp_path / "latest" / "mine").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20261123T200501Z-5f3a", "latest"]


WHOLE: dict[str, Any] = {"schema": 1, "run": {}, "cells": [], "diagnoses": [], "evidence": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: Expecting value"),
        ('{"schema": 1', "not JSON: "),
        ("\xff", "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ("[]", "not a report: it names no schema"),
        ("{}", "not a report: it names no schema"),
        ('{"schema": 2}', "schema 2; this version reads schema 1"),
        ('{"schema": "1"}', "schema '1'; this version reads schema 1"),
        ('{"schema": 1}', "not a whole report: 'run' is missing or malformed"),
        (json.dumps(WHOLE), "not a whole report: 'leftovers' is missing or malformed"),
        (json.dumps(WHOLE | {"cells": {}}), "not a whole report: 'cells' is missing or malformed"),
    ],
)
def test_a_broken_report_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Each way in which report.json can be wrong is a sentence with its path."""
    (tmp_path / "report.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunFolderError) as caught:
        folder.read_document(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'report.json'}: {message}")
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """No such folder, not a run folder, a dangling `latest` and a file are told apart."""
    (tmp_path / "latest").symlink_to("20260101T000000Z-gone")
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    for name, message in {
        "latest": "points at 20260101T000000Z-gone, which is gone",
        "file": "a file, not a run folder",
        "other": "not a run folder: it has no report.json",
        "nothing": "no such run folder",
    }.items():
        with pytest.raises(RunFolderError) as caught:
            folder.read_document(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_a_report_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """Other answers of the file system come with its own words."""
    (tmp_path / "report.json").mkdir()
    with pytest.raises(RunFolderError, match="cannot be read: Is a directory"):
        folder.read_document(tmp_path)


def test_leftovers_of_a_killed_run_do_not_hinder(tmp_path: Path) -> None:
    """A half-made link of a process that had the same number is replaced."""
    (tmp_path / f".latest.{os.getpid()}").symlink_to("nowhere")
    made = written(tmp_path)
    assert (tmp_path / "latest").resolve() == made
    assert len(list(tmp_path.iterdir())) == 2


def test_a_whole_run_is_written(tmp_path: Path) -> None:
    """The tutorial lab's three stages keep to the schema when read back."""
    made = folder.write(report(*tutorial()), {}, {}, tmp_path)
    jsonschema.Draft202012Validator(schema()).validate(folder.read_document(made))


def test_half_written_folders_of_the_dead_are_removed(tmp_path: Path) -> None:
    """What a killed run left half-written goes with the next run; a living one's stays."""
    ended = tmp_path / ".20261123T200501Z-dead.4194305.partial"  # above the largest PID there is
    alive = tmp_path / f".20261123T200501Z-busy.{os.getppid()}.partial"
    strange = tmp_path / ".notes.partial"
    for partial in (ended, alive, strange):
        partial.mkdir()
    written(tmp_path)
    assert [path.exists() for path in (ended, alive, strange)] == [False, True, True]


def test_latest_can_be_pointed_to_any_run(tmp_path: Path) -> None:
    """Of several folders that belong together, the one that matters most is the latest."""
    older, newer = written(tmp_path), tmp_path / "20270101T000000Z-other"
    newer.mkdir()
    for folder_ in (newer, older):
        folder.point_latest(folder_)
        assert (tmp_path / "latest").resolve() == folder_.resolve()


def test_latest_that_is_in_the_way_is_named(tmp_path: Path) -> None:
    """A real folder of that name is somebody's, and stays."""
    (tmp_path / "latest" / "mine").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="latest"):
        folder.point_latest(tmp_path / "20270101T000000Z-other")
    assert (tmp_path / "latest" / "mine").is_dir()
