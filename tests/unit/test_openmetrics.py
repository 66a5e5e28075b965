"""A run in numbers: what the official parsers read, whatever names a lab has."""

from __future__ import annotations

from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
from prometheus_client.parser import text_string_to_metric_families as read_older

from harness.report.document import document
from harness.report.openmetrics import PREFIX, openmetrics
from tests.unit.builders import cell, failed, passed, report


def samples(text: str, reader: Any = read) -> dict[tuple[str, ...], float]:
    """Each number by its name and labels but those of the lab."""
    return {
        (sample.name.removeprefix(PREFIX),
         *(value for key, value in sample.labels.items() if key not in ("topology", "backend"))):
        sample.value
        for family in reader(text) for sample in family.samples
    }  # fmt: skip


def test_numbers_of_a_run() -> None:
    """Cells also where none is of a verdict; how it ended; faults with the cells they explain."""
    bad = report(passed(cell("bbox1", "bbox3")), failed(cell("bbox3", "bbox1")))
    found = document(bad)
    found["diagnoses"] = [{"code": "forward-policy-drop", "node": None, "cells": ["a", "b"]}]
    found["cells"][0]["rtt_ms"] = 0.5
    said = samples(openmetrics(found))
    assert said["cells", "icmp", "isolated", "pass"] == 1
    assert said["cells", "icmp", "isolated", "fail"] == 1
    assert said["cells", "icmp", "isolated", "unproved"] == 0
    assert (said["run_ended", "fail"], said["run_ended", "pass"]) == (1, 0)
    assert said["fault_cells", "forward-policy-drop", ""] == 2
    assert said["run_started_timestamp_seconds",] == 1795464301
    assert said["run_duration_seconds",] == 12.34
    assert said["run", "iptables-nft", "6.18.0", "5f3a", "tc-bpf"] == 1
    assert said["round_trip_median_seconds", "icmp", "isolated"] == 0.0005


def test_both_formats_read_the_same() -> None:
    """The textfile collector reads the older one."""
    text = openmetrics(document(report(passed(cell("bbox1", "bbox3")), started="2026-11-23")))
    assert text.endswith("# EOF\n")
    assert samples(text) == samples(text, read_older)
    assert {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")} == {"gauge"}


def test_names_from_outside_are_labels() -> None:
    """Quotes, backslashes, new lines and half of a surrogate pair break nothing."""
    odd = 'a"b\\c\nd} 1\ud800'
    found = document(report(passed(cell("bbox1", "bbox3")), topology=odd, kernel=odd))
    text = openmetrics(found)
    (family,) = [one for one in read(text) if one.name == f"{PREFIX}run"]
    assert family.samples[0].labels["topology"] == 'a"b\\c\\nd} 1\\ud800'
