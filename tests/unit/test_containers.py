"""Containers that are not there, as causes: what their engines said before the sweep."""

from __future__ import annotations

from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis import Diagnosed, diagnose, look
from harness.flow import Absent, Stage
from harness.sightings import find
from harness.verdict import judge
from tests.unit.labs import TUTORIAL, cells_of
from tests.unit.play import play
from tests.unit.sick import Change, Readings, lab_of, named

CELL = "routed-bbox1-to-bbox3-icmp"
BLOCKED = ("routed-bbox1-to-bbox4-l2-unicast", "routed-bbox4-to-bbox1-l2-unicast")
WHY = "the container bbox1 on host1 does not run (exited, exit code 0)"
ENTER = "docker network connect --ip 172.16.10.10 mac_net10 bbox1 && docker restart --time 0 bbox1"
MAKE = (
    "docker run --detach --name bbox1 --network mac_net10 --ip 172.16.10.10 "
    "--mac-address 02:42:ac:10:0a:0a IMAGE"
)


CREATE = (
    "docker network create --driver macvlan --subnet 172.16.10.0/24 --gateway 172.16.10.1 "
    "-o parent=eth2.10 -o macvlan_mode=bridge mac_net10"
)
RESTART = "systemctl restart docker && docker start bbox1 bbox2"


def said(
    container: dict[str, Any] | None, *, answers: bool = True, networks: tuple[str, ...] = ()
) -> Change:
    """host1's engine says this, which comes before what the interface says."""

    def change(readings: Readings) -> None:
        named(readings, "bbox1", "eth0")["up"] = False
        if container is not None:
            readings["bbox1", "container"] = container
        readings["host1", "engine"] = {"answers": answers, "said": "Connection refused"}
        if networks:
            readings["host1", "network"] = list(networks)

    return change


def diagnosed(change: Change, code: str, cell: str = CELL) -> Diagnosed:
    """A cell whose source was not there."""
    known = cells_of(TUTORIAL, Stage.ROUTED)
    record = play(TUTORIAL, [known[cell]], absent=(Absent("bbox1", code, WHY),))
    sightings = find(record.frames, record.tokens)
    verdicts = judge(TUTORIAL, record, sightings, known.values())
    lost = look(TUTORIAL, record, sightings, verdicts)
    entries = lab_of(change, TUTORIAL).state.evidence
    return diagnose(TUTORIAL, Stage.ROUTED, verdicts, lost, entries)


@pytest.mark.parametrize(
    ("code", "change", "expected"),
    [
        (
            "container-not-running", said({"state": "exited"}),
            (Code.CONTAINER_NOT_RUNNING, "host1", "bbox1", "docker start bbox1"),
        ),
        (
            "container-not-running", said({"state": None}),
            (Code.CONTAINER_NOT_RUNNING, "host1", "bbox1", MAKE),
        ),
        (
            "container-not-running", lambda _: None,
            (Code.CONTAINER_NOT_RUNNING, "host1", "bbox1", MAKE),
        ),
        (
            "network-missing", said({"state": "running"}),
            (Code.NETWORK_MISSING, "host1", "mac_net10", ENTER),
        ),
        (
            "network-missing", said({"state": "running"}, networks=("mac_net10", "bridge")),
            (Code.NETWORK_MISSING, "host1", "mac_net10", ENTER),
        ),
        (
            "network-missing", said({"state": "running"}, networks=("mac_net20",)),
            (Code.NETWORK_MISSING, "host1", "mac_net10", f"{CREATE} && {ENTER}"),
        ),
        (
            "container-not-running", said({"state": "exited"}, answers=False),
            (Code.ENGINE_DOWN, "host1", "dockerd", RESTART),
        ),
    ],
    ids=["it is stopped", "it was removed", "nobody knows", "off its network", "network is there",
         "network is gone", "engine is silent"],
)  # fmt: skip
def test_who_is_not_there_is_a_cause(
    code: str, change: Change, expected: tuple[Code, str, str, str]
) -> None:
    """One diagnosis, which says what the engine said and how to have the container back."""
    (found,) = diagnosed(change, code).diagnoses
    assert (found.code, found.node, found.subject, found.fix) == expected
    assert WHY in found.message


@pytest.mark.parametrize("cell", BLOCKED)
def test_what_must_not_reach_has_the_same_cause(cell: str) -> None:
    """That nothing came of a container that is not there proves nothing, for this reason."""
    found = diagnosed(said({"state": "exited"}), "container-not-running", cell)
    assert [one.code for one in found.diagnoses] == [Code.CONTAINER_NOT_RUNNING]
