"""This machine: a worker in namespaces of its own, so that nothing of the machine is touched.

The worker of a private lab is PID 1 of a PID namespace. Its life hangs on the controller's by the
parent-death signal, at any moment, also while it is inside a call; when it ends, the kernel takes
every process, mount and network namespace of the lab with it. Without root they belong to a user
namespace of the lab's own.
"""

from __future__ import annotations

import shutil
import sys
from typing import Any

import mitogen.master

from harness.errors import MachineError, Unsupported
from harness.machines import enter, holder, rootless
from harness.machines.worker import MitogenWorker, Worker

OWN_SESSION = "setsid"
"""util-linux's: a Ctrl-C at the controller's terminal is the controller's alone."""

PRIVATE = tuple(holder.namespaces_command())
"""util-linux's commands that give a worker its own namespaces and tie its life to its parent's."""


class PrivateMachine:
    """New, empty namespaces on this machine, which end with the worker."""

    def start(self) -> Worker:
        """See Machine. Unsupported if this user or machine cannot have namespaces."""
        for tool in ("setpriv", "unshare"):
            if shutil.which(tool) is None:
                raise Unsupported(f"{tool} (util-linux) is missing; `harness doctor` says more")
        try:
            return _start((*PRIVATE, sys.executable))
        except MachineError:
            said = rootless.refused()
            if said is None:
                raise
            raise rootless.refusal(said) from None


class HeldMachine:
    """The namespaces of a lab that is up, entered with a new worker."""

    def __init__(self, init_pid: int) -> None:
        self._command = enter.worker_command(init_pid, sys.executable)

    def start(self) -> Worker:
        """See Machine."""
        return _start(tuple(self._command))


def _start(python: tuple[str, ...]) -> Worker:
    def connect(router: mitogen.master.Router) -> Any:
        return router.local(python_path=[OWN_SESSION, *python], connect_timeout=30)

    return MitogenWorker(connect)
