"""An ordinary user on this very kernel, without 802.1Q links: one refusal, wherever it is met.

What such a user can do on a kernel that has them, test_8021q.py tries.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness import doctor
from harness.worker.vlan import NOT_ALLOWED
from tests.lab import ordinary

REPORTS = "/run/user/reports"


@pytest.fixture(autouse=True)
def _kernel_without_vlans() -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming an ordinary user needs root")
    if doctor.ask_kernel()["vlan"][0] != "tc-bpf":
        pytest.skip("this kernel has 802.1Q links, and refuses nothing")


def as_user(*argv: str) -> subprocess.CompletedProcess[str]:
    """What a module of this checkout says when it is run by an ordinary user."""
    return subprocess.run(
        ordinary.command([sys.executable, "-m", *argv]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("harness", "up", "--name", f"refused-{os.getpid()}"),
        ("pytest", "suites", "-q", "-p", "no:cacheprovider", "--lab-reports", REPORTS),
        (
            "pytest",
            "suites",
            "-q",
            "-p",
            "no:cacheprovider",
            "--lab-reports",
            REPORTS,
            "--lab-keep",
        ),
    ],
    ids=["up", "suites", "keep"],
)
def test_bpf_of_an_ordinary_user_is_one_refusal(argv: tuple[str, ...]) -> None:
    """`harness up` and pytest say once what it takes and what helps, and end with 3."""
    done = as_user(*argv)
    assert done.returncode == 3, done.stdout
    assert done.stdout.count(NOT_ALLOWED) == 1
    assert "Traceback" not in done.stdout
    assert len(done.stdout.splitlines()) < 6


def test_other_tests_go_on_beside_the_refusal() -> None:
    """Where tests of something else are in the run too, none of them ends with the lab's."""
    both = ("tests/unit/test_errors.py", "suites/test_same_vlan.py")
    done = as_user("pytest", *both, "-q", "-p", "no:cacheprovider", "--lab-reports", REPORTS)
    assert done.returncode == 1, done.stdout
    assert " passed" in done.stdout.splitlines()[-1]


def test_doctor_says_the_same() -> None:
    """The row of the VLAN datapath has the refusal, the others what an ordinary user has."""
    said = as_user("harness", "doctor").stdout
    assert f"MISSING: VLAN datapath: {NOT_ALLOWED}\n" in said
    assert "privilege                        user namespaces" in said
    assert "KiB a tap" in said
    assert said.splitlines()[-1] == "1 missing"
