"""`scripts/setup`, run in a copy of the checkout on a PATH that holds only what a test puts there.

Nothing is installed: package managers, sudo and Python are stubs that write down how they were
called, and `install` in a stub's script stands for what a package would bring.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.needs import PROGRAMS

CHECKOUT = Path(__file__).parents[1]
BASE = tuple(
    "sh cat chmod cksum cp dirname env grep mkdir rm sed sort tail tr".split()  # noqa: SIM905
)
"""What the script and the stubs take for granted on any system."""
PROGRAM_STUBS = {
    "unshare": "echo unshare from util-linux 2.38",
    "nsenter": "echo nsenter from util-linux 2.38",
    "setpriv": "echo setpriv from util-linux 2.38",
    "ip": "echo ip utility, iproute2-6.1.0",
    "iptables-nft": "",
    "sysctl": "",
    "nft": "",
    "ping": "echo ping from iputils 20221126",
    "modprobe": "",
}
PYTHON_STUB = """
case "$*" in
*version_info*) exit 0 ;;
"-m venv .venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    echo "VIRTUAL_ENV=$(pwd -P)/.venv" >.venv/bin/activate ;;
*"pip install"*)
    cp "$0" .venv/bin/pytest
    echo "Successfully installed everything" ;;
esac
"""
MANAGERS = {"apt-get": "apt", "dnf": "dnf", "apk": "apk", "pacman": "pacman"}
"""The program of each package manager that `harness.needs` knows by a shorter name."""


@dataclass(frozen=True)
class Sandbox:
    """A checkout of its own and the folder that is its whole PATH."""

    checkout: Path
    bin: Path

    def stub(self, name: str, script: str = "", *, code: int = 0) -> None:
        """Put a program on the PATH that notes its arguments and then runs a few lines of sh."""
        path = self.bin / name
        log = self.checkout / "calls"
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{log}"\n{script}\nexit {code}\n')
        path.chmod(0o755)

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script as a user would from somewhere else."""
        return subprocess.run(
            ["sh", str(self.checkout / "scripts/setup"), *arguments],
            cwd="/",
            env={"PATH": str(self.bin), "SBIN": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self, name: str) -> list[str]:
        """How a stub was called so far."""
        log = self.checkout / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line.split()[0] == name]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A machine of root's where nothing is missing and no package manager is known."""
    made = Sandbox(tmp_path / "checkout", tmp_path / "bin")
    (made.checkout / "scripts").mkdir(parents=True)
    made.bin.mkdir()
    for file in ("scripts/setup", "pyproject.toml"):
        shutil.copy(CHECKOUT / file, made.checkout / file)
    for name in BASE:
        (made.bin / name).symlink_to(str(shutil.which(name)))
    for name, script in PROGRAM_STUBS.items():
        made.stub(name, script)
    made.stub("python3", PYTHON_STUB)
    made.stub("id", "echo 0")
    return made


def test_first_run_makes_the_venv_and_installs_into_it(sandbox: Sandbox) -> None:
    """With every program there, only .venv is made."""
    done = sandbox.setup()
    assert done.returncode == 0, done.stderr
    assert "making .venv" in done.stdout
    *_, installed, compiled = sandbox.calls("python3")
    assert "--editable ." in installed
    assert compiled == "python3 -m compileall -qq harness"


def test_second_run_does_nothing(sandbox: Sandbox) -> None:
    """A repeated run says nothing and calls neither venv nor pip again."""
    sandbox.setup()
    before = sandbox.calls("python3")
    done = sandbox.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not [
        call for call in sandbox.calls("python3")[len(before) :] if "version_info" not in call
    ]


def test_dev_after_plain_installs_the_extra_and_then_satisfies_both(sandbox: Sandbox) -> None:
    """The extra is added to a plain .venv, and a plain run keeps what dev installed."""
    sandbox.setup()
    assert "macvlan-harness[dev]" in sandbox.setup("dev").stdout
    assert sandbox.setup().stdout == ""
    assert sandbox.setup("dev").stdout == ""


def test_changed_requirements_are_installed(sandbox: Sandbox) -> None:
    """A change of pyproject.toml makes the next run install again, into the same .venv."""
    sandbox.setup()
    with (sandbox.checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    done = sandbox.setup()
    assert "installing into .venv" in done.stdout
    assert "making .venv" not in done.stdout


@pytest.mark.parametrize("broken", ["bin/python", "bin/activate"])
def test_half_made_venv_is_made_again(sandbox: Sandbox, broken: str) -> None:
    """A .venv that lacks a part of itself is told of and replaced."""
    sandbox.setup()
    (sandbox.checkout / ".venv" / broken).unlink()
    (sandbox.checkout / ".venv/setup-stamp").unlink()
    done = sandbox.setup()
    assert done.returncode == 0, done.stderr
    assert ".venv is broken or half made" in done.stdout


def test_moved_checkout_gets_a_venv_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    """A .venv names its place in its scripts, so one that was moved is replaced."""
    sandbox.setup()
    moved = Sandbox(sandbox.checkout.rename(tmp_path / "moved"), sandbox.bin)
    assert ".venv is broken or half made, or was moved here" in moved.setup().stdout


@pytest.mark.parametrize("manager", MANAGERS)
def test_missing_programs_are_installed_by_the_systems_own_manager(
    sandbox: Sandbox, manager: str
) -> None:
    """One command installs the packages that `harness doctor` names, and is shown first."""
    for name in PROGRAM_STUBS:
        (sandbox.bin / name).unlink()
    sandbox.stub(manager)
    done = sandbox.setup()
    assert "setup: missing: unshare nsenter setpriv ip iptables sysctl" in done.stdout
    short = MANAGERS[manager]
    expected = {p.packages.get(short, p.packages["*"]) for p in PROGRAMS if p.required}
    installing = sandbox.calls(manager)[-1]
    assert expected <= set(installing.split())
    assert installing in done.stdout
    assert done.returncode == 1
    assert "setup: still missing after installation: unshare" in done.stderr


@pytest.mark.parametrize("program", ["unshare", "nsenter", "setpriv", "ip"])
def test_busyboxs_programs_do_not_count(sandbox: Sandbox, program: str) -> None:
    """Programs of busybox lack options that the harness uses, so the real ones are installed."""
    sandbox.stub(program, "echo BusyBox v1.36.1")
    sandbox.stub("apk", f"rm '{sandbox.bin}/{program}'")
    assert f"setup: missing: {program}\n" in sandbox.setup().stdout


def test_test_machines_take_ssh_sshd_sudo_and_dockerd(sandbox: Sandbox) -> None:
    """Both ends of SSH are installed, with what logins and the machines' containers need."""
    for name in ("ssh", "sudo", "dockerd", "busybox"):
        sandbox.stub(name)
    sandbox.stub("apt-get", "")
    assert "setup: missing: sshd\n" in sandbox.setup("ssh").stdout
    assert sandbox.calls("apt-get")[-1].endswith(" openssh-server")
    (sandbox.bin / "ssh").unlink()
    (sandbox.bin / "sudo").unlink()
    (sandbox.bin / "dockerd").unlink()
    assert "setup: missing: dockerd ssh sshd sudo\n" in sandbox.setup("ssh").stdout
    assert "ssh" not in sandbox.setup("docker").stdout


def test_sshd_of_test_machines_starts_nowhere_else(sandbox: Sandbox) -> None:
    """Its units are masked before the package is there; where that fails, it is not installed."""
    for name in ("ssh", "sudo", "dockerd", "busybox"):
        sandbox.stub(name)
    sandbox.stub("apt-get", f"[ $1 = update ] || cp '{sandbox.bin}/ssh' '{sandbox.bin}/sshd'")
    sandbox.stub("systemctl", code=1)
    assert "systemctl mask failed" in sandbox.setup("ssh").stderr
    assert not (sandbox.bin / "sshd").exists()
    sandbox.stub("systemctl")
    assert "unmask undoes it" in sandbox.setup("ssh").stdout
    assert sandbox.calls("systemctl")[-1] == "systemctl mask ssh.service ssh.socket sshd.service"
    before = len(sandbox.calls("systemctl"))
    sandbox.setup("ssh")
    assert len(sandbox.calls("systemctl")) == before


def test_apt_lists_are_fetched_only_when_something_is_missing(sandbox: Sandbox) -> None:
    """apt-get is not called at all on a machine that lacks nothing."""
    sandbox.stub("apt-get")
    sandbox.setup()
    assert sandbox.calls("apt-get") == []
    (sandbox.bin / "ip").unlink()
    sandbox.setup()
    assert sandbox.calls("apt-get")[0] == "apt-get update -q"


def test_ifupdown_is_unpacked_and_not_installed(sandbox: Sandbox) -> None:
    """Once, for tests alone; no package manager is asked to change this machine."""
    sandbox.stub("apt-get", ": >ifupdown_0.8.41_amd64.deb")
    sandbox.stub("dpkg-deb")
    assert sandbox.setup().returncode == 0
    assert sandbox.calls("apt-get") == []
    for _ in range(2):
        assert sandbox.setup("dev").returncode == 0
    assert sandbox.calls("apt-get") == ["apt-get download -q ifupdown"]
    assert sandbox.calls("dpkg-deb") == ["dpkg-deb -x ifupdown_0.8.41_amd64.deb ."]
    assert (sandbox.checkout / ".venv/ifupdown/ifupdown_0.8.41_amd64.deb").exists()


def test_ifupdown_may_be_out_of_reach(sandbox: Sandbox) -> None:
    """That is said once, with why and what to do; all the rest is there."""
    sandbox.stub("apt-get", "echo E: Unable to locate package ifupdown", code=100)
    sandbox.stub("dpkg-deb")
    said = sandbox.setup("dev")
    assert said.returncode == 0
    assert "no ifupdown to test with (E: Unable to locate package ifupdown);" in said.stdout
    assert "rm -r .venv/ifupdown" in said.stdout
    assert sandbox.setup("dev").stdout == ""


def test_debians_python_without_ensurepip_gets_python3_venv(sandbox: Sandbox) -> None:
    """Debian's python3 can make no venv before python3-venv is there; then it does."""
    flag = sandbox.checkout / "has-venv"
    sandbox.stub(
        "python3", f'case "$*" in *ensurepip*) [ -e "{flag}" ] || exit 1 ;; esac{PYTHON_STUB}'
    )
    sandbox.stub("apt-get", f'case "$*" in *python3-venv*) : >"{flag}" ;; esac')
    done = sandbox.setup()
    assert done.returncode == 0, done.stderr
    assert "installing system packages: python3 python3-venv" in done.stdout


def test_newer_python_beside_an_old_python3_is_used(sandbox: Sandbox) -> None:
    """An old python3 is passed over for a python3.12 that is there too."""
    sandbox.stub("python3", code=1)
    sandbox.stub("python3.12", PYTHON_STUB)
    assert sandbox.setup().returncode == 0
    assert sandbox.calls("python3.12")[-2].endswith("--editable .")


def test_too_old_python_says_what_to_install(sandbox: Sandbox) -> None:
    """Where no newer Python can be had, the message names the oldest that will do, and how."""
    sandbox.stub("python3", 'case "$*" in --version) echo Python 3.9.2; exit 0 ;; esac', code=1)
    sandbox.stub("apt-get")
    sandbox.stub("apt-cache", code=1)
    done = sandbox.setup()
    assert done.returncode == 1
    assert "no Python 3.11 or newer that can make a venv; python3 is Python 3.9.2" in done.stderr
    assert "apt-get install -y --no-install-recommends python3.11 python3.11-venv" in done.stderr


def test_user_without_sudo_is_told_the_command(sandbox: Sandbox) -> None:
    """A user who cannot become root gets one line with the exact command, and nothing is run."""
    (sandbox.bin / "ip").unlink()
    sandbox.stub("id", "echo 1000")
    sandbox.stub("dnf")
    done = sandbox.setup()
    assert done.returncode == 1
    assert done.stderr == (
        "setup: this needs root, and there is no sudo; run as root: dnf install -y iproute\n"
    )
    assert sandbox.calls("dnf") == []


def test_user_with_sudo_installs_through_it_without_waiting_for_a_password(
    sandbox: Sandbox,
) -> None:
    """Without a terminal sudo is told not to ask."""
    (sandbox.bin / "ip").unlink()
    sandbox.stub("id", "echo 1000")
    sandbox.stub("dnf")
    sandbox.stub("sudo")
    sandbox.setup()
    assert sandbox.calls("sudo")[-1].startswith("sudo -n env ")
    assert sandbox.calls("sudo")[-1].endswith("dnf install -y iproute")


def test_unknown_system_is_told_what_is_missing(sandbox: Sandbox) -> None:
    """Without a known package manager the missing programs are named."""
    (sandbox.bin / "ip").unlink()
    done = sandbox.setup()
    assert done.returncode == 1
    assert "no apt-get, dnf, apk or pacman here; install by hand: ip" in done.stderr


def test_pips_failure_is_shown_once_and_leaves_no_stamp(sandbox: Sandbox) -> None:
    """When pip fails its last lines are shown, and the next run tries again."""
    failing = PYTHON_STUB.replace("pip install", "no such")
    sandbox.stub(
        "python3", f'case "$*" in *"pip install"*) echo no route to it; exit 1 ;; esac{failing}'
    )
    done = sandbox.setup()
    assert done.returncode == 1
    assert "no route to it" in done.stderr
    assert "pip could not install the Python packages" in done.stderr
    assert not (sandbox.checkout / ".venv/setup-stamp").exists()


def test_unknown_argument_is_refused(sandbox: Sandbox) -> None:
    """Anything but `dev` is a mistake of usage."""
    done = sandbox.setup("prod")
    assert (done.returncode, done.stderr) == (2, "usage: scripts/setup [dev|docker|ssh|kernels]\n")


def test_script_is_executable() -> None:
    """`scripts/setup` and `.ci/run` can be started by name."""
    assert os.access(CHECKOUT / "scripts/setup", os.X_OK)
    assert os.access(CHECKOUT / ".ci/run", os.X_OK)
