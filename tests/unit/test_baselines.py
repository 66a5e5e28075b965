"""The good run that later ones are compared with: kept, found, listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.report import baselines, folder
from tests.unit.builders import cell, failed, passed, report


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The run folder of a good run."""
    return folder.write(report(passed(cell("bbox1", "bbox3"))), {}, {}, tmp_path / "reports")


def run(*arguments: str | Path) -> tuple[int, str]:
    """The verb; its exit code and what it says."""
    done = CliRunner().invoke(cli, ["baseline", *map(str, arguments)])
    return done.exit_code, done.output


def test_a_good_run_is_kept(good: Path) -> None:
    """By topology, backend and machine; `latest` may be given for it."""
    name = f"macvlan-two-host.netns.{baselines.machine()}"
    reports = good.parent
    assert baselines.find(reports, "macvlan-two-host", "netns") is None
    assert run("set", reports / "latest") == (
        0, f"{reports}/baselines/{name} is {good.name}\n",
    )  # fmt: skip
    assert run("show", "macvlan-two-host", "--reports", reports) == (0, f"{good}\n")
    assert run("list", "--reports", reports) == (0, f"{name}: {good}\n")
    assert json.loads(run("list", "--reports", reports, "--json")[1]) == {name: str(good)}


def test_what_is_not_kept_is_said(good: Path) -> None:
    """With what keeps it."""
    code, said = run("show", "other", "--backend", "docker", "--reports", good.parent)
    assert code == 2
    assert said.endswith(f"on docker in {good.parent}; `harness baseline set RUN`\n")
    (good.parent / "baselines").mkdir()
    (good.parent / "baselines" / "README").write_text("not a link")
    assert run("list", "--reports", good.parent) == (0, "")


def test_a_bad_run_is_no_baseline(tmp_path: Path) -> None:
    """Unless somebody says so."""
    bad = folder.write(report(failed(cell("bbox1", "bbox3"))), {}, {}, tmp_path)
    code, said = run("set", bad)
    assert (code, "it ended with fail, and a baseline is a good run" in said) == (2, True)
    assert run("set", bad, "--force")[0] == 0
    assert baselines.find(tmp_path, "macvlan-two-host", "netns") == bad


def test_what_cannot_be_written_is_said(good: Path) -> None:
    """A file stands where the folder of baselines would be."""
    (good.parent / "baselines").write_text("")
    code, said = run("set", good)
    assert (code, ": File exists\n" in said) == (2, True)
