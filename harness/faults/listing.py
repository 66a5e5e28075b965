"""The catalogue as people and programs read it."""

from __future__ import annotations

import shlex
from typing import Any

from harness.faults.change import Command
from harness.faults.fault import OWN_KERNEL, Fault
from harness.faults.predict import predict
from harness.flow import Ruling


def entry(fault: Fault) -> dict[str, Any]:
    """A fault with what is predicted of every cell."""
    predicted = predict(fault)
    return {
        "name": fault.name,
        "sentence": fault.sentence,
        "inject": [typed(command) for command in fault.change.do],
        "undo": [typed(command) for command in fault.change.undo],
        "topology": fault.topology,
        "backend": fault.backend,
        "stage": str(fault.stage),
        "machine": fault.machine,
        "causes": [str(code) for code in fault.causes],
        "steady": fault.steady,
        "cells": [
            {
                "id": name,
                "verdict": str(ruling),
                "causes": [str(code) for code in predicted.causes.get(name, ())],
            }
            for name, ruling in predicted.rulings.items()
        ],
    }


def typed(command: Command) -> str:
    """A command as a person types it: the node, and the words."""
    node, *words = command
    return f"{node}# {shlex.join(words)}"


def lines(fault: Fault) -> list[str]:
    """One fault, all of it but its green cells."""
    found = entry(fault)
    red = [cell for cell in found["cells"] if cell["verdict"] != Ruling.PASS]
    where = f"on {fault.topology}, stage {fault.stage}, backend {fault.backend}"
    cause = ", ".join(found["causes"]) or "none: nothing is broken"
    told = [f"  {one['id']}: {one['verdict']} ({' or '.join(one['causes'])})" for one in red]
    return [
        f"{fault.name}: {fault.sentence}",
        where,
        *([OWN_KERNEL] if fault.machine else []),
        *(f"inject  {one}" for one in found["inject"]),
        *(f"undo    {one}" for one in found["undo"]),
        f"cause   {cause}",
        f"{len(red)} of {len(found['cells'])} cells are not green:" if red else "all cells green",
        *told,
    ]
