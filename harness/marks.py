"""How what a run makes on a lab host is marked, so that people and the harness know it as its own.

Links have the mark as their alias (`ip link show`), rules as a comment (`iptables-save`), Docker's
objects as a label.
"""

from __future__ import annotations

import re

MARK = re.compile(r"macvlan-harness-[0-9a-f]+")
LABEL, IMAGE_LABEL = "org.macvlan-harness.run", "org.macvlan-harness.image"
"""The labels of Docker objects that are the harness's to remove; their value is the run's name. A
container inherits its image's labels, so an image has one of its own."""
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
