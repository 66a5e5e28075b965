"""`docker exec` of ping(1), as a person would, and whether it says what the sweep says.

Exit codes of ping prove nothing and are not looked at: the counts that it prints are read, and what
cannot be read is unknown, never "blocked".
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

from harness.flow import Cell, Outcome, Verdict
from harness.observe import address_of
from harness.topology import Topology

KIND = "docker-ping"
"""The kind of reading: of a container, `{address: what ping said}`."""
COUNTS = re.compile(r"(\d+) packets? transmitted, (\d+) (?:packets? )?received(?:, .*)?")
"""The line of busybox and of iputils."""
REFUSED = "Network is unreachable"
"""What the container's own kernel says where it has no route (ENETUNREACH)."""
HEAD = "== "
"""What stands before an address, on a line of its own."""

SCRIPT = """\
program=$(which ping) || {{ echo no ping here; exit 1; }}
folder=$(mktemp -d /dev/shm/ping.XXXXXX) && cd "$folder" || exit 1
{late}{soon}wait $soon
for ping in $late; do
  until ! [ -e /proc/$ping ] || grep -Eq '{waits}' /proc/$ping/status; do sleep 0.01; done
  [ -z "$soon" ] || kill -INT $ping 2>/dev/null
done
wait
for target in {every}; do echo "{head}$target"; cat "$target"; done
rm -r "$folder"
"""
"""All targets at once. What must answer is waited for; what must not has then had as long, and is
told to say what it counts. By its path, as `docker exec` finds it: to busybox's sh the mere word is
its own applet, whatever is in the container."""
WAITS = "^(State:.Z|SigCgt:.*[2367abef].{3}$)"
"""Of proc_pid_status(5): it has ended, or takes SIGALRM, which busybox's ping asks for when it has
sent what it is to send, and waits."""


def asked(
    topology: Topology, cells: Iterable[Cell], absent: Container[str] = ()
) -> dict[str, dict[str, bool]]:
    """What each container is to ping: by address, whether an answer must come.

    None must from an endpoint that is absent.
    """
    found: dict[str, dict[str, bool]] = {}
    for cell in cells:
        address = target(topology, cell)
        if address:
            must = cell.expectation.outcome is Outcome.REACHED and cell.dst not in absent
            found.setdefault(cell.src, {})[address] = must
    return found


def target(topology: Topology, cell: Cell) -> str | None:
    """The address of a plain ping that an endpoint sends; None for any other cell."""
    if str(cell.probe) != "icmp" or cell.src not in topology.endpoint_vlans:
        return None
    return address_of(topology, cell.dst, cell.src)


def script(targets: Mapping[str, bool], by: str = "") -> str:
    """What sh(1) of a container runs for `targets`, as `asked` has them.

    `by` is the interface that they are to leave by, where the container has several.
    """
    out = f"-I {by} " if by else ""
    lines = {True: "", False: ""}
    for address, must in targets.items():
        name, seconds = ("soon", 3) if must else ("late", 1)
        lines[must] += (
            f'$program {out}-c 1 -W {seconds} {address} >{address} 2>&1 & {name}="${name} $!"\n'
        )
    return SCRIPT.format(
        late=lines[False], soon=lines[True], every=" ".join(targets), head=HEAD, waits=WAITS
    )


def command(container: str, targets: Iterable[str], by: str = "") -> str:
    """The same in a person's words."""
    ping = f"docker exec {container} ping {f'-I {by} ' if by else ''}-c 1"
    return "; ".join(f"{ping} {address}" for address in targets)


def parse(text: str, targets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What ping said of each target: `transmitted` and `received`, `refused`, or `unknown`."""
    sections: dict[str, list[str]] = {}
    before: list[str] = []
    lines = before
    for line in text.splitlines():
        if line.startswith(HEAD):
            lines = sections.setdefault(line.removeprefix(HEAD), [])
        else:
            lines.append(line)
    return {address: _said(sections.get(address, before)) for address in targets}


def reading(
    answer: Mapping[str, Any], targets: Iterable[str], container: str = "", by: str = ""
) -> dict[str, Any]:
    """A container's answer in the form of a reading: `{"node", "out"}`, or `failed` and why.

    `container` is whose leg the node is, if it is one of several, and `by` its interface.
    """
    failed, raw = answer.get("failed"), answer.get("out", "")
    unknown = {address: {"unknown": failed} for address in targets}
    return {
        "node": answer["node"],
        "kind": KIND,
        "command": command(container or answer["node"], targets, by),
        "parsed": unknown if failed else parse(raw, targets),
        "raw": f"{failed}\n" if failed else raw,
    }


def _said(lines: list[str]) -> dict[str, Any]:
    counts = [found.groups() for found in map(COUNTS.fullmatch, lines) if found]
    if counts in ([("1", "0")], [("1", "1")]):
        return {"transmitted": 1, "received": int(counts[0][1])}
    words = [line for line in lines if line.strip()]
    if not counts and words and words[-1].endswith(f": {REFUSED}"):
        return {"refused": REFUSED}
    return {"unknown": " / ".join(words)[-200:] or "it said nothing"}


def compared(verdict: Verdict, said: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether ping agrees with the sweep on a pair; None if that cannot be told. And in words."""
    cell, outcome = verdict.cell, verdict.observation.outcome
    words = ", ".join(f"{key} {value}" for key, value in said.items())
    told = f"ping from {cell.src} to {cell.dst}: {words}; the sweep: {outcome}"
    if "unknown" in said or outcome is Outcome.INCONCLUSIVE:
        return None, told
    if "refused" in said:
        return outcome is Outcome.NO_ROUTE, told
    return (said["received"] == 1) is (outcome is Outcome.REACHED), told
