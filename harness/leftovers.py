"""What a run could have left on the machine: links, mounts, named namespaces, child processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Snapshot:
    """What was there before a run."""

    things: frozenset[str]

    @classmethod
    def take(cls) -> Snapshot:
        """Look at the machine's own namespaces, from where nothing of a lab can be seen."""
        return cls(frozenset((*_links(), *_mounts(), *_namespaces(), *_children())))

    def leftovers(self) -> tuple[str, ...]:
        """What is there now and was not before."""
        return tuple(sorted(Snapshot.take().things - self.things))


def _links() -> list[str]:
    return [f"link {name}" for name in _names("/sys/class/net")]


def _mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [f"mount {line.split(' ')[4]}" for line in lines]


def _namespaces() -> list[str]:
    return [f"namespace {name}" for name in _names("/run/netns")]


def _names(folder: str) -> list[str]:
    """The names in a folder; none if it is not there."""
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:
        return []


def _children() -> list[str]:
    """Processes that this one started, by every thread of it (proc(5), `children`)."""
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found += task.read_text(encoding="ascii").split()
        except OSError:
            continue  # the thread has ended
    return [f"process {pid}" for pid in found]
