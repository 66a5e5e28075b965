"""What is expected of the lab whose Docker networks have options, written out by hand."""

from __future__ import annotations

import pytest

from harness.flow import Stage
from tests.unit.labs import shipped, table, tabled
from tests.unit.test_matrix import L2, L3

SAME = "bbox1-bbox4 bbox4-bbox1 bbox2-bbox5 bbox5-bbox2 bbox3-bbox6 bbox6-bbox3"
INTO_20 = "bbox1-bbox2 bbox1-bbox5 bbox4-bbox2 bbox4-bbox5"
INTO_30 = "bbox1-bbox3 bbox1-bbox6 bbox4-bbox3 bbox4-bbox6"
OUT_OF_20 = "bbox2-bbox1 bbox2-bbox4 bbox5-bbox1 bbox5-bbox4"
OUT_OF_30 = "bbox3-bbox1 bbox3-bbox4 bbox6-bbox1 bbox6-bbox4"
FROM_20_TO_30 = "bbox2-bbox3 bbox2-bbox6 bbox5-bbox3 bbox5-bbox6"
FROM_30_TO_20 = "bbox3-bbox2 bbox3-bbox5 bbox6-bbox2 bbox6-bbox5"
INTERNAL = f"{OUT_OF_20} {OUT_OF_30} {FROM_20_TO_30} {FROM_30_TO_20}"
OWN = "host1-bbox1 host1-bbox2 host1-bbox3 host2-bbox4 host2-bbox5 host2-bbox6"
OTHER = "host1-bbox4 host1-bbox5 host1-bbox6 host2-bbox1 host2-bbox2 host2-bbox3"
EVERYBODY = ("bbox1", "bbox2", "bbox3", "bbox4", "bbox5", "bbox6")
TO_GATEWAY = " ".join(f"{name}-gateway" for name in EVERYBODY)
FROM_GATEWAY = " ".join(f"gateway-{name}" for name in EVERYBODY)
ALWAYS = f"""
same-vlan       | {SAME}                                | {L2} {L3}                     | reached
mtu             | {SAME}                                | icmp:1472                     | reached
mtu             | {SAME}                                | icmp:1473                     | too-big
cross-vlan-l2   | {INTO_20} {INTO_30} {INTERNAL}        | {L2}                          | silent
cross-vlan-l3   | {INTERNAL}                            | {L3}                          | no-route
parent          | {OWN}                                 | l2-unicast l2-broadcast       | silent
parent          | {OTHER}                               | l2-unicast l2-broadcast       | reached
own-tag         | bbox1-bbox4 bbox4-bbox1               | l2-unicast:20 l2-broadcast:20 | reached
own-tag         | bbox2-bbox5 bbox5-bbox2               | l2-unicast:10 l2-broadcast:10 | reached
own-tag         | bbox3-bbox6 bbox6-bbox3               | l2-unicast:10 l2-broadcast:10 | reached
own-tag         | {OUT_OF_20} {OUT_OF_30}               | l2-unicast:10 l2-broadcast:10 | silent
own-tag         | {INTO_20} {FROM_30_TO_20}             | l2-unicast:20 l2-broadcast:20 | silent
own-tag         | {INTO_30} {FROM_20_TO_30}             | l2-unicast:30 l2-broadcast:30 | silent
"""
BLOCKED = f"""
cross-vlan-l3   | {INTO_20} {INTO_30}                 | {L3}                          | no-neighbour
"""
ROUTED = f"""
cross-vlan-l3   | {INTO_20}                             | {L3}                          | reached
mtu             | {INTO_20}                             | icmp:1472                     | reached
mtu             | {INTO_20}                             | icmp:1473                     | too-big
cross-vlan-l3   | {INTO_30}                             | {L3}                          | silent
gateway-address | {TO_GATEWAY}                          | arp icmp                      | reached
cold            | {FROM_GATEWAY}                        | icmp                          | reached
"""


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (306, 332, 306), strict=True)])
def test_docker_options(stage: Stage, count: int) -> None:
    """Nothing leaves an internal network but to its router; what a neighbour sends is answered."""
    found = tabled(shipped("docker-options"), stage)
    assert set(found) == table(ALWAYS + (ROUTED if stage is Stage.ROUTED else BLOCKED))
    assert len(found) == len(set(found)) == count
