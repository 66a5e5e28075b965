"""The lab of this suite, a web server in it, and a browser for every node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.handle import LiveLab, Result

PORT = 8080
BROWSER = "import sys, urllib.request as web; print(web.urlopen(sys.argv[1], timeout=1).status)"


@pytest.fixture(scope="session")
def lab_topology() -> Path:
    """The topology beside this file."""
    return Path(__file__).with_name("topology.yaml")


@pytest.fixture(scope="session")
def web_server(lab: LiveLab) -> Iterator[str]:
    """A web server on bbox3, listening; its URL."""
    argv = [sys.executable, "-u", "-m", "http.server", str(PORT), "--directory", "/run"]
    with lab.start("bbox3", argv) as server:
        server.wait_for("Serving HTTP")
        yield f"http://{lab.topology.endpoint('bbox3').address}:{PORT}/"


@pytest.fixture
def browse_from(lab: LiveLab, web_server: str) -> Callable[[str], Result]:
    """Fetch the server's first page from a node."""
    return lambda node: lab.run(node, [sys.executable, "-c", BROWSER, web_server])
