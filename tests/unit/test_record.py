"""A record: what of it stands in the run folder, and what is refused when read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import RunFolderError
from harness.flow import Absent, Stage
from harness.record import Neighbour, Record, Route, Sent, TapCount, Unrouted, Wave
from tests.unit.labs import TUTORIAL, cells_of
from tests.unit.play import play

SMALL = Record(
    Stage.ROUTED,
    (Wave("main", 1, 9, (Sent("a", "0f" * 16, 5, None), Sent("control/b", "1f" * 16, 6, 101)),
          (Neighbour("bbox1", "172.16.10.1", None, "FAILED"),),
          (Route("gateway", "eth2.10", "172.16.10.10", "172.16.30.10", "ENETUNREACH"),),
          (Unrouted("gateway", 3),), ("a",)),),
    (TapCount("bbox1", "eth0", 3, 0, down=False),),
    absent=(Absent("bbox2", "container-not-running", "the container bbox2 on host1 has ended"),),
)  # fmt: skip


@pytest.mark.parametrize(
    "record", [SMALL, play(TUTORIAL, list(cells_of(TUTORIAL, Stage.ROUTED).values())[:40])]
)
def test_a_record_survives_the_run_folder(record: Record) -> None:
    """JSON and back, the frames apart, is the same record."""
    data = json.loads(json.dumps(record.as_json()))
    assert data["frames"] == []
    assert Record.from_json(data, record.frames) == record


def test_tokens_and_cells_are_those_of_all_probes() -> None:
    """Of controls and beacons too."""
    assert SMALL.tokens == ("0f" * 16, "1f" * 16)
    assert SMALL.cells == {"a", "b"}
    assert Sent("beacon/c", "", 1, None).cell == "c"


@pytest.mark.parametrize(
    ("drops", "down", "lossless"), [(0, False, True), (1, False, False), (0, True, False)]
)
def test_a_tap_is_lossless_or_not(drops: int, down: bool, lossless: bool) -> None:
    """One lost frame, or an interface that went down, is enough."""
    assert TapCount("n", "i", 9, drops, down=down).lossless is lossless


def test_what_was_shut_all_the_time_let_nothing_pass() -> None:
    """An interface that is down, or gone, is not one that a tap could not see into."""
    assert TapCount("n", "i", 0, 0, down=True, shut=True).lossless


BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no stage": lambda data: data.pop("stage"),
    "another stage": lambda data: data.update(stage="later"),
    "nobody says who is absent": lambda data: data.pop("absent"),
    "who is absent has no reason": lambda data: data["absent"][0].pop("why"),
    "who is absent is a number": lambda data: data["absent"][0].update(node=2),
    "no waves": lambda data: data.pop("waves"),
    "waves are a word": lambda data: data.update(waves="main"),
    "a wave is a word": lambda data: data.update(waves=["main"]),
    "a wave has no name": lambda data: data["waves"][0].pop("name"),
    "a wave ends as text": lambda data: data["waves"][0].update(closed_ns="9"),
    "a wave begins never": lambda data: data["waves"][0].update(opened_ns=None),
    "a probe has one thing more": lambda data: data["waves"][0]["sent"][0].update(more=1),
    "a probe has one thing less": lambda data: data["waves"][0]["sent"][0].pop("t_ns"),
    "a probe is a list": lambda data: data["waves"][0].update(sent=[["a"]]),
    "an id is a number": lambda data: data["waves"][0]["sent"][0].update(id=1),
    "an errno is a word": lambda data: data["waves"][0]["sent"][0].update(errno="EPERM"),
    "a time is a word": lambda data: data["waves"][0]["sent"][0].update(t_ns="now"),
    "a token is no token": lambda data: data["waves"][0]["sent"][0].update({"token": "xyz"}),
    "a token is cut": lambda data: data["waves"][0]["sent"][0].update(token="0f" * 15),
    "a token is too long": lambda data: data["waves"][0]["sent"][0].update(token="0f" * 17),
    "a token is null": lambda data: data["waves"][0]["sent"][0].update(token=None),
    "a neighbour has no state": lambda data: data["waves"][0]["neighbours"][0].update(state=None),
    "routes are missing": lambda data: data["waves"][0].pop("routes"),
    "a route has no answer": lambda data: data["waves"][0]["routes"][0].update(answer=None),
    "nobody counted": lambda data: data["waves"][0].pop("unrouted"),
    "a count is a word": lambda data: data["waves"][0]["unrouted"][0].update(packets="3"),
    "nobody says who was unheard": lambda data: data["waves"][0].pop("unheard"),
    "who was unheard is a number": lambda data: data["waves"][0].update(unheard=[1]),
    "a tap's drops are a word": lambda data: data["taps"][0].update(drops="none"),
    "a tap may be down": lambda data: data["taps"][0].update(down="no"),
    "taps are missing": lambda data: data.pop("taps"),
    "taps are null": lambda data: data.update(taps=None),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_what_is_no_record_is_refused(sentence: str) -> None:
    """Each in one line, as an error about the run folder."""
    data = json.loads(json.dumps(SMALL.as_json()))
    BREAKS[sentence](data)
    with pytest.raises(RunFolderError, match=r"^not a record of a stage: [^\n]+$"):
        Record.from_json(data, ())


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_mapping_is_refused(data: Any) -> None:
    """Whatever JSON can hold."""
    with pytest.raises(RunFolderError, match=r"^not a record of a stage"):
        Record.from_json(data, ())
