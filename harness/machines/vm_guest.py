"""The first program of a virtual machine: becomes the worker that its controller asks for.

`vm_guest.py NAME ROOT`: of a port of virtio-console, and of a file system over 9p, which is
the root if ROOT is `cached`. What comes first on the port is a line of JSON, the command; it is
too long for a kernel's command line. The worker's own stream follows.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

READY = b"\n"
NEW_ROOT = "/mnt"
"""Where there is nothing, and a folder on every machine (hier(7))."""
CACHED = "trans=virtio,version=9p2000.L,access=any,cache=loose,msize=512000"
MS_RDONLY, MS_BIND, MS_REC = 1, 4096, 16384
"""<linux/mount.h>."""
MACHINE_NET = Path("/dev/machine-net")
"""The machine's own network namespace, kept as ip-netns(8) keeps one: the worker has another, and
some limits of a kernel are set there for all. Of what the worker sees, /dev can be written to."""
WANTED = {
    "8021q": "register_vlan_dev",
    "macvlan": "macvlan_common_setup",
    "veth": "veth_newlink",
    "bridge": "br_handle_frame",
    "nf_nat": "nf_nat_setup_info",
}
"""What a lab is made of, each with a function of it: a kernel that has it built in may know no
module of the name. There is another way without 8021q, but this kernel is asked what it has."""


def main(name: str, root: str) -> NoReturn:
    """Open the port, say so, and become the command that is asked for."""
    if root == "cached":
        _cached_root(name)
    _load("virtio_console")
    opened = os.open(_port(name), os.O_RDWR)
    unloaded = {module: function for module, function in WANTED.items() if not _load(module)}
    functions = _functions() if unloaded else set()
    missing = [module for module, function in unloaded.items() if function not in functions]
    for module in missing:
        Path("/dev/kmsg").write_text(f"harness: no module {module}\n", "ascii")
    MACHINE_NET.touch()
    _mount("/proc/self/ns/net", str(MACHINE_NET), "", MS_BIND, "")
    os.write(opened, READY)
    command = json.loads(_line(opened))
    for stream in (0, 1):
        os.dup2(opened, stream)
    os.close(opened)
    os.execvp(command[0], command)  # noqa: S606 - the controller's own worker


def _cached_root(name: str) -> None:
    """Go where the host's files are kept in memory once they were read.

    Where virtme-ng has mounted them each look at one is asked of the host again. Nobody writes them
    through here, and while a lab is tested they stay as they are.
    """
    _mount(name, NEW_ROOT, "9p", MS_RDONLY, CACHED)
    lines = Path("/proc/self/mounts").read_text("ascii").splitlines()
    points = [line.split()[1] for line in lines]
    for point in points[1:]:
        below = any(point.startswith(f"{one}/") for one in points if one != "/")
        if not below and point != NEW_ROOT:
            _mount(point, NEW_ROOT + point, "", MS_BIND | MS_REC, "")
    os.chroot(NEW_ROOT)
    os.chdir("/")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _load(module: str) -> bool:
    return subprocess.run(["modprobe", "--quiet", module], check=False).returncode == 0


def _functions() -> set[str]:
    """The kernel's own functions: `ffffffff81a2b3c0 t veth_newlink`."""
    lines = Path("/proc/kallsyms").read_text("ascii").splitlines()
    return {line.split()[2] for line in lines if "[" not in line}


def _port(name: str) -> str:
    """The device of a port; nobody makes links by name where no udev runs."""
    ports = Path("/sys/class/virtio-ports")
    found = next(one for one in ports.iterdir() if (one / "name").read_text().strip() == name)
    return f"/dev/{found.name}"


def _line(descriptor: int) -> bytes:
    """One line, and not an octet more: what follows is the worker's."""
    found = bytearray()
    while not found.endswith(b"\n"):
        found += os.read(descriptor, 1)
    return bytes(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
