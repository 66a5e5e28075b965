"""Kernels that a lab can run on in a virtual machine, by what people call them.

A version that `make kernels` fetched, or that is installed; a vmlinuz; packages; a build tree.

    ~/.cache/macvlan-harness/kernels/6.1.0-56-amd64/boot/vmlinuz-6.1.0-56-amd64
                                                   /lib/modules/6.1.0-56-amd64
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from harness import fetched
from harness.errors import InputError, Unsupported
from harness.machines.kernel import Kernel

IMAGE = "vmlinuz-"
BUILT = ("arch/x86/boot/bzImage", "arch/arm64/boot/Image.gz", "arch/arm64/boot/Image")
"""Where a build tree has its image."""
VERSION = re.compile(r"\d+(\.\d+)*([-+~.][\w.+~-]*)?")
DEADLINE_S = 120


def known() -> dict[str, Kernel]:
    """The kernels that can be had by their release: installed, and fetched; the oldest first."""
    fetched_ones = (one for cache in reversed(fetched.caches("kernels")) for one in
                    cache.glob(f"*/{fetched.ORIGIN}"))  # fmt: skip
    places = [Path("/boot"), *(one.with_name("boot") for one in fetched_ones)]
    found = {kernel.name: kernel for place in places for kernel in _images(place)}
    return {name: found[name] for name in sorted(found, key=fetched.numbers)}


def find(wish: str) -> Kernel:
    """The kernel of a name; InputError says what is there instead."""
    if not wish:
        raise InputError(
            "--lab-kernel: name a kernel: a version, a vmlinuz, .deb files, a build tree"
        )
    if all(one.endswith(".deb") for one in wish.split(",")):
        return _of_packages([Path(one) for one in wish.split(",")])
    path = Path(wish)
    if path.is_dir():
        return _of_folder(path.resolve())
    if path.is_file():
        return Kernel(path.name.removeprefix(IMAGE), path.resolve())
    kernels = known()
    fitting = [one for name, one in kernels.items() if re.match(rf"{re.escape(wish)}(?!\d)", name)]
    if fitting and VERSION.fullmatch(wish):
        return fitting[-1]
    there = ", ".join(kernels) or "none"
    raise InputError(
        f"no kernel {wish} here (there: {there}), and no such file; `make kernels` fetches some"
    )


def _of_folder(folder: Path) -> Kernel:
    """A build tree, or packages that somebody unpacked."""
    if any((folder / image).exists() for image in BUILT):
        return Kernel(folder.name, folder)
    images = _images(folder / "boot")
    if not images:
        raise InputError(
            f"{folder} is no kernel: neither {BUILT[0]} is in it nor boot/{IMAGE}VERSION"
        )
    return images[-1]


def _images(place: Path) -> list[Kernel]:
    try:
        found = sorted(place.glob(f"{IMAGE}*"), key=lambda one: fetched.numbers(one.name))
    except OSError:
        return []
    return [Kernel(one.name.removeprefix(IMAGE), one) for one in found if os.access(one, os.R_OK)]


def _of_packages(packages: list[Path]) -> Kernel:
    """Packages, unpacked into the cache over each other; nothing is installed."""
    for package in packages:
        if not package.is_file():
            raise InputError(f"no package {package}")
    said = "\n".join(f"{one.resolve()} {one.stat().st_mtime_ns} {one.stat().st_size}"
                     for one in packages)  # fmt: skip
    place = fetched.cache("kernels") / hashlib.sha256(said.encode()).hexdigest()[:16]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial") as folder:
            made = Path(folder, "kernel")
            for package in packages:
                _unpack(package, made)
            arrange(made)
            if not _images(made / "boot"):
                names = ", ".join(one.name for one in packages)
                raise InputError(f"no boot/{IMAGE}VERSION in {names}; name the linux-image package")
            made.rename(place)
    return _images(place / "boot")[-1]


def _unpack(package: Path, folder: Path) -> None:
    command = ["dpkg-deb", "--extract", str(package), str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except FileNotFoundError as error:
        raise Unsupported("no dpkg-deb here to unpack packages with; name a vmlinuz") from error
    if done.returncode:
        raise InputError(f"{package}: {done.stderr.strip().splitlines()[-1]}")


def arrange(folder: Path) -> None:
    """Have image and modules where they are looked for; newer packages have both below /usr/lib."""
    if (folder / "usr/lib/modules").is_dir() and not (folder / "lib").exists():
        (folder / "lib").symlink_to("usr/lib")
    for image in folder.glob("lib/modules/*/vmlinuz"):
        (folder / "boot").mkdir(exist_ok=True)
        place = folder / "boot" / f"{IMAGE}{image.parent.name}"
        if not place.exists():
            place.hardlink_to(image)
