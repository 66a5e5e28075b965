"""Which runs beside a run say how much of a difference is noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.report import repeats
from harness.report.folder import write
from harness.report.repeats import read
from tests.unit.builders import cell, failed, passed, report


def run(directory: Path, minute: int, *verdicts: Any, **fields: Any) -> Path:
    """A run folder of one cell."""
    own = {"id": f"r{minute}", "started": f"2026-11-23T20:{minute:02}:00+00:00"}
    found = report(*(verdicts or (passed(cell("bbox1", "bbox3")),)), **own | fields)
    return write(found, {}, {}, directory)


def test_good_runs_made_alike(tmp_path: Path) -> None:
    """Not one of another kernel, one that failed, a broken one, or the two themselves."""
    old, new = run(tmp_path, 1), run(tmp_path, 9)
    run(tmp_path, 2, duration_s=2.0)
    run(tmp_path, 3, kernel="6.1")
    run(tmp_path, 4, failed(cell("bbox1", "bbox3")))
    (run(tmp_path, 5) / "report.json").write_text("{")
    run(tmp_path, 10, duration_s=10.0)
    of_old, of_new = repeats.repeats(read(old), read(new))
    assert [one["run"] for one in of_old] == [{"duration_s": 2.0}]
    assert of_new == []
    assert [one["run"]["duration_s"] for one in repeats.repeats(read(old))[0]] == [10.0, 12.34, 2.0]
    assert set(of_old[0]["cells"][0]) == {"id", "probe", "rtt_ms"}


def test_each_kernel_has_its_own(tmp_path: Path) -> None:
    """Where the two were made otherwise, later ones count as well; an image's id is no matter."""
    engines = [(f"host1: Docker 20; busybox, sha256:{number}",) for number in range(4)]
    old = run(tmp_path, 1, engines=engines[0])
    new = run(tmp_path, 2, kernel="7.2", engines=engines[1])
    run(tmp_path, 3, kernel="7.2", engines=engines[2], duration_s=3.0)
    run(tmp_path, 4, engines=engines[3], duration_s=4.0)
    sides = repeats.repeats(read(old), read(new))
    assert [[one["run"]["duration_s"] for one in side] for side in sides] == [[4.0], [3.0]]


def test_a_run_whose_folder_cannot_be_listed_has_none(tmp_path: Path) -> None:
    """Nothing is said of it: nothing is needed of it."""
    found = read(run(tmp_path / "here", 1))
    gone = repeats.Found(tmp_path / "gone" / "20261123T200100Z-r1", found.document)
    assert repeats.repeats(gone) == ([], [])
