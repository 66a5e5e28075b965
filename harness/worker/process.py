"""Run commands on a node, and reap what the lab's first process inherits.

The worker of a private lab is PID 1 of its PID namespace: every orphan becomes its child. Python
reaps none by itself, so the worker does whenever no command of its own is under way.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any, Callable

from harness.worker import namespaces

DEADLINE_S = 30.0
"""No command of the harness takes a tenth of this; one that does hangs."""


def run(node: str | None, argv: Sequence[str], stdin: str = "") -> dict[str, Any]:
    """Run a command inside a node; `{"code", "out", "err"}`, output as text.

    A command that cannot be started has code 127, one that does not end in time 124, as timeout(1)
    and sh(1) have it.
    """
    try:
        with namespaces.entered(node):
            done = subprocess.run(
                list(argv),
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                errors="backslashreplace",
                timeout=DEADLINE_S,
                check=False,
            )
    except OSError as error:
        return {"code": 127, "out": "", "err": f"{argv[0]}: {error.strerror}"}
    except subprocess.TimeoutExpired:
        return {"code": 124, "out": "", "err": f"{argv[0]}: no end within {DEADLINE_S:.0f} s"}
    finally:
        reap()
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def start_together(
    jobs: Sequence[tuple[str | None, Sequence[str]]],
) -> Callable[[], list[tuple[str, str]]]:
    """Start short commands on their nodes; who waits gets output and errors of each."""
    started = []
    for node, argv in jobs:
        with namespaces.entered(node):
            started.append(
                subprocess.Popen(
                    list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, encoding="utf-8", errors="backslashreplace",
                )
            )  # fmt: skip
    return lambda: [child.communicate(timeout=DEADLINE_S) for child in started]


def reap() -> None:
    """Collect every ended child: orphans that the lab's first process has inherited."""
    if os.getpid() != 1:
        return
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass
