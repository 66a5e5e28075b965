"""Three test machines in namespaces: real sshd, real dockerd, a management network and a trunk.

    python -m harness.testbed -- CMD...     # runs CMD where `ssh host1` reaches a machine

    with Testbed() as bed:                  # the same for tests
        bed.on("host1", "ip", "link")

A machine has a network, mount, PID, IPC and UTS namespace of its own, its own folders on a disk of
its own (`init.COVERED`), host keys, boot id and services. Machines and controller are in namespaces
that end with who made them, so nothing of the machine that carries them is touched.
"""

from harness.testbed.bed import Testbed
from harness.testbed.layout import MACHINES, Layout

__all__ = ["MACHINES", "Layout", "Testbed"]
