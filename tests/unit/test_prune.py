"""Old run folders go, and nothing else does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.errors import RunFolderError
from harness.report import prune

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Runs of four days, the newest of which `latest` points at, and what is no run folder."""
    for day in (25, 26, 27, 28):
        folder = tmp_path / f"202611{day}T030000Z-run{day}"
        folder.mkdir()
        (folder / "report.json").write_text("x" * 1000)
    (tmp_path / "latest").symlink_to("20261128T030000Z-run28")
    (tmp_path / "20261101T030000Z-link").symlink_to("20261125T030000Z-run25")
    (tmp_path / "20261102T030000Z-empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "report.json").write_text("mine")
    (tmp_path / "README.md").write_text("how to read them")
    return tmp_path


def left(reports: Path) -> list[str]:
    """The run folders that are there."""
    return [run.folder.name[-2:] for run in prune.runs(reports)]


def run(*arguments: str) -> tuple[int, str]:
    """The verb; its exit code and what it prints."""
    done = CliRunner().invoke(cli, ["reports", "prune", *arguments])
    return done.exit_code, done.output


def test_run_folders_are_known_by_name_and_report(reports: Path) -> None:
    """Newest first; a link, an empty folder and somebody's own are none."""
    found = prune.runs(reports)
    assert left(reports) == ["28", "27", "26", "25"]
    assert found[0].began == datetime(2026, 11, 28, 3, tzinfo=UTC)
    assert prune.octets(found[0]) == 1000


@pytest.mark.parametrize(
    ("keep", "days", "gone"),
    [
        (4, None, []),
        (2, None, ["26", "25"]),
        (0, None, ["27", "26", "25"]),
        (0, 2.0, ["26", "25"]),
        (3, 2.0, ["25"]),
        (0, 30.0, []),
    ],
)
def test_the_newest_stay(reports: Path, keep: int, days: float | None, gone: list[str]) -> None:
    """By number or by age, whichever keeps more; and what `latest` points at."""
    age = None if days is None else timedelta(days=days)
    found = prune.outdated(prune.runs(reports), keep, age, NOW)
    assert [one.folder.name[-2:] for one in found] == gone


def test_without_a_latest_all_can_go(reports: Path) -> None:
    """There is nothing to point at."""
    (reports / "latest").unlink()
    assert len(prune.outdated(prune.runs(reports), 0, None, NOW)) == 4


def test_what_is_old_is_removed(reports: Path) -> None:
    """Whole; everything that is no run folder is as it was."""
    assert run(str(reports), "--keep", "3") == (
        0, f"20261125T030000Z-run25\n1 removed from {reports} (0.0 MB), 3 stay\n",
    )  # fmt: skip
    assert left(reports) == ["28", "27", "26"]
    assert {path.name for path in reports.iterdir()} >= {
        "latest", "20261101T030000Z-link", "20261102T030000Z-empty", "notes", "README.md",
    }  # fmt: skip
    assert not list(reports.glob(".*"))


def test_a_dry_run_removes_nothing(reports: Path) -> None:
    """It says what would go, to a program as well."""
    assert run(str(reports), "--keep", "1", "--dry-run")[1].endswith(
        f"3 would go from {reports} (0.0 MB), 1 stay\n"
    )
    code, said = run(str(reports), "--keep", "3", "--dry-run", "--json")
    assert (code, json.loads(said)) == (
        0, {"removed": ["20261125T030000Z-run25"], "octets": 1000, "kept": 3, "dry_run": True},
    )  # fmt: skip
    assert left(reports) == ["28", "27", "26", "25"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Without a traceback."""
    code, said = run(str(tmp_path / "none"))
    assert (code, said) == (2, f"harness: {tmp_path / 'none'}: No such file or directory\n")


def test_what_cannot_be_removed_is_said(reports: Path) -> None:
    """The name is somebody else's by now."""
    (one, *_) = prune.runs(reports)
    (one.folder / "report.json").unlink()
    one.folder.rmdir()
    with pytest.raises(RunFolderError, match="run28: No such file or directory"):
        prune.remove(one)


def test_a_baseline_stays(reports: Path) -> None:
    """However old it is."""
    (reports / "baselines").mkdir()
    (reports / "baselines" / "lab.netns.here").symlink_to("../20261125T030000Z-run25")
    found = prune.outdated(prune.runs(reports), 0, None, NOW)
    assert [one.folder.name[-2:] for one in found] == ["27", "26"]
