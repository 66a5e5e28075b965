"""How what a run makes on a lab host is marked, so that people and the harness know it as its own.

Links have the mark as their alias (`ip link show`), rules as a comment (`iptables-save`).
"""

from __future__ import annotations

import re

MARK = re.compile(r"macvlan-harness-[0-9a-f]+")
COMMENT = re.compile(rf" -m comment --comment {MARK.pattern}(?= )")


def mark(run: str) -> str:
    """The mark of a run. iptables-save prints it without quotes."""
    return f"macvlan-harness-{run}"


def is_one(alias: str) -> bool:
    """Whether a link's alias is the mark of a run."""
    return MARK.fullmatch(alias) is not None


def without(rule: str) -> str:
    """A rule as iptables-save prints it, without the mark."""
    return COMMENT.sub("", rule)
