"""The page itself: the template filled, and nothing in it that a browser would act on.

Every value is made visible (`visible`) and then escaped, whatever it is and wherever it stands. The
page has no script, and its policy lets a browser load nothing and run nothing: only the one style
sheet in it counts, by its digest.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.report.html import cells, drawing, overview, readings, states
from harness.report.model import RunReport
from harness.report.summary import legend, remedy
from harness.topology import Topology

if TYPE_CHECKING:
    from jinja2 import Template

MARKS = states.MARKS
TITLES = {"pass": "PASS", "fail": "FAIL", "error": "UNPROVED"}
KEPT = "\n\t"
"""What is not printable and yet no danger: it lays a text out."""


def html(report: RunReport, topology: Topology) -> str:
    """A run as one page of HTML that needs no other file and no network."""
    told = cells.told(report.verdicts)
    pairs = cells.by_pair(told)
    shown = readings.listed(report.evidence, (name for one in told for name in one.evidence))
    grids = overview.grids(report)
    style = _file("page.css")
    return _template().render(
        once=functools.cache(lambda macro, values: macro(values)),
        policy=policy(style),
        style=_markup(style),
        title=TITLES[report.exit],
        report=report,
        run=report.run,
        topology=topology,
        sentence=overview.sentence(report, topology),
        faults=[(one, remedy(one)) for one in report.diagnoses],
        drawing=drawing.draw(topology, states.states(report), states.notes(report)),
        grids=grids,
        counts=() if grids or not report.verdicts else overview.counts(report),
        legend=legend(one.word for grid in grids for _, row in grid.rows for one in row),
        pairs=cells.pairs(pairs, topology, report.evidence),
        pair_ids=cells.ids(pairs),
        left_out=len(report.verdicts) - len(told),
        hop_header=cells.HOP_HEADER,
        reading_ids=readings.ids(shown),
        unlisted=len(report.evidence) - len(shown),
        nodes=readings.by_node(report.evidence, shown),
        facts=overview.facts(report),
        marks=MARKS,
    )


def policy(style: str) -> str:
    """The page's Content-Security-Policy: nothing from anywhere but this style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def visible(value: Any) -> Any:
    """An outside string with every character that is not to be seen as its escape.

    Control characters, marks that turn the direction of writing, surrogates: what is read is what
    is there.
    """
    if not isinstance(value, str) or value.isprintable() or hasattr(value, "__html__"):
        return value
    return "".join(c if c.isprintable() or c in KEPT else ascii(c)[1:-1] for c in value)


def _file(name: str) -> str:
    return resources.files("harness.report.html").joinpath(name).read_text("utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own style sheet; an escaped one would be none


@functools.cache
def _template() -> Template:
    """The template, compiled once; Jinja2 is imported when a run is over, and not before."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return made.from_string(_file("page.html.jinja"))
