"""The test machines are machines: apart from each other and from the one that carries them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.testbed import MACHINES, Layout, Testbed
from harness.worker.search import found
from tests.lab import snapshot

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def test_each_machine_is_reached_by_its_name(testbed: Testbed) -> None:
    """`ssh NAME` needs no option: user, key, host key and jump are in the controller's settings."""
    said = {name: testbed.run("ssh", name, "hostname").stdout.strip() for name in MACHINES}
    assert said == {name: name for name in MACHINES}


def test_one_login_needs_sudo(testbed: Testbed) -> None:
    """host1 lets an ordinary user in, who becomes root without a password."""
    assert testbed.run("ssh", "host1", "id -un; sudo -n id -un").stdout.split() == ["lab", "root"]


def test_one_machine_is_behind_another(testbed: Testbed) -> None:
    """Nothing of host2 is reached from the controller but through gateway."""
    straight = testbed.run("ssh", "-o", "ProxyJump=none", "-o", "ConnectTimeout=1", "host2", "true")
    assert straight.returncode == 255


def test_trunk_carries_tagged_frames_between_machines(testbed: Testbed) -> None:
    """An address on eth2 of one machine answers another's ping, and not the controller's."""
    for number, name in enumerate(("host1", "gateway"), 1):
        testbed.on(name, "ip", "address", "add", f"10.77.0.{number}/24", "dev", "eth2")
    ping = ("ping", "-c", "1", "-W", "1", "10.77.0.2")
    try:
        assert testbed.on("host1", *ping).returncode == 0
        assert testbed.run(*ping).returncode != 0
    finally:
        for number, name in enumerate(("host1", "gateway"), 1):
            testbed.on(name, "ip", "address", "delete", f"10.77.0.{number}/24", "dev", "eth2")


def test_what_a_machine_writes_is_its_own(testbed: Testbed) -> None:
    """A file of one machine is neither on another nor on the machine that carries it."""
    testbed.on("host1", "touch", "/etc/of-host1").check_returncode()
    assert testbed.on("gateway", "test", "-e", "/etc/of-host1").returncode == 1
    assert not Path("/etc/of-host1").exists()
    assert testbed.on("host1", "touch", "/usr/of-host1").returncode == 1


def test_sysctls_and_links_are_its_own(testbed: Testbed) -> None:
    """/proc/sys/net and /sys/class/net of a machine are those of its network namespace."""
    links = testbed.on("host1", "ls", "/sys/class/net").stdout.split()
    assert sorted(links) == ["eth1", "eth2", "lo"]


def test_reboot_keeps_the_disk_and_nothing_else(testbed: Testbed) -> None:
    """After a power cut files and host key are there; links, /run, processes are new."""
    before = testbed.on("host1", "cat", BOOT_ID).stdout
    for command in ("touch /etc/kept", "touch /run/lost", "ip link add lost type bridge"):
        testbed.on("host1", *command.split()).check_returncode()
    testbed.reboot("host1")
    assert testbed.on("host1", "cat", BOOT_ID).stdout != before
    assert testbed.on("host1", "test", "-e", "/etc/kept").returncode == 0
    assert testbed.on("host1", "test", "-e", "/run/lost").returncode == 1
    assert testbed.on("host1", "ip", "link", "show", "lost").returncode == 1
    assert testbed.run("ssh", "host1", "hostname").stdout == "host1\n"


def test_boot_script_runs_at_each_boot(testbed: Testbed) -> None:
    """/etc/rc.local is run with the network there, before anybody can log in."""
    script = "printf '#!/bin/sh\\nip address add 10.77.1.1/24 dev eth2\\n' >/etc/rc.local"
    testbed.on("gateway", "sh", "-c", f"{script}; chmod 755 /etc/rc.local").check_returncode()
    testbed.reboot("gateway")
    assert "10.77.1.1" in testbed.on("gateway", "ip", "-4", "address", "show", "eth2").stdout
    testbed.on("gateway", "rm", "/etc/rc.local").check_returncode()
    testbed.reboot("gateway")


def test_old_python_is_the_machines(testbed: Testbed) -> None:
    """`python3` of a login is the interpreter that the layout names."""
    wanted = testbed.layout.python.get("gateway")
    said = testbed.run("ssh", "gateway", "python3 -c 'import sys; print(sys.version_info[:2])'")
    assert wanted is None or said.stdout.strip() == "(3, 9)"


@pytest.mark.usefixtures("machines_are_here")
def test_exit_code_is_the_commands() -> None:
    """What runs beside the machines ends `python -m harness.testbed` as it ends itself."""
    argv = [sys.executable, "-m", "harness.testbed", "--no-docker", "--", "sh", "-c", "exit 7"]
    assert subprocess.run(argv, check=False, timeout=60).returncode == 7


@pytest.mark.usefixtures("machines_are_here")
def test_nothing_is_left_when_its_first_process_is_killed() -> None:
    """With engines running too: no process, namespace, mount or control group stays."""
    if not found("dockerd"):
        pytest.skip("no dockerd on this machine")
    before = snapshot.take()
    bed = Testbed(Layout())
    assert bed.on("host1", "docker", "version").returncode == 0
    bed.close()
    assert snapshot.wait_until_clean(before) == ()


def test_nothing_listens_on_the_carrying_machine(testbed: Testbed) -> None:
    """The machines' sshd is theirs: outside, port 22 is as it was."""
    assert testbed.on("host1", "ss", "-Hltn", "sport = :22").stdout
    ours = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    theirs = testbed.on("host1", "cat", "/proc/net/tcp").stdout.splitlines()[1:]
    assert not {line.split()[9] for line in ours} & {line.split()[9] for line in theirs}
