"""Values for the tests of this folder: frames with real octets, verdicts and whole reports."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

from harness.flow import (
    Cell,
    Expectation,
    Family,
    Hop,
    Observation,
    Outcome,
    Point,
    Probe,
    Proof,
    Ruling,
    Stage,
    Verdict,
)
from harness.report.model import Evidence, Run, RunReport

BBOX1, BBOX4, GATEWAY = "02:42:ac:10:0a:0a", "02:42:ac:10:14:0b", "02:6e:73:00:00:03"
ADDRESS1, ADDRESS4 = "172.16.10.10", "172.16.20.11"
TOKEN = bytes(range(16))


def mac(text: str) -> bytes:
    """The six octets of a MAC address."""
    return bytes.fromhex(text.replace(":", ""))


def address(text: str) -> bytes:
    """The four octets of an IPv4 address."""
    return bytes(map(int, text.split(".")))


def ethernet(ethertype: int, body: bytes, *tags: tuple[int, int]) -> bytes:
    """A frame from bbox1 to the gateway; tags are (protocol, control information)."""
    inline = b"".join(struct.pack("!HH", *tag) for tag in tags)
    return mac(GATEWAY) + mac(BBOX1) + inline + struct.pack("!H", ethertype) + body


def ipv4(protocol: int, body: bytes, **fields: Any) -> bytes:
    """An IPv4 packet from bbox1 to bbox4; fields: length, fragment, first, options, ttl."""
    options: bytes = fields.get("options", b"")
    length = fields.get("length", 20 + len(options) + len(body))
    first = fields.get("first", 0x45 + len(options) // 4)
    fragment, ttl = fields.get("fragment", 0x4000), fields.get("ttl", 64)
    ends = (address(ADDRESS1), address(ADDRESS4))
    head = struct.pack("!BBHHHBBH4s4s", first, 0, length, 7, fragment, ttl, protocol, 0xBAD, *ends)
    return head + options + body


def icmp(kind: int, code: int, rest: bytes, body: bytes) -> bytes:
    """An ICMP message with a wrong checksum; rest is the second word."""
    return struct.pack("!BBH4s", kind, code, 0xBAD, rest) + body


def tcp(flags: int, body: bytes = b"", options: bytes = b"") -> bytes:
    """A TCP segment from port 40000 to 80 with sequence number 0x01020304."""
    offset = (20 + len(options)) // 4 << 4
    ports = (40000, 80, 0x01020304, 0x0A0B0C0D)
    return struct.pack("!HHIIBBHHH", *ports, offset, flags, 512, 0xBAD, 0) + options + body


def udp(body: bytes) -> bytes:
    """A UDP datagram from port 40000 to 53."""
    return struct.pack("!HHHH", 40000, 53, 8 + len(body), 0xBAD) + body


def arp(operation: int, padding: bytes = b"") -> bytes:
    """An ARP message of bbox1 that asks for bbox4's address."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + mac(BBOX1) + address(ADDRESS1) + bytes(6) + address(ADDRESS4) + padding


def hop(node: str, direction: str = "in", *, t_ns: int = 0, **fields: Any) -> Hop:
    """A sighting at eth2 of a node."""
    values: dict[str, Any] = {
        "vlan": 10,
        "src_mac": BBOX1,
        "dst_mac": GATEWAY,
        "src_ip": ADDRESS1,
        "dst_ip": ADDRESS4,
        "ttl": 64,
    }
    return Hop(point=Point(node, "eth2", direction), t_ns=10**18 + t_ns, **values | fields)


def cell(src: str, dst: str, probe: str = "icmp", **fields: Any) -> Cell:
    """A cell; fields: stage, family, expected, why, via, arrives."""
    expected = fields.get("expected", Outcome.REACHED)
    via, arrives = fields.get("via", ()), fields.get("arrives", False)
    expectation = Expectation(expected, fields.get("why", "same VLAN"), via=via, arrives=arrives)
    return Cell(
        fields.get("stage", Stage.ISOLATED),
        src,
        dst,
        Probe.parse(probe),
        fields.get("family", Family.SAME_VLAN),
        expectation,
    )


def passed(of: Cell, **fields: Any) -> Verdict:
    """A pass: what was expected was seen."""
    outcome = of.expectation.outcome
    seen = Observation(outcome, "as it should be", left=True, arrived=outcome is Outcome.REACHED)
    proof = Proof(left=True, absent=True, control="a-control", taps_lossless=True, outcome=True)
    made = Verdict(of, seen, Ruling.PASS, "as expected", proof, token=TOKEN.hex())
    return replace(made, **fields)


def failed(of: Cell, why: str = "lost in the gateway", **seen: Any) -> Verdict:
    """A failure: silence in place of what was expected."""
    values: dict[str, Any] = {
        "left": True,
        "arrived": False,
        "path": (hop("host1", "out"), hop("gateway", t_ns=1500)),
        "lost_at": Point("gateway", "eth2", "out"),
    }
    observation = Observation(Outcome.SILENT, "no reply", **values | seen)
    proof = Proof(left=True, absent=True, control=None, taps_lossless=True, outcome=False)
    names = (f"{of.stage}/gateway/firewall/after",)
    return Verdict(of, observation, Ruling.FAIL, why, proof, TOKEN.hex(), evidence=names)


def unproved(of: Cell, why: str = "the tap at bbox4 lost 3 packets") -> Verdict:
    """A cell that could not be told."""
    return replace(failed(of, why), ruling=Ruling.UNPROVED)


def reading(name: str, **fields: Any) -> Evidence:
    """A reading of the gateway's firewall."""
    values: dict[str, Any] = {
        "node": "gateway",
        "stage": "routed",
        "kind": "firewall",
        "command": "iptables -S",
        "parsed": {"filter": [{"chain": "FORWARD", "packets": 3}]},
        "raw": "-P FORWARD ACCEPT\n",
    }
    return Evidence(name=name, **values | fields)


RUN = Run(
    id="5f3a",
    started="2026-11-23T20:05:01+00:00",
    duration_s=12.34,
    topology="macvlan-two-host",
    backend="netns",
    vlan_datapath="tc-bpf",
    firewall_backend="iptables-nft",
    stages=("isolated", "routed", "undone"),
    kernel="6.18.0",
    engines=(),
    versions={"iptables": "1.8.9"},
    not_applicable=("IPv6: the topology has no IPv6 addresses",),
    argv=("pytest", "suites/"),
)


def report(*verdicts: Verdict, **fields: Any) -> RunReport:
    """A report of these verdicts; fields: evidence, leftovers, other_failures, those of Run."""
    own = {key: fields.pop(key) for key in ("evidence", "leftovers") if key in fields}
    failures = fields.pop("other_failures", 0)
    return RunReport(
        run=replace(RUN, **fields),
        verdicts=verdicts,
        evidence=own.get("evidence", ()),
        leftovers=own.get("leftovers", ()),
        other_failures=failures,
    )


ENDPOINTS = {"bbox1": 10, "bbox2": 20, "bbox3": 10, "bbox4": 20}
L2 = ("arp", "l2-unicast", "l2-broadcast", "l2-multicast")
L3 = ("icmp", "tcp", "udp")


def tutorial() -> list[Verdict]:
    """A passing run of the tutorial lab: three stages, four endpoints, the gateway, two parents."""
    found: list[Verdict] = []
    for stage in Stage:
        routed = stage is Stage.ROUTED
        for src, vlan in ENDPOINTS.items():
            for dst, other in ENDPOINTS.items():
                if src != dst:
                    found += _pair(stage, src, dst, same=vlan == other)
            outcome = Outcome.REACHED if routed else Outcome.NO_NEIGHBOUR
            gateway = {"stage": stage, "family": Family.GATEWAY_ADDRESS, "expected": outcome}
            found += [passed(cell(src, "gateway", probe, **gateway)) for probe in ("arp", "icmp")]
        parent = {"stage": stage, "family": Family.PARENT, "expected": Outcome.SILENT}
        found += [
            passed(cell(host, dst, "l2-unicast", **parent))
            for host, dst in (("host1", "bbox1"), ("host1", "bbox2"), ("host2", "bbox3"))
        ]
    return found


def _pair(stage: Stage, src: str, dst: str, *, same: bool) -> list[Verdict]:
    path = tuple(hop(node, t_ns=number * 1000) for number, node in enumerate((src, "switch", dst)))
    blocked = {"stage": stage, "expected": Outcome.SILENT, "why": "another VLAN"}
    layer2: dict[str, Any] = {"stage": stage} if same else blocked
    layer3: dict[str, Any] = dict(layer2)
    if not same and stage is Stage.ROUTED:
        layer3 = {"stage": stage, "why": "routed", "via": ("gateway",)}
    layer3["family"] = Family.SAME_VLAN if same else Family.CROSS_VLAN_L3
    layer2["family"] = Family.SAME_VLAN if same else Family.CROSS_VLAN_L2
    cells = [cell(src, dst, probe, **layer2) for probe in L2]
    cells += [cell(src, dst, probe, **layer3) for probe in L3]
    if same:
        cells.append(cell(src, dst, "icmp:1473", stage=stage, expected=Outcome.TOO_BIG))
    found = [passed(one) for one in cells]
    return [replace(one, observation=replace(one.observation, path=path)) for one in found]
