"""Times of two runs, told where they differ beyond noise.

Two things must hold. The effect: the quick ones of each run on one side take `FACTOR` times as long
as those of every run on the other side, and longer by more than a floor, so that how runs of one
kernel differ by themselves is no change. The quick ones, because a machine that is busy for a
moment slows down what was under way then, and a slower path slows down all. The chance: Mann and
Whitney's U test over all measurements says that both sides are not drawn from one distribution. The
test alone would not do: cells of one run share their machine's load, so its figure is too small.

Compared are round trips that kernels carry and answer on the spot. What answers UDP and layer-2
frames is a program of the lab, and macvlan hands broadcasts, ARP and NDP with them, to a work
queue: they wait until the machine has time, and it is that which they tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.diff.change import Change

Document = dict[str, Any]
ON_THE_SPOT = ("icmp", "icmp6", "tcp", "tcp6")
FACTOR = 1.5
FLOOR_MS, FLOOR_S = 0.1, 2.0
"""What round trips and whole runs vary by on an idle machine, several times over."""
ALPHA = 0.01
"""How often, of comparisons in which nothing changed, chance alone may look like a change."""
ENOUGH = 8
"""With fewer measurements on a side U says little."""
UNTESTED = (
    "times differ ({}), and whether by chance was not tested: "
    "`pip install 'macvlan-harness[timings]'` brings the test"
)


@dataclass(frozen=True)
class Sample:
    """One quantity, measured in each run of both sides."""

    what: str
    unit: str
    floor: float
    old: tuple[tuple[float, ...], ...]
    """The measurements of each run."""
    new: tuple[tuple[float, ...], ...]

    @property
    def quick(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The lower quartile of each run."""
        return tuple(map(_quartile, self.old)), tuple(map(_quartile, self.new))

    @property
    def sense(self) -> str:
        """`longer`, `shorter`, or nothing: not enough to speak of."""
        old, new = self.quick
        enough = min(sum(map(len, self.old)), sum(map(len, self.new))) >= ENOUGH
        if enough and min(new) >= max(FACTOR * max(old), max(old) + self.floor):
            return "longer"
        if enough and min(old) >= max(FACTOR * max(new), max(new) + self.floor):
            return "shorter"
        return ""

    def __str__(self) -> str:
        old, new = (f"{one:.3g}" for one in self.typical)
        count = sum(map(len, self.new))
        return f"{self.what} {old} -> {new} {self.unit} ({count} measured)"

    @property
    def typical(self) -> tuple[float, float]:
        """The median of each side."""
        return median(sum(self.old, ())), median(sum(self.new, ()))


def timings(old: Sequence[Document], new: Sequence[Document]) -> tuple[tuple[Change, ...], str]:
    """What takes longer or shorter, all of it as one change; and what could not be tested, if any.

    Each side is one run or several that were made alike.
    """
    samples = [*_round_trips(old, new), _whole(old, new)]
    found = [(sample.sense, sample) for sample in samples if sample.sense]
    if not found:
        return (), ""
    try:
        # Some 0.5 s to import, and needed only where times differ by much.
        from scipy.stats import mannwhitneyu
    except ImportError:
        return (), UNTESTED.format("; ".join(str(sample) for _, sample in found))
    chances = [mannwhitneyu(sum(sample.old, ()), sum(sample.new, ())).pvalue for _, sample in found]
    limit = ALPHA / len(samples)
    told = [one for one, chance in zip(found, chances, strict=True) if chance < limit]
    return tuple(_changes(told)), ""


def _changes(found: list[tuple[str, Sample]]) -> Iterator[Change]:
    """What slows one kind of probe down slows others down: that is one change."""
    for sense in ("longer", "shorter"):
        samples = [sample for told, sample in found if told == sense]
        if samples:
            worst = max(samples, key=_ratio)
            old, new = (f"{one:.3g} {worst.unit}" for one in worst.typical)
            where = tuple(str(sample) for sample in samples)
            yield Change("time", f"{worst.what} {sense}", old, new, where=where)


def _ratio(sample: Sample) -> float:
    old, new = sample.typical
    return max(old, new) / max(min(old, new), 1e-9)


def _quartile(measured: tuple[float, ...]) -> float:
    return sorted(measured)[len(measured) // 4]


def _round_trips(old: Sequence[Document], new: Sequence[Document]) -> Iterator[Sample]:
    """By kind of probe, and whether a router was on the way, over cells that all runs have."""
    runs = [{cell["id"]: cell for cell in one["cells"] if _counts(cell)} for one in (*old, *new)]
    common = set.intersection(*(set(run) for run in runs))
    classes: dict[str, list[str]] = {}
    for name in sorted(common):
        classes.setdefault(_class(runs[0][name]), []).append(name)
    for what, names in classes.items():
        each = [tuple(run[name]["rtt_ms"] for name in names) for run in runs]
        was, now = tuple(each[: len(old)]), tuple(each[len(old) :])
        yield Sample(f"round trip of {what}", "ms", FLOOR_MS, was, now)


def _counts(cell: Document) -> bool:
    kind = cell["probe"].partition(":")[0]
    return kind in ON_THE_SPOT and cell["rtt_ms"] is not None


def _class(cell: Document) -> str:
    """A router takes one from the TTL."""
    lives = {hop["ttl"] for hop in cell["path"]}
    return f"{'routed' if len(lives) > 1 else 'direct'} {cell['probe'].partition(':')[0]}"


def _whole(old: Iterable[Document], new: Iterable[Document]) -> Sample:
    """How long each run took: of one run a single measurement, which tells nothing."""
    was, now = (tuple((float(one["run"]["duration_s"]),) for one in side) for side in (old, new))
    return Sample("run", "s", FLOOR_S, was, now)
