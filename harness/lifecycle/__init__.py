"""Containers and engines of a lab, changed while it is up, and what others notice of it.

The names `Container` and `Engine` are for suites outside this project too, and stay.
"""

from harness.lifecycle.changes import Container, Engine

__all__ = ["Container", "Engine"]
