"""Where the plugin, its fixtures and what they import late keep what they share in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.session import Finished, Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()
"""The run that a pytest session makes, once something is asked of a lab."""
FINISHED: pytest.StashKey[Finished] = pytest.StashKey()
FAILURES = pytest.StashKey[tuple[set[str], set[str]]]()
"""Tests that failed without a cell, and tests that could not be carried out."""
UNUSABLE: pytest.StashKey[HarnessError] = pytest.StashKey()
"""Why what was given cannot be used, or not here: told once, when everything is collected."""
UNWRITTEN = pytest.StashKey[str]()
"""Why there is no run folder though a lab was tested."""
COMPLAINTS = pytest.StashKey[list[str]]()
"""What else could not be done of a run that is written whole."""
KEPT = pytest.StashKey[list[str]]()
"""Names of the labs that tests had for themselves and that are still up."""
ONLY_LAB = pytest.StashKey[bool]()
"""Whether every test asks something of the lab: without one there is then nothing to run."""

MEASURED = "measured"
"""The property of a test that says in a sentence what it has measured."""

OF_ENGINES = ("docker_network", "docker_container", "imposed", "docker_ping", "docker_engine")
"""The fixtures that ask engines, which not every lab has."""
NOT_ITS_OWN = "the engines of lab hosts have rules for more than the lab"
NOT_OURS = "the engines of lab hosts are not the harness's to disturb"
NO_ENGINES = "this lab runs no container engine; --lab-backend docker makes one that does"
ASKING = ("verdict", "steps", "outcomes", "readings", "on_host", *OF_ENGINES)
"""The fixtures whose parameters are asks."""
