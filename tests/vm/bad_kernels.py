"""Kernels that are bad: copies of good ones, made of links, with one module gone or altered."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.machines.kernel import Kernel

SIGNED = b"~Module signature appended~\n"
"""Ends a module that has a signature (kernel/module_signature.c); without, it is not looked at."""
NO_BROADCAST = (
    rb"\x48\x0f\xab\x04\x24(?=\x48\x8b\x04\x24\x49\x89\x00)",  # bts %rax,(%rsp)
    b"\x0f\x1f\x44\x00\x00",
)
"""macvlan_compute_filter() no longer sets the bit of dev->broadcast in the filter of group frames:
to no macvlan interface a broadcast is handed, as with Linux 5.4.11 where the frame had come in."""
NO_GROUPS = (
    rb"(?<=\x48\x39\xf9)\x74(?=.\x8b\x41\x2a)",  # je, over the loop where dev->mc is empty
    b"\xeb",
)
"""It passes over the addresses of dev->mc: no macvlan interface is in any group that it joined."""


def without(kernel: Kernel, module: str, place: Path) -> Path:
    """A copy of an unpacked kernel that has no such module."""
    return _copied(kernel, module, place, Path.unlink)


def patched(kernel: Kernel, module: str, place: Path, patch: tuple[bytes, bytes]) -> Path:
    """A copy of an unpacked kernel for x86-64 with other code in the one place that fits."""

    def change(path: Path) -> None:
        code, found = re.subn(*patch, path.read_bytes().removesuffix(SIGNED), flags=re.DOTALL)
        assert found == 1, f"{module} of {kernel.name} has {found} places like that"
        path.unlink()
        path.write_bytes(code)

    return _copied(kernel, module, place, change)


def _copied(kernel: Kernel, module: str, place: Path, change: Callable[[Path], None]) -> Path:
    """A copy with one module changed, in a folder that does not yet exist.

    The folder is on the kernel's own file system, and not below /tmp, of which a virtual machine
    has one of its own.
    """
    modules = kernel.image.parents[1] / "lib/modules" / kernel.name
    copy = place / "lib/modules" / kernel.name
    shutil.copytree(modules, copy, copy_function=_linked)
    (place / "boot").mkdir()
    (place / "boot" / f"vmlinuz-{kernel.name}").hardlink_to(kernel.image)
    (found,) = copy.rglob(f"{module}.ko*")
    change(found)
    subprocess.run(["depmod", "--basedir", str(place), kernel.name], check=True)
    return place


def _linked(source: str, target: str) -> None:
    """Files that depmod(8) writes are copied: the kernel's own stay as they are."""
    if Path(source).name.startswith("modules."):
        shutil.copy2(source, target)
    else:
        Path(target).hardlink_to(source)
