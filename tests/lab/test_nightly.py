"""examples/nightly: the script as a timer and a CI job start it, and the files that start it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import labs
from harness.flow import Stage
from harness.machines import registry

ROOT = Path(__file__).parents[2]
NIGHTLY = ROOT / "examples/nightly"
TUTORIAL = ROOT / "topologies/macvlan-two-host.yaml"
QUICK = "-k test_same_vlan --lab-stage isolated"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """A night on this machine, told to a file; where an earlier night's run is."""
    told, reports = tmp_path / "told", tmp_path / "reports"
    old = reports / "20200101T000000Z-old"
    old.mkdir(parents=True)
    (old / "report.json").write_text("{}")
    (reports / "latest").symlink_to(old.name)
    return {
        "TOPOLOGY": str(TUTORIAL), "BACKEND": "netns", "OPTIONS": QUICK, "KEEP": "1",
        "REPORTS": str(reports), "TELL": f"cat >>{told}",
    }  # fmt: skip


def night(settings: dict[str, str], **more: str) -> tuple[int, str]:
    """Run the script; its exit code, and the line that was told."""
    done = subprocess.run(
        [str(NIGHTLY / "nightly")], env={**os.environ, **settings, **more}, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, Path(settings["REPORTS"]).with_name("told").read_text()


def test_a_good_night_is_told_in_a_line(settings: dict[str, str]) -> None:
    """And the report of an earlier night goes."""
    metrics = Path(settings["REPORTS"]).with_name("lab.prom")
    code, told = night(settings, METRICS=str(metrics))
    assert (code, told.count("\n")) == (0, 1)
    assert 'macvlan_harness_run_ended{backend="netns",exit="pass",' in metrics.read_text()
    assert [path.name for path in metrics.parent.glob("lab.prom*")] == ["lab.prom"]
    assert told.startswith("PASS macvlan-two-host on netns, kernel ")
    reports = Path(settings["REPORTS"])
    assert [path.name for path in reports.glob("2020*")] == []
    assert "1 run of 1 lab" in (reports / "index.html").read_text()
    (kept,) = (reports / "baselines").iterdir()
    assert kept.resolve() == (reports / "latest").resolve()
    assert night(settings)[0] == 0
    assert "0 regressions; 0 of " in (reports / "latest" / "diff.txt").read_text()
    assert kept.resolve() == (reports / "latest").resolve()


def test_a_wrong_network_is_told(settings: dict[str, str]) -> None:
    """With its cause and what mends it: exit code 1."""
    name = f"nightly-{os.getpid()}"
    labs.bring_up(str(TUTORIAL), name, Stage.ISOLATED)
    try:
        argv = ["harness", "exec", "--name", name, "host2", "--", "ip", "link", "set", "eth2.10"]
        subprocess.run([sys.executable, "-m", *argv, "down"], cwd=ROOT, check=True)
        code, told = night(settings, OPTIONS=f"-k test_same_vlan --lab-attach {name}")
    finally:
        registry.stop(name)
    assert code == 1, told
    assert told.startswith("FAIL macvlan-two-host on netns, kernel ")
    assert "mend it on host2: ip link set eth2.10 up" in told


def test_a_night_without_a_report_is_not_told_in_old_words(settings: dict[str, str]) -> None:
    """Nothing was tested: neither a pass nor last night's line."""
    code, told = night(settings, TOPOLOGY="/nowhere/lab.yaml")
    assert code == 2
    assert (
        told == "UNPROVED /nowhere/lab.yaml on netns: no report was written, pytest ended with 4\n"
    )


def test_systemd_reads_its_files(tmp_path: Path) -> None:
    """With the script where it is here; settings are what the script knows."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on this machine")
    for name in ("macvlan-lab.service", "macvlan-lab.timer"):
        text = (NIGHTLY / name).read_text().replace("/opt/macvlan-harness", str(ROOT))
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "macvlan-lab.service",
         tmp_path / "macvlan-lab.timer"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "macvlan-lab" in line]
    assert (done.returncode, said) == (0, [])
    script = (NIGHTLY / "nightly").read_text()
    for line in (NIGHTLY / "nightly.env").read_text().splitlines():
        assert line.startswith("#") or f"${{{line.partition('=')[0]}:=" in script


def test_the_job_runs_what_it_says(settings: dict[str, str], tmp_path: Path) -> None:
    """Its commands in their order, in a shell as the runner has it; the summary has the report."""
    job: dict[str, Any] = yaml.safe_load((NIGHTLY / "github-actions.yml").read_text())
    (steps,) = [one["steps"] for one in job["jobs"].values()]
    summary = tmp_path / "summary"
    own = {"HARNESS": str(ROOT), "GITHUB_STEP_SUMMARY": str(summary)}
    environment = {**os.environ, **settings, **own}
    for step in [step for step in steps if "run" in step]:
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]], env=environment, check=True,
            cwd=tmp_path, capture_output=True, timeout=120,
        )  # fmt: skip
    assert summary.read_text().startswith("**PASS**: ")
    assert summary.read_text().count("| topology ") == 1
