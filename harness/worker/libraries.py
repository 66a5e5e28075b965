"""Libraries that an engine brings because the machine's are too old for it.

An engine that was unpacked somewhere (`scripts/fetch.py`) has them beside its programs; it runs in
a mount namespace where they lie over the machine's. That is not the lab's own mount namespace: a
newer C library under programs that run already would break what they load later.
"""

from __future__ import annotations

import glob
import os
import subprocess

OVERLAY = 'mount -t overlay -o "lowerdir=$0:$1" overlay "$1" && echo && read -r _'
"""Two folders -> the first over the second; it says so, and waits until it is let go."""

_kept: dict[str, int] = {}


def where(program: str) -> tuple[str, str] | None:
    """The folder of an engine's own libraries, and the machine's that it goes over.

    That is /somewhere/usr/lib/x86_64-linux-gnu for /somewhere/usr/sbin/dockerd. None for an engine
    that is content with the machine's.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(program)))
    found = glob.glob(os.path.join(glob.escape(root), "usr/lib/*-linux-gnu*"))
    own = found[0] if found and root != "/" else ""
    return (own, own[len(root) :]) if own else None


def mounts(node: str, program: str) -> int | None:
    """A file descriptor of the mount namespace for a host's engine; None if it needs none.

    It is kept, so that an engine that is started again finds the mounts of its containers. A bind
    mount would keep it too, but Linux 6.18 refuses that now and then.
    """
    own = where(program)
    if own is None or node in _kept:
        return _kept.get(node)
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", OVERLAY, *own],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as made:  # fmt: skip
        if made.stdout and made.stdout.readline():
            _kept[node] = os.open(f"/proc/{made.pid}/ns/mnt", os.O_RDONLY)
        _, problem = made.communicate()
    if node not in _kept:
        raise OSError(f"the libraries in {own[0]} cannot be used: {problem.decode().strip()}")
    return _kept[node]
