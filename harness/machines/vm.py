"""A virtual machine with a kernel of one's own choice: a worker in it, everything else outside.

virtme-ng boots the kernel with this machine's file system as its root, read-only, and QEMU gives it
KVM where that works and emulates where it does not. virtme-ng is GPL-2: it is run as a program. The
machine has no network device, and what ends the controller ends it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import mitogen.master

from harness import kernel_log
from harness.errors import MachineError, Unsupported
from harness.kernel_log import KernelEvent
from harness.machines import holder
from harness.machines.kernel import Kernel
from harness.machines.local import OWN_SESSION, PRIVATE
from harness.machines.vm_folder import Folder
from harness.machines.worker import MitogenWorker, Worker
from harness.worker import calls, search

RELAY = Path(__file__).with_name("vm_relay.py")
BOOT_S, SILENCE_S = 120, 120
"""How long a machine may take until it is up, and for an answer. Emulated, where other programs are
busy, it takes some 30 s, and the longest answer is that of a lab that is built: as long."""
ENGINES_SILENCE_S = 480
"""The same of a lab with engines, which takes 80 s to build, emulated, where nothing else runs."""
KVM_S = 20
MEMORY, ENGINES_MEMORY = "1G", "2G"
"""Engines have their data in memory as well: half of it is a tmpfs's."""
CONSOLE = "console"
QEMU = {"x86_64": "qemu-system-x86_64", "aarch64": "qemu-system-aarch64"}
INSTALLS = "`scripts/setup kernels` installs it"


class VirtualMachine:
    """See Machine. What its kernel said stays to be asked for when it is gone."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        boot_s: float = BOOT_S,
        silence_s: float = SILENCE_S,
        memory: str = MEMORY,
        cached: bool = True,
    ) -> None:
        self.kernel, self._boot_s, self._silence_s = kernel, boot_s, silence_s
        self._memory, self._root = memory, "cached" if cached else "plain"
        self._began = self._up = False
        self._taint = (0, 0)
        self.console = ""
        """All that the console said, once the machine is gone."""

    @classmethod
    def with_engines(cls, kernel: Kernel) -> VirtualMachine:
        """One in which container engines can run.

        Where files are kept in memory, their first `docker exec` gives no word for two minutes.
        """
        return cls(kernel, silence_s=ENGINES_SILENCE_S, memory=ENGINES_MEMORY, cached=False)

    def start(self) -> Worker:
        """See Machine. Unsupported where a program is missing, MachineError if it does not boot."""
        virtme, folder = _virtme(self.kernel, self._memory), Folder()
        self._began = True
        relay = [sys.executable, str(RELAY), folder.path, f"{self._boot_s:g}", self._root]
        command = [OWN_SESSION, *holder.namespaces_command(), *relay, *virtme, "--"]

        def connect(router: mitogen.master.Router) -> Any:
            python = [*command, *PRIVATE, sys.executable]
            return router.local(python_path=python, connect_timeout=self._boot_s + 30)

        try:
            name = f"the kernel {self.kernel.name}"
            worker = _Inside(connect, name, self._silence_s, self._ended(folder))
        except MachineError:
            self._ended(folder)(None, silent=False)
            raise MachineError(str(self.events()[0])) from None
        self._up = True
        self._taint = (worker.call(calls.taint), 0)
        return worker

    def told(self) -> tuple[tuple[KernelEvent, ...], str]:
        """What went wrong with the kernel, and its console."""
        return self.events(), self.console

    def events(self) -> tuple[KernelEvent, ...]:
        """What went wrong with the kernel, as far as its console and its taint tell."""
        lines = self.console.splitlines()
        if not self._began:
            return ()
        if not self._up:
            ours = [line for line in lines if line.startswith(kernel_log.OURS)]
            # Its first program ran, and no worker came of it in time.
            why = ours[-1].removeprefix(kernel_log.OURS) if ours else "not up: no worker answers"
            rest = [line for line in lines if not line.startswith(kernel_log.OURS)]
            return (kernel_log.unbooted(rest, f"{self.kernel.name} is {why}"),)
        return (*kernel_log.events(lines), *kernel_log.tainted(*self._taint))

    def _ended(self, folder: Folder) -> Ended:
        def ended(taint: int | None, *, silent: bool) -> None:
            if taint is not None:
                self._taint = (self._taint[0], taint)
            with contextlib.suppress(FileNotFoundError):
                self.console = Path(folder.path, CONSOLE).read_text("utf-8", "replace")
            if silent:
                word = f"{kernel_log.OURS}no word from the machine for {self._silence_s:g} s"
                self.console += f"\n{word}\n"
            folder.remove()

        return ended


class Ended(Protocol):
    """Is told of a machine's end."""

    def __call__(self, taint: int | None, *, silent: bool) -> None:
        """The taint of its kernel, None if that could not be asked; whether it did not answer."""


class _Inside(MitogenWorker):
    """The worker in it; who closes it tells `ended`."""

    def __init__(
        self,
        connect: Callable[[mitogen.master.Router], Any],
        on: str,
        answer_s: float,
        ended: Ended,
    ) -> None:
        self._ended: Ended | None = None
        super().__init__(connect, on, answer_s)
        self._ended = ended

    def close(self) -> None:
        """See Worker."""
        ended, self._ended = self._ended, None
        taint = None
        if ended and not self.silent:
            with contextlib.suppress(MachineError):
                taint = self.call(calls.taint)
        super().close()
        if ended:
            ended(taint, silent=self.silent)


def _virtme(kernel: Kernel, memory: str) -> list[str]:
    """The command that boots a kernel, up to what it is to run."""
    architecture = os.uname().machine
    qemu = QEMU.get(architecture)
    if qemu is None:
        raise Unsupported(f"no virtual machines on {architecture} yet, only on {', '.join(QEMU)}")
    for program in (qemu, "modprobe"):
        if search.found(program) is None:
            raise Unsupported(f"--lab-kernel needs {program}; {INSTALLS}")
    own = Path(sys.executable).with_name("virtme-run")
    virtme = str(own) if own.exists() else shutil.which("virtme-run")
    if virtme is None:
        raise Unsupported(f"--lab-kernel needs virtme-ng; {INSTALLS}")
    tree = kernel.image.is_dir()
    booted = ["--kdir" if tree else "--kimg", str(kernel.image), "--mods=auto"]
    accelerated = [] if not tree and kvm_works(qemu, kernel.image) else ["--disable-kvm"]
    return [
        virtme, *booted, *accelerated, "--root", "/", "--memory", memory, "--cpus", "1",
        "--force-9p", "--show-boot-console", "--kopt", "ignore_loglevel",
    ]  # fmt: skip


@cache
def kvm_works(qemu: str, image: Path) -> bool:
    """Whether a kernel boots under KVM here, by trying: it finds no root there, and ends."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = [qemu, "-accel", "kvm", "-cpu", "host", "-m", "256", "-display", "none", "-no-reboot",
               "-net", "none", "-kernel", str(image), "-append", "panic=-1 quiet"]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=KVM_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
