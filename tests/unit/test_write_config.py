"""`harness write-config`: what it prints, and what it refuses before any host is reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def call(lab: str, *more: str) -> Result:
    """What it says of a shipped lab, or of a file."""
    path = lab if "/" in lab else str(TOPOLOGIES / f"{lab}.yaml")
    return CliRunner().invoke(cli, ["write-config", "--topology", path, *more])


def test_files_are_printed_with_host_and_path() -> None:
    """Each as it is to be on the host, then the commands, so that a person can copy both."""
    said = call("lab-hosts", "--host", "gateway").stdout
    made = json.loads(call("lab-hosts", "--host", "gateway", "--json").stdout)
    (gateway,) = made["hosts"]
    assert (made["lab"], made["format"], gateway["name"]) == ("lab-hosts", "ifupdown", "gateway")
    assert len(gateway["files"]) == 3
    for each in gateway["files"]:
        assert f"==> gateway:{each['path']} <==\n{each['content']}" in said
    assert "\n".join(gateway["now"]) in said
    assert "host1" not in said


def test_an_external_gateway_is_said_to_be_given_nothing() -> None:
    """It is no mistake, and the other hosts have theirs."""
    done = call("external-router", "--json")
    router = json.loads(done.stdout)["hosts"][-1]
    assert (done.exit_code, router["files"], router["now"], router["once"]) == (0, [], [], [])
    assert "given nothing" in router["notes"][0]
    assert "it is external" in call("external-router").stdout


def test_what_is_printed_needs_no_way_to_the_hosts() -> None:
    """`ssh:` is for --apply, which names the hosts that say none."""
    assert call("macvlan-two-host").exit_code == 0
    refused = call("macvlan-two-host", "--apply", "--host", "host1", "--host", "gateway")
    assert refused.exit_code == 2
    assert refused.stderr == (
        "harness: --apply: macvlan-two-host does not say where host1, gateway can be reached; "
        "give each an `ssh: USER@HOST`\n"
    )


def test_nothing_is_written_on_an_external_gateway_alone() -> None:
    """It is said, and no host is reached."""
    done = call("external-router", "--apply", "--host", "router")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "router: it is external: somebody else's, and given nothing\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lab-hosts", "--host", "host9"), "lab-hosts has no host host9; it has host1, host2, g"),
        (("gateway-runs-docker",), "write-config: gateway has its engine already; leave"),
        (("/nowhere/lab.yaml",), "/nowhere/lab.yaml"),
    ],
)
def test_wrong_input_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and what would be right."""
    done = call(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
