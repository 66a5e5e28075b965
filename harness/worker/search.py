"""Where programs are looked for, on every machine alike."""

from __future__ import annotations

import os
import shutil

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps programs that a plain user's PATH does not name."""


def path() -> str:
    """PATH, and `SBIN` behind it."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN])


def found(program: str) -> str | None:
    """Where a program is; None if it is nowhere."""
    return shutil.which(program, path=path())
