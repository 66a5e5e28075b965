"""testinfra objects over a lab's worker: `host.interface`, `host.sysctl`, `host.iptables`."""

from __future__ import annotations

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from harness.lab import Lab

OF_THE_MACHINE = ("command -v ", "uname ", "cat /etc/os-release")
"""Questions whose answer is the machine's and not a node's: asked once."""


class LabBackend(BaseBackend):  # type: ignore[misc]  # testinfra publishes no types
    """Runs testinfra's commands on a node of a lab."""

    NAME = "lab"

    def __init__(self, lab: Lab, node: str) -> None:
        super().__init__(hostname=node)
        self._lab, self._node = lab, node

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """See BaseBackend."""
        line = self.get_command(command, *args)
        machine = "" if self._lab.topology.switched else self._node
        known = self._lab.answers.get(f"{machine}# {line}")
        done = known or self._lab.run(self._node, ["/bin/sh", "-c", line])
        if line.startswith(OF_THE_MACHINE):
            self._lab.answers[f"{machine}# {line}"] = done
        return self.result(done["code"], line, done["out"], done["err"])


def host(lab: Lab, node: str) -> Host:
    """A testinfra host for a node."""
    return Host(LabBackend(lab, node))
