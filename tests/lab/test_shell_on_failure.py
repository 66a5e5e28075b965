"""--lab-shell-on-failure at a real terminal, on a real lab that was broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.broken import ROOT, Up, harness

END_S = 60.0
TYPED = b"ip -brief link show dev eth2.10; cat /proc/sys/net/ipv4/ip_forward; exit\n"


@pytest.fixture
def broken(name: str, tmp_path: Path) -> Up:
    """A lab that is up, whose gateway does not forward any more."""
    harness("up", "--name", name)
    up = Up(name, tmp_path)
    up.do((("gateway", "sysctl", "-w", "net.ipv4.ip_forward=0"),))
    return up


def at_terminal(*words: str) -> str:
    """What a run says at a terminal at which somebody has typed ahead."""
    ours, theirs = os.openpty()
    os.write(ours, TYPED)
    command = [sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider", *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "SHELL": "/bin/sh", "TERM": "dumb"}, start_new_session=True,
    ) as run:  # fmt: skip
        os.close(theirs)
        said = b""
        try:
            while octets := os.read(ours, 65536):
                said += octets
        except OSError:  # the other end is closed: it has ended (EIO)
            pass
        assert run.wait(END_S) == pytest.ExitCode.TESTS_FAILED
    os.close(ours)
    return said.decode(errors="replace")


def test_a_shell_where_the_cause_is(broken: Up) -> None:
    """One failure, a shell in the node that its diagnosis names, and the run ends with it."""
    said = at_terminal("--lab-attach", broken.name, "--lab-shell-on-failure", "-k", "icmp]")
    harness("down", broken.name)
    assert said.count("a shell in gateway; its end ends the run and the lab") == 1
    assert "eth2.10@" in said
    assert "\r\n0\r\n" in said
    assert "1 failed" in said


def test_a_green_run_opens_none(tmp_path: Path) -> None:
    """It goes through all stages, as without the option."""
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-k", "bbox1-to-bbox4-icmp]"]
    done = subprocess.run(
        [*command, "--lab-shell-on-failure", f"--lab-reports={tmp_path}", "-p", "no:cacheprovider"],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "a shell in" not in done.stdout
