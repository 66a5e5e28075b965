"""What people see who ping in a container: asked for, read strictly, and held against the sweep."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import asking, pings
from harness.flow import Outcome, Stage, Verdict
from harness.matrix import matrix
from tests.unit.builders import cell, failed, passed
from tests.unit.labs import TUTORIAL, cells_of

ISOLATED, ROUTED = cells_of(TUTORIAL, Stage.ISOLATED), cells_of(TUTORIAL, Stage.ROUTED)
A, B = "172.16.10.11", "172.16.20.10"
BUSYBOX = """\
PING 172.16.10.11 (172.16.10.11): 56 data bytes

--- 172.16.10.11 ping statistics ---
1 packets transmitted, {} packets received, 0% packet loss
"""
IPUTILS = """\
PING 172.16.10.11 (172.16.10.11) 56(84) bytes of data.

--- 172.16.10.11 ping statistics ---
1 packets transmitted, {} received, +1 errors, 100% packet loss, time 0ms
"""


def test_every_container_pings_all_that_its_cells_ask_for() -> None:
    """The gateway's address in its own VLAN too; what must answer is what the model says."""
    found = pings.asked(TUTORIAL, ROUTED.values())
    assert list(found) == ["bbox1", "bbox2", "bbox3", "bbox4"]
    assert found["bbox1"].keys() == {
        "172.16.20.10", "172.16.10.11", "172.16.20.11", "172.16.10.1"
    }  # fmt: skip
    assert all(found["bbox1"].values())
    apart = pings.asked(TUTORIAL, ISOLATED.values())["bbox1"]
    assert apart == {"172.16.20.10": False, "172.16.10.11": True, "172.16.20.11": False}


def test_nobody_must_answer_who_is_not_there() -> None:
    """It is pinged all the same, and not waited for."""
    found = pings.asked(TUTORIAL, ISOLATED.values(), {"bbox3"})
    assert found["bbox1"]["172.16.10.11"] is False


@pytest.mark.parametrize("text", [BUSYBOX, IPUTILS])
@pytest.mark.parametrize("received", ["0", "1"])
def test_counts_are_read(text: str, received: str) -> None:
    """Of busybox and of iputils."""
    said = pings.parse(f"== {A}\n{text.format(received)}", [A])
    assert said == {A: {"transmitted": 1, "received": int(received)}}


@pytest.mark.parametrize(
    "section",
    [
        "",
        "ping: bad address\n",
        BUSYBOX.format(10),
        BUSYBOX.format("1") + BUSYBOX.format("0"),
        BUSYBOX.format(0).replace("1 packets", "0 packets"),
        BUSYBOX.format(0).replace("1 packets", "11 packets"),
        BUSYBOX.format(0).replace("1 packets", "about 1 packets"),
        BUSYBOX.format(0).replace(", 0%", " and 0%"),
        BUSYBOX.format(0) + f"ping: sendto: {pings.REFUSED}\n" + BUSYBOX.format(0),
        f"{pings.REFUSED} is what others say\n",
    ],
)
def test_what_is_not_understood_is_unknown(section: str) -> None:
    """And never "blocked": a broken ping says nothing of the network."""
    assert list(pings.parse(f"== {A}\n{section}", [A])[A]) == ["unknown"]


def test_a_target_without_a_section_is_unknown() -> None:
    """As in the case of a container that has no ping, whose words are kept."""
    assert pings.parse("no ping here\n", [A, B]) == {
        A: {"unknown": "no ping here"}, B: {"unknown": "no ping here"},
    }  # fmt: skip
    assert pings.parse("", [A])[A] == {"unknown": "it said nothing"}


def test_a_kernel_that_refuses_is_no_blocked_ping() -> None:
    """It is no route, which is something else than silence."""
    said = pings.parse(f"== {A}\nping: sendto: {pings.REFUSED}\n", [A])
    assert said == {A: {"refused": pings.REFUSED}}


def of(outcome: Outcome) -> Verdict:
    """A verdict whose observed outcome is given."""
    if outcome is Outcome.REACHED:
        return passed(cell("bbox1", "bbox3"))
    return passed(cell("bbox1", "bbox3", expected=outcome))


@pytest.mark.parametrize(
    ("outcome", "said", "agree"),
    [
        (Outcome.REACHED, {"transmitted": 1, "received": 1}, True),
        (Outcome.REACHED, {"transmitted": 1, "received": 0}, False),
        (Outcome.REACHED, {"refused": pings.REFUSED}, False),
        (Outcome.SILENT, {"transmitted": 1, "received": 0}, True),
        (Outcome.SILENT, {"transmitted": 1, "received": 1}, False),
        (Outcome.NO_NEIGHBOUR, {"transmitted": 1, "received": 0}, True),
        (Outcome.NO_NEIGHBOUR, {"refused": pings.REFUSED}, False),
        (Outcome.NO_ROUTE, {"refused": pings.REFUSED}, True),
        (Outcome.REACHED, {"unknown": "it said nothing"}, None),
        (Outcome.SILENT, {"unknown": "it said nothing"}, None),
        (Outcome.INCONCLUSIVE, {"transmitted": 1, "received": 0}, None),
    ],
)
def test_ping_and_sweep(outcome: Outcome, said: dict[str, Any], agree: bool | None) -> None:
    """They agree, or they do not, or it cannot be told; the words have both."""
    found, words = pings.compared(of(outcome), said)
    assert found is agree
    assert words.startswith("ping from bbox1 to bbox3: ")
    assert words.endswith(f"; the sweep: {outcome}")


def test_what_is_compared_is_what_happened() -> None:
    """Not whether it was to happen: ping agrees with a failure too."""
    lost = failed(cell("bbox1", "bbox3"))
    assert pings.compared(lost, {"transmitted": 1, "received": 0})[0] is True


def test_a_reading_has_it_all() -> None:
    """In a person's words, raw, and parsed; of what could not be run, why."""
    raw = f"== {A}\n{BUSYBOX.format(1)}"
    found = pings.reading({"node": "bbox1", "out": raw}, [A])
    assert found["command"] == f"docker exec bbox1 ping -c 1 {A}"
    assert (found["kind"], found["node"], found["raw"]) == ("docker-ping", "bbox1", raw)
    assert found["parsed"][A]["received"] == 1
    broken = pings.reading({"node": "bbox1", "failed": "it does not run"}, [A])
    assert broken["parsed"] == {A: {"unknown": "it does not run"}}
    assert broken["raw"] == "it does not run\n"


def test_asks_are_the_pairs_that_containers_ping() -> None:
    """One a pair and stage, by the cell that it is held against."""
    cells = matrix(TUTORIAL, (Stage.ROUTED,)).cells
    asks = asking.pinged(TUTORIAL, cells, ("host1", "host2"))
    assert len(asks) == 12 + 4
    assert len(asking.pinged(TUTORIAL, cells, ("host2",))) == 6 + 2
    assert not asking.pinged(TUTORIAL, cells, ())
    assert asks[0].cells[0].id == asks[0].id
    assert all("-icmp" in ask.id and ask.kind == pings.KIND for ask in asks)


def test_engines_are_asked_for_in_each_stage() -> None:
    """One a host."""
    asks = asking.engines(["host1", "host2"], (Stage.ISOLATED, Stage.ROUTED))
    assert [ask.id for ask in asks] == [
        "isolated-host1", "isolated-host2", "routed-host1", "routed-host2"
    ]  # fmt: skip
    assert {(ask.kind, ask.cells) for ask in asks} == {("engine", ())}


@pytest.mark.parametrize("targets", [{A: True, B: False}, {A: False, B: False}, {A: True}])
def test_the_script_runs(targets: dict[str, bool], tmp_path: Path) -> None:
    """With a ping that answers as it is told, at once; in any sh(1)."""
    ping = tmp_path / "ping"
    ping.write_text(f'#!/bin/sh\necho "$5"; echo "{BUSYBOX.format(0).splitlines()[-1]}"\n')
    ping.chmod(0o755)
    places = os.pathsep.join([str(tmp_path), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        ["sh", "-c", pings.script(targets)], env={"PATH": places}, capture_output=True, text=True,
        check=True, timeout=10,
    )  # fmt: skip
    silent = {"transmitted": 1, "received": 0}
    assert pings.parse(done.stdout, targets) == dict.fromkeys(targets, silent)
    assert [f"== {target}" in done.stdout for target in targets] == [True] * len(targets)
