"""These suites break labs of their own on purpose, one for each topology."""

import os

import pytest

from harness.faults.benches import Benches
from harness.faults.catalogue import FAULTS
from harness.faults.grammar import drawn
from harness.faults.table import table
from harness.faults.trial import Trial
from harness.faults.tried import Tried

TRIED = pytest.StashKey[list[Tried]]()
TRIALS = pytest.StashKey[list[Trial]]()
COUNT, FIRST = "RANDOM_FAULTS", "RANDOM_FAULTS_FIRST"
"""Variables that say how many random faults are drawn (40), and the first seed (0)."""


def pytest_generate_tests(metafunc):
    """Give each fault a test, those of one lab one after another."""
    if "tried" in metafunc.fixturenames:
        faults = sorted(FAULTS, key=lambda fault: (fault.backend, fault.topology, fault.stage))
        metafunc.parametrize("tried", faults, ids=[fault.name for fault in faults], indirect=True)
    if "trial" in metafunc.fixturenames:
        first = int(os.environ.get(FIRST, "0"))
        seeds = range(first, first + int(os.environ.get(COUNT, "40")))
        metafunc.parametrize("trial", seeds, ids=[f"seed-{seed}" for seed in seeds], indirect=True)


@pytest.fixture(scope="session")
def benches():
    """The labs, each gone before the next is built."""
    if os.geteuid() != 0:
        pytest.skip("breaking labs needs root")
    with Benches() as opened:
        yield opened


@pytest.fixture
def tried(request, benches):
    """What was found of a fault: injected, swept, undone, swept again."""
    found = benches.tried(request.param)
    request.config.stash.setdefault(TRIED, []).append(found)
    return found


@pytest.fixture
def trial(request, benches):
    """What was found of a random fault."""
    found = benches.trial(drawn(request.param))
    request.config.stash.setdefault(TRIALS, []).append(found)
    return found


@pytest.fixture
def trials(request):
    """All random faults of this run."""
    return request.config.stash.get(TRIALS, [])


def pytest_terminal_summary(terminalreporter, config):
    """Print the table of all that were tried, and what was unknown of the random ones."""
    drawn_ones = config.stash.get(TRIALS, [])
    if drawn_ones:
        named, unknown = (
            sum(getattr(one, key) for one in drawn_ones) for key in ("named", "unknown")
        )
        terminalreporter.write_line("")
        terminalreporter.write_line(
            f"{len(drawn_ones)} random faults: {named} diagnoses, {unknown} of them unknown"
        )
    found = config.stash.get(TRIED, [])
    if found:
        terminalreporter.write_line("")
        terminalreporter.write_line(table(found))
