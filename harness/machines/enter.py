"""How a process gets into the namespaces of a lab that is up.

Commands are argv lists of util-linux's nsenter(1) and setpriv(1). Entering a PID namespace takes a
fork: the process that forks stays outside and passes on signals and the exit code, and the one
inside dies with it (parent-death signal) as well as with the lab.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.machines import control_groups

NAMESPACES = "/run/netns"
"""Where a lab's own mount namespace has its nodes' network namespaces, by name."""
ENGINES = "/run/engine"
"""Where it has a folder for each host that runs a container engine (worker/engine.py)."""
TIE = ("setpriv", "--pdeathsig", "KILL")

RUNNER = Path(__file__).with_name("runner.py")


def command(
    init_pid: int, node: str, argv: Sequence[str], cwd: str, pid: int | None = None
) -> list[str]:
    """The command that runs `argv` in a node of a lab, with this environment and directory.

    `init_pid` is the lab's first process. Given `pid`, a process as the lab numbers it, the node's
    network namespace is that one's, whatever has the name. The exit code is the command's own: 127
    if there is no such command, 126 if it cannot be run, a signal if one ended it.
    """
    outside = [*_nsenter(init_pid, "pid"), "--no-fork", "--"]
    runner = [sys.executable, "-I", "-S", str(RUNNER)]
    inside = ["nsenter", f"--mount=/proc/{init_pid}/ns/mnt", "--"]
    place = f"{NAMESPACES}/{node}" if pid is None else f"/proc/{pid}/ns/net"
    there = ["nsenter", f"--net={place}", f"--wd={cwd}", "--"]
    return [*outside, *runner, *TIE, *inside, *there, *argv]


def worker_command(init_pid: int, python: str) -> list[str]:
    """The command that starts `python` in a lab's own network, mount and PID namespaces.

    Whatever ends the process that runs this (in the thread that started it) ends the python too,
    also in the middle of a call.
    """
    return [*TIE, *_nsenter(init_pid, "mount", "pid", "net"), "--", *TIE, python]


def shell(node: str, lab: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """A shell, and the environment in which its prompt says where it is."""
    program = os.environ.get("SHELL") or "/bin/sh"
    # A shell's own start files would put their prompt over the one that says where this is.
    plain = ["--norc", "--noprofile"] if Path(program).name == "bash" else []
    prompt = f"{node}@{lab} \\w \\$ " if plain else f"{node}@{lab} $ "
    return (program, *plain, "-i"), {**os.environ, "PS1": prompt}


def open_shell(namespace: int, node: str, lab: str) -> bool:
    """Open a shell in a node at this terminal, and wait for its end; False if the lab is gone.

    `namespace` is the inode number of the lab's PID namespace.
    """
    first = control_groups.first_process(namespace)
    if first is None:
        return False
    argv, environment = shell(node, lab)
    subprocess.run(command(first, node, argv, "/"), env=environment, check=False)
    return True


def root(init_pid: int) -> str:
    """Where a lab's own file system begins, for who is outside of it."""
    return f"/proc/{init_pid}/root"


def engine(init_pid: int, host: str) -> str:
    """The address of a host's container engine, for who is outside of the lab."""
    return f"unix://{root(init_pid)}{ENGINES}/{host}/sock"


def _nsenter(init_pid: int, *kinds: str) -> list[str]:
    files = {"user": "user", "mount": "mnt", "pid": "pid", "net": "net"}
    wanted = kinds if os.geteuid() == 0 else ("user", *kinds)
    options = [f"--{kind}=/proc/{init_pid}/ns/{files[kind]}" for kind in wanted]
    keep = ["--preserve-credentials"] if "user" in wanted else []
    return ["nsenter", *options, *keep]
