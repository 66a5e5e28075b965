"""One packet followed, as text and as JSON: four steps, a direct path, or a proof."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from harness import live, topology
from harness.causes import Cause, Code, Diagnosis
from harness.cli import cli
from harness.errors import InputError
from harness.flow import Outcome, Ruling, Stage
from harness.live import concerned, named, pair
from harness.machines import registry
from harness.report.explanation import Explanation, document, terminal
from harness.topology.generate import generate
from tests.unit import faults
from tests.unit.builders import reading
from tests.unit.labs import NO_DEFAULT_ROUTE, TUTORIAL, cells_of, shipped
from tests.unit.play import Fault, judged

EVIDENCE = (
    reading(
        "routed/bbox1/route-get/172.16.20.11/after",
        parsed={"via": "172.16.10.1", "interface": "eth0"},
    ),
    reading(
        "routed/gateway/route-get/172.16.20.11/after", parsed={"via": None, "interface": "eth2.20"}
    ),
    reading(
        "routed/gateway/neighbours/main",
        parsed=[{"address": "172.16.20.11", "mac": "02:42:ac:10:14:0b", "state": "REACHABLE"}],
    ),
)
ROUTED, DIRECT = "routed-bbox1-to-bbox4-icmp", "routed-bbox1-to-bbox3-icmp"
BLOCKED = "isolated-bbox1-to-bbox4-icmp"


def explained(name: str, *wrong: Fault, stage: Stage = Stage.ROUTED) -> Explanation:
    """A cell of the tutorial lab, with the control that the model lends it."""
    cells = cells_of(TUTORIAL, stage)
    verdict = judged(TUTORIAL, [cells[name]], *wrong)[name]
    return Explanation(TUTORIAL, verdict, EVIDENCE)


def text_of(name: str, *wrong: Fault, stage: Stage = Stage.ROUTED) -> str:
    """The explanation for a terminal, without colours."""
    return terminal(explained(name, *wrong, stage=stage), colour=False)


def test_a_routed_pair_is_four_steps() -> None:
    """Of the tutorial, each with what was measured."""
    lines = text_of(ROUTED).splitlines()
    assert lines[0] == "bbox1 to bbox4, icmp, in the stage routed"
    assert [line[:15] for line in lines[4:8]] == [
        "1 route     yes",
        "2 router    yes",
        "3 ARP       yes",
        "4 delivery  yes",
    ]
    assert lines[4].endswith("via 172.16.10.1 dev eth0, and sends to 02:6e:73:00:00:03")


def test_hops_are_a_table() -> None:
    """Where, the tag there, MACs, addresses, TTL, and the time since the first."""
    (hop,) = [
        line for line in text_of(ROUTED).splitlines() if line.startswith("gateway:eth2 (out)")
    ]
    assert hop.split()[2:-1] == [
        "20",
        "02:6e:73:00:00:03",
        "02:42:ac:10:14:0b",
        "172.16.20.1",
        "172.16.20.11",
        "63",
    ]


def test_a_pair_of_one_vlan_goes_direct() -> None:
    """No router is named, and the TTL says that none was there."""
    said = "direct, no router: bbox1, host1, switch, host2, bbox3; arrived with TTL 64"
    assert said in text_of(DIRECT)


def test_a_blocked_pair_is_a_proof() -> None:
    """Each point of the rule, and what vouches for it."""
    text = text_of(BLOCKED, stage=Stage.ISOLATED)
    assert "expected no-neighbour: nobody holds the gateway address 172.16.10.1" in text
    assert "left           yes" in text
    assert "control        yes control/isolated-bbox2-to-bbox4-icmp, sent after it, arrived" in text
    assert "outcome        yes no-neighbour, and nothing else" in text
    assert text.splitlines()[-1].startswith("PASS it did not arrive, and ")


def test_what_its_own_kernel_refuses_need_not_leave() -> None:
    """Neither yes nor no: there is a proof without it."""
    cell = "isolated-bbox2-to-bbox1-icmp"
    verdict = judged(NO_DEFAULT_ROUTE, [cells_of(NO_DEFAULT_ROUTE, Stage.ISOLATED)[cell]])[cell]
    text = terminal(Explanation(NO_DEFAULT_ROUTE, verdict, ()), colour=False)
    assert "left           -   bbox2's own kernel refused, so nothing had to leave" in text
    assert "\nPASS it did not arrive" in text


def test_an_external_router_can_be_named() -> None:
    """To ask about a ping to it; it is no node to look into."""
    lab = shipped("external-router")
    assert "router" not in lab.nodes
    cells = tuple(cells_of(lab, Stage.ROUTED).values())
    assert pair(cells, named(lab), "bbox1", "router").id == "routed-bbox1-to-router-icmp"


def test_a_lost_packet_has_a_place() -> None:
    """The step that disagrees says no, and the end says where."""
    text = text_of(ROUTED, faults.lost(ROUTED, "gateway:eth2.20 (out)"))
    assert "2 router    NO  gateway took it from eth2.10, " in text
    assert "lost before gateway:eth2.20 (out)\nFAIL it must reach" in text
    assert "ms)" not in text


def test_nothing_seen_is_said_so() -> None:
    """A direct pair of which no tap saw anything."""
    text = text_of(DIRECT, faults.lost(DIRECT, "bbox1:eth0 (out)"))
    assert "direct, no router: seen nowhere\n\nno tap saw the packet\n" in text


def test_colours_are_for_terminals() -> None:
    """The same text with and without."""
    coloured = terminal(explained(ROUTED), colour=True)
    assert "\x1b[32mPASS\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text_of(ROUTED)


@pytest.mark.parametrize(("name", "followed"), [(ROUTED, True), (DIRECT, False)])
def test_json_is_the_cell_of_a_report(name: str, followed: Any) -> None:
    """With why it is expected, and the steps where there are any."""
    found = document(explained(name))
    assert (found["id"], found["verdict"], found["expected"]) == (name, Ruling.PASS, "reached")
    assert found["path"][0]["interface"] == "eth0"
    assert bool(found["steps"]) is followed
    assert found["expected_why"]


def test_json_of_the_steps_says_whether_they_agree() -> None:
    """And what was measured."""
    found = document(explained(ROUTED))["steps"]
    assert list(found) == ["route", "router", "ARP", "delivery"]
    assert found["delivery"] == {
        "agree": True,
        "measured": "host2 took it from eth2.20, and bbox4 got it",
    }


def test_a_pair_is_found_by_its_names() -> None:
    """The plain ping, neither the large one nor another protocol."""
    cells = tuple(cells_of(TUTORIAL, Stage.ROUTED).values())
    found = pair(cells, TUTORIAL.nodes, "bbox1", "gateway")
    assert (found.id, found.expectation.outcome) == (
        "routed-bbox1-to-gateway-icmp",
        Outcome.REACHED,
    )


def test_endpoints_of_other_vlans_are_no_part_of_it() -> None:
    """Nor would they be looked at: a lab's size costs a pair nothing."""
    large = topology.parse(generate("vlans=4,hosts=2,endpoints=12"), "large.yaml")
    kept = [end.name for end in concerned(large, "bbox1", "bbox2").endpoints]
    assert kept == ["bbox1", "bbox2", "bbox5", "bbox6", "bbox9", "bbox10"]
    assert len(concerned(large, "gateway", "bbox1").endpoints) == 3


@pytest.mark.parametrize(
    ("src", "dst"), [("bbox1", "bbox1"), ("bbox1", "switch"), ("nobody", "bbox1")]
)
def test_without_a_pair_all_endpoints_stay(src: str, dst: str) -> None:
    """For the answer that lists them."""
    large = topology.parse(generate("vlans=4,hosts=2,endpoints=12"), "large.yaml")
    assert concerned(large, src, dst) is large


@pytest.mark.parametrize(
    ("src", "dst", "said"),
    [
        (
            "bbox9",
            "bbox1",
            "the lab has no node 'bbox9'; it has host1, host2, gateway, switch, bbox1",
        ),
        ("bbox1", "nobody", "the lab has no node 'nobody'; it has host1,"),
        ("bbox1", "bbox1", "a ping from bbox1 to bbox1; bbox1 pings bbox2, bbox3, bbox4, gateway"),
        ("host1", "bbox1", "a ping from host1 to bbox1; host1 pings nobody"),
    ],
)
def test_an_unknown_pair_is_answered_with_known_names(src: str, dst: str, said: str) -> None:
    """Of what could have been meant."""
    cells = tuple(cells_of(TUTORIAL, Stage.ROUTED).values())
    with pytest.raises(InputError) as caught:
        pair(cells, TUTORIAL.nodes, src, dst)
    assert said in str(caught.value)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry finds a lab of any name."""
    about = registry.Description("macvlan-two-host", "", "netns", "routed", "", (), "8021q", "")
    monkeypatch.setattr(registry, "find", lambda name: registry.LabRecord(name, 0, 1, 2, about))


@pytest.mark.parametrize(
    ("ruling", "code"), [(Ruling.PASS, 0), (Ruling.FAIL, 1), (Ruling.UNPROVED, 3)]
)
@pytest.mark.usefixtures("lab")
def test_the_verdict_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, ruling: Ruling, code: int
) -> None:
    """Of the text and of the JSON."""
    found = explained(ROUTED)
    judged_so = replace(found, verdict=replace(found.verdict, ruling=ruling))
    monkeypatch.setattr(live, "explain", lambda *_: judged_so)
    shown = CliRunner().invoke(cli, ["explain", "--name", "any", "bbox1", "bbox4"])
    told = CliRunner().invoke(cli, ["explain", "--name", "any", "bbox1", "bbox4", "--json"])
    assert (shown.exit_code, told.exit_code) == (code, code)
    assert f"\n{ruling.upper()} it arrived" in shown.stdout
    assert json.loads(told.stdout)["verdict"] == ruling


def test_a_cause_and_what_mends_it_stand_at_the_end() -> None:
    """Of a packet that is no pass; nothing is said of causes where it passed."""
    verdict = explained(ROUTED, faults.lost(ROUTED, "gateway:eth2.20 (out)")).verdict
    about = (Code.IP_FORWARD_OFF, "gateway", "net.ipv4.ip_forward")
    fault = Diagnosis(*about, "it does not", "sysctl -w a=1", (ROUTED,))
    verdict = replace(verdict, cause=Cause(*about, "it does not forward"))
    found = Explanation(TUTORIAL, verdict, (), (fault,))
    text = terminal(found, colour=False)
    said = "cause ip-forward-off: it does not forward"
    assert text.endswith(f"\n{said}\non gateway: sysctl -w a=1\n")
    assert document(found)["fix"] == "sysctl -w a=1"
    assert said in found.verdict.explain()
