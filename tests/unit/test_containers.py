"""What engines say of containers, as causes."""

from __future__ import annotations

from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis.containers import state_of
from tests.unit.sick import Change, Readings, lab_of

RUNNING = {
    "Name": "/bbox1",
    "State": {"Running": True},
    "NetworkSettings": {"Networks": {"mac_net10": {}}},
}
STOPPED = {**RUNNING, "State": {"Running": False, "Status": "exited"}}
ELSEWHERE = {**RUNNING, "NetworkSettings": {"Networks": {"bridge": {}}}}


def engine(containers: list[Any], networks: tuple[str, ...] = ("mac_net10",)) -> Change:
    """host1's engine says this."""

    def change(readings: Readings) -> None:
        readings["host1", "docker-containers"] = containers
        readings["host1", "docker-networks"] = [{"Name": name} for name in networks]

    return change


def silent(readings: Readings) -> None:
    """host1's engine says nothing."""
    readings["host1", "docker-failed"] = ["connection refused"]


CONNECT = (
    "docker network connect --ip 172.16.10.10 mac_net10 bbox1 && docker restart --time 0 bbox1"
)
SAID: dict[str, tuple[Change, tuple[Code, str, str, str] | None]] = {
    "no engine": (lambda _: None, None),
    "it runs": (engine([RUNNING]), None),
    "it is stopped": (
        engine([STOPPED]),
        (Code.CONTAINER_NOT_RUNNING, "host1", "bbox1", "docker start bbox1"),
    ),
    "it is not there": (
        engine([]),
        (Code.CONTAINER_NOT_RUNNING, "host1", "bbox1", "docker start bbox1"),
    ),
    "it is on another network": (
        engine([ELSEWHERE]),
        (
            Code.NETWORK_MISSING,
            "host1",
            "mac_net10",
            CONNECT,
        ),
    ),
    "there is no such network": (
        engine([RUNNING], ("other",)),
        (
            Code.NETWORK_MISSING,
            "host1",
            "mac_net10",
            CONNECT,
        ),
    ),
    "the engine is silent": (silent, (Code.ENGINE_DOWN, "host1", "dockerd", "start dockerd")),
}


@pytest.mark.parametrize("case", SAID)
def test_what_an_engine_says_is_a_cause(case: str) -> None:
    """Of an endpoint; nothing of a host, or where no engine was asked."""
    change, expected = SAID[case]
    found = state_of(lab_of(change), "bbox1")
    assert (found and (found.code, found.node, found.subject, found.fix)) == expected
    assert state_of(lab_of(change), "host1") is None
