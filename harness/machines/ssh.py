"""A lab host: a worker in the machine's own namespaces, as root, reached by the system's ssh(1).

Users, keys, ports, jumps and aliases are ssh's own affair and come from its configuration. The far
side needs an sshd and a python3; what the worker imports comes over the channel. Where the
connection ends, however it ends, sshd closes the worker's standard input, and that ends the worker.
"""

from __future__ import annotations

import copy
import os
import platform
import re
from typing import Any

import mitogen.core
import mitogen.master
import mitogen.parent
import mitogen.ssh

from harness.errors import HostUnusable
from harness.machines import holder, ssh_errors
from harness.machines.local import OWN_SESSION
from harness.machines.worker import MitogenWorker, Worker

CONNECT_S = 10
"""For a TCP connection and sshd's greeting; one try."""
START_S = 30
"""For all that is done until the worker answers."""
ALIVE_S, ALIVE_COUNT = 5, 6
"""A machine that answers nothing for 30 s is lost; TCP carries a shorter cut over."""
OLDEST = (3, 9)
PORT = re.compile(r"(?!ssh://)(?:[^@\s]+@)?(?:\[[^\]\s]+\]|[^:\s]+):\d+")
"""`user@host:port`, which ssh(1) takes as a URI only."""
OWN_CHANNEL = (
    # A connection that others share lives, dies and is kept alive as they say.
    "ControlPath=none", "ControlMaster=no",
    # What a configuration has for people would be in the way of a program.
    "RemoteCommand=none", "RequestTTY=no", "ClearAllForwardings=yes", "ForwardAgent=no",
    "ForwardX11=no", "PermitLocalCommand=no",
)  # fmt: skip


class SshMachine:
    """A machine that `ssh destination` reaches: `user@host:port`, or an alias of ssh_config(5).

    `name` is what errors call it. `config` is a file instead of the user's own ssh_config.
    """

    def __init__(
        self,
        destination: str,
        *,
        name: str = "",
        sudo: bool = False,
        python: str = "python3",
        config: str | None = None,
    ) -> None:
        self._destination = destination
        self._name = name or destination
        self._sudo = sudo
        self._python = python
        self._config = config
        self._apart = False

    def __str__(self) -> str:
        return self._name

    def apart(self) -> SshMachine:
        """The same machine, whose workers are in new namespaces there that end with them."""
        other = copy.copy(self)
        other._apart = True  # noqa: SLF001 - of this class
        return other

    def start(self) -> Worker:
        """See Machine. HostUnusable names the machine, and what would make it usable."""
        if not self._destination or self._destination.startswith("-"):
            raise self._error(f"{self._destination!r} is no destination for ssh: user@host")
        return MitogenWorker(self._connect, f"the worker on {self._name}")

    def _connect(self, router: mitogen.master.Router) -> Any:
        try:
            context = router._connect(_Connection, **self._options())  # noqa: SLF001 - its `ssh`
        except mitogen.core.StreamError as error:
            what = "python" if ssh_errors.is_of_python(str(error)) else "reach"
            raise self._error(self._explained(ssh_errors.SSH, error), what) from error
        self._python_is_new_enough(context)
        if self._sudo:
            try:
                context = router.sudo(
                    via=context, python_path=[self._python], connect_timeout=START_S
                )
            except mitogen.core.StreamError as error:
                raise self._error(self._explained(ssh_errors.SUDO, error), "privilege") from error
        if context.call(os.geteuid) != 0:
            raise self._error(
                "the worker must be root there; log in as root, or say `become: sudo`", "privilege"
            )
        return self._in_namespaces(router, context) if self._apart else context

    def _options(self) -> dict[str, Any]:
        uri = PORT.fullmatch(self._destination)
        words = [word for option in OWN_CHANNEL for word in ("-o", option)]
        return {
            "hostname": f"ssh://{self._destination}" if uri else self._destination,
            "python_path": [self._python],
            "connect_timeout": START_S,
            "compression": False,
            "keepalive_interval": ALIVE_S,
            "keepalive_count": ALIVE_COUNT,
            "ssh_args": [
                *(["-F", self._config] if self._config else []),
                "-o", f"ConnectTimeout={CONNECT_S}", *words,
            ],
        }  # fmt: skip

    def _python_is_new_enough(self, context: Any) -> None:
        version = context.call(platform.python_version)
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
            raise self._error(
                f"its {self._python} is {version}, and the worker needs 3.9; "
                "install a newer one there, and say `python: PATH` in the topology",
                "python",
            )

    def _explained(self, table: ssh_errors.Table, error: Exception) -> str:
        return ssh_errors.explain(
            str(error), table, destination=self._destination, python=self._python
        )

    def _in_namespaces(self, router: mitogen.master.Router, context: Any) -> Any:
        command = [*holder.namespaces_command(root=True), self._python]
        try:
            return router.local(via=context, python_path=command, connect_timeout=START_S)
        except mitogen.core.StreamError as error:
            said = str(error).strip().splitlines()[-1]
            raise self._error(f"no namespaces there: {said}", "privilege") from error

    def _error(self, sentence: str, what: str = "reach") -> HostUnusable:
        return HostUnusable(self._name, what, sentence)


class _Complaints(mitogen.ssh.SetupProtocol):  # type: ignore[misc]
    """ssh's standard error, kept for who explains it: mitogen's own words leave out what it was."""

    PATTERNS = ()
    PARTIAL_PATTERNS = ()


class _Connection(mitogen.ssh.Connection):  # type: ignore[misc]
    """An ssh in a session of its own: a Ctrl-C at the controller's terminal is not for it."""

    diag_protocol_class = _Complaints

    def get_boot_command(self) -> list[str]:
        return [OWN_SESSION, *super().get_boot_command()]
