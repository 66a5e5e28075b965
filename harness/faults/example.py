"""A fault that was tried, as docs/causes.json keeps what was said of it."""

from __future__ import annotations

import shlex
from typing import Any

from harness.causes import Code
from harness.faults.fault import TUTORIAL
from harness.faults.tried import Tried
from harness.flow import Stage

USUAL = {"topology": TUTORIAL, "stage": str(Stage.ROUTED), "backend": "netns"}
"""Where an example is from that does not say."""


def example(tried: Tried, code: Code) -> dict[str, Any]:
    """What was done, and the diagnosis of one cause that explains the most cells."""
    fault = tried.fault
    said = max((one for one in tried.diagnoses if one.code == code), key=lambda one: len(one.cells))
    where = {"topology": fault.topology, "stage": str(fault.stage), "backend": fault.backend}
    return {
        "fault": fault.name,
        **{key: value for key, value in where.items() if value != USUAL[key]},
        "done": [[node, shlex.join(words)] for node, *words in fault.change.do],
        "message": said.message,
        "node": said.node,
        "fix": said.fix,
        "cells": len(said.cells),
    }
