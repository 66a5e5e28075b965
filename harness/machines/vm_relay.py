"""Runs a virtual machine, and carries a worker's stream into it and out of it.

`vm_relay.py FOLDER BOOT_S ROOT VIRTME... -- COMMAND...`: COMMAND runs in the machine, with a
ROOT as `vm_guest` has it, and FOLDER gets what its console says. A machine that is not up in time
is ended, and that file says so too.
"""

from __future__ import annotations

import json
import os
import selectors
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

OCTETS = 1 << 16
GUEST = Path(__file__).with_name("vm_guest.py")
MODULES = Path("/lib/modules")
PORT = "harness"
LOOK_S = 0.2
"""How often it is looked whether the machine is still there."""


def main(argv: list[str]) -> None:
    """Carry until either end closes."""
    folder, boot_s, root, *rest = argv
    here = rest.index("--")
    virtme, command = rest[:here], rest[here + 1 :]
    _place_for_modules(folder)
    script = shlex.join([sys.executable, "-I", "-S", str(GUEST), PORT, root])
    with socket.socket(socket.AF_UNIX) as listener, _console(folder).open("wb") as said:
        listener.bind(f"{folder}/port")
        listener.listen(1)
        machine = subprocess.Popen(
            [*virtme, *_devices(folder), "--script-sh", f"exec {script}"],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            # Killed, it does not remove what it has made; with the folder it goes.
            env={**os.environ, "TMPDIR": folder},
        )  # fmt: skip
        opened = _up(machine, listener, float(boot_s))
    if opened is None:
        _say(folder, f"not up after {boot_s} s" if machine.poll() is None else "not up: it ended")
    else:
        with opened:
            opened.sendall(json.dumps(command).encode() + b"\n")
            _carry(opened)
    machine.kill()
    machine.wait()


def _up(
    machine: subprocess.Popen[bytes], listener: socket.socket, boot_s: float
) -> socket.socket | None:
    """The machine's port once its first program has opened it; None if it does not in time."""
    end = time.monotonic() + boot_s
    listener.settimeout(LOOK_S)
    opened = None
    while machine.poll() is None and time.monotonic() < end:
        try:
            if opened is None:
                opened, _ = listener.accept()
                opened.settimeout(LOOK_S)
            if opened.recv(1):
                opened.settimeout(None)
                return opened
            break
        except TimeoutError:
            continue
    return None


def _console(folder: str) -> Path:
    return Path(folder, "console")


def _say(folder: str, what: str) -> None:
    with _console(folder).open("a", encoding="ascii") as console:
        console.write(f"\nharness: {what}\n")


def _place_for_modules(folder: str) -> None:
    """Have a folder for modules, which a kernel without modules may lack, in mounts of our own."""
    if MODULES.exists():
        return
    over = Path(folder, "over")
    (over / MODULES.name).mkdir(parents=True)
    library = str(MODULES.parent.resolve())
    mount = ["mount", "-t", "overlay", "over", "-o", f"ro,lowerdir={over}:{library}", library]
    subprocess.run(mount, check=True)


def _devices(folder: str) -> list[str]:
    """The port that the worker talks by, and this machine's files once more."""
    return [
        f"--qemu-opt={word}"
        for word in (
            "-chardev", f"socket,id=talk,path={folder}/port", "-device", "virtio-serial-pci",
            "-device", f"virtserialport,name={PORT},chardev=talk",
            "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", f"virtio-9p-pci,fsdev=root,mount_tag={PORT}",
        )
    ]  # fmt: skip


def _carry(opened: socket.socket) -> None:
    """Carry octets both ways until an end closes."""
    other = opened.fileno()
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ, other)
        waiting.register(other, selectors.EVENT_READ, 1)
        while True:
            for key, _ in waiting.select():
                octets = os.read(key.fd, OCTETS)
                if not octets:
                    return
                _write(key.data, octets)


def _write(descriptor: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets) :]


if __name__ == "__main__":
    main(sys.argv[1:])
