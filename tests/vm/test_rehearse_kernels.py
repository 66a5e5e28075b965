"""`harness rehearse` on kernels in virtual machines: the exit codes that a bisection goes by."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import fetched
from harness.machines.kernel import Kernel
from tests.vm.bad_kernels import without

DEADLINE_S = 1800
NIGHTLY = pytest.mark.skipif(
    not os.environ.get("HARNESS_NIGHTLY"),
    reason="four machines one after another, some 6 minutes; HARNESS_NIGHTLY=1 runs it",
)


@pytest.fixture
def bad(oldest: Kernel) -> Iterator[Callable[[str], Path]]:
    """Makes a copy of it without a module, in the folder where kernels are."""
    place = fetched.cache("kernels") / f".test-{secrets.token_hex(4)}"
    yield lambda module: without(oldest, module, place / f"no-{module}")
    shutil.rmtree(place)


def rehearse(*arguments: str, reports: Path) -> tuple[int, dict[str, Any]]:
    """The exit code, and what it says for programs."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "rehearse", *arguments, "--json",
         "--stage=isolated", f"--reports={reports}"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@NIGHTLY
def test_kernels_that_lack_a_module_are_bad(
    oldest: Kernel, bad: Callable[[str], Path], tmp_path: Path
) -> None:
    """One that the lab needs; the kernel that they were made of is good in the same rehearsal."""
    kernels = [str(oldest.image), str(bad("8021q")), str(bad("macvlan"))]
    code, said = rehearse(*kernels, reports=tmp_path)
    assert code == 1
    assert [one["judgement"] for one in said["columns"]] == ["good", "bad", "bad"]
    missing = [[event["text"] for event in one["events"]] for one in said["runs"]]
    assert missing[0] == []
    assert any("8021q" in text for text in missing[1])
    assert any("macvlan" in text for text in missing[2])


def test_what_is_no_kernel_cannot_be_tested(oldest: Kernel, tmp_path: Path) -> None:
    """It does not boot; that is no kernel's fault that a bisection looks for."""
    del oldest
    image = tmp_path / "vmlinuz-none"
    image.write_bytes(bytes(1 << 16))
    code, said = rehearse(str(image), reports=tmp_path)
    assert code == 125
    assert said["runs"][0]["judgement"] == "untestable"
    assert said["runs"][0]["why"]
