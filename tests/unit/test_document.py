"""report.json: its keys, its values, and its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from harness.causes import Cause, Code, Diagnosis
from harness.flow import Outcome, Ruling, Stage
from harness.report.document import document, raw_files, schema
from harness.report.model import joined
from tests.unit.builders import (
    TOKEN,
    cell,
    failed,
    hop,
    passed,
    reading,
    report,
    tutorial,
    unproved,
)

VALIDATOR = jsonschema.Draft202012Validator(schema())
ONE = report(
    failed(cell("bbox1", "bbox4", "icmp:1472", stage=Stage.ROUTED)),
    evidence=(reading("routed/gateway/firewall/after"),),
    leftovers=("cgroup",),
)


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object in a schema, itself included."""
    if isinstance(part, dict):
        if "properties" in part:
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from objects(item)


def test_the_schema_is_one() -> None:
    """It keeps to JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_describes_every_property_and_allows_no_other() -> None:
    """A reader finds what a key means, and a new key is noticed; one is not in every report."""
    for found in objects(schema()):
        assert found["additionalProperties"] is False
        assert set(found["properties"]) - set(found["required"]) <= {"kernel_events"}
        assert set(found["required"]) <= set(found["properties"])
        assert all("description" in one for one in found["properties"].values())


def test_the_schema_knows_every_word() -> None:
    """Outcomes, rulings and stages are those of the code."""
    kinds = schema()["$defs"]
    assert kinds["outcome"]["enum"] == [str(word) for word in Outcome]
    assert kinds["stage"]["enum"] == [str(word) for word in Stage]
    assert kinds["cell"]["properties"]["verdict"]["enum"] == [str(word) for word in Ruling]


@pytest.mark.parametrize(
    "made",
    [
        ONE,
        report(),
        report(*tutorial()),
        report(unproved(cell("bbox1", "bbox2", "l2-broadcast:20"))),
        report(
            failed(cell("a|`<b>\x1b", "\ud800\n"), "\0", path=(hop("\x07"),)),
            evidence=(reading("../../x\0", raw="\udcff", parsed=None),),
        ),
    ],
    ids=["failed", "empty", "tutorial", "unproved", "hostile"],
)
def test_every_report_keeps_to_the_schema(made: Any) -> None:
    """Whatever a run finds, report.json has the form that programs rely on."""
    VALIDATOR.validate(json.loads(json.dumps(document(made))))


def test_a_cell_has_the_keys_of_the_interface() -> None:
    """The promise to programs, to the letter."""
    assert document(ONE)["cells"] == [
        {
            "id": "routed-bbox1-to-bbox4-icmp:1472",
            "stage": "routed",
            "src": "bbox1",
            "dst": "bbox4",
            "probe": "icmp:1472",
            "expected": "reached",
            "observed": "silent",
            "verdict": "fail",
            "why": "lost in the gateway",
            "rtt_ms": None,
            "attempts": 1,
            "token": TOKEN.hex(),
            "proof": {
                "left": True,
                "absent": True,
                "control": None,
                "taps_lossless": True,
                "outcome": False,
            },
            "seen_source": None,
            "path": [
                {
                    "node": node,
                    "interface": "eth2",
                    "direction": direction,
                    "vlan": 10,
                    "src_mac": "02:42:ac:10:0a:0a",
                    "dst_mac": "02:6e:73:00:00:03",
                    "src_ip": "172.16.10.10",
                    "dst_ip": "172.16.20.11",
                    "ttl": 64,
                    "t_us": t_us,
                }
                for node, direction, t_us in (("host1", "out", 0.0), ("gateway", "in", 1.5))
            ],
            "lost_at": "gateway:eth2 (out)",
            "cause": None,
            "evidence": ["routed/gateway/firewall/after"],
        }
    ]


def test_a_run_has_the_keys_of_the_interface() -> None:
    """The run's own facts, and how it ended."""
    keys = "id started duration_s topology backend vlan_datapath firewall_backend stages kernel"
    keys += " engines versions not_applicable argv exit"
    assert list(document(ONE)["run"]) == keys.split()
    assert list(document(ONE)) == ["schema", "run", "cells", "diagnoses", "evidence", "leftovers"]


@pytest.mark.parametrize(
    ("made", "ended"),
    [
        (report(passed(cell("bbox1", "bbox3"))), "pass"),
        (report(passed(cell("bbox1", "bbox3")), other_failures=1), "fail"),
        (report(unproved(cell("bbox1", "bbox3"))), "error"),
        (report(unproved(cell("bbox1", "bbox3")), failed(cell("bbox1", "bbox4"))), "fail"),
        (report(), "error"),
    ],
)
def test_the_exit_is_the_reports(made: Any, ended: str) -> None:
    """A failure outweighs what could not be told, and nothing judged is no pass."""
    assert document(made)["run"]["exit"] == ended


def test_evidence_names_its_file() -> None:
    """Each reading says where its raw text is, relative to the run folder."""
    found = document(ONE)["evidence"]["routed/gateway/firewall/after"]
    assert found["raw_file"] == "evidence/routed-gateway-firewall-after.txt"
    assert list(found) == ["node", "stage", "kind", "command", "parsed", "raw_file"]


def test_no_two_readings_share_a_file() -> None:
    """Names that differ in a separator only are kept apart, and none leads out of the folder."""
    names = ("a/b", "a-b", "a\\b", "a:b", "..", "/etc/passwd", "x" * 500)
    files = raw_files(tuple(reading(name) for name in names))
    assert len(set(files.values())) == len(names)
    assert files["a-b"] == "evidence/a-b-2.txt"
    assert not [path for path in files.values() if ":" in path]
    assert all(path.count("/") == 1 and len(path) < 250 for path in files.values())


def test_hops_may_be_earlier_than_the_first() -> None:
    """Clocks of two machines differ: time is told as it was, from the first hop on."""
    made = failed(cell("bbox1", "bbox4"), path=(hop("a", t_ns=5000), hop("b", t_ns=1000)))
    hops = document(report(made))["cells"][0]["path"]
    assert [one["t_us"] for one in hops] == [0.0, -4.0]


def test_a_key_more_is_refused() -> None:
    """The schema would notice an addition."""
    found = document(ONE)
    found["cells"][0]["extra"] = 1
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(found)


def test_a_reply_time_is_told() -> None:
    """The round trip of a cell that reached is in milliseconds."""
    made = passed(cell("bbox1", "bbox3"))
    made = replace(made, observation=replace(made.observation, rtt_ms=0.25))
    assert document(report(made))["cells"][0]["rtt_ms"] == 0.25


def test_a_nodes_routes_share_a_file() -> None:
    """There is one for each pair: a file each would be thousands."""
    first = reading("routed/bbox1/route-get/10.0.0.1/after", kind="route-get", node="bbox1")
    second = reading("routed/bbox1/route-get/10.0.0.2/after", kind="route-get", node="bbox1")
    other = reading("routed/bbox2/route-get/10.0.0.2/after", kind="route-get", node="bbox2")
    files = raw_files((first, second, other))
    assert files[first.name] == files[second.name] != files[other.name]


def test_readings_of_one_name_are_joined() -> None:
    """What both have stands once, and the first one's comes first."""
    first = reading("a", parsed=[1, 2], raw="1\n2\n")
    found = joined(first, reading("a", parsed=[2, 3], raw="2\n3\n"))
    assert (found.parsed, found.raw) == ([1, 2, 3], "1\n2\n3\n")


def test_causes_and_faults_are_in_the_document() -> None:
    """Each with just the keys that the schema has for it."""
    cause = Cause(Code.RAW_DROP, "gateway", "rule", "lost there: a rule drops it")
    verdict = replace(failed(cell("bbox1", "bbox4")), cause=cause)
    fault = Diagnosis(Code.RAW_DROP, "gateway", "rule", "a rule drops it", "iptables -F", ("a",))
    found = document(replace(report(verdict), diagnoses=(fault,)))
    assert found["cells"][0]["cause"] == {
        "code": "raw-drop", "node": "gateway", "subject": "rule",
        "detail": "lost there: a rule drops it",
    }  # fmt: skip
    assert found["diagnoses"] == [{
        "code": "raw-drop", "node": "gateway", "subject": "rule", "message": "a rule drops it",
        "fix": "iptables -F", "cells": ["a"],
    }]  # fmt: skip
    VALIDATOR.validate(found)
