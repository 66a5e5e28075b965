"""A client of a lab's engine, by the Docker SDK.

The SDK, which is pure Python, comes over the call channel like pyroute2. It is imported when it is
first needed: the controller imports these modules to name their functions only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.worker import engine

DEADLINE_S = 120
"""An engine answers in milliseconds, and starts a container in 0.3 s; on an emulated machine that
has other work too, in half a minute."""


@contextmanager
def connected(host: str, patience_s: float = DEADLINE_S) -> Iterator[Any]:
    """A client of a host's engine; what the engine or the SDK complain of is an OSError.

    A ConnectionError if there is no answer, also after `patience_s`.
    """
    try:
        import docker
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError
    except (ImportError, SyntaxError, TypeError) as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise OSError(
            f"the Docker SDK that comes along is too new for the Python {version} of {host}; say "
            "`python: PATH` of a newer one, or `endpoints: namespace`"
        ) from error
    opened = None
    try:
        opened = docker.DockerClient(
            base_url=f"unix://{engine.path(host, 'sock')}", version="auto", timeout=patience_s
        )
        yield opened
    except docker.errors.APIError as error:
        raise OSError(f"the engine says: {error.explanation}") from error
    except (docker.errors.DockerException, RequestException, HTTPError) as error:
        raise ConnectionError(f"no answer from the engine: {error}") from error
    finally:
        if opened is not None:
            opened.close()


def pid(host: str, name: str) -> int:
    """The first process of a container; OSError if it does not run."""
    with connected(host) as client:
        state = client.api.inspect_container(name)["State"]
    if not state["Running"]:
        ended = f"it has ended with code {state['ExitCode']} {state['Error']}".strip()
        raise OSError(f"the container {name} on {host} does not run: {ended}")
    return int(state["Pid"])
