"""Times of runs: what is beyond noise is told once, and noise never."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import Any

import pytest

from harness.diff import compare, text
from harness.report.document import document
from tests.unit.builders import cell, hop, passed, report

Document = dict[str, Any]
NODES = [f"bbox{number}" for number in range(1, 6)]


def run(seed: int, *, scale: float = 1.0, plus: float = 0.0, kind: str = "icmp",
        **fields: Any) -> Document:  # fmt: skip
    """A run of 20 pairs whose round trips take some 0.02 ms, as they do on an idle machine."""
    drawn = random.Random(seed)
    load = drawn.uniform(0.8, 1.3)
    verdicts = []
    for src in NODES:
        for dst in NODES:
            if src != dst:
                one = passed(cell(src, dst, kind))
                rtt = round(0.02 * load * drawn.lognormvariate(0, 0.4) * scale + plus, 3)
                verdicts.append(
                    replace(
                        one,
                        observation=replace(one.observation, rtt_ms=rtt, path=(hop(src), hop(dst))),
                    )
                )
    return document(report(*verdicts, **fields))


def told(old: Document, new: Document, *more: Any) -> list[tuple[str, str]]:
    """Which times differ."""
    found = compare(old, new, *more).changes
    assert {one.kind for one in found} <= {"time"}
    return [(one.sense, one.what) for one in found]


def test_noise_is_no_change() -> None:
    """Of 40 pairs of runs under another load each, nothing is told."""
    for seed in range(40):
        assert told(run(seed), run(seed + 100)) == []


def test_a_delay_is_told_once_with_how_much() -> None:
    """Whatever kinds of probe it slows down; and the other way round."""
    old, new = run(1), run(2, plus=5.0)
    old["cells"] += run(3, kind="tcp")["cells"]
    new["cells"] += run(4, kind="tcp", plus=2.0)["cells"]
    (slower,) = compare(old, new).changes
    assert (slower.what, slower.new) == ("round trip of direct icmp longer", "5.03 ms")
    assert [where.partition(" 0")[0] for where in slower.where] == [
        "round trip of direct icmp", "round trip of direct tcp",
    ]  # fmt: skip
    assert "20 measured" in slower.where[0]
    assert told(new, old) == [("changed", "round trip of direct icmp shorter")]
    assert compare(old, new).exit_code == 0
    assert "TIME round trip of direct icmp longer: 0.0" in text.text(compare(old, new))


def test_much_of_very_little_is_no_change() -> None:
    """Three times 0.02 ms is what a busy machine does to a run."""
    assert told(run(1), run(2, scale=3)) == []


def test_a_moment_in_which_the_machine_was_busy_is_no_change() -> None:
    """It slows down what was under way then, however much."""
    old, new = run(1), run(2)
    for one in new["cells"][:14]:
        one["rtt_ms"] += 9
    assert told(old, new) == []


def test_few_measurements_tell_nothing() -> None:
    """Of seven cells a delay may be one moment of the machine's."""
    old, new = run(1), run(2, plus=5)
    old["cells"] = old["cells"][:7]
    new["cells"] = new["cells"][:7]
    assert told(old, new) == []


def test_what_waits_for_the_machine_is_not_compared() -> None:
    """The lab's own program, and the work queue that macvlan gives broadcasts to."""
    assert told(run(1, kind="arp"), run(2, kind="arp", plus=9)) == []
    assert told(run(1, kind="udp"), run(2, kind="udp", plus=9)) == []
    assert told(run(1, kind="l2-unicast"), run(2, kind="l2-unicast", plus=9)) == []


def test_runs_alike_say_what_is_noise() -> None:
    """A delay that one of them has as well is none; one that none of them has is one."""
    old, new = run(1), run(2, plus=1)
    assert told(old, new, ([run(3), run(4)], [])) == [
        ("changed", "round trip of direct icmp longer")
    ]
    assert told(old, new, ([run(3), run(4, plus=1)], [])) == []
    assert told(old, new, ([], [run(5)])) == []


def test_an_effect_that_chance_explains_is_no_change() -> None:
    """The quick ones differ by much, but each side has both short and long ones."""
    old, new = run(1), run(2)
    for document_, many in ((old, 14), (new, 16)):
        for place, one in enumerate(document_["cells"]):
            one["rtt_ms"] = 5.0 + place / 100 if place < many else 0.02
    assert told(old, new) == []


def test_a_router_on_the_way_is_a_class_of_its_own() -> None:
    """It takes one from the TTL."""
    old, new = run(1), run(2)
    for found, plus in ((old, 0), (new, 3)):
        for one in found["cells"][:10]:
            one["path"][1]["ttl"] = 63
            one["rtt_ms"] += plus
    assert told(old, new) == [("changed", "round trip of routed icmp longer")]


def test_how_long_runs_took_needs_several_of_them() -> None:
    """A run is one measurement."""
    old, new = ([run(seed, duration_s=seconds + seed / 10) for seed in range(8)]
                for seconds in (3.0, 9.0))  # fmt: skip
    assert told(old[0], new[0]) == []
    assert told(old[0], new[0], (old[1:], new[1:])) == [("changed", "run longer")]


def test_without_the_library_it_is_said_what_was_not_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nothing differs by much it is not needed."""
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    old, new = run(1), run(2, plus=5)
    found = compare(old, new)
    assert found.changes == ()
    assert found.as_json()["untold"].startswith("times differ (round trip of direct icmp 0.0")
    assert "\nnot compared: times differ (" in text.text(found)
    assert "macvlan-harness[timings]" in text.markdown(found)
    assert compare(old, run(3)).untold == ""
