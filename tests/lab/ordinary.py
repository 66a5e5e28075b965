"""Commands of an ordinary user, for whom this checkout and its interpreter are readable.

Either may be in a folder that is closed to all but root: `OPEN` puts an open one over that, in a
mount namespace that nobody else is in.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
USER = 1000
"""Nobody's number in particular; all that matters is that it is not root's."""
AS_USER = f"setpriv --reuid {USER} --regid {USER} --clear-groups"
FOLDERS = shlex.join(sorted({str(ROOT), sys.prefix, sys.base_prefix}))

OPEN = f"""
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/own /run/user
chmod 777 /run/user
for own in {FOLDERS}; do
    mkdir -p "/run/own$own"
    mount --bind "$own" "/run/own$own"
    {AS_USER} test -x "$own" || closed="$closed /$(echo "$own" | cut -d/ -f2)"
done
for first in $(printf '%s\\n' $closed | sort -u); do
    mount -t tmpfs -o mode=755 tmpfs "$first"
done
for own in {FOLDERS}; do
    mkdir -p "$own"
    mount --bind "/run/own$own" "$own"
done
cd {shlex.quote(str(ROOT))}
own() {{ {AS_USER} env HOME=/run/user TMPDIR=/run/user PYTHONDONTWRITEBYTECODE=1 "$@"; }}
"""
"""A part of a shell script that root runs: after it `own COMMAND` runs a command as the user, who
may write to /run/user."""


def command(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` as the user, for root to run; nothing is left of it."""
    return ["unshare", "--mount", "sh", "-c", f"{OPEN}\nown {shlex.join(argv)}"]
