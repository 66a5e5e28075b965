"""docs/causes.md: the catalogue of causes as a page, with what a real lab said of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.catalogue import CATALOGUE, PATH, About

HEAD = """\
# Causes

Why a cell can fail, or could not be told. A report has the code in `cause.code` and
`diagnoses[].code`; `harness causes` prints this list. Each says what shows it: a reading of one of
these kinds is among the cell's `evidence`, unless the cell's own path shows it.

Examples are what a real lab said, the tutorial lab in its routed stage where none is named. They
are captured, not made up: of a fault of `harness faults` by `scripts/causes-capture FAULT`, else by
hand (`harness up`, then the command on the node, then `pytest suites/ --lab-attach NAME`). Where a
section has no such example, it says so and why.

This page is made from `harness/catalogue.py` and `docs/causes.json` by `scripts/causes-page`.
"""


def page(examples: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page. `examples` has for each code what was done, and what was said of it."""
    return "\n".join([HEAD, *(_section(one, examples[one.code]) for one in CATALOGUE)])


def _section(one: About, example: Mapping[str, Any]) -> str:
    kinds = ["the cell's own path" if kind == PATH else f"`{kind}`" for kind in one.shown_by]
    lines = [
        f"## {one.code}",
        "",
        one.sentence,
        "",
        f"- shown by: {', '.join(kinds)}",
        f"- mended by: `{one.fix}`",
        "",
    ]
    return "\n".join([*lines, *_example(one.code, example)])


KEYS = ("topology", "stage", "backend")
"""What an example says of its lab, where that is not the usual one."""


def _example(code: str, example: Mapping[str, Any]) -> list[str]:
    """What was captured and where; or that nothing was, and why, with what tests have instead."""
    lines = []
    if "not_captured" in example:
        lines += [f"No example was captured on a lab: {example['not_captured']}", ""]
    if place := _place(example):
        lines += [place, ""]
    if "message" in example:
        done = [f"{node}# {command}" for node, command in example.get("done", ())]
        cells = f" ({example['cells']} cells)" if "cells" in example else ""
        lines += ["```", *done, *([""] if done else [])]
        lines += [f"CAUSE {code}: {example['message']}{cells}"]
        where = f"on {example['node']}" if example["node"] else "mend it"
        lines += [f"  {where}: {example['fix']}"] if example["fix"] else []
        lines += ["```", ""]
    return lines


def _place(example: Mapping[str, Any]) -> str:
    """Which fault it is of, on which lab if that is not the usual one."""
    words = [f"fault `{example['fault']}`"] if "fault" in example else []
    words += [f"{key} `{example[key]}`" for key in KEYS if key in example]
    words += [example["how"]] if "how" in example else []
    said = ", ".join(words)
    return f"{said[:1].upper()}{said[1:]}:" if said else ""
