"""Runs for tests of the page: good ones, one that went wrong, and one in which all is hostile."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from harness import topology
from harness.causes import Cause, Code, Diagnosis
from harness.flow import Cell, Expectation, Family, Hop, Outcome, Point, Probe, Stage, Verdict
from harness.report.model import Evidence, RunReport
from harness.topology import Topology
from harness.topology.generate import generate
from tests.unit import faults
from tests.unit.builders import RUN, failed, passed, reading
from tests.unit.labs import TUTORIAL, cells_of
from tests.unit.play import Fault, judged

LOST = "routed-bbox1-to-bbox4-icmp"
CITED = "routed/gateway/firewall/after"
EVIDENCE = (
    reading("routed/gateway/firewall/before", raw="# head\n[0:0] -A FORWARD -j ACCEPT\n:INPUT\n"),
    reading(CITED, raw="# foot\n[3:252] -A INPUT -j ACCEPT\n:FORWARD DROP [7:588]\n:OUTPUT\n"),
    reading("routed/bbox1/routes/before", node="bbox1", kind="routes", command="ip route"),
    reading(
        "routed/bbox1/route-get/172.16.20.11/after",
        node="bbox1",
        kind="route-get",
        parsed={"via": "172.16.10.1", "interface": "eth0"},
    ),
)
FAULT = Diagnosis(
    Code.FORWARD_POLICY_DROP,
    "gateway",
    "FORWARD",
    "FORWARD drops it",
    "iptables -P FORWARD ACCEPT",
    (LOST,),
)
BAD = (
    '"><script>document.title="ran"</script>',
    "</style><script>document.title='ran'</script><style>",
    "' onmouseover='document.title=1' x='",
    "<img src=x onerror=\"document.title='ran'\">",
    "<svg/onload=document.title='ran'>",
    "{{ 7*7 }}{% raw %}",
    "javascript:document.title='ran'",
    "&lt;b&gt; \u202ertl\u2066 \x00\x1b[31m\r\ud800 \u2028 \ufeff",
    "-->]]></title></textarea></details></svg><body onload=document.title='ran'>",
    "\u4e2d\u6587 \U0001f600 " + "long" * 100,
)
"""What a name, a rule or a log line may be, if somebody means harm."""


def run(*verdicts: Verdict, evidence: tuple[Evidence, ...] = EVIDENCE) -> RunReport:
    """A report of these verdicts, of the stages that they are of."""
    stages = tuple(dict.fromkeys(str(one.cell.stage) for one in verdicts))
    return RunReport(replace(RUN, stages=stages), verdicts, evidence, ())


def swept(lab: Topology, *faulty: Fault) -> tuple[Verdict, ...]:
    """Every cell of every stage that a topology has; faults are those of the stage `routed`."""
    found: list[Verdict] = []
    for stage in lab.stages:
        here = faulty if stage is Stage.ROUTED else ()
        found += judged(lab, cells_of(lab, stage).values(), *here).values()
    return tuple(found)


@cache
def good(lab: Topology = TUTORIAL) -> RunReport:
    """A run in which all is as it should be."""
    return run(*swept(lab))


@cache
def bad() -> RunReport:
    """The same with one ping that the gateway dropped, and one probe that was never sent."""
    gone = faults.lost(LOST, "gateway:eth2.20 (out)")
    verdicts = swept(TUTORIAL, gone, faults.unsent("routed-bbox2-to-bbox3-udp"))
    cause = Cause(Code.FORWARD_POLICY_DROP, "gateway", "FORWARD", "the policy of FORWARD is DROP")
    told = (
        replace(one, cause=cause, evidence=(CITED, "not/in/it")) if one.cell.id == LOST else one
        for one in verdicts
    )
    return replace(run(*told), diagnoses=(FAULT,), leftovers=("cgroup x",))


@cache
def hostile() -> tuple[RunReport, Topology]:
    """Every string that comes from outside is one of `BAD`."""
    names = {name: BAD[number % len(BAD)] + name for number, name in enumerate(_names(TUTORIAL))}
    lab = replace(
        TUTORIAL,
        name=BAD[0],
        purpose=BAD[1],
        trunk=BAD[2],
        vlans=tuple(replace(vlan, network=BAD[4]) for vlan in TUTORIAL.vlans),
        hosts=tuple(replace(host, name=names[host.name]) for host in TUTORIAL.hosts),
        endpoints=tuple(
            replace(end, name=names[end.name], host=names[end.host]) for end in TUTORIAL.endpoints
        ),
        gateways=tuple(replace(one, host=names[one.host]) for one in TUTORIAL.gateways),
    )
    cause = Cause(Code.RAW_DROP, names["gateway"], BAD[0], BAD[3])
    verdicts = tuple(_spoilt(one, names, cause) for one in bad().verdicts)
    evidence = tuple(
        reading(f"routed/{names['gateway']}/{text}/{moment}", node=text, kind=text, command=text,
                raw=f"{text}\n{moment} {text}\n")
        for text in BAD for moment in ("before", "after")
    )  # fmt: skip
    spoilt = replace(
        RUN, id=BAD[1], topology=BAD[0], backend=BAD[2], kernel=BAD[3], engines=BAD,
        versions={text: text for text in BAD}, not_applicable=BAD, argv=BAD, stages=("routed",),
    )  # fmt: skip
    fault = Diagnosis(Code.RAW_DROP, names["gateway"], BAD[0], BAD[4], BAD[1], BAD)
    return RunReport(spoilt, verdicts, evidence, BAD, diagnoses=(fault,)), lab


def _names(lab: Topology) -> tuple[str, ...]:
    return (*(end.name for end in lab.endpoints), *(host.name for host in lab.hosts))


def _spoilt(one: Verdict, names: dict[str, str], cause: Cause) -> Verdict:
    seen = one.observation
    spoilt = replace(
        seen,
        detail=BAD[7],
        path=tuple(_moved(hop, names) for hop in seen.path),
        strays=tuple(_moved(hop, names) for hop in seen.path[-1:]),
        seen_source=BAD[3],
        lost_at=Point(BAD[0], BAD[1], BAD[2]),
    )
    cell = _renamed(one.cell, names)
    return replace(
        one, cell=cell, observation=spoilt, why=BAD[8], token=BAD[2], evidence=BAD, cause=cause
    )


def _renamed(cell: Cell, names: dict[str, str]) -> Cell:
    expected = replace(
        cell.expectation, why=BAD[0], via=tuple(names[name] for name in cell.expectation.via)
    )
    return replace(cell, src=names[cell.src], dst=names[cell.dst], expectation=expected)


def _moved(hop: Hop, names: dict[str, str]) -> Hop:
    point = hop.point._replace(node=names.get(hop.point.node, BAD[0]), interface=BAD[5])
    return replace(hop, point=point, src_mac=BAD[6], dst_ip=BAD[7])


LARGE = "vlans=10,hosts=4,endpoints=1000"
"""The wish for a lab of a thousand endpoints, in forty groups of one VLAN and host."""


@cache
def large(wish: str = LARGE, lost: str = "bbox1") -> tuple[RunReport, Topology]:
    """A ping from every endpoint to every other, routed; what one endpoint sends is lost."""
    lab = topology.parse(generate(wish), "large.yaml")
    probe, gateway = Probe("icmp"), lab.gateways[0].host
    direct = Expectation(Outcome.REACHED, "same VLAN")
    routed = {
        (one.id, other.id): Expectation(
            Outcome.REACHED, f"{gateway} routes", via=(gateway,), vlans=(one.id, other.id)
        )
        for one in lab.vlans
        for other in lab.vlans
    }
    shown = passed(Cell(Stage.ROUTED, "bbox1", "bbox11", probe, Family.SAME_VLAN, direct))
    gone = failed(shown.cell)
    found = []
    for one in lab.endpoints:
        for other in lab.endpoints:
            if one is not other:
                same = one.vlan == other.vlan
                family = Family.SAME_VLAN if same else Family.CROSS_VLAN_L3
                expected = direct if same else routed[one.vlan, other.vlan]
                asked = Cell(Stage.ROUTED, one.name, other.name, probe, family, expected)
                found.append(replace(gone if one.name == lost else shown, cell=asked))
    return run(*found), lab
