"""Kernels that lack something: copies of good ones, made of links."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness.machines.kernel import Kernel


def without(kernel: Kernel, module: str, place: Path) -> Path:
    """A copy of an unpacked kernel that has no such module, in a folder that does not yet exist.

    The folder is on the kernel's own file system, and not below /tmp, of which a virtual machine
    has one of its own.
    """
    modules = kernel.image.parents[1] / "lib/modules" / kernel.name
    copy = place / "lib/modules" / kernel.name
    shutil.copytree(modules, copy, copy_function=_linked)
    (place / "boot").mkdir()
    (place / "boot" / f"vmlinuz-{kernel.name}").hardlink_to(kernel.image)
    (found,) = copy.rglob(f"{module}.ko*")
    found.unlink()
    subprocess.run(["depmod", "--basedir", str(place), kernel.name], check=True)
    return place


def _linked(source: str, target: str) -> None:
    """Files that depmod(8) writes are copied: the kernel's own stay as they are."""
    if Path(source).name.startswith("modules."):
        shutil.copy2(source, target)
    else:
        Path(target).hardlink_to(source)
