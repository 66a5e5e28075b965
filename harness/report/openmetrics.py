"""A run as OpenMetrics text, for dashboards and alerts.

All of it are gauges, and no line says a unit: so what Prometheus's older text format reads, as the
textfile collector of its node exporter does, is this as well.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.report.folder import began
from harness.report.history import ENDS
from harness.report.summary import clean

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PREFIX = "macvlan_harness_"
LAB = ("topology", "backend")
"""The labels that each metric has: whose lab it is."""
OF_RUN = ("kernel", "vlan_datapath", "firewall_backend")
VERDICTS = ("pass", "fail", "unproved")


def openmetrics(document: dict[str, Any]) -> str:
    """What a report.json says, in numbers."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    registry = CollectorRegistry()
    run = document["run"]
    lab = [clean(run[name]) for name in LAB]
    gauges = Gauges(registry, lab)
    gauges.one(
        "run_started_timestamp_seconds", "When the run began.", began(run["started"]).timestamp()
    )
    gauges.one("run_duration_seconds", "How long the run took.", run["duration_s"])
    gauges.one("leftovers", "What a run could not take away again.", len(document["leftovers"]))
    gauges.many(
        "run_ended", "1 for how the run ended: pass, fail, or error: could not be told.", ("exit",),
        {(end,): int(run["exit"] == end) for end in ENDS},
    )  # fmt: skip
    gauges.many(
        "run", "Always 1; its labels say what was run.", ("run", *OF_RUN),
        {(clean(run["id"]), *(clean(run[name]) for name in OF_RUN)): 1},
    )  # fmt: skip
    _cells(gauges, document["cells"])
    faults = Counter[tuple[str, ...]]()
    for one in document["diagnoses"]:
        faults[clean(one["code"]), clean(one["node"] or "")] += len(one["cells"])
    gauges.many("fault_cells", "Cells that a fault explains.", ("code", "node"), dict(faults))
    text: bytes = generate_latest(registry)
    return text.decode()


def _cells(gauges: Gauges, cells: list[dict[str, Any]]) -> None:
    """Counted also where none is of a verdict: an alert on a number needs one."""
    each = [((cell["stage"], cell["probe"].partition(":")[0]), cell) for cell in cells]
    counts: dict[tuple[str, ...], float] = {
        (*key, verdict): 0 for key, _ in each for verdict in VERDICTS
    }
    trips: dict[tuple[str, ...], list[float]] = {}
    for key, cell in each:
        counts[(*key, cell["verdict"])] += 1
        if cell["rtt_ms"] is not None:
            trips.setdefault(key, []).append(cell["rtt_ms"] / 1000)
    gauges.many("cells", "Cells by what became of them.", ("stage", "probe", "verdict"), counts)
    gauges.many(
        "round_trip_median_seconds", "The median time from a probe to its tied reply.",
        ("stage", "probe"), {key: median(found) for key, found in trips.items()},
    )  # fmt: skip


class Gauges:
    """What is added of one lab to a registry."""

    def __init__(self, registry: CollectorRegistry, lab: list[str]) -> None:
        self._registry, self._lab = registry, lab

    def one(self, name: str, says: str, value: float) -> None:
        """A single number."""
        self.many(name, says, (), {(): value})

    def many(
        self, name: str, says: str, labels: tuple[str, ...], values: dict[tuple[str, ...], Any]
    ) -> None:
        """A number for each combination of labels."""
        from prometheus_client import Gauge

        gauge = Gauge(PREFIX + name, says, (*LAB, *labels), registry=self._registry)
        for key, value in values.items():
            gauge.labels(*self._lab, *key).set(value)
