"""An engine that takes connections and says nothing: what a run waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.endpoints.containers import inspection
from harness.endpoints.containers.calls import READINGS
from harness.worker import engine


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """host1's engine hangs: its kernel takes the connections, and it does not."""
    monkeypatch.setattr(inspection, "PATIENCE_S", 0.1)
    path = str(tmp_path / "sock")
    monkeypatch.setitem(engine._settled, "host1", path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.setblocking(False)
        yield listening


def test_engine_that_hangs_is_asked_once(hanging: socket.socket) -> None:
    """Of the five readings of an engine the first waits for it; then nobody asks it again."""
    assert inspection.evidence([("host1", kind) for kind in READINGS]) == []
    hanging.accept()[0].close()
    with pytest.raises(BlockingIOError):
        hanging.accept()


def test_engine_that_hangs_has_no_version(hanging: socket.socket) -> None:
    """A report says of it that it does not answer."""
    assert inspection.versions(["host1"]) == ["host1: Docker, which does not answer"]
    hanging.accept()[0].close()
