"""What engines complain of, in a sentence that names the network, container, parent and the fix.

An engine's own words name hardly any of these, and differ by version: 20.10, 26.1 and 28.5 were
heard. Of a parent that is down none of them says a word; `containers.lifecycle` looks itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SAYS = "the engine says: "
"""How the words of an engine begin, as the worker hands them on."""
LISTS = "`docker network ls` on {node} lists them"


@dataclass(frozen=True)
class Complaint:
    """A complaint by its words; the pattern's groups and the step's values fill the sentence."""

    pattern: str
    sentence: str


COMPLAINTS = (
    # 28.5 begins with "invalid pool request: "
    Complaint(
        r"Pool overlaps with other one on this address space",
        "its subnet {subnet} overlaps with that of another network of this engine, which has each "
        "address once; choose another subnet, or remove that network, " + LISTS,
    ),
    # 28.5 allows it
    Complaint(
        r"network \S+ is already using parent interface (?P<parent>\S+)",
        "its parent {parent} has another network already, and this engine allows one a parent; "
        "choose another parent, or remove that network, " + LISTS,
    ),
    # 20.10 says "does was not found"
    Complaint(
        r"-o parent interface (?:does )?was not found on the host: (?P<trunk>\S+)",
        "there is no interface {trunk} that its parent {parent} could be made on; `ip link` on "
        "{node} lists those that there are",
    ),
    Complaint(
        r"invalid subinterface vlan name (?P<parent>[^,\s]+), example formatting is",
        "there is no interface {parent}, and an engine makes only those whose name ends with a "
        "VLAN's number, as eth2.10 does; `ip link` on {node} lists those that there are",
    ),
    Complaint(
        r"failed to create (?P<parent>\S+) vlan link: operation not supported",
        "there is no interface {parent}, and the engine cannot make it, because the kernel has no "
        "802.1Q links; `modprobe 8021q`, as root",
    ),
    # 28.5 begins with "failed to set up container networking: ", here and below
    Complaint(
        r"the requested parent interface (?P<parent>\S+) was not found on the Docker host",
        "{parent}, the parent of its network, is gone; make that interface again, then "
        "`docker start {name}`",
    ),
    # 20.10
    Complaint(
        r"Invalid address (?P<address>\S+): It does not belong to any of this network's subnets",
        "its address {address} is in no subnet of {network}; choose one that is",
    ),
    # 26.1, 28.5
    Complaint(
        r"no configured subnet or ip-range contain the IP address (?P<address>\S+)",
        "its address {address} is in no subnet of {network}; choose one that is",
    ),
    Complaint(
        r"Address already in use",
        "its address {address} is taken by another container of {network}, or as its gateway; "
        "`docker network inspect {network}` on {node} says by whom",
    ),
    # 20.10 and 26.1 say it in the words of several programs
    Complaint(
        r"MAC to \W*(?P<mac>[0-9a-f:]{17})\W*: address already in use",
        "its MAC address {mac} is in use on its parent: another container has it, or one that has "
        "ended and whose namespace somebody holds open; end that, or choose another",
    ),
)


def named(step: dict[str, Any], said: str) -> str:
    """What went wrong with a step; words that no engine said, or that nobody knows, as they are."""
    if not said.startswith(SAYS):
        return said
    for complaint in COMPLAINTS:
        found = re.search(complaint.pattern, said)
        if found:
            parent = step.get("options", {}).get("parent", "")
            subnet = " or ".join(pool["subnet"] for pool in step.get("pools", ()))
            words = {"parent": parent, "subnet": subnet, **step, **found.groupdict()}
            sentence = complaint.sentence.format(**words)
            return f"{step['name']} on {step['node']}: {sentence} ({' '.join(said.split())})"
    return said
