"""How what a run makes on a lab host is marked, so that people and the harness know it as its own.

Links have the mark as their alias (`ip link show`), rules as a comment (`iptables-save`).
"""

from __future__ import annotations

import re

COMMENT = re.compile(r" -m comment --comment macvlan-harness-[0-9a-f]+(?= )")


def mark(run: str) -> str:
    """The mark of a run. iptables-save prints it without quotes."""
    return f"macvlan-harness-{run}"


def without(rule: str) -> str:
    """A rule as iptables-save prints it, without the mark."""
    return COMMENT.sub("", rule)
