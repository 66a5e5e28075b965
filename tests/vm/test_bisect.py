"""A bisection over a history of kernels, as docs/bisect.md shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from harness.machines.kernel import Kernel
from tests.vm.bad_kernels import without
from tests.vm.rehearsing import DEADLINE_S, NIGHTLY

WHO = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Lab"), ("EMAIL", "lab@example.org"))
}


def git(folder: Path, *words: str) -> str:
    """What git says in a repository, without the settings of who runs this."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **WHO, **own}, timeout=DEADLINE_S,
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def commit(folder: Path, kernel: str, message: str) -> str:
    """Have the repository name a kernel; the commit."""
    (folder / "kernel").write_text(f"{kernel}\n", "utf-8")
    git(folder, "add", "kernel")
    git(folder, "commit", "--message", message)
    return git(folder, "rev-parse", "HEAD").strip()


@NIGHTLY
def test_the_first_bad_commit_is_found(
    oldest: Kernel, newest: Kernel, beside: Callable[[str], Path], tmp_path: Path
) -> None:
    """Of four kernels the third has lost a module, and the fourth another one."""
    bad = without(oldest, "macvlan", beside("bad"))
    worse = without(oldest, "8021q", beside("worse"))
    git(tmp_path, "init", "--quiet")
    first = commit(tmp_path, str(oldest.image), "the kernel of most lab hosts")
    commit(tmp_path, str(newest.image), "the newest kernel")
    guilty = commit(tmp_path, str(bad), "our own build")
    commit(tmp_path, str(worse), "our own build, another configuration")
    git(tmp_path, "bisect", "start", "HEAD", first)
    harness = f'{sys.executable} -m harness rehearse "$(cat kernel)" --stage isolated'
    said = git(tmp_path, "bisect", "run", "sh", "-c", f"{harness} --reports {tmp_path}/reports")
    assert f"{guilty} is the first bad commit" in said
    assert said.count("GOOD: 1 kernel") == 1
