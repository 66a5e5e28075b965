"""GitHub Actions: what a step shows on the page of its run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "GITHUB_STEP_SUMMARY"
"""Names the file of Markdown that a step may append to."""


def summarise(folder: Path, environment: Mapping[str, str]) -> str:
    """Append a run's report.md to the step's summary, if there is one; why not, if it cannot be.

    What is shown elsewhere as well costs a run nothing.
    """
    target = environment.get(VARIABLE)
    if not target:
        return ""
    try:
        text = (folder / "report.md").read_bytes()
        with Path(target).open("ab") as file:
            file.write(text + b"\n")
    except OSError as error:
        return f"{VARIABLE}: {target}: {error.strerror}; the summary is {folder / 'report.md'}"
    return ""
