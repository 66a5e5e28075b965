"""What the kernel says of a packet that it dropped, where it does (Linux 5.17 and later)."""

from __future__ import annotations

from typing import NamedTuple

from harness.diagnosis.place import Place
from harness.diagnosis.state import State, moment

VAGUE = ("NOT_SPECIFIED", "SKB_CONSUMED", "SKB_NOT_DROPPED_YET")
"""Reasons that say nothing."""


class Said(NamedTuple):
    """One reason, and the reading that holds it."""

    node: str
    reason: str
    """As `enum skb_drop_reason` has it, without its prefix."""
    reading: str

    def __str__(self) -> str:
        return f"the kernel of {self.node} says {self.reason}"


def said(state: State, alone: str, place: Place) -> Said | None:
    """Why a cell that was sent alone was dropped where it was lost: its own packet there, no other.

    A node's kernel drops a great deal that is no loss, as what was flooded to it.
    """
    flow = place.flow
    wanted = (flow.protocol or flow.family, flow.src, flow.dst)
    for node in dict.fromkeys((place.node, place.peer)):
        for entry in state.evidence:
            if (entry.node, entry.kind, moment(entry)) != (node, "drops", f"after-{alone}"):
                continue
            for one in entry.parsed:
                mine = (one["protocol"], one["src"], one["dst"]) == wanted
                if mine and one["reason"] not in VAGUE:
                    return Said(node, one["reason"], entry.name)
    return None
