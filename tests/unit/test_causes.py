"""The catalogue of causes: complete, and listed by `harness causes`."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.catalogue import BY_CODE, CATALOGUE
from harness.causes import Code, Diagnosis, merged
from harness.cli import cli
from harness.faults.catalogue import SINGLE
from harness.faults.example import USUAL
from harness.report.causes_page import page
from tests.unit.sick import found
from tests.unit.test_checks import CASES

DOCS = Path(__file__).parents[2] / "docs"


def test_every_code_is_in_the_catalogue_once_and_in_order() -> None:
    """A code without a meaning, or with two, is no promise."""
    assert [one.code for one in CATALOGUE] == list(Code)
    assert list(BY_CODE) == list(Code)


def test_every_cause_says_what_it_is_what_shows_it_and_what_mends_it() -> None:
    """A line of the catalogue that lacks a part is of no use to its reader."""
    for one in CATALOGUE:
        assert one.sentence.endswith(".")
        assert one.shown_by
        assert one.fix


def test_causes_are_listed_with_a_sentence_each() -> None:
    """`harness causes` is what people look codes up with."""
    result = CliRunner().invoke(cli, ["causes"])
    lines = result.output.splitlines()
    assert len(lines) == len(Code)
    assert "ip-forward-off" in lines[0]
    assert CATALOGUE[0].sentence in lines[0]


def test_causes_are_listed_for_programs() -> None:
    """`--json` has every part of the catalogue."""
    result = CliRunner().invoke(cli, ["causes", "--json"])
    listed = json.loads(result.output)
    assert [one["code"] for one in listed] == [str(code) for code in Code]
    assert listed[0].keys() == {"code", "sentence", "shown_by", "fix"}


EXAMPLES = json.loads((DOCS / "causes.json").read_text("utf-8"))
RECORDED = {
    "neighbour-overflow": "the neighbour table is full",
    "conntrack-full": "connection tracking is full",
}
"""Causes whose example is of evidence that `test_checks` holds, and its case there."""


def test_the_page_is_made_of_the_catalogue() -> None:
    """`scripts/causes-page` makes it anew; every cause is in it, in order."""
    assert list(EXAMPLES) == [str(code) for code in Code]
    assert (DOCS / "causes.md").read_text("utf-8") == page(EXAMPLES)


@pytest.mark.parametrize("code", list(Code))
def test_every_cause_has_an_example_or_a_reason(code: Code) -> None:
    """A captured one says what was done and how many cells turned red; else it is said why not."""
    one = EXAMPLES[code]
    if "not_captured" in one:
        assert one["not_captured"].endswith(".")
        assert ("message" in one) is (code in RECORDED)
    else:
        assert one["done"]
        assert min(one["cells"], len(one["message"])) > 0


@pytest.mark.parametrize("code", RECORDED)
def test_recorded_example_is_what_is_said_of_its_evidence(code: str) -> None:
    """The page has the very words that the check finds in the readings of the test it names."""
    finding, _ = found(*CASES[RECORDED[code]][:2])
    assert finding is not None
    one = EXAMPLES[code]
    said = (str(finding.code), finding.node, finding.message, finding.fix)
    assert said == (code, one["node"], one["message"], one["fix"])
    assert RECORDED[code] in one["how"]


def test_example_of_a_fault_is_of_one_in_the_catalogue() -> None:
    """`harness faults NAME` shows what it is of: the same commands, on the same lab."""
    faults = {fault.name: fault for fault in SINGLE}
    for code, one in EXAMPLES.items():
        if "fault" in one:
            fault = faults[one["fault"]]
            assert code in fault.causes
            assert one["done"] == [[node, shlex.join(words)] for node, *words in fault.change.do]
            where = {key: one.get(key, usual) for key, usual in USUAL.items()}
            assert tuple(where.values()) == (fault.topology, fault.stage, fault.backend)


def test_a_fault_in_two_stages_is_one_diagnosis() -> None:
    """Its cells are those of both; what is unknown comes last."""
    unknown = Diagnosis(Code.UNKNOWN, None, None, "nothing", "", ("c", "d", "e"))
    here = Diagnosis(Code.PARENT_DOWN, "host2", "eth2.20", "down", "up", ("a",))
    again = replace(here, cells=("b",))
    assert merged((unknown, here, again)) == (replace(here, cells=("a", "b")), unknown)
