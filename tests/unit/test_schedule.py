"""What is sent, in which order, and who vouches for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness import schedule as schedule_module
from harness import topology
from harness.controls import lenders
from harness.flow import Cell, Outcome, Stage
from harness.frame import dissect
from harness.schedule import BROADCAST, ENTRIES, GROUP, parts, schedule, taps
from harness.topology import Topology
from harness.topology.generate import generate
from tests.unit.labs import LONELY, TUTORIAL, cells_of, shipped, variant

ISOLATED, ROUTED = cells_of(TUTORIAL, Stage.ISOLATED), cells_of(TUTORIAL, Stage.ROUTED)


def probes(lab: Topology, chosen: list[str], stage: Stage = Stage.ISOLATED) -> dict[str, Any]:
    """The probes of a schedule by their ids, in its order."""
    known = cells_of(lab, stage)
    plan = schedule(lab, [known[cell_id] for cell_id in chosen], known.values())
    sent = [probe for wave in plan["waves"] for probe in wave["probes"]]
    found = {probe["id"]: probe for probe in sent}
    assert len(found) == len(sent)
    return found


def test_what_must_not_reach_goes_first() -> None:
    """Then its controls come after it, of themselves."""
    plan = schedule(TUTORIAL, ISOLATED.values(), ISOLATED.values())
    assert [wave["name"] for wave in plan["waves"]] == ["main"]
    reaches = [probe["await"] for probe in plan["waves"][0]["probes"]]
    assert reaches == sorted(reaches)
    assert 0 < sum(reaches) < len(reaches) == 132


def test_every_probe_has_a_token_of_its_own() -> None:
    """16 octets, new each time."""
    tokens = [
        probe["token"]
        for _ in range(2)
        for wave in schedule(TUTORIAL, ROUTED.values(), ROUTED.values())["waves"]
        for probe in wave["probes"]
    ]
    assert len(set(tokens)) == 2 * 160
    assert {len(token) for token in tokens} == {16}


def test_cold_cells_are_a_wave_of_their_own() -> None:
    """The first, so that nothing has filled the gateway's ARP table."""
    waves = schedule(TUTORIAL, ROUTED.values(), ROUTED.values())["waves"]
    assert [wave["name"] for wave in waves] == ["cold", "main"]
    assert {probe["node"] for probe in waves[0]["probes"]} == {"gateway"}
    assert len(waves[0]["probes"]) == 4
    assert not [probe for probe in waves[1]["probes"] if probe["node"] == "gateway"]
    assert {(wave["deadline"], wave["quiet"]) for wave in waves} == {(3.0, 0.12)}


def test_a_whole_stage_needs_no_control_more() -> None:
    """The cells that reach are the controls of those that do not."""
    assert set(probes(TUTORIAL, list(ISOLATED))) == set(ISOLATED)


def test_a_cell_alone_is_lent_a_control() -> None:
    """Of its class, to its destination, from another host; it is no cell of the report."""
    found = probes(TUTORIAL, ["isolated-bbox1-to-bbox4-l2-unicast"])
    assert list(found) == [
        "isolated-bbox1-to-bbox4-l2-unicast", "control/isolated-bbox2-to-bbox4-l2-unicast",
    ]  # fmt: skip
    assert [probe["await"] for probe in found.values()] == [False, True]


def test_one_control_serves_all_of_its_class() -> None:
    """Two cells to one destination share it; another class, or destination, has its own."""
    chosen = ["isolated-bbox1-to-bbox4-arp", "isolated-bbox3-to-bbox4-arp"]
    assert len(probes(TUTORIAL, chosen)) == 3
    assert len(probes(TUTORIAL, [*chosen, "isolated-bbox1-to-bbox4-udp"])) == 5
    assert len(probes(TUTORIAL, [*chosen, "isolated-bbox1-to-bbox2-arp"])) == 5


def test_a_control_comes_over_the_same_last_hop() -> None:
    """What a sibling sends never crosses the trunk, so it vouches for nothing that would."""
    lab = variant(("bbox3: {host: host2", "bbox3: {host: host1"))
    found = probes(lab, ["isolated-bbox4-to-bbox1-icmp"])
    assert list(found) == ["isolated-bbox4-to-bbox1-icmp", "beacon/isolated-bbox4-to-bbox1-icmp"]
    sent = probes(lab, ["isolated-bbox4-to-bbox1-icmp", "isolated-bbox3-to-bbox1-icmp"])
    assert "beacon/isolated-bbox4-to-bbox1-icmp" in sent


def test_what_reaches_needs_no_control() -> None:
    """It vouches for itself."""
    assert len(probes(TUTORIAL, ["isolated-bbox1-to-bbox3-tcp"])) == 1


def test_cold_cells_vouch_for_nothing() -> None:
    """They are in another wave."""
    lab = variant(("bbox3: {host: host2", "bbox3: {host: host1"))
    known = cells_of(lab, Stage.ROUTED)
    blocked = replace(
        known["routed-bbox4-to-bbox1-icmp"],
        expectation=replace(
            known["routed-bbox4-to-bbox1-icmp"].expectation, outcome=Outcome.SILENT
        ),
    )
    cold = known["routed-gateway-to-bbox1-icmp"]
    sent = schedule(lab, [blocked, cold], [blocked, cold])
    ids = [probe["id"] for wave in sent["waves"] for probe in wave["probes"]]
    assert ids == [cold.id, blocked.id, f"beacon/{blocked.id}"]


LONELY_CELLS = {
    cell.id: cell
    for cell in cells_of(LONELY, Stage.ISOLATED).values()
    if cell.dst == "bbox2" and cell.src != "host1"
}


@pytest.mark.parametrize("cell", LONELY_CELLS.values(), ids=LONELY_CELLS)
def test_a_beacon_stands_in_where_no_endpoint_can(cell: Cell) -> None:
    """The same class of frame, in the destination's VLAN, at its host's switch port, after it."""
    found = probes(LONELY, [cell.id])
    probe, beacon = found.values()
    assert list(found) == [cell.id, f"beacon/{cell.id}"]
    assert (beacon["node"], beacon["interface"], beacon["dst"]) == ("switch", "host1", "bbox2")
    assert (beacon["kind"], beacon["await"]) == ("beacon", True)
    assert beacon["token"] != probe["token"]
    packet = dissect(beacon["frame"])
    assert beacon["token"] in beacon["frame"]
    assert len(beacon["frame"]) >= 60
    assert packet.vlans[0] == 20
    own = (cell.probe.argument,) if cell.probe.argument else ()
    assert packet.vlans[1:] == (own if cell.probe.is_layer2 else ())
    wanted = {"arp": BROADCAST, "l2-broadcast": BROADCAST, "l2-multicast": GROUP}
    assert packet.dst_mac == wanted.get(cell.probe.kind, "02:42:ac:10:14:0a")
    assert packet.src_mac == "02:6e:73:ff:00:01"
    if packet.ethertype == 0x0800:
        protocols = {"icmp": 1, "tcp": 6, "udp": 17}
        assert packet.ip_proto == protocols[cell.probe.kind]
        assert (packet.src_ip, packet.dst_ip, packet.ttl) == ("0.0.0.0", "172.16.20.10", 64)  # noqa: S104
        assert packet.payload == beacon["token"]
        assert (packet.dst_port or 7, packet.tcp_flags or 2, packet.icmp_type or 8) == (7, 2, 8)
    elif packet.ethertype == 0x0806:
        assert (packet.arp_op, packet.arp_spa, packet.arp_tpa) == (1, "0.0.0.0", "172.16.20.10")  # noqa: S104
        assert packet.payload[:16] == beacon["token"]
    else:
        assert (packet.ethertype, packet.payload[:17]) == (0x88B5, beacon["token"] + b"\1")


def test_a_beacon_is_for_a_class_and_a_destination() -> None:
    """One serves all cells of its kind."""
    chosen = ["isolated-bbox1-to-bbox2-udp", "isolated-bbox3-to-bbox2-udp"]
    found = probes(LONELY, chosen)
    assert len(found) == 3
    assert list(found)[2].startswith("beacon/")


def test_there_is_no_beacon_for_a_host() -> None:
    """It is the modelled gateway's own address that a beacon would need."""
    cell = replace(ROUTED["routed-bbox1-to-gateway-arp"], dst="host2")
    blocked = replace(cell, expectation=replace(cell.expectation, outcome=Outcome.SILENT))
    with pytest.raises(ValueError, match="no beacon can stand in for routed-bbox1-to-host2-arp"):
        schedule(TUTORIAL, [blocked], [blocked])


PROBES = {
    "isolated-bbox1-to-bbox4-l2-unicast": ("bbox1", "eth0", "02:42:ac:10:14:0b", None, None),
    "isolated-bbox1-to-bbox4-l2-broadcast": ("bbox1", "eth0", BROADCAST, None, None),
    "isolated-bbox1-to-bbox4-l2-multicast": ("bbox1", "eth0", GROUP, None, None),
    "isolated-bbox1-to-bbox4-l2-unicast:20": ("bbox1", "eth0", "02:42:ac:10:14:0b", None, 20),
    "isolated-bbox1-to-bbox4-arp": ("bbox1", "eth0", BROADCAST, None, None),
    "isolated-bbox1-to-bbox3-icmp:1473": ("bbox1", "eth0", "02:42:ac:10:0a:0b", 1473, None),
    "isolated-host1-to-bbox4-l2-broadcast": ("host1", "eth2.20", BROADCAST, None, None),
    "isolated-host1-to-bbox4-l2-unicast": ("host1", "eth2.20", "02:42:ac:10:14:0b", None, None),
}


@pytest.mark.parametrize("cell_id", PROBES)
def test_a_probe_in_the_workers_words(cell_id: str) -> None:
    """Where it leaves, to which MAC, how large, with which tag."""
    probe = probes(TUTORIAL, [cell_id])[cell_id]
    keys = ("node", "interface", "dst_mac", "size", "tag")
    assert tuple(probe[key] for key in keys) == PROBES[cell_id]
    assert (probe["kind"], probe["port"]) == (str(ISOLATED[cell_id].probe.kind), 7)
    host = probe["node"] == "host1"
    assert probe["src_mac"] == ("02:6e:73:00:00:01" if host else "02:42:ac:10:0a:0a")
    address = {"bbox3": "172.16.10.11", "bbox4": "172.16.20.11"}[ISOLATED[cell_id].dst]
    assert probe["dst_ip"] == address


def test_a_probe_to_the_gateway_goes_to_its_address_there() -> None:
    """In the VLAN of whoever asks."""
    found = probes(TUTORIAL, ["routed-bbox4-to-gateway-icmp"], Stage.ROUTED)
    assert found["routed-bbox4-to-gateway-icmp"]["dst_ip"] == "172.16.20.1"


def test_every_endpoint_answers_its_own_tokens_only() -> None:
    """A responder that heard another's probe stays silent."""
    plan = schedule(TUTORIAL, ISOLATED.values(), ISOLATED.values())
    sent = {probe["token"]: probe["id"] for probe in plan["waves"][0]["probes"]}
    assert [one["node"] for one in plan["responders"]] == ["bbox1", "bbox2", "bbox3", "bbox4"]
    for one in plan["responders"]:
        assert {ISOLATED[sent[token]].dst for token in one["tokens"]} == {one["node"]}
    assert sum(len(one["tokens"]) for one in plan["responders"]) == 132
    assert plan["responders"][3] | {"tokens": []} == {
        "node": "bbox4", "interface": "eth0", "mac": "02:42:ac:10:14:0b",
        "address": "172.16.20.11", "address6": None, "tokens": [],
        "kinds": ["arp", "icmp", "l2-broadcast", "l2-multicast", "l2-unicast", "tcp", "udp"],
    }  # fmt: skip
    assert plan["nodes"] == list(TUTORIAL.nodes)


def test_there_is_a_tap_wherever_a_packet_may_cross() -> None:
    """Endpoints, trunks, management links, switch ports, and the sub-interfaces in use."""
    found = [f"{node}:{interface}" for node, interface in taps(TUTORIAL, (("host1", "eth2.10"),))]
    assert sorted(found) == [
        "bbox1:eth0", "bbox2:eth0", "bbox3:eth0", "bbox4:eth0", "gateway:eth1", "gateway:eth2",
        "host1:eth1", "host1:eth2", "host1:eth2.10", "host2:eth1", "host2:eth2",
        "switch:gateway", "switch:host1", "switch:host2",
    ]  # fmt: skip


def entries(cells: list[Cell]) -> set[tuple[str, str]]:
    """The neighbours that the nodes of layer-3 cells resolve, by hand for a lab with one router."""
    found: set[tuple[str, str]] = set()
    for cell in cells:
        if cell.probe.is_layer2:
            continue
        if cell.expectation.next_hop:
            found.add((cell.src, cell.expectation.next_hop))
        elif cell.expectation.via:
            for end in (cell.src, cell.dst):
                found |= {(end, "gateway"), ("gateway", end)}
        else:
            found |= {(cell.src, cell.dst), (cell.dst, cell.src)}
    return found


def test_a_small_lab_is_swept_at_once() -> None:
    """In the order in which its cells were asked for."""
    assert parts(ROUTED.values()) == [list(ROUTED.values())]
    assert parts([]) == []


@pytest.mark.parametrize("stage", [Stage.ISOLATED, Stage.ROUTED])
@pytest.mark.parametrize("wish", ["vlans=1,hosts=4,endpoints=40", "vlans=12,hosts=4,endpoints=48"])
def test_a_large_lab_is_swept_in_parts(wish: str, stage: Stage) -> None:
    """Every cell once; no part has more probes or neighbour entries than there may be."""
    cells = list(cells_of(topology.parse(generate(wish), wish), stage).values())
    found = parts(cells)
    assert len(found) > 1
    assert sorted(cell.id for part in found for cell in part) == sorted(cell.id for cell in cells)
    assert max(len(part) for part in found) <= schedule_module.PROBES
    assert max(len(entries(part)) for part in found) <= ENTRIES
    destinations = [dst for part in found for dst in dict.fromkeys(cell.dst for cell in part)]
    assert len(destinations) - len(set(destinations)) < len(found)


def test_entries_alone_make_parts() -> None:
    """A full mesh of one VLAN, one probe a pair, has more neighbours than probes are too many."""
    lab = topology.parse(generate("vlans=1,hosts=2,endpoints=30"), "mesh.yaml")
    cells = [cell for cell in cells_of(lab, Stage.ISOLATED).values() if str(cell.probe) == "icmp"]
    assert len(cells) == 870
    assert len(entries(cells)) == 870
    assert [len(part) for part in parts(cells)] == [sum(sizes) for sizes in _of_destinations(cells)]


def _of_destinations(cells: list[Cell]) -> list[list[int]]:
    """Sizes of the parts of a mesh, counted probe by probe."""
    found: list[list[int]] = [[]]
    pairs: set[frozenset[str]] = set()
    for cell in sorted(cells, key=lambda one: int(one.dst.removeprefix("bbox"))):
        pair = frozenset((cell.src, cell.dst))
        if 2 * len(pairs | {pair}) > ENTRIES:
            found.append([])
            pairs = set()
        pairs.add(pair)
        found[-1].append(1)
    order = list(dict.fromkeys(cell.dst for cell in cells))
    assert order[:2] == ["bbox2", "bbox3"]
    return found


def test_each_part_has_its_own_controls() -> None:
    """A blocked cell is vouched for in its part, also where its destination is in two."""
    lab = topology.parse(generate("vlans=12,hosts=4,endpoints=48"), "large.yaml")
    cells = cells_of(lab, Stage.ISOLATED)
    lent_by = lenders(lab, cells.values())
    for part in parts(cells.values()):
        plan = schedule(lab, part, lent_by)
        (wave,) = plan["waves"]
        sent = [cells[probe["id"].rpartition("/")[2]] for probe in wave["probes"]]
        reaching = {
            (cell.dst, cell.probe.frame_class)
            for cell in sent
            if cell.expectation.outcome is Outcome.REACHED
            and lab.endpoint_hosts.get(cell.src) != lab.endpoint_hosts.get(cell.dst)
        }
        assert {(cell.dst, cell.probe.frame_class) for cell in part} <= reaching


def test_lenders_are_few() -> None:
    """One for each class of each destination, and of each source, and they lend what all would."""
    few = lenders(TUTORIAL, ISOLATED.values())
    assert set(few) < set(ISOLATED.values())
    cell = ISOLATED["isolated-bbox1-to-bbox4-udp"]
    plans = [schedule(TUTORIAL, [cell], every) for every in (few, ISOLATED.values())]
    first, second = ([probe["id"] for probe in plan["waves"][0]["probes"]] for plan in plans)
    assert first == second == [cell.id, "control/isolated-bbox2-to-bbox4-udp"]


def test_a_sibling_vouches_for_what_siblings_send() -> None:
    """A packet that is too big never leaves the parent; neither does what shows that."""
    lab = variant(("bbox3: {host: host2", "bbox3: {host: host1"))
    found = probes(lab, ["isolated-bbox1-to-bbox3-icmp:1473"])
    assert list(found)[1] == "control/isolated-bbox1-to-bbox3-icmp"


def test_a_control_is_lent_where_only_a_router_could_vouch() -> None:
    """What breaks the router then leaves all else proved; where nobody else can vouch, it must."""
    blocked, routed = "routed-h1v30a-to-h2v20b-icmp", "routed-h1v10a-to-h2v20b-icmp"
    direct = "routed-h1v20a-to-h2v20b-icmp"
    known = cells_of(shipped("three-vlans"), Stage.ROUTED)

    def sent(*others: str) -> list[str]:
        chosen = [known[blocked], known[routed]]
        plan = schedule(shipped("three-vlans"), chosen, [known[one] for one in (routed, *others)])
        return [probe["id"] for wave in plan["waves"] for probe in wave["probes"]]

    assert sent(direct) == [blocked, routed, f"control/{direct}"]
    assert sent() == [blocked, routed]
    assert sent("routed-h1v10b-to-h2v20b-icmp") == [blocked, routed]
