"""Random changes of the shipped topology files: each gives a lab, or clear errors, and soon."""

from __future__ import annotations

import re
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from harness import labs, topology
from harness.errors import TopologyError
from harness.matrix import matrix
from harness.topology import Topology
from tests.lab.mutate import mutated

EXAMPLES = 200
LIMIT_S = 15
"""The longest that a file may take, its lab built and taken down included: it takes a tenth of that
on a machine that has nothing else to do."""
MISTAKE = re.compile(r"topology\.yaml(:\d+)?: \S[^\n]*")
"""One line, and where the mistake is."""

seen: Counter[str] = Counter()
built: set[Topology] = set()
"""Labs that were built, by what decides how: what a file says in other words is not built again."""


class Hung(Exception):
    """A file took longer than it may."""


@contextmanager
def limited() -> Iterator[None]:
    """Give the body a limited time."""

    def ring(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read(path: Path) -> Topology | None:
    """The lab that a file describes; None if it told its mistakes as it must."""
    try:
        return topology.read(path)
    except TopologyError as error:
        lines = str(error).split("\n")
        assert lines
        for line in lines:
            assert MISTAKE.fullmatch(line.removeprefix(f"{path.parent}/")), line
            assert line.isprintable()
        return None


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(octets=mutated())
def test_a_mutation_is_a_lab_or_a_clear_error(octets: bytes) -> None:
    """No traceback, nothing that hangs; what was built is gone (`untouched` sees to that)."""
    with tempfile.TemporaryDirectory() as folder, limited():
        path = Path(folder) / "topology.yaml"
        path.write_bytes(octets)
        lab = read(path)
        seen["error" if lab is None else "lab"] += 1
        if lab is None:
            return
        assert matrix(lab, lab.stages).cells or matrix(lab, lab.stages).not_applicable
        same = replace(lab, name="", purpose="")
        if same in built:
            return
        built.add(same)
        private = labs.private(str(path)).open()
        try:
            private.enter(lab.stages[-1])
        finally:
            private.close()


def test_both_ends_were_met() -> None:
    """Of the files above a fair share was valid, and a fair share was not."""
    if not seen:
        pytest.skip("needs test_a_mutation_is_a_lab_or_a_clear_error before it")
    assert min(seen["error"], seen["lab"]) >= EXAMPLES // 10, seen
