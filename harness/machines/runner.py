"""Runs a command as a child in another PID namespace, and ends as it does. `runner.py CMD...`.

To be started by `nsenter --pid --no-fork`: nsenter's own fork would end at a Ctrl-C of the terminal
before its child can, and hands on no signal.

Job control does not stop it, nor its direct child. A stopped runner could not reap its child, and
a PID namespace does not end before its last process is reaped.
"""

from __future__ import annotations

import os
import signal
import sys

TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""The terminal sends these to the command as well."""
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(argv: list[str]) -> None:
    """Run the command and end with its exit code, or by the signal that ended it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*TERMINAL, *PASSED_ON})
    child = os.fork()
    if child == 0:
        for number in (signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.execvp(argv[0], argv)  # noqa: S606 - the user's own command
    for number in TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _end_as(_wait(child))


def _wait(child: int) -> int:
    """The wait status that the child ends with. It is reaped only when no signal can follow."""
    while _has_stopped(child):
        os.waitpid(child, os.WUNTRACED)
        os.kill(child, signal.SIGCONT)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    return os.waitpid(child, 0)[1]


def _has_stopped(child: int) -> bool:
    """Wait for the child to stop or to end; whether it has stopped."""
    seen = os.waitid(os.P_PID, child, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
    return seen is not None and seen.si_code == os.CLD_STOPPED


def _end_as(status: int) -> None:
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(sys.argv[1:])
