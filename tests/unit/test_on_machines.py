"""A lab on machines of its own, as the pure modules see it: no switch, and what is found there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness import schedule, walk
from harness.errors import RunFolderError
from harness.flow import Stage
from harness.hoststate import expected
from harness.plan import subinterfaces
from harness.record import Record
from harness.topology import Topology
from tests.unit.labs import LONELY, ONE_WAY, TUTORIAL, cells_of, shipped, variant

MACS = {"host1": "52:54:00:00:00:01", "host2": "52:54:00:00:00:02", "bbox4": "52:54:00:00:00:04"}
LAB = TUTORIAL.on_machines(MACS)


def points(lab: Topology, stage: Stage, cell_id: str) -> str:
    """The modelled path of a cell."""
    return ", ".join(str(way.point) for way in walk.path(lab, cells_of(lab, stage)[cell_id]))


def test_a_path_goes_from_trunk_to_trunk() -> None:
    """Nobody looks into the switch between them."""
    assert points(LAB, Stage.ISOLATED, "isolated-bbox1-to-bbox3-icmp") == (
        "bbox1:eth0 (out), host1:eth2.10 (out), host1:eth2 (out), "
        "host2:eth2 (in), host2:eth2.10 (in), bbox3:eth0 (in)"
    )


def test_nobody_looks_at_an_external_router() -> None:
    """Its switch port is not there to be looked at either."""
    lab = shipped("external-router").on_machines({})
    found = points(lab, Stage.ROUTED, "routed-bbox1-to-bbox4-icmp")
    assert "switch" not in found
    assert "router" not in found


def test_taps_are_on_the_trunk_and_never_on_the_management() -> None:
    """What else a machine does is not captured."""
    found = schedule.taps(LAB, subinterfaces(LAB, routed=True))
    assert ("gateway", "eth2") in found
    assert ("gateway", "eth2.10") in found
    assert not [tap for tap in found if tap[0] == "switch" or tap[1] == "eth1"]


def test_frames_bear_the_addresses_that_were_found() -> None:
    """Of trunks, and of endpoints that somebody else made."""
    cells = cells_of(LAB, Stage.ISOLATED)
    chosen = [cells["isolated-host1-to-bbox4-l2-unicast"]]
    plan = schedule.schedule(LAB, chosen, cells.values())
    probe = plan["waves"][0]["probes"][0]
    assert (probe["src_mac"], probe["dst_mac"]) == (MACS["host1"], MACS["bbox4"])
    assert "switch" not in plan["nodes"]


def test_a_beacon_comes_from_the_trunk_of_another_host() -> None:
    """Tagged, as it would come out of the switch."""
    lab = LONELY.on_machines({})
    every = cells_of(lab, Stage.ISOLATED)
    plan = schedule.schedule(lab, every.values(), every.values())
    beacons = [probe for wave in plan["waves"] for probe in wave["probes"]
               if probe["kind"] == "beacon"]  # fmt: skip
    assert beacons
    for probe in beacons:
        assert probe["interface"] == "eth2"
        assert probe["node"] in {host.name for host in lab.hosts}
        assert probe["node"] != walk.carrier(lab, probe["dst"])


def test_a_lone_machine_has_nobody_to_send_a_beacon() -> None:
    """So its cells are unproved, and not a mistake of the schedule."""
    only = tuple(host for host in LONELY.hosts if host.name == LONELY.endpoints[0].host)
    ends = tuple(end for end in LONELY.endpoints if end.host == only[0].name)
    lab = replace(LONELY, hosts=only, endpoints=ends, gateways=()).on_machines({})
    every = cells_of(lab, Stage.ISOLATED)
    plan = schedule.schedule(lab, every.values(), every.values())
    assert not [probe for wave in plan["waves"] for probe in wave["probes"]
                if probe["kind"] == "beacon"]  # fmt: skip


def test_a_record_has_the_addresses_that_it_is_judged_by() -> None:
    """They come back from the run folder, and make the topology what it was."""
    record = Record(Stage.ISOLATED, (), (), macs=LAB.macs)
    again = Record.from_json(json.loads(json.dumps(record.as_json())), ())
    assert again == record
    assert again.found(TUTORIAL) == LAB
    assert Record(Stage.ISOLATED, (), ()).found(TUTORIAL) is TUTORIAL
    assert TUTORIAL.macs is None


@pytest.mark.parametrize("macs", [{"host1": "02:00"}, {"host1": 7}, ["host1"], "host1"])
def test_an_altered_address_is_refused(macs: Any) -> None:
    """Whoever altered a record is told so."""
    data = {**Record(Stage.ISOLATED, (), ()).as_json(), "macs": macs}
    with pytest.raises(RunFolderError):
        Record.from_json(data, ())


def before(forwards: str, policy: str) -> dict[str, Any]:
    """What a survey said of a machine that has more to do."""
    return {"sysctls": {"net.ipv4.ip_forward": forwards}, "policies": {"iptables": policy}}


def test_a_machine_that_forwards_for_others_goes_on() -> None:
    """In every stage; so does its policy."""
    for stage in Stage:
        state = expected(LAB, "gateway", stage, before("1", "DROP"))
        assert state.forwarding
        assert state.rules[1][2][0] == "-P FORWARD DROP"
    assert not expected(LAB, "host1", Stage.ROUTED, before("0", "ACCEPT")).forwarding
    assert expected(LAB, "gateway", Stage.ROUTED, before("0", "ACCEPT")).forwarding


def test_a_policy_that_the_lab_sets_ends_with_it() -> None:
    """DROP while it routes, and what it was before and after."""
    found = [expected(ONE_WAY, "gateway", stage, before("0", "ACCEPT")).rules[1][2][0]
             for stage in Stage]  # fmt: skip
    assert found == ["-P FORWARD ACCEPT", "-P FORWARD DROP", "-P FORWARD ACCEPT"]


def test_ipv6_forwarding_of_a_machine_that_has_it() -> None:
    """As IPv4's."""
    lab = shipped("dual-stack")
    machine = before("0", "ACCEPT")
    assert expected(lab, "gateway", Stage.ISOLATED, machine).forwarding6 is False
    machine["sysctls"]["net.ipv6.conf.all.forwarding"] = "1"
    assert expected(lab, "gateway", Stage.ISOLATED, machine).forwarding6 is True


def test_rules_of_others_are_not_the_labs() -> None:
    """But one that names an interface of the lab is."""
    state = expected(LAB, "gateway", Stage.ROUTED, before("1", "ACCEPT"))
    own, others = state.rules[1][2], "-A FORWARD -i docker0 -j ACCEPT"
    assert state.lab_rules([own[0], others, *own[1:]]) == own
    strange = "-A FORWARD -i eth2.10 -j DROP"
    assert state.lab_rules([*own, strange]) == (*own, strange)
    assert state.strangers([others, *own[1:], strange]) == (strange,)


def test_only_hosts_that_say_so_are_observed() -> None:
    """One is enough: then all are."""
    assert not TUTORIAL.observed
    lab = variant(("host1: {management: 192.168.56.104}",
                   "host1: {management: 192.168.56.104, ssh: host1, may: observe}"))  # fmt: skip
    assert lab.observed
