"""The test machines in the hands of tests: started, entered, cut, rebooted."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from harness.errors import MachineError, Unsupported
from harness.machines import control_groups, holder
from harness.testbed.layout import PLACE, Layout
from harness.worker import search

PROGRAMS = {"sshd": "openssh-server", "ssh": "openssh-client", "ip": "iproute2"}
CLONE_NEWNET = 0x40000000


def start(layout: Layout, argv: Sequence[str], **options: object) -> subprocess.Popen[str]:
    """Build the machines and run a command beside them; all ends with it, or with this process."""
    if os.geteuid() != 0:
        raise Unsupported("test machines need root; run it with sudo")
    wanted = {**PROGRAMS, **({"dockerd": "docker.io"} if layout.engines else {})}
    for program, package in wanted.items():
        if not search.found(program):
            raise Unsupported(f"{program} is missing; `apt-get install {package}` installs it")
    room = [sys.executable, "-m", "harness.testbed.room", layout.write(), *argv]
    process: subprocess.Popen[str] = subprocess.Popen(
        [*holder.namespaces_command(), *room],
        text=True,
        env={**os.environ, "PATH": search.path()},
        **options,  # type: ignore[call-overload]
    )
    return process


def first(process: subprocess.Popen[str]) -> int:
    """The machines' first process, as this process numbers it: the child of unshare(1)."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
    raise MachineError("the test machines did not start")


class Testbed:
    """Test machines that are up until `close`."""

    __test__ = False  # pytest: not a class of tests

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        pipe = subprocess.PIPE
        hold = ["sh", "-c", "echo ready; exec cat"]
        self._process = start(self.layout, hold, stdin=pipe, stdout=pipe)
        self._first = first(self._process)
        inode = Path(f"/proc/{self._first}/ns/pid").stat().st_ino
        control_groups.watch(f"harness-{inode}")
        if not self._process.stdout or self._process.stdout.readline() != "ready\n":
            self.close()
            raise MachineError("the test machines did not boot")
        self._namespace = os.open(f"{self.root}/run/netns/controller", os.O_RDONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def root(self) -> str:
        """Where the controller's files are, for who is outside of it."""
        return f"/proc/{self._first}/root"

    def root_of(self, machine: str) -> str:
        """Where a machine's files are, for who is outside of it; until it starts again."""
        return f"{self._process_of(machine)}/root"

    def network_of(self, machine: str) -> str:
        """Likewise: the file that stands for its network namespace."""
        return f"{self._process_of(machine)}/ns/net"

    def _process_of(self, machine: str) -> str:
        pid = Path(f"{self.root}{PLACE}/{machine}/pid").read_text()
        return f"{self.root}/proc/{pid}"

    @property
    def config(self) -> str:
        """An ssh_config that reaches the machines, for who is in the controller's network."""
        from harness.testbed import room

        path = Path(self.root + PLACE, "ssh/config-outside")
        path.write_text(room.ssh_config(self.layout, self.root))
        return str(path)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in the controller's network: this thread, and what it starts."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _setns(self._namespace)
            yield
        finally:
            _setns(own)
            os.close(own)

    def controller(self, *argv: str) -> list[str]:
        """The command that runs another in the controller's namespaces."""
        from harness.testbed import room

        return [*self._inside(), *room.in_controller(argv)]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the controller is."""
        return subprocess.run(self.controller(*argv), capture_output=True, text=True, check=False)

    def on(self, machine: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a machine, as on its console."""
        return self._tool("on", machine, *argv)

    def cut(self, machine: str, link: str = "eth1") -> None:
        """Pull a machine's cable."""
        self.switch("ip", "link", "set", f"{machine}-{link}", "down")

    def mend(self, machine: str, link: str = "eth1") -> None:
        """Plug it in again."""
        self.switch("ip", "link", "set", f"{machine}-{link}", "up")

    def power_off(self, machine: str) -> None:
        """End a machine as a power cut does."""
        self._tool("off", machine).check_returncode()

    def boot(self, machine: str) -> None:
        """Start a machine that is off."""
        self._tool("boot", machine).check_returncode()

    def reboot(self, machine: str) -> None:
        """End a machine as a power cut does, and start it again."""
        self.power_off(machine)
        self.boot(machine)

    def close(self) -> None:
        """End all of it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._first), "--mount", "--pid", "--"]

    def switch(self, *argv: str) -> None:
        """Run a command where the switches are: br-eth1, br-eth2 and their ports, NAME-eth2."""
        subprocess.run(
            ["nsenter", "--target", str(self._first), "--mount", "--pid", "--net", "--", *argv],
            check=True,
        )

    def _tool(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["nsenter", "--target", str(self._first), "--mount", "--pid", "--net", "--"]
        argv += [sys.executable, "-m", "harness.testbed.console", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


def _setns(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
