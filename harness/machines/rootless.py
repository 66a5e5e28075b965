"""Why namespaces cannot be had on this machine, and the way out, in one sentence.

Without root a lab lives in a user namespace, in which its user is root. Distributions and
containers switch those off in several ways; unshare(1) says "Operation not permitted" of most.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.errors import Unsupported
from harness.machines import holder

ROOT = Path("/")
DEADLINE_S = 10.0
"""New namespaces take some milliseconds; a machine that needs longer than this is stuck."""

SETTINGS = (
    (
        "user/max_user_namespaces", "0",
        "user.max_user_namespaces is 0",
        "sysctl -w user.max_user_namespaces=10000",
    ),
    (
        "kernel/unprivileged_userns_clone", "0",
        "kernel.unprivileged_userns_clone is 0",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns", "1",
        "kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor leaves no rights there",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile, see README.md",
    ),
)  # fmt: skip
"""(file below /proc/sys, the value that forbids, what it means, what root can do): the first is the
kernel's (namespaces(7)), the second Debian's, the third Ubuntu's."""
SECCOMP_FILTER = "Seccomp:\t2"
"""A line of proc_pid_status(5): a filter decides which system calls there are."""


def refused() -> str | None:
    """What unshare says when it is asked for a lab's namespaces; None if it makes them."""
    try:
        done = subprocess.run(
            [*holder.namespaces_command(), "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def refusal(said: str, root: Path = ROOT) -> Unsupported:
    """The error for what unshare said, from what the machine's files below `root` say."""
    return Unsupported(why(said, root, os.geteuid()))


def why(said: str, root: Path, user: int) -> str:
    """The reason and the way out for a user, in one sentence."""
    if user == 0:
        return (
            f"this root may not make namespaces ({said}); if it is a container's, "
            "start that with --privileged"
        )
    reason, remedy = _reason(said, root)
    return f"an ordinary user cannot have a lab here: {reason}; {remedy}, or run it with sudo"


def _reason(said: str, root: Path) -> tuple[str, str]:
    if not (root / "proc/self/ns/user").exists():
        return "this kernel has no user namespaces", "take a kernel with USER_NS"
    for file, forbidding, meaning, remedy in SETTINGS:
        if _text(root / "proc/sys" / file).strip() == forbidding:
            return meaning, f"as root: {remedy}"
    if "/proc" in said and "mount" in said:
        return (
            f"parts of /proc are covered, as in a container ({said})",
            "start the container with --security-opt systempaths=unconfined",
        )
    if SECCOMP_FILTER in _text(root / "proc/self/status"):
        return (
            f"a seccomp filter denies user namespaces, as in a container ({said})",
            "start the container with --security-opt seccomp=unconfined",
        )
    return f"the kernel denies it a user namespace ({said})", "see `harness doctor`"


def _text(path: Path) -> str:
    """A file's text; empty if it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
