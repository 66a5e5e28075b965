"""A host's part of the lab for ifup(8): stanzas of interfaces(5)."""

from __future__ import annotations

from collections.abc import Iterator

from harness.boot import rules
from harness.boot.given import Given, Leg

SOURCE = "source /etc/network/interfaces.d/*"
"""The line of /etc/network/interfaces without which nothing of it is read."""


def files(lab: str, given: Given, sysctls: str) -> dict[str, str]:
    """Content by path; `sysctls` is the file with those of the sub-interfaces."""
    stanzas = ["\n".join(_trunk(lab, given)), *("\n".join(_leg(given, leg, sysctls))
               for leg in given.legs)]  # fmt: skip
    return {f"/etc/network/interfaces.d/{lab}": "\n\n".join(stanzas) + "\n"}


def now(given: Given) -> tuple[str, ...]:
    """The commands that take it up without a reboot."""
    legs = [leg.name for leg in given.legs]
    down, up = " ".join([*reversed(legs), given.trunk]), " ".join([given.trunk, *legs])
    return (f"ifdown {down}", f"ifup {up}")


def _trunk(lab: str, given: Given) -> Iterator[str]:
    yield f"auto {given.trunk}"
    yield f"iface {given.trunk} inet manual"
    yield f"    mtu {given.mtu}"
    for program, _ in given.rules:
        yield f"    up {rules.take_away(lab, program)}"
        yield f"    up {rules.load(lab, program)}"
        yield f"    down {rules.take_away(lab, program)}"


def _leg(given: Given, leg: Leg, sysctls: str) -> Iterator[str]:
    own = [one for one in leg.addresses if ":" not in one]
    yield f"auto {leg.name}"
    yield f"iface {leg.name} inet {'static' if own else 'manual'}"
    yield f"    vlan-raw-device {given.trunk}"
    for one in own:
        yield from _address(leg, one)
    yield f"    mtu {leg.mtu}"
    yield f"    up sysctl -q -e -p {sysctls}"
    yield from (f"    up ip route replace {dst} via {via}" for dst, via in leg.routes)
    for one in leg.addresses:
        if one not in own:
            yield f"iface {leg.name} inet6 static"
            yield from _address(leg, one)
            yield "    dad-attempts 0"
            yield "    accept_ra 0"


def _address(leg: Leg, address: str) -> Iterator[str]:
    """An address; ifup(8) stops at one that is there, as where the lab was set up by hand."""
    yield f"    address {address}"
    yield f"    pre-up ip address delete {address} dev {leg.name} 2>/dev/null || true"
