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

Examples are what a tutorial lab said (`harness up`, then the command on the node, then
`pytest suites/ --lab-attach NAME`). They are captured, not made up.

This page is made from `harness/catalogue.py` and `docs/causes.json` by `scripts/causes-page`.
"""


def page(examples: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page. `examples` has for a code what was done, and what was said of it."""
    return "\n".join([HEAD, *(_section(one, examples.get(one.code)) for one in CATALOGUE)])


def _section(one: About, example: Mapping[str, Any] | None) -> str:
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
    if example:
        lines += ["```", *(f"{node}# {command}" for node, command in example["done"]), ""]
        lines += [f"CAUSE {one.code}: {example['message']} ({example['cells']} cells)"]
        lines += [f"  on {example['node']}: {example['fix']}"] if example["fix"] else []
        lines += ["```", ""]
    return "\n".join(lines)
