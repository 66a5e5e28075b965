"""Octets set aside, and got back."""

from __future__ import annotations

from harness.spool import Spool


def test_what_was_kept_is_there() -> None:
    """By name, in the order in which it was kept, also after a read between."""
    spool = Spool()
    spool.keep("isolated", b"one")
    assert spool["isolated"] == b"one"
    spool.keep("isolated-2", b"second")
    assert dict(spool) == {"isolated": b"one", "isolated-2": b"second"}
    assert len(spool) == 2
