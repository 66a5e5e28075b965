"""Which IPsec policy ends a probe, which is not encrypted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis import ipsec
from harness.diagnosis.filtering import Flow
from tests.unit.sick import AT_RECEIVER, AT_ROUTER, AT_SENDER, Readings, found

ECHO = Flow("ip", "172.16.10.10", "172.16.20.11", "icmp")
UDP = replace(ECHO, protocol="udp")
PLACES = {"out": (AT_SENDER, "bbox1"), "fwd": (AT_ROUTER, "gateway"), "in": (AT_RECEIVER, "bbox4")}


def policy(way: str, **values: Any) -> dict[str, Any]:
    """A policy as `xfrm` has it: by default it blocks everything on one way."""
    known = {
        "src": "0.0.0.0/0", "dst": "0.0.0.0/0", "protocol": 0, "sport": None, "dport": None,
        "dir": way, "action": "block", "priority": 0, "encrypts": False, "marked": False,
    }  # fmt: skip
    selector = f"src 0.0.0.0/0 dst 0.0.0.0/0 dir {way}"
    return {**known, "selector": selector, "text": f"{selector} action block", **values}


def ended(way: str, flow: Flow, *policies: dict[str, Any], shut: tuple[str, ...] = ()) -> str:
    """The subject of what is found at the place of a way; nothing if nothing is."""
    at, node = PLACES[way]

    def change(readings: Readings) -> None:
        readings[node, "xfrm"] = {"policies": list(policies), "shut": list(shut)}

    flow = replace(flow, src_mac=at.flow.src_mac, dst_mac=at.flow.dst_mac)
    finding, lab = found(replace(at, flow=flow), change)
    if finding is None:
        return ""
    assert (finding.code, finding.node) == (Code.IPSEC_POLICY_BLOCK, node)
    assert finding.shown == lab.state.cite(node, "xfrm")
    return f"{finding.subject}: {finding.fix}"


def others_than(way: str) -> tuple[str, ...]:
    """The ways that a packet of this one does not go; who receives it answers as well."""
    return tuple(one for one in PLACES if one != way and (way, one) != ("in", "out"))


@pytest.mark.parametrize("way", PLACES)
def test_a_policy_blocks_on_its_way(way: str) -> None:
    """What a node sends, forwards and receives has policies of its own; the fix deletes it."""
    selector = f"src 0.0.0.0/0 dst 0.0.0.0/0 dir {way}"
    fix = f"ip xfrm policy delete {selector}"
    assert ended(way, ECHO, policy(way)) == f"{selector} action block: {fix}"
    others = [policy(other) for other in others_than(way)]
    assert ended(way, ECHO, *others) == ""


@pytest.mark.parametrize("way", PLACES)
def test_what_no_policy_allows_is_blocked_by_default(way: str) -> None:
    """Where a node is shut, only what a policy lets pass as it is does."""
    fix = f"ip xfrm policy setdefault {way} accept"
    assert ended(way, ECHO, shut=(way,)) == f"default dir {way} action block: {fix}"
    assert ended(way, ECHO, policy(way, action="allow"), shut=(way,)) == ""
    assert ended(way, ECHO, shut=others_than(way)) == ""


OTHERS: dict[str, dict[str, Any]] = {
    "another source": {"src": "172.16.10.11/32"},
    "another destination": {"dst": "172.16.10.0/24"},
    "another protocol": {"protocol": 6},
    "another port": {"dport": 53, "protocol": 17},
    "a port that nobody knows": {"sport": 4500, "protocol": 17},
    "of marked packets": {"marked": True},
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_policy_for_others_is_passed_by(case: str) -> None:
    """The first policy that takes the packet decides, and no other."""
    assert ended("fwd", UDP, policy("fwd", **OTHERS[case])) == ""
    assert ended("fwd", UDP, policy("fwd", **OTHERS[case]), policy("fwd", text="it")).startswith(
        "it: "
    )
    allows = policy("fwd", action="allow")
    assert ended("fwd", UDP, policy("fwd", **OTHERS[case]), allows, policy("fwd")) == ""


def test_ports_and_types_of_icmp() -> None:
    """UDP goes to the echo port, replies come from it; ICMP has its type and code there."""
    request, answer = policy("fwd", protocol=17, dport=7), policy("fwd", protocol=17, sport=7)
    echo = policy("fwd", protocol=1, sport=8, dport=0)
    assert ended("fwd", UDP, request)
    assert ended("fwd", UDP, answer) == ""
    assert ended("fwd", replace(UDP, is_reply=True), answer)
    assert ended("fwd", replace(UDP, is_reply=True), request) == ""
    assert ended("fwd", ECHO, echo)
    assert ended("fwd", replace(ECHO, is_reply=True), echo) == ""


def test_what_must_be_encrypted_does_not_pass_plainly() -> None:
    """A policy that allows by a transformation ends what is not to go, or did not come, by one."""
    at, node = PLACES["out"]
    known = {"policies": [policy("out", action="allow", encrypts=True)], "shut": []}
    finding, _ = found(at, lambda readings: readings.update({(node, "xfrm"): known}))
    assert finding is not None
    assert "lets it pass encrypted only" in finding.message


def test_arp_has_no_policies() -> None:
    """Only IP is asked for."""
    scene_flow = Flow("arp", "172.16.10.10", "172.16.10.1", "")
    at, node = PLACES["out"]
    known = {"policies": [policy("out")], "shut": ["out"]}
    finding, _ = found(
        replace(at, flow=scene_flow), lambda readings: readings.update({(node, "xfrm"): known})
    )
    assert finding is None or finding.code is not Code.IPSEC_POLICY_BLOCK
    assert ipsec.OUT == "out"
