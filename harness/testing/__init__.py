"""Fakes that ship with the library: a machine whose worker plays a network, without privilege.

    machine = FakeMachine()                                     # a perfect network
    machine = FakeMachine(Faults(fails=(3, "File exists")))     # the third step fails
    machine = FakeMachine(Faults(lose=lambda passing: passing.point.node == "gateway"))

A FakeMachine stands wherever a Machine does. It knows no topology: like a kernel, it becomes what
the steps of a plan make of it, and a sweep's frames go where links, addresses, routes and rules
let them. So the model that expectations come from is never asked what to answer.
"""

from harness.testing.faults import Faults, Passing, Tap
from harness.testing.frames import Ip, arp, ethernet, tagged, tcp, udp, untagged
from harness.testing.machine import FakeMachine, FakeWorker

__all__ = [
    "FakeMachine",
    "FakeWorker",
    "Faults",
    "Ip",
    "Passing",
    "Tap",
    "arp",
    "ethernet",
    "tagged",
    "tcp",
    "udp",
    "untagged",
]
