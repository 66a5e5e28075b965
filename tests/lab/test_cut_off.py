"""Runs on lab hosts that end before their time: killed, cut off, switched off, two at once."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import pytest

from harness.keys import MEASURED
from harness.testbed import Testbed
from tests.lab.hosts import (
    HAS,
    LOADED_S,
    MACHINES,
    SHIPPED,
    Bench,
    changed,
    ended,
    resume,
    started,
    switched_off,
    until_endpoint,
)

KILLS = int(os.environ.get("KILLS", "4"))
"""How often a run is killed; `KILLS=50 pytest tests/lab/test_cut_off.py` is for a release."""
CUTS = int(os.environ.get("CUTS", "1"))
"""How often a cable is out, 24 s each; `CUTS=10 pytest ... -k cable` is for a release."""
CLEAN_S = 60.0
"""Machines have taken everything back by then."""
FIRST_S = 0.8
"""No kill comes earlier: pytest itself has to start."""
LEFT = "cat /var/lib/macvlan-harness/journal; ls /run/macvlan-harness.lock"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(autouse=True)
def untouched(machines: Testbed) -> None:
    """The machines stay for all tests of this file; that nothing is left of them is told last."""
    del machines


def kill(running: subprocess.Popen[str]) -> str:
    """Kill all of a run at once, and wait until its last process has ended; what it was at.

    `build` is all until the first verdict is printed, `undo` all after the last.
    """
    os.killpg(running.pid, signal.SIGKILL)
    printed, _ = running.communicate(timeout=LOADED_S)
    if "[100%]" in printed:
        return "undo"
    return "sweep" if "." in printed else "build"  # tests that do not apply come first


def wait_until(bench: Bench, before: dict[str, list[str]]) -> list[str]:
    """Wait until the machines are as they were; the lines that are not in the end."""
    deadline = time.monotonic() + CLEAN_S
    while (differences := changed(before, bench.look())) and time.monotonic() < deadline:
        time.sleep(0.2)
    return differences


def test_a_killed_run_is_taken_back_by_the_machines(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    """At moments spread over building, sweeping and undoing: nothing is left, nor a journal."""
    before, at = bench.look(), Counter[str]()
    choose = random.Random(KILLS)
    began = time.monotonic()
    bench.run(SHIPPED)
    whole = time.monotonic() - began
    for number in range(KILLS):
        moment = FIRST_S + (whole - FIRST_S) * (number + choose.random()) / KILLS
        running = started(bench, SHIPPED)
        time.sleep(moment)
        was_at = kill(running)
        assert wait_until(bench, before) == [], f"killed after {moment:.2f} s, at its {was_at}"
        for name in MACHINES:
            assert bench.bed.on(name, "sh", "-c", LEFT).stdout == ""
        at[was_at] += 1
    moments = ", ".join(f"{count} at its {what}" for what, count in at.items())
    record_property(MEASURED, f"killed {KILLS} times, and nothing was left: {moments}")


def test_what_a_machine_had_when_it_was_switched_off_is_taken_back(bench: Bench) -> None:
    """By the next run, before it builds; the run that lost it says so, in its report as well."""
    had = bench.bed.on("host1", "sh", "-c", HAS).stdout
    said = switched_off(bench)
    assert "the worker on host1" in said
    assert "Traceback" not in said
    assert any("not taken back: " in one for one in bench.report["leftovers"])
    assert bench.bed.on("host1", "sh", "-c", LEFT).stdout.count("\n") >= 4
    code, said = bench.run(SHIPPED, "-k", "test_same_vlan", "--lab-stage", "isolated")
    assert code == 0, said
    assert bench.bed.on("host1", "sh", "-c", LEFT).stdout == ""
    assert bench.bed.on("host1", "sh", "-c", HAS).stdout == had


def test_two_runs_at_once_are_one(bench: Bench) -> None:
    """The second is told who has the hosts, and changes nothing for the first; nor does a clean."""
    running = started(bench, SHIPPED, "--lab-stage", "isolated", "-k", "test_same_vlan")
    while not bench.bed.on("host1", "ls", "/run/macvlan-harness.lock").stdout:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGSTOP)
    try:
        code, said = bench.run(SHIPPED, "-k", "test_same_vlan")
        cleaned, told = bench.clean()
    finally:
        went_on = resume(running)
    assert code != 0
    assert "passed" in went_on
    run = bench.report["run"]["id"]
    carried = (
        rf"host1 carries the lab lab-hosts of root@\S+, process \d+, run {run}, since {TIME}; "
        rf"if nothing is heard of it, it is taken back at {TIME}"
    )
    assert re.search(carried, said)
    assert cleaned == 3
    assert re.search(f"^{carried}; it is not touched$", told, re.MULTILINE)


def test_a_worker_that_is_killed_has_an_heir(bench: Bench) -> None:
    """Of a machine that is out of memory too nothing is left, and no other run need come first."""
    before = bench.look()
    running = started(bench, SHIPPED)
    until_endpoint(bench)
    held = json.loads(bench.bed.on("host1", "cat", "/run/macvlan-harness.lock").stdout)
    bench.bed.on("host1", "kill", "-KILL", str(held["worker"])).check_returncode()
    said = ended(running)
    assert "the worker on host1" in said
    assert wait_until(bench, before) == []
    for name in MACHINES:
        assert bench.bed.on(name, "sh", "-c", LEFT).stdout == ""


def test_clean_takes_back_what_a_switched_off_machine_had(bench: Bench) -> None:
    """It says what, host by host, and what a person is to do of the rest; once is enough."""
    had = bench.bed.on("host1", "sh", "-c", HAS).stdout
    running = started(bench, SHIPPED)
    until_endpoint(bench)
    bench.bed.power_off("host1")
    ended(running)
    code, told = bench.clean()
    assert code == 3
    assert "host1: it does not answer" in told
    bench.bed.boot("host1")
    code, told = bench.clean()
    assert (code, told.splitlines()[-2:]) == (
        0, ["host2: nothing is left", "gateway: nothing is left"],
    )  # fmt: skip
    assert "host1: taken back: docker rm --force bbox1\n" in told
    assert "host1: taken back: docker network rm mac_net10\n" in told
    assert bench.bed.on("host1", "sh", "-c", LEFT).stdout == ""
    assert bench.bed.on("host1", "sh", "-c", HAS).stdout == had
    code, told = bench.clean("--json")
    assert (code, json.loads(told)["ok"]) == (0, True)


@pytest.mark.parametrize("number", range(CUTS))
def test_a_cable_that_is_out_for_ten_seconds_ends_nothing(bench: Bench, number: int) -> None:
    """TCP carries it over, and nothing is left on the machines; a host in turn is cut off."""
    before, name = bench.look(), MACHINES[(number + 1) % len(MACHINES)]
    running = started(bench, SHIPPED, "--lab-stage", "isolated", "-k", "vlan")
    while not bench.bed.on("host1", "ls", "/run/macvlan-harness.lock").stdout:
        time.sleep(0.05)
    bench.bed.cut(name)
    time.sleep(10)
    bench.bed.mend(name)
    assert "PASS " in ended(running)
    assert wait_until(bench, before) == []
