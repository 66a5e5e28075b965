"""These suites break labs of their own on purpose, two side by side."""

import os

import pytest

from harness.errors import Unsupported
from harness.faults.benches import Benches
from harness.faults.catalogue import FAULTS
from harness.faults.grammar import drawn
from harness.faults.table import table
from harness.faults.trial import Trial
from harness.faults.tried import Tried

LABS = 2
"""On this machine's kernel; one on another, which takes a machine of its own."""
TRIED = pytest.StashKey[list[Tried]]()
TRIALS = pytest.StashKey[list[Trial]]()
COUNT, FIRST = "RANDOM_FAULTS", "RANDOM_FAULTS_FIRST"
"""Variables that say how many random faults are drawn (40), and the first seed (0)."""


def pytest_generate_tests(metafunc):
    """Give each fault a test, those of one topology one after another."""
    if "tried" in metafunc.fixturenames:
        faults = sorted(FAULTS, key=lambda fault: (fault.backend, fault.topology, fault.stage))
        metafunc.parametrize("tried", faults, ids=[fault.name for fault in faults], indirect=True)
    if "trial" in metafunc.fixturenames:
        first = int(os.environ.get(FIRST, "0"))
        seeds = range(first, first + int(os.environ.get(COUNT, "40")))
        faults = [drawn(seed) for seed in seeds]
        metafunc.parametrize("trial", faults, ids=[fault.name for fault in faults], indirect=True)


@pytest.fixture(scope="session")
def promised(request):
    """What will be found of each fault that a selected test asks for."""
    if os.geteuid() != 0:
        pytest.skip("breaking labs needs root")
    kernel = request.config.getoption("--lab-kernel")
    with Benches(1 if kernel else LABS, kernel) as benches:
        asked = [
            (item.callspec.params[name], ask)
            for item in request.session.items
            for name, ask in (("tried", benches.tried), ("trial", benches.trial))
            if name in item.fixturenames
        ]
        yield {fault.name: ask(fault) for fault, ask in asked}


@pytest.fixture
def tried(request, promised):
    """What was found of a fault: injected, swept, mended, undone, swept again."""
    try:
        found = promised[request.param.name].result()
    except Unsupported as error:
        pytest.skip(str(error))
    request.config.stash.setdefault(TRIED, []).append(found)
    return found


@pytest.fixture
def trial(request, promised):
    """What was found of a random fault."""
    found = promised[request.param.name].result()
    request.config.stash.setdefault(TRIALS, []).append(found)
    return found


@pytest.fixture
def trials(request):
    """All random faults of this run."""
    return request.config.stash.get(TRIALS, [])


def pytest_terminal_summary(terminalreporter, config):
    """Print the table of all that were tried, and what was unknown of the random ones."""
    if found := config.stash.get(TRIED, []):
        terminalreporter.write_line(f"\n{table(found)}")
    if found := config.stash.get(TRIALS, []):
        named, unknown = (sum(getattr(one, key) for one in found) for key in ("named", "unknown"))
        said = f"{len(found)} random faults: {named} diagnoses, {unknown} of them unknown"
        terminalreporter.write_line(f"\n{said}")
