"""A kernel that a virtual machine can boot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kernel:
    """One kernel: `name` is its release, or its build tree's name; `image` a file, or that tree."""

    name: str
    image: Path
