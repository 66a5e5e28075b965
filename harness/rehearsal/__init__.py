"""A lab run on several kernels, and what differs between them: `harness rehearse`."""

from __future__ import annotations
