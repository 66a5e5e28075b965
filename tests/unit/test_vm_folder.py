"""Folders of virtual machines: none stays, and none is taken from who is using it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.machines import vm_folder
from harness.machines.vm_folder import Folder

HOLD = """
import sys, time
from pathlib import Path
from harness.machines.vm_folder import Folder
folder = Folder()
Path(folder.path, "console").touch()
print(folder.path, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_goes_with_what_is_in_it(place: Path) -> None:
    """Whoever ends it leaves nothing."""
    folder = Folder()
    Path(folder.path, "console").touch()
    folder.remove()
    assert list(place.iterdir()) == []


def test_a_folder_in_use_stays_and_one_of_the_killed_goes(place: Path) -> None:
    """The next controller leaves it alone as long as its own one is alive."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        theirs = Path(other.stdout.readline().strip())
        Folder().remove()
        stayed = theirs.exists()
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    assert stayed
    Folder().remove()
    assert list(place.iterdir()) == []


def test_a_new_folder_is_not_taken_from_who_is_about_to_use_it(place: Path) -> None:
    """One that is empty still may be made and not yet locked."""
    (place / "harness-vm-new").mkdir()
    Folder().remove()
    assert (place / "harness-vm-new").exists()


def test_a_folder_is_held_as_long_as_its_machine_is_there(tmp_path: Path) -> None:
    """Who looks does not take it; one that is gone, or was never any, nobody holds."""
    folder = vm_folder.Folder()
    place = Path(folder.path)
    assert [vm_folder.is_held(place) for _ in range(2)] == [True, True]
    folder.remove()
    assert not vm_folder.is_held(place)
    assert not vm_folder.is_held(tmp_path)
