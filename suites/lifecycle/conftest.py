"""These suites restart containers and engines, so they work on a lab of their own."""

import pytest


def pytest_collection_modifyitems(config):
    """Refuse what has no engines, and a lab that is to stay as it is."""
    if config.option.lab_attach:
        raise pytest.UsageError("suites/lifecycle changes its lab; run it without --lab-attach")
    if config.option.lab_backend != "docker":
        raise pytest.UsageError("suites/lifecycle restarts engines: give it --lab-backend docker")
