"""The table of faults that were tried."""

from __future__ import annotations

from collections.abc import Iterable

from tabulate import tabulate

from harness.faults.tried import Tried

HEADERS = ("fault", "predicted", "seen", "cause", "named", "ms", "")


def table(tried: Iterable[Tried]) -> str:
    """A line for each: cells that are not green, predicted and seen, causes likewise, time."""
    rows = [
        (
            one.fault.name,
            len(one.prediction.red),
            one.red,
            ", ".join(one.fault.causes) or "-",
            ", ".join(one.named) or "-",
            one.ms,
            "" if one.right else "WRONG",
        )
        for one in tried
    ]
    return tabulate(rows, HEADERS, tablefmt="simple")
