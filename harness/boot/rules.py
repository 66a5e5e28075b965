"""Rules of iptables in restore form, and the commands that load them and take them away.

Loaded with --noflush they come to what else is there, a Docker engine's rules for one. To load them
twice would have them twice, so they are taken away first. The lab's rules are known by their text,
as iptables-save(8) prints it: no rule of anybody else has it, and one that a person has typed is
replaced by the same.
"""

from __future__ import annotations

TABLES = ("raw", "mangle", "security", "nat", "filter")
SUFFIX = {"iptables": "v4", "ip6tables": "v6"}


def path(lab: str, program: str) -> str:
    """Where the rules of a program are kept."""
    return f"/etc/iptables/{lab}.{SUFFIX[program]}"


def load(lab: str, program: str) -> str:
    """The command that adds them."""
    return f"{program}-restore --wait --noflush {path(lab, program)}"


def take_away(lab: str, program: str) -> str:
    """The command that removes those that are there, however often, and no other."""
    tables = " ".join(f"-e '*{table}'" for table in TABLES)
    return (
        f"{program}-save | grep -Fx -f {path(lab, program)} {tables} | sed 's/^-A/-D/' | "
        f"{program}-restore --wait --noflush"
    )
