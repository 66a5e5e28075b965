"""The four steps of a routed packet: each agrees with the tables, and each can disagree."""

from __future__ import annotations

from typing import Any

import pytest

from harness.flow import Stage
from harness.steps import FourSteps, four_steps
from tests.unit import faults
from tests.unit.builders import reading
from tests.unit.labs import TUTORIAL, cells_of, shipped
from tests.unit.play import Fault, judged

CELL = "routed-bbox1-to-bbox4-icmp"
SOURCE = {"via": "172.16.10.1", "interface": "eth0"}
ROUTER = {"via": None, "interface": "eth2.20"}
ENTRY = {"address": "172.16.20.11", "mac": "02:42:ac:10:14:0b", "state": "REACHABLE"}
STEPS = ("source_route", "router_route", "router_neighbour", "delivery")


def followed(*wrong: Fault, lab: Any = TUTORIAL, **tables: Any) -> FourSteps:
    """The steps of one routed cell; tables: source, router, neighbours."""
    verdict = judged(TUTORIAL, [cells_of(TUTORIAL, Stage.ROUTED)[CELL]], *wrong)[CELL]
    evidence = [
        reading("routed/bbox1/route-get/172.16.20.11/after", parsed=tables.get("source", SOURCE)),
        reading("routed/gateway/route-get/172.16.20.11/after", parsed=tables.get("router", ROUTER)),
        reading("routed/gateway/neighbours/main", parsed=tables.get("neighbours", [ENTRY])),
        reading("routed/host2/neighbours/main", parsed=[ENTRY | {"mac": "02:00:00:00:00:01"}]),
    ]
    return four_steps(lab, verdict, evidence[: tables.get("readings", 4)])


def agreed(steps: FourSteps) -> list[str]:
    """The steps on which path and tables agree."""
    return [name for name in STEPS if getattr(steps, name)[0]]


def test_path_and_tables_agree() -> None:
    """On each step, in words."""
    found = followed()
    assert [getattr(found, name) for name in STEPS] == [
        (True, "bbox1 routes via 172.16.10.1 dev eth0, and sends to 02:6e:73:00:00:03"),
        (True, ("gateway took it from eth2.10, routes dev eth2.20, "
               "and sent it out of eth2.20")),
        (True, ("gateway's ARP table has 172.16.20.11 at 02:42:ac:10:14:0b; "
               "sent to 02:42:ac:10:14:0b")),
        (True, "host2 took it from eth2.20, and bbox4 got it"),
    ]  # fmt: skip


WRONG: dict[str, tuple[tuple[Fault, ...], dict[str, Any], str]] = {
    "another gateway": ((), {"source": SOURCE | {"via": "172.16.10.2"}}, "source_route"),
    "another interface": ((), {"source": SOURCE | {"interface": "eth1"}}, "source_route"),
    "no route": ((), {"source": {}}, "source_route"),
    "another MAC": (
        (faults.altered(CELL, "bbox1:eth0 (out)", dst_mac="02:6e:73:00:00:01"),), {},
        "source_route",
    ),
    "not seen leaving": ((faults.hidden(CELL, "bbox1:eth0 (out)"),), {}, "source_route"),
    "another way out": ((), {"router": {"interface": "eth2.10"}}, "router_route"),
    "not taken": ((faults.hidden(CELL, "gateway:eth2.10 (in)"),), {}, "router_route"),
    "no entry": ((), {"neighbours": []}, "router_neighbour"),
    "unresolved": ((), {"neighbours": [ENTRY | {"mac": None}]}, "router_neighbour"),
    "an entry for another": ((), {"neighbours": [ENTRY | {"address": "::"}]}, "router_neighbour"),
    "two entries": (
        (), {"neighbours": [ENTRY, ENTRY | {"mac": "02:00:00:00:00:01"}]}, "router_neighbour",
    ),
    "not handed over": ((faults.hidden(CELL, "host2:eth2.20 (in)"),), {}, "delivery"),
    "not delivered": ((faults.hidden(CELL, "bbox4:eth0 (in)"),), {}, "delivery"),
    "delivered to another MAC": (
        (faults.altered(CELL, "bbox4:eth0 (in)", dst_mac="ff:ff:ff:ff:ff:ff"),), {}, "delivery",
    ),
    "delivered to another address": (
        (faults.altered(CELL, "bbox4:eth0 (in)", dst_ip="172.16.20.10"),), {}, "delivery",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_one_step_disagrees(name: str) -> None:
    """And the other three do not."""
    wrong, tables, step = WRONG[name]
    assert agreed(followed(*wrong, **tables)) == [one for one in STEPS if one != step]


def test_a_packet_that_never_left_the_router_fails_two_steps() -> None:
    """It was routed nowhere and sent to nobody."""
    found = followed(faults.hidden(CELL, "gateway:eth2.20 (out)"))
    assert agreed(found) == ["source_route", "delivery"]
    assert found.router_neighbour[1].endswith("sent to nobody")


def test_without_readings_nothing_agrees_but_the_delivery() -> None:
    """Which rests on the path alone."""
    assert agreed(followed(readings=0)) == ["delivery"]


def outside(*wrong: Fault) -> FourSteps:
    """The steps through a router that nobody looks into."""
    lab = shipped("external-router")
    verdict = judged(lab, [cells_of(lab, Stage.ROUTED)[CELL]], *wrong)[CELL]
    source = reading("routed/bbox1/route-get/172.16.20.11/after", parsed=SOURCE)
    return four_steps(lab, verdict, [source])


def test_an_external_router_has_no_tables() -> None:
    """What its switch port shows is not against it, and no more can be said."""
    found = outside()
    assert [getattr(found, name)[0] for name in STEPS] == [True, None, None, True]
    assert found.router_route[1].endswith("it was given it, and sent it on")
    assert found.router_neighbour[1].endswith("cannot be read; sent to 02:42:ac:10:14:0b")


def test_an_external_router_that_sends_nothing_on_is_seen() -> None:
    """That much its switch port does tell."""
    found = outside(faults.hidden(CELL, "switch:router (in)"))
    assert [getattr(found, name)[0] for name in STEPS] == [True, False, False, True]


TWO = "routed-bbox2-to-bbox6-icmp"
TABLES: dict[str, Any] = {
    "bbox2/route-get/172.16.30.11/after": {"via": "172.16.20.1", "interface": "eth0"},
    "gw1/route-get/172.16.30.11/after": {"via": "172.16.20.2", "interface": "eth2.20"},
    "gw2/route-get/172.16.30.11/after": {"via": None, "interface": "eth2.30"},
    "gw1/neighbours/main": [
        {"address": "172.16.20.2", "mac": "02:6e:73:00:00:04", "state": "REACHABLE"}
    ],
    "gw2/neighbours/main": [
        {"address": "172.16.30.11", "mac": "02:42:ac:10:1e:0b", "state": "REACHABLE"}
    ],
}


def over_two(**changed: Any) -> FourSteps:
    """The steps of a cell that two gateways route, with some tables changed."""
    lab = shipped("two-gateways")
    verdict = judged(lab, [cells_of(lab, Stage.ROUTED)[TWO]])[TWO]
    tables = TABLES | changed
    evidence = [reading(f"routed/{name}", parsed=parsed) for name, parsed in tables.items()]
    return four_steps(lab, verdict, evidence)


def test_each_router_on_the_way_has_its_steps() -> None:
    """The first has the second for next hop, in the VLAN from which it took the packet."""
    found = over_two()
    assert [getattr(found, name) for name in STEPS] == [
        (True, "bbox2 routes via 172.16.20.1 dev eth0, and sends to 02:6e:73:00:00:03"),
        (True, ("gw1 took it from eth2.20, routes via 172.16.20.2 dev eth2.20, and sent it out of "
                "eth2.20; then gw2 took it from eth2.20, routes dev eth2.30, and sent it out of "
                "eth2.30")),
        (
            True,
            ("gw1's ARP table has 172.16.20.2 at 02:6e:73:00:00:04; sent to 02:6e:73:00:00:04; "
            "then gw2's ARP table has 172.16.30.11 at 02:42:ac:10:1e:0b; "
            "sent to 02:42:ac:10:1e:0b"),
        ),
        (True, "host2 took it from eth2.30, and bbox6 got it"),
    ]  # fmt: skip


@pytest.mark.parametrize("router", ["gw1", "gw2"])
def test_one_router_that_disagrees_is_enough(router: str) -> None:
    """Its route, or its neighbour."""
    name = f"{router}/route-get/172.16.30.11/after"
    assert agreed(over_two(**{name: {"via": None, "interface": "eth2.10"}})) == [
        "source_route", "router_neighbour", "delivery",
    ]  # fmt: skip
    assert agreed(over_two(**{f"{router}/neighbours/main": []})) == [
        "source_route", "router_route", "delivery",
    ]  # fmt: skip


def test_path_and_tables_agree_in_ipv6() -> None:
    """With the addresses that the packet went to."""
    lab, cell = shipped("dual-stack"), "routed-bbox1-to-bbox4-icmp6"
    verdict = judged(lab, [cells_of(lab, Stage.ROUTED)[cell]])[cell]
    target = "2001:db8:20::11"
    tables = {
        f"bbox1/route-get/{target}/after": {"via": "2001:db8:10::1", "interface": "eth0"},
        f"gateway/route-get/{target}/after": ROUTER,
        "gateway/neighbours/main": [ENTRY, ENTRY | {"address": target}],
    }
    evidence = [reading(f"routed/{name}", parsed=parsed) for name, parsed in tables.items()]
    found = four_steps(lab, verdict, evidence)
    assert agreed(found) == list(STEPS)
    assert found.router_neighbour[1].startswith(f"gateway's NDP table has {target} at ")
