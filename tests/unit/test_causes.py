"""The catalogue of causes: complete, and listed by `harness causes`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from harness.catalogue import BY_CODE, CATALOGUE
from harness.causes import Code, Diagnosis, merged
from harness.cli import cli
from harness.report.causes_page import page

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


def test_the_page_is_made_of_the_catalogue() -> None:
    """`scripts/causes-page` makes it anew; every example is of a code that there is."""
    examples = json.loads((DOCS / "causes.json").read_text("utf-8"))
    assert set(examples) <= {str(code) for code in Code}
    assert (DOCS / "causes.md").read_text("utf-8") == page(examples)


def test_a_fault_in_two_stages_is_one_diagnosis() -> None:
    """Its cells are those of both; what is unknown comes last."""
    unknown = Diagnosis(Code.UNKNOWN, None, None, "nothing", "", ("c", "d", "e"))
    here = Diagnosis(Code.PARENT_DOWN, "host2", "eth2.20", "down", "up", ("a",))
    again = replace(here, cells=("b",))
    assert merged((unknown, here, again)) == (replace(here, cells=("a", "b")), unknown)
