"""The call channel to a worker, over mitogen, and the errors that it can end with.

mitogen needs nothing on the far side but python3, and carries plain data only: lists, dicts,
strings, numbers and bytes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

import mitogen.core
import mitogen.master
import mitogen.parent

from harness.errors import MachineError, WorkerFailed, WorkerLost


class Machine(Protocol):
    """A kernel that a worker can run on."""

    def start(self) -> Worker:
        """Start a worker; MachineError if the machine cannot have one."""


class Worker(Protocol):
    """A started worker: calls functions of `harness.worker.calls` where it runs."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call and wait for the result; WorkerLost if the worker ends before.

        WorkerFailed if the call ends in an error.
        """

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """Start a call; calling what is returned waits for its result."""

    def close(self) -> None:
        """End the worker, and with it what only it holds."""


class MitogenWorker:
    """A worker behind a mitogen context that `connect` makes; `on` is what errors call it.

    An answer that is waited for longer than `answer_s` makes the worker `silent`, which is lost.
    """

    def __init__(
        self,
        connect: Callable[[mitogen.master.Router], Any],
        on: str = "the worker",
        answer_s: float | None = None,
    ) -> None:
        logging.getLogger("mitogen").setLevel(logging.CRITICAL)
        self._broker = mitogen.master.Broker()
        router = mitogen.master.Router(self._broker)
        self._lock = threading.Lock()
        self._closed = False
        self._on, self._answer_s = on, answer_s
        self.silent = False
        try:
            self._context = connect(router)
        except mitogen.core.StreamError as error:
            self.close()
            raise MachineError(f"{on} did not start: {error}") from error
        except BaseException:
            self.close()
            raise
        self._child = router.stream_by_id(self._context.context_id).conn.proc.proc

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """See Worker."""
        return self.begin(function, *arguments)()

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """See Worker."""
        try:
            receiver = self._context.call_async(function, *arguments)
        except mitogen.core.Error as error:
            raise WorkerLost(f"{self._on} is gone: {error}") from error

        def result() -> Any:
            try:
                return receiver.get(timeout=self._answer_s).unpickle()
            except mitogen.core.TimeoutError as error:
                self.silent = True
                raise WorkerLost(f"{self._on} gave no word for {self._answer_s:g} s") from error
            except mitogen.core.ChannelError as error:
                raise WorkerLost(f"{self._on} ended before it answered; run again") from error
            except mitogen.core.CallError as error:
                problem = str(error).partition("\n")[0]  # the worker's traceback follows
                raise WorkerFailed(f"{self._on} failed: {problem}") from error

        return result

    def close(self) -> None:
        """See Worker. Closing twice is closing once; what is silent does not end when asked."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._broker.shutdown()
                self._broker.join()
                if self.silent:
                    self._child.kill()
                    self._child.wait()
