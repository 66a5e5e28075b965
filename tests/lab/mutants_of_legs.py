"""Breaks of containers that are in two networks: what they answer, and by which leg."""

from __future__ import annotations

from harness.flow import L3_KINDS
from tests.lab.broken import Cell, Mutant, is_small

VLAN = {"bbox1": 10, "bbox3": 10, "bbox4.10": 10, "bbox1.20": 20, "bbox2": 20, "bbox4": 20}


def strong(value: str) -> tuple[str, ...]:
    """Have bbox1 answer ARP for an address on the interface that has it, and on no other."""
    return ("bbox1", "sysctl", "-w", f"net.ipv4.conf.all.arp_ignore={value}")


def denied(cell: Cell) -> bool:
    """What found bbox1 at the leg that it shares a VLAN with, under its other leg's address."""
    asked = (cell.src, cell.dst) in (
        ("bbox2", "bbox1"), ("bbox4", "bbox1"), ("bbox3", "bbox1.20"), ("bbox4.10", "bbox1.20"),
    )  # fmt: skip
    return asked and (cell.kind == "arp" or (cell.src == "bbox4" and is_small(cell)))


def by_20(cell: Cell) -> bool:
    """What bbox1 sends into the other VLAN, by whichever leg."""
    crosses = {VLAN.get(cell.src), VLAN.get(cell.dst)} == {10, 20}
    return cell.src in ("bbox1", "bbox1.20") and crosses and is_small(cell)


OF_TWO_LEGS = [
    Mutant(
        "strong-host",
        (strong("1"),),
        (strong("0"),),
        denied,
        observed=lambda cell: "no-neighbour" if cell.kind in L3_KINDS else "silent",
    ),
    Mutant(
        "default-route-by-the-other-leg",
        (("bbox1", "ip", "route", "replace", "default", "via", "172.16.20.1"),),
        (("bbox1", "ip", "route", "replace", "default", "via", "172.16.10.1"),),
        by_20,
    ),
    Mutant(
        "forwards",
        (("bbox1", "sysctl", "-w", "net.ipv4.ip_forward=1"),),
        (("bbox1", "sysctl", "-w", "net.ipv4.ip_forward=0"),),
        lambda cell: cell.kind == "relay" and cell.dst in ("bbox1", "bbox1.20"),
    ),
]
