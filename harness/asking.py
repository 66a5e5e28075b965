"""What one test asks of the lab: the cells it needs, in which stages, and whether live.

Tests are parametrized with asks, so that a run knows before it starts what to sweep, when the lab
may go on to its next stage, and what to leave out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import product

from harness import pings
from harness.flow import Cell, Family, Outcome, Stage
from harness.matrix import Matrix
from harness.normal import RULES
from harness.topology import Topology


@dataclass(frozen=True)
class Ask:
    """One parameter of one test."""

    id: str
    stage: Stage
    """The stage by which the test is ordered: the last that it needs."""
    cells: tuple[Cell, ...] = ()
    also: tuple[Stage, ...] = ()
    """Earlier stages that the test compares with."""
    node: str = ""
    kind: str = ""
    """A node, and a kind of reading of it, for tests that look at a host's state."""
    judged: bool = False
    """Whether the test asserts a verdict, which explains itself."""
    live: bool = False
    """Whether the lab must be in the stage while the test runs."""


def cells(
    matrix: Matrix, families: Iterable[str], stages: Iterable[str], kinds: Iterable[str]
) -> list[Ask]:
    """An ask for each cell of the families; empty `stages` or `kinds` means all of them."""
    wanted = {Family(name) for name in families}
    in_stages = {Stage(name) for name in stages} or set(Stage)
    of_kinds = set(kinds)
    return [
        Ask(cell.id, cell.stage, (cell,), judged=True)
        for cell in matrix.cells
        if cell.family in wanted
        and cell.stage in in_stages
        and (not of_kinds or cell.probe.kind in of_kinds)
    ]


def routed(topology: Topology, matrix: Matrix) -> list[Ask]:
    """An ask for each pair that reaches through gateway hosts of ours, by its plain pings."""
    return [
        Ask(cell.id, cell.stage, (cell,))
        for cell in matrix.cells
        if cell.family is Family.CROSS_VLAN_L3
        and cell.probe.kind in ("icmp", "icmp6")
        and cell.expectation.via
        and cell.expectation.outcome is Outcome.REACHED
        and not any(topology.host(router).external for router in cell.expectation.via)
    ]


def pinged(topology: Topology, cells: Iterable[Cell], carriers: Collection[str]) -> list[Ask]:
    """An ask for each pair that a container pings."""
    return [
        Ask(cell.id, cell.stage, (cell,), kind=pings.KIND)
        for cell in cells
        if pings.target(topology, cell) and topology.endpoint_hosts.get(cell.src, "") in carriers
    ]


def engines(hosts: Iterable[str], stages: Iterable[Stage]) -> list[Ask]:
    """An ask for each host that runs a container engine, in each stage."""
    return [Ask(f"{stage}-{host}", stage, node=host, kind="engine")
            for stage, host in product(stages, hosts)]  # fmt: skip


def hosts(topology: Topology, stages: Iterable[Stage]) -> list[Ask]:
    """An ask for each host in each stage, live."""
    return [
        Ask(f"{stage}-{host.name}", stage, node=host.name, live=True)
        for stage in stages
        for host in topology.hosts
        if not host.external
    ]


def networks(topology: Topology, stages: Iterable[Stage], carriers: Iterable[str]) -> list[Ask]:
    """An ask for each network of each engine that carries endpoints, live, in the last stage."""
    return [
        Ask(f"{stage}-{host}-{name}", stage, node=host, kind=name, live=True)
        for stage in tuple(stages)[-1:]
        for host in carriers
        for name in (topology.vlan(vlan).network for vlan in topology.vlans_of_host(host))
    ]


def containers(topology: Topology, stages: Iterable[Stage], carriers: Collection[str]) -> list[Ask]:
    """An ask for each container, likewise."""
    return [
        Ask(f"{stage}-{end.name}", stage, node=end.name, live=True)
        for stage in tuple(stages)[-1:]
        for end in topology.endpoints
        if end.host in carriers
    ]


def imposed(stages: Iterable[Stage], carriers: Iterable[str]) -> list[Ask]:
    """An ask for each host that carries containers, likewise: it has met all sweeps by then."""
    return [
        Ask(f"{stage}-{host}", stage, node=host, live=True)
        for stage in tuple(stages)[-1:]
        for host in carriers
    ]


def readings(topology: Topology, stages: Iterable[Stage]) -> list[Ask]:
    """An ask for each node and kind of reading that `undone` must share with `isolated`."""
    if not {Stage.ISOLATED, Stage.UNDONE} <= set(stages):
        return []
    return [
        Ask(f"undone-{node}-{kind}", Stage.UNDONE, also=(Stage.ISOLATED,), node=node, kind=kind)
        for node in topology.namespaces
        for kind in RULES
    ]


def twins(matrix: Matrix, stages: Iterable[Stage]) -> list[Ask]:
    """An ask for each cell of `undone`, with the cell of `isolated` that it must equal."""
    if not {Stage.ISOLATED, Stage.UNDONE} <= set(stages):
        return []
    known = {(cell.stage, cell.src, cell.dst, cell.probe): cell for cell in matrix.cells}
    return [
        Ask(
            cell.id,
            Stage.UNDONE,
            (known[Stage.ISOLATED, cell.src, cell.dst, cell.probe], cell),
            also=(Stage.ISOLATED,),
        )
        for cell in matrix.cells
        if cell.stage is Stage.UNDONE
    ]
