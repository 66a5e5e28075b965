"""Who has a lab host, and what those have left there who had it: in sentences, and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.commands import command


def carries(host: str, holder: Mapping[str, Any]) -> str:
    """That a run holds a host: which, whose, since when, and how long it may be silent."""
    lab, run = holder.get("lab"), holder.get("run")
    what = f"the lab {lab}" if lab else "a lab"
    said = f"{host} carries {what} of {holder['who']}" + (f", run {run}," if run else "")
    said += f" since {holder['since']}"
    ends = holder.get("lease_ends")
    return f"{said}; if nothing is heard of it, it is taken back at {ends}" if ends else said


@dataclass(frozen=True)
class Cleaned:
    """What became of what runs had left on a host."""

    host: str
    taken_back: tuple[str, ...] = ()
    """As commands that a person would type there."""
    stays: tuple[tuple[str, str], ...] = ()
    """Likewise, with the reason of each why it was not done."""
    foreign: tuple[tuple[str, str], ...] = ()
    """Likewise, of what has the name of what a run made, and is not of it."""
    held: Mapping[str, Any] = field(default_factory=dict)
    """The run that has the host; nothing was touched."""
    trouble: str = ""
    """Why it could not be told."""

    @classmethod
    def of(cls, host: str, answer: Mapping[str, Any]) -> Cleaned:
        """What `keeping.finish` says of a host."""
        if "taken" in answer:
            return cls(host, held=answer["taken"])
        failed: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for one in answer["failed"]:
            failed[one.get("foreign", False)].append((_typed(one["step"]), one["reason"]))
        steps = [one["step"] for one in answer["failed"]]
        done = [_typed(step) for step in answer["steps"] if step not in steps]
        return cls(host, tuple(done), tuple(failed[False]), tuple(failed[True]))

    @property
    def ok(self) -> bool:
        """Whether nothing is left there that is nobody's."""
        return not (self.stays or self.foreign or self.held or self.trouble)

    def sentences(self) -> list[str]:
        """A line for each thing, the host's name first."""
        if self.trouble:
            return [self.trouble]
        if self.held:
            return [f"{carries(self.host, self.held)}; it is not touched"]
        said = [f"{self.host}: taken back: {done}" for done in self.taken_back]
        said += [f"{self.host}: stays: {why}; once that is mended, clean again, or type there: {do}"
                 for do, why in self.stays]  # fmt: skip
        said += [f"{self.host}: left alone: {why}; if nobody needs it, type there: {do}"
                 for do, why in self.foreign]  # fmt: skip
        return said or [f"{self.host}: nothing is left"]

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "host": self.host,
            "ok": self.ok,
            "taken_back": list(self.taken_back),
            "stays": [{"command": do, "reason": why} for do, why in self.stays],
            "foreign": [{"command": do, "reason": why} for do, why in self.foreign],
            "held": dict(self.held) or None,
            "error": self.trouble or None,
        }


def document(found: Iterable[Cleaned]) -> dict[str, Any]:
    """All hosts, for programs."""
    found = list(found)
    return {"ok": all(one.ok for one in found), "hosts": [one.document() for one in found]}


def _typed(step: dict[str, Any]) -> str:
    """A step as a command on its host, which is named already, whatever that lab called it."""
    return command(step).removeprefix(f"{step['node']}# ")
