"""Folders of suites that break a lab on purpose are left out, unless they are named to pytest.

`pytest suites/` leaves the lab as it is; `pytest suites/lifecycle` restarts its containers.
"""

from pathlib import Path

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path, config):
    """Leave a folder out that no argument names, or lies in."""
    if collection_path.parent != HERE or not collection_path.is_dir():
        return None
    named = [Path(config.invocation_params.dir, arg.partition("::")[0]) for arg in config.args]
    inside = any(one.resolve().is_relative_to(collection_path.resolve()) for one in named)
    return None if inside else True
