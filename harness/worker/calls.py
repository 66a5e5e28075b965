"""Every function that a controller calls on a worker. What goes in and out is plain data.

Each imports what it needs when it is called: the controller imports this module only to name the
functions, and must not pay for what they need where they run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

NOTE = "/run/harness/lab.json"
"""Where a lab that stays up says what it is, on the tmpfs of its own mount namespace."""


def prepare() -> None:
    """Make the worker's new namespaces ready for a lab."""
    from harness.worker import namespaces

    namespaces.prepare()


def settle(node: str, trunk: str, docker: str) -> None:
    """Be the worker of a lab host; see `survey.settle`."""
    from harness.worker import survey as machine

    machine.settle(node, trunk, docker)


def survey(node: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What a lab host has before anything is made there; see `survey.survey`."""
    from harness.worker import survey as machine

    return machine.survey(node, asked)


def alive() -> None:
    """Say that the controller is there; see `keeping.alive`."""
    from harness.worker import keeping

    keeping.alive()


def named(node: str, name: str) -> bool:
    """Take a namespace of a lab host as a node; see `survey.named`."""
    from harness.worker import survey as machine

    return machine.named(node, name)


def facts(vlan_datapath: str | None = None) -> dict[str, Any]:
    """Kernel, VLAN datapath, firewall backend, versions; see `evidence.facts`."""
    from harness.worker import evidence as readings

    return readings.facts(vlan_datapath)


def apply(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Carry out the steps of a plan; see `steps.apply`."""
    from harness.worker import steps as operations

    return operations.apply(steps)


def undo(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take steps back, and go on where one fails; see `steps.undo`."""
    from harness.worker import steps as operations

    return operations.undo(steps)


def sweep(plan: dict[str, Any]) -> dict[str, Any]:
    """Send and capture; see `sweep.sweep`. `{"failed": why}` if the sweep could not start."""
    from harness.worker import sweep as sweeping

    try:
        return sweeping.sweep(plan)
    except OSError as error:
        return {"failed": str(error.args[-1])}


def taint() -> int:
    """The flags of kernel.tainted."""
    with open("/proc/sys/kernel/tainted", encoding="ascii") as file:
        return int(file.read())


def unanswered() -> int:
    """How many awaited replies did not come; see `sweep.unanswered`."""
    from harness.worker import sweep as sweeping

    return sweeping.unanswered()


def evidence(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Read (node, kind) pairs; see `evidence.read`. What it, and a sweep before, leave goes."""
    from harness.worker import evidence as readings
    from harness.worker import heap

    found = readings.read(list(wanted))
    heap.give_back()
    return found


def run(node: str | None, argv: Sequence[str], stdin: str = "") -> dict[str, Any]:
    """Run a command on a node; `{"code", "out", "err"}`."""
    from harness.worker import process

    return process.run(node, argv, stdin)


def start(node: str, argv: Sequence[str]) -> dict[str, Any]:
    """Start a process that stays; see `live.start`."""
    from harness.worker import live

    try:
        return live.start(node, list(argv))
    except OSError as error:
        return {"failed": str(error)}


def said(pid: int, text: str, within: float) -> dict[str, Any]:
    """What a process has written; see `live.said`."""
    from harness.worker import live

    return live.said(pid, text, within)


def stop(pid: int) -> None:
    """End a process; see `live.stop`."""
    from harness.worker import live

    live.stop(pid)


def watch(node: str, interface: str) -> dict[str, Any]:
    """Open a tap; `{"tap": number}` for `seen`, or `{"failed": why}`."""
    from harness.worker import live

    try:
        return {"tap": live.watch(node, interface)}
    except OSError as error:
        return {"failed": str(error.args[-1])}


def seen(tap: int) -> dict[str, Any]:
    """Everything that a tap has seen; see `live.seen`."""
    from harness.worker import live

    return live.seen(tap)


def watch_drops() -> bool:
    """Ask the kernel why it drops packets, for readings `drops`; whether it tells. See `drops`."""
    from harness.worker import drops

    return drops.begin()


def unwatch_drops() -> None:
    """Ask no more."""
    from harness.worker import drops

    drops.end()


def forget(nodes: Sequence[str]) -> None:
    """Have nodes forget the connections that they track; see `flows.forget`."""
    from harness.worker import flows

    flows.forget(list(nodes))


def namespace() -> int:
    """The inode number of the lab's PID namespace, by which it is known outside."""
    return os.stat("/proc/self/ns/pid").st_ino


def end() -> None:
    """Close what would make the end of this process slow."""
    from harness.worker import taps

    taps.close_all()


def note(description: dict[str, Any]) -> None:
    """Write down what this lab is, for workers that enter it later."""
    os.makedirs(os.path.dirname(NOTE), exist_ok=True)
    with open(NOTE, "w", encoding="utf-8") as file:
        json.dump(description, file)


def noted() -> dict[str, Any] | None:
    """What `note` wrote, or None in a lab where nobody did."""
    try:
        with open(NOTE, encoding="utf-8") as file:
            described: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return described
