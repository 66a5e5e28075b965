"""The first program of a virtual machine: becomes the worker that its controller asks for.

`vm_guest.py NAME`: of a port of virtio-console. What comes first there is a line of JSON, the
command; it is too long for a kernel's command line. The worker's own stream follows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

READY = b"\n"
WANTED = {
    "8021q": "register_vlan_dev",
    "macvlan": "macvlan_common_setup",
    "veth": "veth_newlink",
    "bridge": "br_handle_frame",
    "nf_nat": "nf_nat_setup_info",
}
"""What a lab is made of, each with a function of it: a kernel that has it built in may know no
module of the name. There is another way without 8021q, but this kernel is asked what it has."""


def main(name: str) -> NoReturn:
    """Open the port, say so, and become the command that is asked for."""
    _load("virtio_console")
    opened = os.open(_port(name), os.O_RDWR)
    unloaded = {module: function for module, function in WANTED.items() if not _load(module)}
    functions = _functions() if unloaded else set()
    missing = [module for module, function in unloaded.items() if function not in functions]
    for module in missing:
        Path("/dev/kmsg").write_text(f"harness: no module {module}\n", "ascii")
    os.write(opened, READY)
    command = json.loads(_line(opened))
    for stream in (0, 1):
        os.dup2(opened, stream)
    os.close(opened)
    os.execvp(command[0], command)  # noqa: S606 - the controller's own worker


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
    main(sys.argv[1])
