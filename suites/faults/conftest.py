"""These suites break labs of their own on purpose, one for each topology."""

import os

import pytest

from harness.faults.bench import Benches
from harness.faults.catalogue import FAULTS
from harness.faults.table import table
from harness.faults.tried import Tried

TRIED = pytest.StashKey[list[Tried]]()


def pytest_generate_tests(metafunc):
    """Give each fault a test, those of one lab one after another."""
    if "tried" in metafunc.fixturenames:
        faults = sorted(FAULTS, key=lambda fault: (fault.backend, fault.topology, fault.stage))
        metafunc.parametrize("tried", faults, ids=[fault.name for fault in faults], indirect=True)


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


def pytest_terminal_summary(terminalreporter, config):
    """Print the table of all that were tried."""
    found = config.stash.get(TRIED, [])
    if found:
        terminalreporter.write_line("")
        terminalreporter.write_line(table(found))
