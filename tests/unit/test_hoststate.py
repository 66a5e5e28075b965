"""The state that a host must be in, by stage."""

from __future__ import annotations

import pytest

from harness.flow import Stage
from harness.hoststate import HostState, expected
from tests.unit.labs import NO_DEFAULT_ROUTE, NO_GATEWAY, ONE_WAY, TUTORIAL, shipped

NO_RULES = (
    ("nat", "POSTROUTING", ("-P POSTROUTING ACCEPT",)),
    ("filter", "FORWARD", ("-P FORWARD ACCEPT",)),
)


@pytest.mark.parametrize("stage", Stage)
def test_a_docker_host_is_the_same_in_every_stage(stage: Stage) -> None:
    """Its sub-interfaces have no address, it forwards nothing, it has no rule."""
    assert expected(TUTORIAL, "host1", stage) == HostState(
        forwarding=False,
        forwarding6=None,
        addresses=(
            ("eth1", ("192.168.56.104/24",)), ("eth2", ()), ("eth2.10", ()), ("eth2.20", ()),
        ),
        absent=(),
        rules=NO_RULES,
        rules6=(),
    )  # fmt: skip


@pytest.mark.parametrize("stage", [Stage.ISOLATED, Stage.UNDONE])
def test_a_gateway_that_does_not_route_is_bare(stage: Stage) -> None:
    """No sub-interface, no forwarding, no rule."""
    assert expected(TUTORIAL, "gateway", stage) == HostState(
        forwarding=False,
        forwarding6=None,
        addresses=(("eth1", ("192.168.56.101/24",)), ("eth2", ())),
        absent=("eth2.10", "eth2.20"),
        rules=NO_RULES,
        rules6=(),
    )


def test_a_gateway_that_routes() -> None:
    """Its addresses, and the tutorial's rules in their order."""
    state = expected(TUTORIAL, "gateway", Stage.ROUTED)
    assert state.forwarding
    assert state.addresses[2:] == (
        ("eth2.10", ("172.16.10.1/24",)), ("eth2.20", ("172.16.20.1/24",)),
    )  # fmt: skip
    assert state.absent == ()
    assert state.rules == (
        ("nat", "POSTROUTING", ("-P POSTROUTING ACCEPT",
                                "-A POSTROUTING -o eth2.10 -j MASQUERADE",
                                "-A POSTROUTING -o eth2.20 -j MASQUERADE")),
        ("filter", "FORWARD", (
            "-P FORWARD ACCEPT",
            "-A FORWARD -i eth2.10 -o eth2.20 -m state --state RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT",
            "-A FORWARD -i eth2.20 -o eth2.10 -j ACCEPT",
        )),
    )  # fmt: skip


def test_the_forward_policy_is_part_of_it() -> None:
    """DROP while it routes, ACCEPT before and after."""
    routed = expected(ONE_WAY, "gateway", Stage.ROUTED).rules
    assert [lines[0] for _, _, lines in routed] == ["-P POSTROUTING ACCEPT", "-P FORWARD DROP"]
    assert expected(ONE_WAY, "gateway", Stage.UNDONE).rules == NO_RULES


def test_a_leg_that_the_gateway_does_not_have_is_absent() -> None:
    """In `routed` too."""
    state = expected(NO_DEFAULT_ROUTE, "gateway", Stage.ROUTED)
    assert state.absent == ("eth2.20",)


def test_without_a_gateway_host_nobody_routes() -> None:
    """The host of that name is one like the others."""
    state = expected(NO_GATEWAY, "gateway", Stage.ROUTED)
    assert (state.forwarding, state.rules) == (False, NO_RULES)


@pytest.mark.parametrize(
    ("stage", "addresses"),
    [
        (Stage.ISOLATED, ((), ())),
        (Stage.ROUTED, (("172.16.10.1/24",), ("172.16.20.1/24",))),
        (Stage.UNDONE, ((), ())),
    ],
)
def test_a_docker_host_that_routes_keeps_its_sub_interfaces(
    stage: Stage, addresses: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    """They have addresses while it routes, and are there before and after."""
    found = expected(shipped("gateway-on-host1"), "host1", stage)
    assert found.addresses[2:] == (("eth2.10", addresses[0]), ("eth2.20", addresses[1]))
    assert (found.forwarding, found.absent) == (stage is Stage.ROUTED, ())


def test_each_gateway_has_its_own() -> None:
    """gw1 has no leg in VLAN 30."""
    found = expected(shipped("two-gateways"), "gw1", Stage.ROUTED)
    assert [name for name, _ in found.addresses] == ["eth1", "eth2", "eth2.10", "eth2.20"]
    assert (found.absent, found.rules) == (("eth2.30",), NO_RULES)
    assert expected(shipped("two-gateways"), "gw2", Stage.ROUTED).absent == ()


def test_a_gateway_that_routes_ipv6_too() -> None:
    """While it routes; a host that has no IPv6 address is not asked."""
    lab = shipped("dual-stack")
    states = [expected(lab, "gateway", stage) for stage in Stage]
    assert [state.forwarding6 for state in states] == [False, True, False]
    assert states[0].rules6 == states[2].rules6 == ("-P FORWARD ACCEPT",)
    assert states[1].rules6 == states[1].rules[1][2]
    assert expected(lab, "host1", Stage.ROUTED).forwarding6 is None
