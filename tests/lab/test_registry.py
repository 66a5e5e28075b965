"""The registry says what is up, and nothing else."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from harness.errors import InputError, LabExists, LabNotFound, MachineError
from harness.machines import holder, registry
from tests.lab import snapshot
from tests.lab.conftest import DESCRIPTION

IMPOSTOR = """
import os, socket, sys
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1].replace("@", chr(0)))
listener.listen()
print("listening", flush=True)
sys.stdin.readline()
"""
"""Another user's process that has the address of a lab of root's."""


def test_lab_is_found_as_it_was_described(lab: registry.LabRecord, name: str) -> None:
    """What `harness up` said of its lab is what others read."""
    assert lab.description == DESCRIPTION
    assert (lab.name, lab.uid) == (name, os.getuid())
    assert lab in registry.labs()


def test_snapshot_sees_a_lab(untouched: snapshot.Snapshot, lab: registry.LabRecord) -> None:
    """The look at the machine that other tests rely on does find a lab that is there."""
    kinds = {line.partition(":")[0] for line in snapshot.left(untouched)}
    assert {"processes", "namespaces", "sockets"} <= kinds
    assert any(str(lab.init_pid) in line for line in snapshot.left(untouched))


def test_unknown_lab_is_answered_with_those_that_are_up(lab: registry.LabRecord) -> None:
    """The message names what could have been meant."""
    with pytest.raises(LabNotFound, match=f"no lab named 'nowhere' is up .*{lab.name}"):
        registry.find("nowhere")
    with pytest.raises(LabNotFound, match=lab.name):
        registry.stop("nowhere")


def test_lab_that_is_being_built_is_not_up(name: str) -> None:
    """Nobody enters half a lab, but its name is taken and `down` ends it."""
    with registry.start(name) as pending:
        with pytest.raises(LabNotFound):
            registry.find(name)
        with pytest.raises(LabExists, match=name):
            registry.start(name)
        assert name in registry.names()
        registry.stop(name)
        with pytest.raises(MachineError, match="ended while it was built"):
            pending.commit(DESCRIPTION)


def test_commit_to_a_lab_that_ended_is_an_error(name: str) -> None:
    """A lab that died under the builder's hands is not reported as up."""
    with registry.start(name) as pending:
        first = os.pidfd_open(pending.init_pid)
        signal.pidfd_send_signal(first, signal.SIGKILL)
        select.select([first], [], [])
        os.close(first)
        with pytest.raises(MachineError, match="ended while it was built"):
            pending.commit(DESCRIPTION)


def test_lab_goes_down_with_a_failed_build(name: str) -> None:
    """What is not committed does not stay."""
    with pytest.raises(RuntimeError), registry.start(name):
        raise RuntimeError
    assert name not in registry.names()


def test_stop_waits_until_the_lab_is_gone(lab: registry.LabRecord) -> None:
    """After `down` the same name can come up, and no process of the lab is alive."""
    first = os.pidfd_open(lab.init_pid)
    registry.stop(lab.name)
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(first, 0)
    os.close(first)


def test_second_lab_of_the_name_is_refused(
    lab: registry.LabRecord, up: Callable[[], registry.LabRecord]
) -> None:
    """The first one is not disturbed."""
    with pytest.raises(LabExists):
        up()
    assert registry.find(lab.name) == lab


def test_another_users_process_is_no_lab(name: str) -> None:
    """An address can be taken by anyone; who listens on it is what counts."""
    command = ["/usr/bin/env", "python3", "-c", IMPOSTOR]
    address = holder.address(os.getuid(), name).replace("\0", "@")
    with subprocess.Popen(
        [*command, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as impostor:
        assert impostor.stdout
        assert impostor.stdout.readline() == b"listening\n"
        assert name in registry.names()
        assert name not in [record.name for record in registry.labs()]
        with pytest.raises(LabNotFound):
            registry.stop(name)
        impostor.communicate(b"\n")


def test_socket_that_does_not_listen_is_no_lab(name: str) -> None:
    """A bound socket alone is nothing."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(holder.address(os.getuid(), name))
        assert name not in registry.names()


@pytest.mark.parametrize("bad", ["", "A", "-a", "a_b", "a\n", "a b", "a" * 32, "../a", "ä"])
def test_bad_name_is_refused(bad: str) -> None:
    """The message says what a name may be."""
    with pytest.raises(InputError, match="lower-case letters, digits and hyphens"):
        registry.start(bad)


def test_missing_program_is_an_error_that_names_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without util-linux there are no namespaces, and the error says why."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MachineError, match=r"setpriv.*harness doctor"):
        registry.start(name)


def test_holder_and_first_process_are_small(lab: registry.LabRecord) -> None:
    """A lab that stays up costs two small processes: no library of the harness is in them."""
    for pid in (lab.pid, lab.init_pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
            private = next(line for line in status if line.startswith("RssAnon:"))
        assert int(private.split()[1]) < 16_000, sys.version
