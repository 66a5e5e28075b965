"""The catalogue of causes: complete, and listed by `harness causes`."""

from __future__ import annotations

import json

from click.testing import CliRunner

from harness.catalogue import BY_CODE, CATALOGUE
from harness.causes import Code
from harness.cli import cli


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
