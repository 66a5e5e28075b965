"""Where a virtual machine has its socket and its console: a folder that goes with the machine.

Who is killed cannot remove it; the next machine's controller does. A folder is in use as long as
somebody holds its lock (flock(2)), which the kernel takes back from who has ended.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "harness-vm-"


class Folder:
    """A new folder, and a look for those that killed runs have left."""

    def __init__(self) -> None:
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_left(left)
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        self._held = _locked(Path(self.path), fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it, and let go of its lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)


def is_held(folder: Path) -> bool:
    """Whether a folder is in use, by whomever."""
    try:
        os.close(_locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    except OSError:  # gone, or another user's
        return False
    return False


def _remove_if_left(folder: Path) -> None:
    """Remove a folder that nobody holds; an empty one may be about to be held."""
    try:
        held = _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # in use, another user's, or gone
        return
    if any(folder.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
    os.close(held)


def _locked(folder: Path, how: int) -> int:
    """The open descriptor of a folder, which holds its lock."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(opened, how)
    except OSError:
        os.close(opened)
        raise
    return opened
