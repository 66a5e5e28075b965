"""The contract of every kind of machine, and of the workers that it starts."""

from __future__ import annotations

import os
import re
import signal
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from harness.errors import WorkerFailed, WorkerLost
from harness.machines.ssh import SshMachine
from harness.machines.worker import Machine, Worker
from harness.testbed import Testbed
from harness.testing import FakeMachine, Faults
from harness.worker import calls
from tests.lab import snapshot

DEADLINE_S = 30.0
"""What hangs is found out after this time; nothing here takes a tenth of it."""
NAMESPACE = {"do": "namespace", "node": "host1"}
OF_ENGINES = {"versions", "control_group"}
"""What the controller asks of engines, which is not in `calls`."""
OF_LAB_HOSTS = {"alive", "named", "settle", "survey", "undo"}
"""What it asks of lab hosts only, which the fake is none of."""


@pytest.fixture
def worker(machine: Machine) -> Iterator[Worker]:
    """A started worker of each kind."""
    with closing(machine.start()) as started:
        yield started


@pytest.fixture
def real_worker(real_machine: Machine) -> Iterator[Worker]:
    """A started worker of each kind that is a process."""
    with closing(real_machine.start()) as started:
        yield started


def test_calls_return_plain_data(worker: Worker) -> None:
    """What a call returns is made of builtin values only: that is what crosses the channel."""
    worker.call(calls.prepare)
    answers = [
        worker.call(calls.apply, [NAMESPACE]),
        worker.call(calls.facts),
        worker.call(calls.evidence, [("host1", "links"), ("host1", "sysctls")]),
        worker.call(calls.noted),
    ]
    assert answers[0] == {"done": 1}
    assert all(map(_is_plain, answers))


def test_facts_name_kernel_and_datapath(worker: Worker) -> None:
    """Every machine says what a report names."""
    facts = worker.call(calls.facts)
    assert {"kernel", "vlan_datapath", "firewall_backend", "versions"} <= facts.keys()


def test_failed_step_is_an_answer(worker: Worker) -> None:
    """A step that the kernel refuses ends the steps, with their number and its reason."""
    worker.call(calls.prepare)
    done = worker.call(calls.apply, [NAMESPACE, NAMESPACE, {**NAMESPACE, "node": "host2"}])
    assert done["done"] == 1
    assert "File exists" in done["reason"]


def test_unknown_command_is_an_answer(worker: Worker) -> None:
    """A command that is not there has the exit code of sh(1), 127."""
    worker.call(calls.prepare)
    worker.call(calls.apply, [NAMESPACE])
    assert worker.call(calls.run, "host1", ["no-such-command"])["code"] == 127


def test_note_is_kept(worker: Worker) -> None:
    """What a lab says of itself is read back as it was written."""
    worker.call(calls.prepare)
    worker.call(calls.note, {"stage": "routed"})
    assert worker.call(calls.noted) == {"stage": "routed"}


def test_error_in_a_call_is_one_line(worker: Worker) -> None:
    """What breaks inside a call comes as WorkerFailed, in one line and without a traceback."""
    worker.call(calls.prepare)
    with pytest.raises(WorkerFailed) as caught:
        worker.call(calls.apply)
    (line,) = str(caught.value).splitlines()
    assert re.match(r"the worker( on \w+)? failed: ", line)
    assert "TypeError" in line


def test_worker_goes_on_after_an_error(worker: Worker) -> None:
    """A call that broke does not take the worker with it."""
    worker.call(calls.prepare)
    with pytest.raises(WorkerFailed):
        worker.call(calls.apply)
    assert worker.call(calls.apply, [NAMESPACE]) == {"done": 1}


def test_results_are_had_in_any_order(worker: Worker) -> None:
    """Calls are carried out in the order in which they began, whoever is waited for first."""
    worker.call(calls.prepare)
    first = worker.begin(calls.apply, [NAMESPACE])
    second = worker.begin(calls.evidence, [("host1", "links")])
    assert second()[0]["node"] == "host1"
    assert first() == {"done": 1}


def test_begin_does_not_wait(real_worker: Worker, fifo: Fifo) -> None:
    """`begin` returns while the call is under way; here what ends the call comes after it."""
    under_way = real_worker.begin(calls.run, None, ["cat", fifo.there])
    fifo.here.write_text("written later", encoding="ascii")
    assert under_way()["out"] == "written later"


def test_close_twice_is_close_once(machine: Machine) -> None:
    """Who is not sure whether a worker is closed closes it."""
    started = machine.start()
    started.close()
    started.close()


def test_closed_worker_is_lost(machine: Machine) -> None:
    """A call on a closed worker says so and does not wait."""
    started = machine.start()
    started.close()
    with pytest.raises(WorkerLost):
        _within_deadline(lambda: started.call(calls.facts))


def test_workers_do_not_share(machine: Machine) -> None:
    """A machine can have several workers at once, each with calls of its own."""
    with closing(machine.start()) as one, closing(machine.start()) as other:
        assert one.call(calls.facts) == other.call(calls.facts)


def test_dead_worker_is_lost(real_worker: Worker) -> None:
    """A worker that was killed gives WorkerLost to the next call, not a wait for ever."""
    os.kill(_pid(), signal.SIGKILL)
    with pytest.raises(WorkerLost):
        _within_deadline(lambda: real_worker.call(calls.facts))


def test_worker_killed_inside_a_call_is_lost(real_worker: Worker, fifo: Fifo) -> None:
    """A call under way when its worker is killed ends as WorkerLost in one line."""
    under_way = real_worker.begin(calls.run, None, ["cat", fifo.there])
    os.kill(_pid(), signal.SIGKILL)
    with pytest.raises(WorkerLost) as caught:
        _within_deadline(under_way)
    assert len(str(caught.value).splitlines()) == 1


def test_fake_worker_is_lost_on_demand() -> None:
    """The fake loses its worker at the call that it is told, and every later one."""
    worker = FakeMachine(Faults(lost=("facts", 2))).start()
    worker.call(calls.facts)
    for _ in range(2):
        with pytest.raises(WorkerLost):
            worker.call(calls.facts)


def test_fake_answers_every_call() -> None:
    """The fake knows each function that a controller can call on it, and no other."""
    public = {name for name, value in vars(calls).items() if callable(value)} - set(dir(typing))
    assert FakeMachine().start()._answers.keys() == (public - OF_LAB_HOSTS) | OF_ENGINES


def test_nothing_is_left_after_close(real_machine: Machine) -> None:
    """When a worker is closed its processes, namespaces and files are gone at once."""
    before = snapshot.take()
    started = real_machine.start()
    started.call(calls.prepare)
    started.call(calls.apply, [NAMESPACE])
    started.close()
    assert snapshot.wait_until_clean(before) == ()


@dataclass(frozen=True)
class Fifo:
    """A named pipe: who reads it waits for a writer."""

    there: str
    """Its path on the machine."""
    here: Path


@pytest.fixture
def fifo(real_machine: Machine, request: pytest.FixtureRequest) -> Iterator[Fifo]:
    """A named pipe on the machine."""
    root = ""
    if isinstance(real_machine, SshMachine):
        bed: Testbed = request.getfixturevalue("testbed")
        root = bed.root_of(str(real_machine))
    with TemporaryDirectory(dir=f"{root}/tmp") as folder:
        here = Path(folder, "fifo")
        os.mkfifo(here)
        yield Fifo(str(here).removeprefix(root), here)


def _pid() -> int:
    """The worker's process: the last that descends from this one and runs the worker's python."""
    found = [os.getpid()]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, task.read_text(encoding="ascii").split())
    names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found[1:]}
    return max(pid for pid, command in names.items() if b"mitogen" in command)


def _within_deadline(wait: Callable[[], Any]) -> Any:
    """What `wait` gives; TimeoutError if it hangs."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(wait).result(DEADLINE_S)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bytes | int | float)
