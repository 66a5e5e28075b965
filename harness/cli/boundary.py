"""The edge to the user: every end of a command is an exit code and at most a line on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from harness.errors import HarnessError

UNKNOWN = 3
"""It could not be told, or not be built."""
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 and the signal's number, as sh(1) has it."""
TRACEBACK = "HARNESS_TRACEBACK"
"""Set this variable to see where an unexpected error comes from."""


class Program(click.Group):
    """The verbs, behind the boundary."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """See click: reads the arguments, and prints help."""
        with boundary():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        """See click: runs the verb."""
        with boundary():
            super().invoke(ctx)
            # Closed by who started this, it is None; an error of writing is to be met here.
            if sys.stdout:
                sys.stdout.flush()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order in which people meet them."""
        del ctx
        return list(self.commands)


@contextmanager
def boundary() -> Iterator[None]:
    """Turn what ends the body into an exit code."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except HarnessError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # What is still buffered goes nowhere, or Python complains about it at its end.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        complain(f"unexpected {type(error).__name__}: {error}; {TRACEBACK}=1 shows where")
        sys.exit(UNKNOWN)


def complain(message: str) -> None:
    """Say on stderr what is wrong."""
    lead = click.style("harness:", fg="red", bold=True)
    click.echo(f"{lead} {message}", err=True)
