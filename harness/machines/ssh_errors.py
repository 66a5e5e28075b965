"""What ssh(1), sshd(8), sudo(8) and shells say where no worker starts, in sentences with a fix."""

from __future__ import annotations

import re

Table = tuple[tuple[str, str], ...]
"""Patterns in the order to look for them, and what each means; groups are `{0}`."""

PYTHON = r"error while loading shared libraries|[Ee]xec format error|python\S*: .*not found"

SSH: Table = (
    (r"Could not resolve hostname ([^\s:]+)",
     "no such host: {0}; correct its name in the topology, or give it a Host entry in ssh_config"),
    (r"Connection refused",
     "it refuses the connection; start sshd there, or correct the port"),
    (r"IDENTIFICATION HAS CHANGED|Host key for \S+ has changed|POSSIBLE DNS SPOOFING",
     ("its host key is not the one that known_hosts has; if the machine was installed anew, "
     "`ssh-keygen -R HOST`, and connect once by hand")),
    (r"Host key verification failed|host key is known",
     "its host key is not known here; connect once by hand, `ssh {destination}`, and compare it"),
    (r"Permission denied \(([^)]*)\)",
     ("it lets nobody in with the keys that are here (it takes {0}); "
     "`ssh-copy-id {destination}`, or name the key in ssh_config")),
    (r"Too many authentication failures",
     "it turned away too many keys; name the right one in ssh_config, with IdentitiesOnly yes"),
    (r"timed out|timeout|No route to host|Network is unreachable|not responding",
     "it does not answer; is it up, and is its management address right?"),
    (r"[Bb]ad configuration option|Can't open user config file|no argument after keyword",
     "ssh does not understand its configuration: {line}"),
    (r"(?:Connection (?:closed|reset)|kex_exchange_identification)",
     "it closed the connection before anybody was asked who they are; its sshd's log says why"),
    (r"error while loading shared libraries|[Ee]xec format error",
     "its {python} does not start: {line}"),
    (r"(?:not found|No such file or directory)",
     "there is no {python}; install it there, or say `python: PATH` in the topology"),
    (r"This account is (?:currently )?not available|nologin",
     "the user may log in, but has no shell there; give another user"),
)  # fmt: skip
"""What ssh, sshd and shells say when there is no worker, in the order to look for it."""
SUDO: Table = (
    (r"password is (?:required|incorrect)",
     ("sudo wants a password there; allow the user to become root without one: "
     "`USER ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d/harness")),
    (r"not (?:in the sudoers|allowed to)",
     ("the user may not become root there by sudo; a line for it in /etc/sudoers.d/harness: "
     "`USER ALL=(ALL) NOPASSWD: ALL`")),
    (r"not found|No such file", "there is no sudo; install it there, or log in as root"),
)  # fmt: skip


def is_of_python(said: str) -> bool:
    """Whether a login worked, and its python3 did not."""
    return bool(re.search(PYTHON, said))


def explain(said: str, table: Table, *, destination: str, python: str) -> str:
    """What is wrong, in one sentence; the last line that was said where nothing is known."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for pattern, sentence in table:
        for line in lines:
            if found := re.search(pattern, line):
                words = {"destination": destination, "python": python, "line": line}
                return sentence.format(*found.groups(), **words)
    return f"ssh ended: {lines[-1] if lines else 'it said nothing'}"
