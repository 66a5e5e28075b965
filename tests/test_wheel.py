"""The wheel in a fresh virtual environment: what others get, away from this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FINDS_TOPOLOGY = """
from harness.defaults import default_topology
from harness.topology import read
print(read(str(default_topology())).name)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that has the wheel, and its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    found = folder / "venv/bin/python"
    subprocess.run([found, "-m", "pip", "install", "--quiet", wheel], check=True, cwd=folder)
    return found


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples; they need root."""
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    return Path(shutil.copytree(ROOT / "examples", tmp_path / "examples"))


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the wheel's interpreter, which nothing here tells of this checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_default_topology_is_in_the_wheel(python: Path, tmp_path: Path) -> None:
    """The tutorial lab is there wherever one is."""
    done = run(python, "-c", FINDS_TOPOLOGY, cwd=tmp_path)
    assert done.stdout == "macvlan-two-host\n", done.stderr


def test_examples_pass(python: Path, examples: Path) -> None:
    """The plugin is known by its entry point, and the example's suite passes."""
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=examples)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr


def test_broken_expectation_fails(python: Path, examples: Path) -> None:
    """Whoever expects bbox2 to reach the server is told that it does not, and where it ends."""
    tests = examples / "web-server/test_web_server.py"
    text = tests.read_text("utf-8")
    tests.write_text(text.replace("verdict.blocked", "verdict.reached"), "utf-8")
    chosen = ["-q", "-p", "no:cacheprovider", "-k", "test_bbox2_is_blocked"]
    done = run(python, "-m", "pytest", *chosen, cwd=examples)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "lost before gateway:eth2.10 (out)" in done.stdout


def test_suites_run_on_the_default_topology(python: Path, tmp_path: Path) -> None:
    """A suite that names no topology gets the tutorial lab, routed."""
    body = "def test_stage(lab): assert (lab.stage, len(lab.topology.endpoints)) == ('routed', 4)\n"
    (tmp_path / "test_own.py").write_text(body, "utf-8")
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    done = run(python, "-m", "pytest", "-q", cwd=tmp_path)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
