"""`harness.machines.rootless`: every way in which namespaces can be forbidden, as one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machines import rootless

EPERM = "unshare: unshare failed: Operation not permitted"
USER = 1000
LEAD = "an ordinary user cannot have a lab here: "


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root folder of a machine with user namespaces that nothing forbids."""
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/user").touch()
    (tmp_path / "proc/self/status").write_text("Name:\tpytest\nSeccomp:\t0\n")
    put(tmp_path, "user/max_user_namespaces", "15000")
    put(tmp_path, "kernel/unprivileged_userns_clone", "1")
    put(tmp_path, "kernel/apparmor_restrict_unprivileged_userns", "0")
    return tmp_path


def put(root: Path, file: str, value: str) -> None:
    """Give a sysctl a value."""
    path = root / "proc/sys" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("file", "value", "sentence"),
    [
        (
            "user/max_user_namespaces",
            "0",
            (
                "user.max_user_namespaces is 0; as root: sysctl -w user.max_user_namespaces=10000, "
                "or run it with sudo"
            ),
        ),
        (
            "kernel/unprivileged_userns_clone",
            "0",
            (
                "kernel.unprivileged_userns_clone is 0; as root: "
                "sysctl -w kernel.unprivileged_userns_clone=1, or run it with sudo"
            ),
        ),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            (
                "kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor leaves no rights "
                "there; as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a "
                "profile, see README.md, or run it with sudo"
            ),
        ),
    ],
)
def test_setting_that_forbids_is_named_with_its_remedy(
    machine: Path, file: str, value: str, sentence: str
) -> None:
    """A sysctl that forbids user namespaces is the reason, and setting it the way out."""
    put(machine, file, value)
    assert rootless.why(EPERM, machine, USER) == LEAD + sentence


@pytest.mark.parametrize("file", [file for file, *_ in rootless.SETTINGS])
def test_setting_that_the_kernel_lacks_forbids_nothing(machine: Path, file: str) -> None:
    """Debian's and Ubuntu's settings are not in every kernel."""
    (machine / "proc/sys" / file).unlink()
    assert rootless.why(EPERM, machine, USER) == (
        f"{LEAD}the kernel denies it a user namespace ({EPERM}); "
        "see `harness doctor`, or run it with sudo"
    )


def test_kernel_without_user_namespaces(machine: Path) -> None:
    """A kernel that was built without them is told by its option."""
    (machine / "proc/self/ns/user").unlink()
    said = rootless.why("unshare: unshare failed: Invalid argument", machine, USER)
    assert said.startswith(f"{LEAD}this kernel has no user namespaces; take a kernel with USER_NS")


def test_covered_proc_is_a_containers(machine: Path) -> None:
    """The kernel mounts no new /proc where parts of the old one are covered."""
    said = rootless.why("unshare: mount /proc failed: Operation not permitted", machine, USER)
    assert "parts of /proc are covered" in said
    assert "systempaths=unconfined" in said


def test_seccomp_filter_is_a_containers(machine: Path) -> None:
    """Where a filter decides which system calls there are, it is named."""
    (machine / "proc/self/status").write_text("Name:\tpytest\nSeccomp:\t2\nSeccomp_filters:\t1\n")
    said = rootless.why(EPERM, machine, USER)
    assert "a seccomp filter denies user namespaces" in said
    assert "seccomp=unconfined" in said


def test_root_without_namespaces_is_a_containers(machine: Path) -> None:
    """Root is told what its container lacks, not of user namespaces."""
    said = rootless.why(EPERM, machine, 0)
    assert said == (
        f"this root may not make namespaces ({EPERM}); if it is a container's, start that with "
        "--privileged"
    )


def test_refusal_is_unsupported(machine: Path) -> None:
    """The error ends the command line with 3: it could not be built."""
    assert rootless.refusal(EPERM, machine).exit_code == 3


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\nexit 0\n", None),
        ("#!/bin/sh\necho first >&2\necho last words >&2\nexit 1\n", "last words"),
        ("#!/bin/sh\nexit 4\n", "exit code 4"),
        ("", "[Errno 8] Exec format error: 'setpriv'"),
    ],
)
def test_last_words_of_unshare_are_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str | None
) -> None:
    """What the commands that make namespaces complain of, whatever breaks."""
    (tmp_path / "setpriv").write_text(script)
    (tmp_path / "setpriv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rootless.refused() == said
