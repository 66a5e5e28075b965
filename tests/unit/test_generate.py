"""Topologies of a wished size: valid, spread out, the same each time; or one clear refusal."""

from __future__ import annotations

from collections import defaultdict

import pytest

from harness import topology
from harness.errors import InputError
from harness.flow import Stage
from harness.topology.generate import FORM, generate


def made(wish: str) -> topology.Topology:
    """The topology of a wish, read back."""
    return topology.parse(generate(wish), "generated.yaml")


@pytest.mark.parametrize(
    ("vlans", "hosts", "endpoints"),
    [
        (1, 1, 1),
        (1, 1, 200),
        (1, 199, 200),
        (20, 5, 100),
        (3, 2, 7),
        (409, 1, 409),
        (410, 2, 820),
        (1000, 199, 1000),
    ],
)
def test_what_is_generated_is_a_topology_of_that_size(
    vlans: int, hosts: int, endpoints: int
) -> None:
    """Up to the largest, and the gateway host comes on top."""
    found = made(f"vlans={vlans},hosts={hosts},endpoints={endpoints}")
    size = (len(found.vlans), len(found.hosts), len(found.endpoints))
    assert size == (vlans, hosts + 1, endpoints)


@pytest.mark.parametrize(
    "wish", [FORM, "vlans=7,hosts=3,endpoints=16", "vlans=5,hosts=2,endpoints=10"]
)
def test_endpoints_of_one_vlan_are_on_different_hosts(wish: str) -> None:
    """As far as there are hosts; every VLAN has two endpoints or more here."""
    hosts = defaultdict(list)
    for endpoint in made(wish).endpoints:
        hosts[endpoint.vlan].append(endpoint.host)
    first_two = [set(found[:2]) for found in hosts.values()]
    assert {len(found) for found in first_two} == {2}


def test_every_host_carries_its_share() -> None:
    """A hundred endpoints on five hosts are twenty each."""
    hosts = [endpoint.host for endpoint in made(FORM).endpoints]
    assert {hosts.count(name) for name in hosts} == {20}


def test_the_gateway_routes_between_all_vlans() -> None:
    """It has an address in each and masquerades there; no rule is needed for that."""
    found = made("vlans=4,hosts=2,endpoints=8")
    (gateway,) = found.gateways
    assert gateway.addresses == tuple((vlan.id, vlan.gateway) for vlan in found.vlans)
    assert gateway.masquerade == (10, 20, 30, 40)
    assert (gateway.forward_policy, gateway.forward) == ("ACCEPT", ())
    assert found.stages == tuple(Stage)


def test_the_same_wish_gives_the_same_file() -> None:
    """In any order of its words."""
    assert generate("endpoints=6, hosts=2, vlans=3") == generate("vlans=3,hosts=2,endpoints=6")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("", f"'' in a wish: it is of the form {FORM}"),
        ("vlans=1,hosts=1", f"endpoints missing in 'vlans=1,hosts=1': it is of the form {FORM}"),
        ("vlans=1,vlans=1", f"'vlans=1' in a wish: it is of the form {FORM}"),
        ("vlans=-1,hosts=1,endpoints=1", f"'vlans=-1' in a wish: it is of the form {FORM}"),
        ("vlans=٣,hosts=1,endpoints=1", f"'vlans=٣' in a wish: it is of the form {FORM}"),
        ("switches=1", f"'switches=1' in a wish: it is of the form {FORM}"),
        ("vlans=0,hosts=1,endpoints=1", "vlans=0 is not between 1 and 1000"),
        (
            "vlans=1001,hosts=200,endpoints=1001",
            (
                "vlans=1001 is not between 1 and 1000; hosts=200 is not between 1 and 199; "
                "endpoints=1001 is not between 1 and 1000"
            ),
        ),
        ("vlans=5,hosts=1,endpoints=4", "endpoints=4 leaves a VLAN empty; give at least 5"),
        (
            "vlans=2,hosts=1,endpoints=401",
            "endpoints=401 is more than vlans=2 take: 200 each, 400 together",
        ),
    ],
)
def test_an_impossible_wish_is_refused_in_one_line(wish: str, said: str) -> None:
    """It says what was found and what would be right."""
    with pytest.raises(InputError) as caught:
        generate(wish)
    assert str(caught.value) == said
