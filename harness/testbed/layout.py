"""What test machines there are, and what is special about each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

MACHINES = {"host1": "192.168.56.104", "host2": "192.168.56.105", "gateway": "192.168.56.101"}
"""Names and management addresses, those of the tutorial lab."""
ENGINES = ("host1", "host2")
"""The machines that run a dockerd."""
CONTROLLER = "192.168.56.1"
PREFIX = 24
DISK_MIB = 512
"""What a machine can write in all; a tmpfs takes no memory before it is written."""
PLACE = "/run/testbed"
"""Where the test machines are kept, in the mount namespace of the controller."""


@dataclass(frozen=True)
class Layout:
    """What is special about machines, by their names."""

    sudo: tuple[str, ...] = ()
    """Whose login is a user that becomes root by sudo, without a password."""
    jump: dict[str, str] = field(default_factory=dict)
    """Which machine is reached through which: it takes no connection from the controller."""
    python: dict[str, str] = field(default_factory=dict)
    """Whose python3 is another one: the path of an interpreter in a prefix of its own."""
    clock: dict[str, str] = field(default_factory=dict)
    """Whose wall clock is off for who logs in, as faketime(1) has it: `+1h`.

    Its python must be older than 3.11: under libfaketime 0.9.10 the sleep of newer ones
    (clock_nanosleep) fails.
    """
    engines: tuple[str, ...] = ENGINES

    @classmethod
    def read(cls, text: str) -> Layout:
        """Read what `write` wrote."""
        told = json.loads(text)
        return cls(tuple(told["sudo"]), told["jump"], told["python"], told["clock"],
                   tuple(told["engines"]))  # fmt: skip

    def write(self) -> str:
        """The layout as text."""
        return json.dumps(asdict(self))

    def login(self, name: str) -> str:
        """The user that a machine is entered as."""
        return "lab" if name in self.sudo else "root"
