"""Files on a lab host: what is ours is replaced, and what is not stays; what is over is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness.worker import files

MARK = "# ours"
NEW = f"{MARK}\nnew\n"


def look(folder: Path, *names: str) -> dict[str, str]:
    """The states of files that are to be written, by name."""
    wanted = [[str(folder / name), NEW] for name in names]
    said = files.look({"mark": MARK, "files": wanted, "folders": []})
    return {Path(path).name: state for path, state in said["states"].items()}


def test_each_state_is_told(tmp_path: Path) -> None:
    """A link, a folder and what is no text are somebody's, as is a file without the whole mark."""
    (tmp_path / "same").write_text(NEW)
    (tmp_path / "old").write_text(f"{MARK}\nold\n")
    (tmp_path / "theirs").write_text("auto eth2\n")
    (tmp_path / "longer").write_text(f"{MARK}-2\nnew\n")
    (tmp_path / "octets").write_bytes(b"# ours\n\xff\xfe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "same")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    names = ("none", "same", "old", "theirs", "longer", "octets", "folder", "link", "dangling")
    assert look(tmp_path, *names) == {
        "none": "absent", "same": "same", "old": "ours", "theirs": "foreign", "longer": "foreign",
        "octets": "foreign", "folder": "foreign", "link": "foreign", "dangling": "foreign",
    }  # fmt: skip


def test_files_that_the_lab_has_no_more_are_found(tmp_path: Path) -> None:
    """Also where none is to be written now; nobody else's."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "left").write_text(NEW)
    (other / "theirs").write_text("auto eth2\n")
    folders = [str(other), str(tmp_path / "nowhere")]
    wanted = [[str(tmp_path / "one"), NEW]]
    said = files.look({"mark": MARK, "files": wanted, "folders": folders})
    assert said["others"] == [str(other / "left")]


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (None, False),
        ("source /etc/network/interfaces.d/*\n", True),
        ("auto lo\n  source-directory /etc/network/interfaces.d\n", True),
        ("#source /etc/network/interfaces.d/*\n", False),
        ("source\n\nsource /etc/network/others/*\n", False),
    ],
)
def test_it_is_told_whether_ifup_reads_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, sources: bool
) -> None:
    """By the line that Debian's own file has."""
    monkeypatch.setattr(files, "INTERFACES", str(tmp_path / "interfaces"))
    if text is not None:
        (tmp_path / "interfaces").write_text(text)
    assert files.look({"mark": MARK, "files": [], "folders": []})["sources"] is sources


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """With its folder, for all to read; nothing else is left there."""
    path = tmp_path / "etc" / "iptables" / "lab.v4"
    assert files.write([[str(path), NEW]], MARK) == {"written": [str(path)]}
    assert path.read_text() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_what_became_somebody_elses_stays(tmp_path: Path) -> None:
    """Between the look and the writing; what was written until then is told."""
    (tmp_path / "two").write_text("theirs\n")
    paths = [str(tmp_path / name) for name in ("one", "two", "three")]
    said = files.write([[path, NEW] for path in paths], MARK)
    assert said == {"written": paths[:1], "failed": f"{paths[1]}: it is somebody else's now"}
    assert (tmp_path / "two").read_text() == "theirs\n"
    assert not (tmp_path / "three").exists()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no part of a new one."""
    path = tmp_path / "one"
    path.write_text(f"{MARK}\nold\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = files.write([[str(path), NEW]], MARK)
    assert said == {"written": [], "failed": f"{path}: No space left on device"}
    assert path.read_text() == f"{MARK}\nold\n"
    assert list(tmp_path.iterdir()) == [path]
