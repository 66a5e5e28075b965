"""A process in a lab's node: its exit code, its terminal, its signals, its end."""

from __future__ import annotations

import functools
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from harness.machines import enter, registry
from tests.lab import snapshot

ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
TALK_S = 20
"""Longer than any answer on a terminal takes."""
CONTROLLER = """
import sys
import mitogen.master
from harness.machines import enter
import time

broker = mitogen.master.Broker()
router = mitogen.master.Router(broker)
python = enter.worker_command(int(sys.argv[1]), sys.executable)
worker = router.local(python_path=python)
import os
print(worker.call(os.getpid), flush=True)
call = worker.call_async(time.sleep, 1000)
worker.call_async(print, "")
print("calling", flush=True)
call.get()
"""
"""A controller whose worker in the lab is inside a call."""


def _run(lab: registry.LabRecord, *argv: str, cwd: str = "/") -> subprocess.CompletedProcess[str]:
    command = enter.command(lab.init_pid, "bbox1", argv, cwd)
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -KILL $$"], -signal.SIGKILL),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        (["sh", "-c", "kill -INT $$"], -signal.SIGINT),
        (["no-such-command"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_exit_code_is_the_commands_own(lab: registry.LabRecord, argv: list[str], code: int) -> None:
    """Nothing on the way changes it."""
    assert _run(lab, *argv).returncode == code


def test_command_runs_in_the_node(lab: registry.LabRecord) -> None:
    """The node's links are seen, the machine's are not."""
    assert "eth2" in _run(lab, "ip", "-o", "link").stdout
    assert _run(lab, "ip", "-o", "link").stdout.count("\n") == 2


def test_processes_of_the_machine_are_not_seen(lab: registry.LabRecord) -> None:
    """The command is in the lab's PID namespace, and /proc shows that one."""
    assert _run(lab, "sh", "-c", "ls -d /proc/[0-9]* | wc -l").stdout.strip() < "9"


def test_directory_and_environment_are_kept(
    lab: registry.LabRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command finds what it would find outside, but for the network."""
    monkeypatch.setenv("MY_VARIABLE", "a value")
    done = _run(lab, "sh", "-c", 'pwd; echo "$MY_VARIABLE"', cwd=str(tmp_path))
    assert done.stdout == f"{tmp_path}\na value\n"


def test_input_is_passed_on(lab: registry.LabRecord) -> None:
    """Pipes go through."""
    command = enter.command(lab.init_pid, "bbox1", ["cat"], "/")
    done = subprocess.run(command, input="text", capture_output=True, text=True, check=True)
    assert done.stdout == "text"


def test_arguments_arrive_as_they_are(lab: registry.LabRecord) -> None:
    """No shell reads them on the way."""
    argv = ["a b", "$HOME", "--", "-x", "'", '"', "", "*"]
    assert _run(lab, "printf", "%s\n", *argv).stdout.splitlines() == argv


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signal_is_passed_on(lab: registry.LabRecord, number: signal.Signals) -> None:
    """Who ends `harness exec` ends the command in its own way."""
    script = f"trap 'echo got; exit 7' {number.name[3:]}; echo ready; while :; do sleep 0.01; done"
    # Under nohup(1) SIGHUP is ignored, and a shell cannot trap what it inherits ignored.
    heard = ["env", f"--default-signal={number.name[3:]}"]
    command = enter.command(lab.init_pid, "bbox1", ["sh", "-c", script], "/")
    with subprocess.Popen([*heard, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert (process.stdout.read(), process.wait()) == ("got\n", 7)


def test_command_dies_with_who_runs_it(lab: registry.LabRecord) -> None:
    """SIGKILL to `harness exec` leaves no command behind in the lab."""
    command = enter.command(lab.init_pid, "bbox1", ["sh", "-c", "echo ready; exec sleep 1000"], "/")
    before = snapshot.take()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    assert snapshot.wait_until_clean(before) == ()


def test_command_ends_with_its_lab(lab: registry.LabRecord) -> None:
    """`down` ends what runs in the lab, and who waits for it hears so."""
    command = enter.command(lab.init_pid, "bbox1", ["sh", "-c", "echo ready; exec sleep 1000"], "/")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        registry.stop(lab.name)
        assert process.wait(snapshot.DEADLINE_S) == -signal.SIGKILL


class Terminal:
    """The far side of a command's terminal: what a person types and reads."""

    def __init__(self, descriptor: int) -> None:
        self.type = functools.partial(os.write, descriptor)
        self._descriptor = descriptor
        self._unread = ""

    def expect(self, text: str) -> None:
        """Read on until just behind a text."""
        while text not in self._unread:
            ready, _, _ = select.select([self._descriptor], [], [], TALK_S)
            assert ready, f"no {text!r} in {self._unread!r}"
            self._unread += os.read(self._descriptor, 4096).decode()
        self._unread = self._unread.partition(text)[2]


def _on_terminal(lab: registry.LabRecord, talk: Callable[[Terminal], None], *argv: str) -> int:
    """The exit code of a command on a terminal of its own, after `talk` with that terminal."""
    command = enter.command(lab.init_pid, "bbox1", argv, "/")
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)  # noqa: S606 - an argv list
    try:
        talk(Terminal(descriptor))
        with suppress(OSError):
            while select.select([descriptor], [], [], TALK_S)[0]:
                os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
        if not snapshot.wait_until(lambda: os.waitid(os.P_PID, pid, ENDED) is not None):
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status)


def test_control_c_reaches_the_command_alone(lab: registry.LabRecord) -> None:
    """The command may take its time to end; `harness exec` waits for it."""

    def talk(terminal: Terminal) -> None:
        terminal.expect("ready")
        terminal.type(b"\x03")
        terminal.expect("the end")

    script = "trap 'sleep 0.1; echo the end; exit 5' INT; echo ready; sleep 1000 & wait"
    code = _on_terminal(lab, talk, "sh", "-c", script)
    assert code == 5


def test_shell_has_job_control(lab: registry.LabRecord) -> None:
    """In an interactive shell on a node Ctrl-C and Ctrl-Z act on the shell's own jobs."""

    def talk(terminal: Terminal) -> None:
        terminal.type(b"PS1='re''ady> '\n")
        terminal.expect("ready> ")
        terminal.type(b"sh -c 'echo run''ning; exec sleep 1000'\n")
        terminal.expect("running")
        terminal.type(b"\x1a")
        terminal.expect("Stopped")
        terminal.expect("ready> ")
        terminal.type(b"kill -KILL %1; exec sh -c 'exit 3'\n")

    code = _on_terminal(lab, talk, "bash", "--norc", "--noprofile", "-i")
    assert code == 3


def test_stopped_command_does_not_hold_up_the_end_of_its_lab(lab: registry.LabRecord) -> None:
    """Ctrl-Z at `harness exec` suspends nothing that the lab's end would have to wait for."""

    def talk(terminal: Terminal) -> None:
        terminal.expect("ready")
        terminal.type(b"\x1a")
        registry.stop(lab.name)

    code = _on_terminal(lab, talk, "sh", "-c", "echo ready; sleep 1000; :")
    assert code == -signal.SIGKILL


def test_worker_dies_with_its_controller_inside_a_call(
    untouched: snapshot.Snapshot, lab: registry.LabRecord
) -> None:
    """The lab stays, and nothing else of the run that was attached to it."""
    before = snapshot.take()
    command = [sys.executable, "-c", CONTROLLER, str(lab.init_pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout
        assert int(controller.stdout.readline()) > 1
        assert controller.stdout.readline() == "calling\n"
        assert snapshot.left(before)
        controller.kill()

    assert snapshot.wait_until_clean(before) == ()
    assert registry.find(lab.name) == lab
    assert snapshot.left(untouched)


def test_worker_is_in_the_labs_namespaces(lab: registry.LabRecord) -> None:
    """All three of them, and none of them its own."""
    kinds = ("net", "mnt", "pid")
    script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds)
    command = [*enter.worker_command(lab.init_pid, "sh"), "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    of_lab = [str(Path(f"/proc/{lab.init_pid}/ns/{kind}").readlink()) for kind in kinds]
    assert done.stdout.split() == of_lab
