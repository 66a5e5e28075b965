"""A worker that ssh reaches: how it is reached, what it says when it is not, how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MachineError, WorkerLost
from harness.machines.ssh import ALIVE_COUNT, ALIVE_S, SshMachine
from harness.machines.worker import Worker
from harness.testbed import MACHINES, Layout, Testbed
from harness.worker import calls
from tests.lab import snapshot

BOUND_S = ALIVE_S * (ALIVE_COUNT + 2)
"""When the loss of a machine that just vanishes is known."""
LOADED_S = 30.0
"""A process is there, or gone, by then on a machine that has much other work."""


@pytest.fixture
def bed(testbed: Testbed) -> Iterator[Testbed]:
    """The machines, from the controller's network."""
    with testbed.entered():
        yield testbed


def machine(bed: Testbed, destination: str, **options: Any) -> SshMachine:
    """A machine with the controller's settings of ssh."""
    return SshMachine(destination, config=bed.config, **options)


@pytest.mark.parametrize("name", MACHINES)
def test_worker_is_root_there(bed: Testbed, name: str) -> None:
    """Plain, by sudo and through a jump: the worker is root in the machine's own namespaces."""
    with closing(machine(bed, name, sudo=name in bed.layout.sudo).start()) as worker:
        said = worker.call(calls.run, None, ["sh", "-c", "hostname; id -u; readlink /proc/1/ns/*"])
    hostname, user, *namespaces = said["out"].split()
    there = bed.on(name, "sh", "-c", "readlink /proc/1/ns/*").stdout.split()
    assert (hostname, user, namespaces) == (name, "0", there)


def test_destination_may_have_a_port(bed: Testbed) -> None:
    """`user@host:port` is understood as well as ssh's own forms."""
    address = MACHINES["gateway"]
    for destination in (f"root@{address}:22", f"ssh://root@{address}:22", f"root@{address}"):
        with closing(machine(bed, destination).start()) as worker:
            assert worker.call(calls.run, None, ["hostname"])["out"] == "gateway\n"


@pytest.mark.parametrize(
    ("destination", "options", "said"),
    [
        ("nohost", {}, "no such host: nohost; correct its name in the topology"),
        ("root@192.168.56.101:23", {}, "refuses the connection; start sshd there"),
        ("root@192.168.56.99", {}, "does not answer; is it up"),
        ("daemon@gateway", {}, "the user may log in, but has no shell there"),
        ("gateway", {"python": "python7"}, "there is no python7; install it there"),
        ("lab@gateway", {}, "must be root there; log in as root, or say `become: sudo`"),
        ("guest@gateway", {"sudo": True}, "sudo wants a password there"),
        ("-oProxyCommand=true", {}, "is no destination for ssh"),
    ],
)
def test_error_names_machine_and_fix(
    bed: Testbed, destination: str, options: dict[str, Any], said: str
) -> None:
    """Each way in which no worker starts is one sentence that begins with the machine."""
    with pytest.raises(MachineError) as caught:
        machine(bed, destination, name="host7", **options).start()
    (line,) = str(caught.value).splitlines()
    assert line.startswith("host7: ")
    assert said in line


def test_unknown_host_key_is_refused(bed: Testbed, tmp_path: Path) -> None:
    """A machine that known_hosts does not have is not connected to."""
    known = tmp_path / "config"
    known.write_text(_without(bed, "UserKnownHostsFile") + "UserKnownHostsFile /dev/null\n")
    with pytest.raises(MachineError, match=r"^gateway: its host key is not known here; connect"):
        SshMachine("gateway", config=str(known)).start()


def test_changed_host_key_is_refused(bed: Testbed, tmp_path: Path) -> None:
    """A machine with another key than known_hosts has is not connected to, and it is said so."""
    keys = Path(f"{bed.root}/run/testbed/ssh/known_hosts").read_text().splitlines()
    host1 = next(line for line in keys if line.startswith("host1,"))
    other = tmp_path / "known_hosts"
    other.write_text(f"gateway,{MACHINES['gateway']} {host1.partition(' ')[2]}\n")
    config = tmp_path / "config"
    config.write_text(_without(bed, "UserKnownHostsFile") + f"UserKnownHostsFile {other}\n")
    with pytest.raises(MachineError, match=r"not the one that known_hosts has.*ssh-keygen -R"):
        SshMachine("gateway", config=str(config)).start()


def test_no_key_is_no_entry(bed: Testbed, tmp_path: Path) -> None:
    """Who has no key that the machine takes is told how to give it one."""
    config = tmp_path / "config"
    config.write_text(
        _without(bed, "IdentityFile") + "IdentityFile /dev/null\nIdentityAgent none\n"
    )
    with pytest.raises(MachineError, match=r"lets nobody in.*ssh-copy-id gateway"):
        SshMachine("gateway", config=str(config)).start()


def test_broken_settings_are_quoted(tmp_path: Path) -> None:
    """A mistake in ssh_config is shown as ssh says it."""
    config = tmp_path / "config"
    config.write_text("NoSuchWord yes\n")
    with pytest.raises(MachineError, match=r"does not understand its configuration: .*nosuchword"):
        SshMachine("gateway", config=str(config)).start()


def test_noise_of_a_login_is_passed_over(bed: Testbed) -> None:
    """A banner, and words that a shell's start file prints, do not disturb the channel."""
    noise = (
        "printf 'Banner /etc/issue\\n' >>/etc/ssh/sshd_config; echo password: >>/etc/issue; "
        "echo 'echo hello; echo password: >&2' >/root/.bashrc"
    )
    bed.on("gateway", "sh", "-c", noise).check_returncode()
    bed.reboot("gateway")
    try:
        with closing(machine(bed, "gateway").start()) as worker:
            assert worker.call(calls.run, None, ["hostname"])["out"] == "gateway\n"
    finally:
        mend = "rm /root/.bashrc /etc/issue; sed -i /^Banner/d /etc/ssh/sshd_config"
        bed.on("gateway", "sh", "-c", mend).check_returncode()
        bed.reboot("gateway")


@pytest.mark.usefixtures("machines_are_here")
def test_old_python_is_refused_with_its_version() -> None:
    """A python3 that is too old says which it is, and where to name another."""
    old = sorted(Path("~/.pyenv/versions").expanduser().glob("3.8.*/bin/python3.8"))
    if not old:
        pytest.skip("no Python 3.8 on this machine")
    with (
        Testbed(Layout(python={"gateway": str(old[0])}, engines=())) as older,
        older.entered(),
        pytest.raises(MachineError, match=r"gateway: its python3 is 3\.8\.\d+, and.* 3\.9"),
    ):
        machine(older, "gateway").start()


@pytest.mark.parametrize("name", ["gateway", "host1"])
def test_worker_ends_with_its_connection(bed: Testbed, name: str) -> None:
    """Also inside a call, and under sudo: when ssh is gone, nothing of the worker runs there."""
    with closing(machine(bed, name, sudo=name in bed.layout.sudo).start()) as worker:
        _sleeping(bed, name, worker)
    assert snapshot.wait_until(lambda: not _running(bed, name, "mitogen"), LOADED_S)


def test_killed_sshd_is_a_lost_worker(bed: Testbed) -> None:
    """When the session's sshd is killed, the call under way ends at once, and names the machine."""
    with closing(machine(bed, "gateway").start()) as worker:
        under_way = _sleeping(bed, "gateway", worker)
        bed.on("gateway", "pkill", "-KILL", "-f", "sshd: root").check_returncode()
        assert _seconds_to_loss(under_way, "worker on gateway") < 5
    assert snapshot.wait_until(lambda: not _running(bed, "gateway", "mitogen"), LOADED_S)


def test_reboot_is_a_lost_worker(bed: Testbed) -> None:
    """A machine that starts again while a call is under way has lost it; it answers anew."""
    with closing(machine(bed, "gateway").start()) as worker:
        under_way = _sleeping(bed, "gateway", worker)
        bed.reboot("gateway")
        assert _seconds_to_loss(under_way, "worker on gateway") < BOUND_S
    with closing(machine(bed, "gateway").start()) as worker:
        assert worker.call(calls.run, None, ["hostname"])["out"] == "gateway\n"


def test_short_cut_is_carried_over(bed: Testbed) -> None:
    """Ten seconds without eth1 delay an answer, and lose nothing."""
    with closing(machine(bed, "gateway").start()) as worker:
        under_way = worker.begin(calls.run, None, ["sh", "-c", "sleep 2; echo over"])
        bed.cut("gateway")
        began = time.monotonic()
        assert not snapshot.wait_until(lambda: bool(_running(bed, "host1", "never")), 10)
        bed.mend("gateway")
        assert under_way()["out"] == "over\n"
        assert time.monotonic() - began >= 10


def test_cut_for_good_is_told_in_bounded_time(bed: Testbed) -> None:
    """A machine that vanishes inside a call is lost within half a minute, not waited for."""
    with closing(machine(bed, "gateway").start()) as worker:
        under_way = worker.begin(calls.run, None, ["sleep", "3600"])
        bed.cut("gateway")
        try:
            assert _seconds_to_loss(under_way, "worker on gateway") < BOUND_S
        finally:
            bed.mend("gateway")
    bed.reboot("gateway")


def _seconds_to_loss(under_way: Callable[[], Any], named: str) -> float:
    began = time.monotonic()
    with pytest.raises(WorkerLost, match=named):
        under_way()
    return time.monotonic() - began


def _sleeping(bed: Testbed, name: str, worker: Worker) -> Any:
    """A call under way that takes an hour."""
    under_way = worker.begin(calls.run, None, ["sleep", "3600"])
    assert snapshot.wait_until(lambda: bool(_running(bed, name, "sleep 3600")), LOADED_S)
    return under_way


def _running(bed: Testbed, name: str, what: str) -> list[str]:
    """The processes of a machine whose command line has some words."""
    said = bed.on(name, "ps", "-eww", "-o", "args=").stdout.splitlines()
    return [line for line in said if what in line and "ps -eww" not in line]


def _without(bed: Testbed, word: str) -> str:
    """The controller's settings without a line; what is added stands under `Host *`."""
    lines = Path(bed.config).read_text().splitlines()
    return "\n".join(line for line in lines if word not in line) + "\n"
