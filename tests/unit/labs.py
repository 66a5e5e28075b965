"""Topologies for the tests of this folder: the tutorial lab, and labs that differ from it."""

from __future__ import annotations

from pathlib import Path

from harness import topology
from harness.flow import Cell, Stage
from harness.matrix import matrix
from harness.topology import Topology

FILE = Path(__file__).parents[2] / "topologies" / "macvlan-two-host.yaml"
TEXT = FILE.read_text()
TUTORIAL = topology.parse(TEXT, "tutorial.yaml")


def variant(*changes: tuple[str, str]) -> Topology:
    """The tutorial lab with parts of its text replaced; each part must be there."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return topology.parse(text, "variant.yaml")


GATEWAY = TEXT[TEXT.index("\ngateway:") :]
FORWARD = "forward: {policy: ACCEPT, between: [[10, 20], [20, 10]]}"
NO_GATEWAY = variant((GATEWAY, "\n"))
ONE_WAY = variant((FORWARD, "forward: {policy: DROP, between: [[10, 20]]}"))
"""Nothing but VLAN 10 to VLAN 20 (and the replies) may pass the gateway."""
NO_MASQUERADE = variant(("masquerade: [10, 20]", "masquerade: []"))
NO_DEFAULT_ROUTE = variant(
    ("gateway: 172.16.20.1, ", ""),
    ("addresses: {10: 172.16.10.1, 20: 172.16.20.1}", "addresses: {10: 172.16.10.1}"),
    ("masquerade: [10, 20]", "masquerade: [10]"),
    (FORWARD, "forward: {policy: ACCEPT}"),
)
"""VLAN 20 names no gateway, and the gateway has no leg in it."""
LONELY = variant(("  bbox4: {host: host2, vlan: 20, address: 172.16.20.11}\n", ""))
"""bbox2 is the only endpoint of VLAN 20: no endpoint can vouch for what must not reach it."""
SIBLINGS = variant(("bbox3: {host: host2", "bbox3: {host: host1"))
"""bbox1 and bbox3 are VLAN 10, on one parent: what they send each other never leaves host1."""
ONE_VLAN = variant(
    ("  20: {subnet: 172.16.20.0/24, gateway: 172.16.20.1, network: mac_net20}\n", ""),
    ("vlan: 20, address: 172.16.20.1", "vlan: 10, address: 172.16.10.2"),
    (GATEWAY, "\n"),
)
"""Four endpoints of VLAN 10, two on each host."""


def cells_of(lab: Topology, stage: Stage) -> dict[str, Cell]:
    """The cells of a stage by their ids."""
    return {cell.id: cell for cell in matrix(lab, (stage,)).cells}


def shipped(name: str) -> Topology:
    """A topology of `topologies/`."""
    return topology.read(FILE.with_name(f"{name}.yaml"))


def altered(name: str, *changes: tuple[str, str]) -> Topology:
    """A topology of `topologies/` with parts of its text replaced; each must be there once."""
    text = FILE.with_name(f"{name}.yaml").read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return topology.parse(text, f"{name}.yaml")


def table(text: str) -> set[tuple[str, str, str, str]]:
    """The cells that lines `family | pairs | probes | outcome` stand for, as `tabled` has them."""
    rows = [[column.split() for column in line.split("|")] for line in text.split("\n") if line]
    return {
        (family, pair, probe, outcome)
        for (family,), pairs, probes, (outcome,) in rows
        for pair in pairs
        for probe in probes
    }


def tabled(lab: Topology, stage: Stage) -> list[tuple[str, str, str, str]]:
    """(family, pair, probe, outcome) of every cell of a stage."""
    return [
        (one.family, f"{one.src}-{one.dst}", f"{one.probe}", one.expectation.outcome)
        for one in cells_of(lab, stage).values()
    ]


AT_GW1, AT_GW2 = "    rp_filter: 1\n", "    rp_filter: 0\n"
"""The last line of each gateway of two-gateways.yaml."""
STRICT = altered("two-gateways", (AT_GW2, "    rp_filter: 1\n"))
"""gw2 takes from VLAN 20 only what is of VLAN 20."""
GW1_DROPS = altered("two-gateways", (AT_GW1, "    forward: {policy: DROP, between: [[10, 20]]}\n"))
GW2_DROPS = altered("two-gateways", (AT_GW2, "    forward: {policy: DROP, between: [[30, 10]]}\n"))
NAT_TWICE = altered(
    "two-gateways",
    (AT_GW1, AT_GW1 + "    masquerade: [20]\n"),
    (AT_GW2, AT_GW2 + "    masquerade: [30]\n"),
)
NO_LEG_IN_30 = altered("two-gateways", (", 30: 172.16.30.2}", "}"))
"""gw1 sends to gw2 what is for VLAN 30, and nobody has an address there."""
NO_LEG_IN_10 = altered("two-gateways", ("{10: 172.16.10.2, 20:", "{20:"))
"""What gw2 gets from VLAN 10 it can deliver, and nobody's reply can it return."""
HAIRPIN_ON_HOST1 = altered(
    "gateway-on-host1",
    ("{management: 192.168.56.104}", "{management: 192.168.56.104, port: hairpin}"),
)
