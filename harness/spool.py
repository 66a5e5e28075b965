"""Octets set aside in a file that has no name, and is gone with its process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping


class Spool(Mapping[str, bytes]):
    """What is not needed before the end of a run, by name, kept out of memory until then."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this is there
        self._places: dict[str, tuple[int, int]] = {}

    def keep(self, name: str, octets: bytes) -> None:
        """Set octets aside."""
        self._places[name] = (self._file.seek(0, 2), len(octets))
        self._file.write(octets)

    def __getitem__(self, name: str) -> bytes:
        start, size = self._places[name]
        self._file.seek(start)
        return self._file.read(size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
