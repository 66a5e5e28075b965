"""`harness topology`: what a file describes and expects, files on demand, the format's schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.flow import Stage
from harness.matrix import matrix
from harness.topology import schema
from tests.unit.labs import FILE, TUTORIAL

ROUTED = """
routed: layer 2                               routed: layer 3
from   bbox1  bbox2  bbox3  bbox4  gateway    from     bbox1    bbox2    bbox3    bbox4    gateway
------------------------------------------    ----------------------------------------------------
bbox1  .      block  reach  block  reach      bbox1    .        routed*  reach*   routed*  reach
bbox2  block  .      block  reach  reach      bbox2    routed*  .        routed*  reach*   reach
bbox3  reach  block  .      block  reach      bbox3    reach*   routed*  .        routed*  reach
bbox4  block  reach  block  .      reach      bbox4    routed*  reach*   routed*  .        reach
host1  block  block  reach  reach  .          gateway  reach    reach    reach    reach    .
host2  reach  reach  block  block  .
"""
"""As a run of the tutorial lab prints it."""


def invoke(*arguments: str) -> Result:
    """The verb, as from a shell without a terminal."""
    return CliRunner().invoke(cli, ["topology", *arguments])


def test_the_expected_matrix_is_drawn_as_a_run_draws_it() -> None:
    """In the same words, each of them explained."""
    shown = invoke(str(FILE))
    assert shown.exit_code == 0
    assert ROUTED in shown.stdout
    assert "isolated, undone: layer 3" in shown.stdout
    assert "  routed     arrives through a router" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_json_has_every_cell_that_is_expected() -> None:
    """With what is expected of it, and why."""
    found = json.loads(invoke(str(FILE), "--json").stdout)
    assert [cell["id"] for cell in found["cells"]] == [
        cell.id for cell in matrix(TUTORIAL, tuple(Stage)).cells
    ]
    (cell,) = [cell for cell in found["cells"] if cell["id"] == "isolated-bbox1-to-bbox4-icmp"]
    assert cell == {
        "id": "isolated-bbox1-to-bbox4-icmp",
        "stage": "isolated",
        "src": "bbox1",
        "dst": "bbox4",
        "probe": "icmp",
        "expected": "no-neighbour",
        "why": "nobody holds the gateway address 172.16.10.1 in this stage",
    }
    assert found["not_applicable"] == []


def test_both_ip_versions_are_shown() -> None:
    """In one column; a lab without IPv6 says nothing of it."""
    file = str(FILE.with_name("dual-stack.yaml"))
    assert "172.16.10.10, 2001:db8:10::10" in invoke(file).stdout
    found = json.loads(invoke(file, "--json").stdout)
    assert found["vlans"][0]["subnet6"] == "2001:db8:10::/64"
    assert found["endpoints"][3]["address6"] == "2001:db8:20::11"
    assert found["gateways"][0]["addresses6"]["10"] == "2001:db8:10::1"
    assert json.loads(invoke(str(FILE), "--json").stdout)["vlans"][0]["gateway6"] is None


def test_an_engine_of_a_gateway_host_is_shown() -> None:
    """When it starts, and the policy that it makes of that."""
    file = str(FILE.with_name("gateway-runs-docker.yaml"))
    assert "gateway: eth2.10, eth2.20; engine starts before-forwarding" in invoke(file).stdout
    (router,) = json.loads(invoke(file, "--json").stdout)["gateways"]
    assert (router["engine"], router["forward_policy"]) == ("before-forwarding", "DROP")
    assert json.loads(invoke(str(FILE), "--json").stdout)["gateways"][0]["engine"] is None


def test_what_is_generated_is_shown_too(tmp_path: Path) -> None:
    """A table of families where a matrix would be too large; nothing has failed in it."""
    made = tmp_path / "made.yaml"
    made.write_text(invoke("--generate", "vlans=1,hosts=2,endpoints=20").stdout)
    shown = invoke(str(made))
    assert shown.exit_code == 0
    assert "stage     family           cells  arrive  blocked\n" in shown.stdout
    assert "not applicable: cross-vlan-l3: all endpoints are in one VLAN" in shown.stdout


def test_the_schema_is_printed_as_it_is_shipped() -> None:
    """Into a file it is that file."""
    assert invoke("--schema").stdout == schema.text()


@pytest.mark.parametrize(
    "arguments",
    [(), (str(FILE), "--schema"), ("--schema", "--generate", "vlans=1"), ("--generate", "vlans=0")],
)
def test_what_cannot_be_shown_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    """One thing at a time."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
