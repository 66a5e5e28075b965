"""What every page of the harness is: one file, escaped, with a policy that lets nothing else act.

Every value is made visible (`visible`) and then escaped, whatever it is and wherever it stands. The
policy lets a browser load nothing, and run and apply nothing but the package's own script and style
sheet that are in the page: each counts by its digest.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.report.html.states import MARKS

if TYPE_CHECKING:
    from jinja2 import Environment

KEPT = "\n\t"
"""What is not printable and yet no danger: it lays a text out."""
WITHOUT_KEPT = str.maketrans("", "", KEPT)


def fill(
    template: str, styles: tuple[str, ...], scripts: tuple[str, ...] = (), /, **values: Any
) -> str:
    """A template that extends `base.html.jinja`, filled; styles and scripts are files beside it."""
    style, script = ("".join(map(file, names)) for names in (styles, scripts))
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            policy=policy(style, script),
            style=_markup(style),
            script=_markup(script),
        )
    )


def compile_ahead(templates: tuple[str, ...]) -> None:
    """Do now what `fill` would do when it first meets these templates, which takes longest."""
    for template in templates:
        _environment().get_template(template)


def policy(style: str, script: str = "") -> str:
    """A page's Content-Security-Policy: nothing from anywhere but this style sheet and script."""
    allowed = f"script-src {_digest(script)}; " if script else ""
    return (
        f"default-src 'none'; {allowed}style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def visible(value: Any) -> Any:
    """An outside string with every character that is not to be seen as its escape.

    Control characters, marks that turn the direction of writing, surrogates: what is read is what
    is there.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    if value.translate(WITHOUT_KEPT).isprintable():
        return value
    return "".join(c if c.isprintable() or c in KEPT else ascii(c)[1:-1] for c in value)


def file(name: str) -> str:
    """A template, style sheet or script of this package."""
    return resources.files("harness.report.html").joinpath(name).read_text("utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own style sheet and script; escaped they would be none


@functools.cache
def _environment() -> Environment:
    """What compiles each template once; Jinja2 is imported when a page is made, and not before."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        autoescape=True,
        finalize=visible,
        loader=FunctionLoader(file),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["marks"] = MARKS
    return made
