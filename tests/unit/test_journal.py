"""What a worker writes down on a lab host before it makes anything there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.worker import journal

LINK = {"do": "vlan-delete", "node": "host1", "name": "eth2.10"}
RULES = {"do": "iptables", "node": "host1", "lines": ["-D FORWARD -j ACCEPT"], "policies": {}}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a journal that is kept."""
    monkeypatch.setattr(journal, "DIRECTORY", str(tmp_path / "lib"))
    monkeypatch.setattr(journal, "FILE", str(tmp_path / "lib" / "journal"))
    monkeypatch.setattr(journal, "_kept", [True])
    return tmp_path / "lib" / "journal"


def test_what_was_made_last_is_taken_back_first(kept: Path) -> None:
    """It is on the disk as soon as it is added, for whoever comes next."""
    journal.add(LINK)
    journal.add(RULES)
    assert kept.read_text().count("\n") == 2
    assert journal.entries() == [RULES, LINK]


def test_what_was_taken_back_goes(kept: Path) -> None:
    """With the last line the file goes, and its folder."""
    for step in (LINK, RULES, LINK):
        journal.add(step)
    journal.drop(LINK)
    assert journal.entries() == [RULES, LINK]
    journal.drop({**RULES, "lines": ("-D FORWARD -j ACCEPT",)})
    journal.drop(LINK)
    assert journal.entries() == []
    assert not kept.parent.exists()
    journal.drop(LINK)


def test_a_line_that_was_cut_short_made_nothing(kept: Path) -> None:
    """The machine was switched off while it was written, before the step."""
    journal.add(LINK)
    kept.write_text(kept.read_text() + '{"do": "vlan-del')
    assert journal.entries() == [LINK]
    journal.add(RULES)
    assert journal.entries() == [RULES, LINK]


@pytest.mark.usefixtures("kept")
def test_a_step_that_is_taken_back_with_another_has_no_line() -> None:
    """There is nothing to remember."""
    journal.add(None)
    assert journal.entries() == []


def test_a_private_lab_has_none(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes with its namespaces."""
    monkeypatch.setattr(journal, "_kept", [False])
    journal.add(LINK)
    assert not kept.exists()


@pytest.mark.usefixtures("kept")
def test_a_full_disk_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood there stands."""
    journal.add(LINK)
    write = os.write
    monkeypatch.setattr("harness.worker.journal.os.write", lambda fd, line: write(fd, line[:5]))
    with pytest.raises(OSError, match="the disk is full, so nothing is made"):
        journal.add(RULES)
    assert journal.entries() == [LINK]
