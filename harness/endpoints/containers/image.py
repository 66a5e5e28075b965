"""The image of a lab's containers, made of the machine's static busybox."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

PT_INTERP = 3
"""<elf.h>: the program header of what needs a dynamic loader."""

MADE_OF = "made.of"
"""The label that says which program it is made of."""


def program() -> str:
    """The machine's static busybox; OSError if it has none."""
    found = shutil.which("busybox")
    if found is None or not _static(found):
        raise OSError(
            "no registry has answered, and there is no static busybox on this machine to make the "
            "image of; apt-get install busybox-static, or give --lab-image"
        )
    return found


def busybox() -> bytes:
    """An image's file system as a tar: the machine's static busybox under all of its names."""
    own = program()
    listed = subprocess.run([own, "--list-full"], capture_output=True, check=True, text=True)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        with Path(own).open("rb") as file:
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = os.fstat(file.fileno()).st_size, 0o755
            tar.addfile(entry, file)
        for name in sorted({*listed.stdout.split(), "bin/sh"} - {"bin/busybox"}):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            tar.addfile(link)
    return made.getvalue()


def _static(program: str) -> bool:
    """Whether a program of this machine's word length needs no dynamic loader (elf(5))."""
    with Path(program).open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        start, size, count = (
            *struct.unpack_from("=Q", head, 32),
            *struct.unpack_from("=HH", head, 54),
        )
        file.seek(start)
        table = file.read(size * count)
    kinds = [struct.unpack_from("=I", table, place)[0] for place in range(0, len(table), size)]
    return PT_INTERP not in kinds
