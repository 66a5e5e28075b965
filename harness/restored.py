"""Whether a lab host is after a run what it was before, without what changes by itself.

Each kind of thing has a rule that names the things of the kind and says of each what matters; what
a rule leaves out, it says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.normal import no_counters, no_flows, rules_only

Things = dict[str, str]
"""What matters of each thing, by the words for it."""

VOLATILE_LINK = ("index", "port_state")
"""Numbers that the kernel gives, and what spanning tree is about."""
SECRET_SYSCTL = ("tcp_fastopen_key", "stable_secret")
ID_LENGTH = 12
"""As docker(1) shortens identities."""


def links(found: list[dict[str, Any]]) -> Things:
    """Links by their names, without counters, carrier and kernel's numbers."""
    return {
        f"the link {link['name']}": _words(link, ("name", *VOLATILE_LINK))
        for link in no_counters(found)
    }


def addresses(found: list[dict[str, Any]]) -> Things:
    """Addresses by themselves and where they are; how long they are valid is not read."""
    return {f"the address {one['address']} of {one['interface']}": one["scope"] for one in found}


def routes(found: list[dict[str, Any]]) -> Things:
    """Routes of all tables but those that the kernel makes of addresses; no ages."""
    return _counted("the route", found)


def rules(found: list[dict[str, Any]]) -> Things:
    """Policy rules."""
    return _counted("the policy rule", found)


def filters(found: list[dict[str, Any]]) -> Things:
    """Filters of tc(8), and queues that are not a plain one."""
    return _counted("the tc filter or queue", found)


def firewall(found: list[dict[str, Any]]) -> Things:
    """Rules and policies of iptables in their order, without counters: the first that fits decides.

    A table or chain in which nothing is decided is none: listing makes some.
    """
    things: Things = {}
    for backend in sorted({line["backend"] for line in found}):
        decide = rules_only([line for line in found if line["backend"] == backend])
        chains: dict[tuple[str, str], list[str]] = {}
        for table, chain, rule in decide:
            chains.setdefault((table, chain), []).append(rule)
        for (table, chain), lines in chains.items():
            things[f"{backend}: the chain {chain} of {table}"] = "; ".join(lines)
    return things


def sysctls(found: Mapping[str, str]) -> Things:
    """Settings of the network, without how many flows are tracked, and without secrets."""
    kept = no_flows(dict(found))
    return {f"the sysctl {key}": value for key, value in kept.items()
            if not key.endswith(SECRET_SYSCTL)}  # fmt: skip


def docker(found: Mapping[str, list[dict[str, str]]]) -> Things:
    """Objects of an engine by kind, name and identity, with the state of containers; no ages."""
    return {
        f"the Docker {kind} {one['name']} ({one['id'][:ID_LENGTH]})": one["state"]
        for kind, every in found.items()
        for one in every
    }


RULES: dict[str, Callable[[Any], Things]] = {
    "links": links,
    "addresses": addresses,
    "routes": routes,
    "rules": rules,
    "filters": filters,
    "firewall": firewall,
    "sysctls": sysctls,
    "docker": docker,
}
"""The rule of each kind of thing."""
ONCE = "once"
GO_ALONG = ("sysctls",)
"""Kinds whose things come and go with links and kernel modules: those that stay are compared."""


def differences(host: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What is not as it was, a sentence each; `before` and `after` by the kinds of `RULES`."""
    return tuple(f"{host}: {said}" for kind in RULES if kind in before
                 for said in _compared(kind, before[kind], after[kind]))  # fmt: skip


def _compared(kind: str, before: Any, after: Any) -> Iterator[str]:
    if None in (before, after):
        yield "its engine does not answer, so Docker's objects could not be compared"
        return
    was, now = RULES[kind](before), RULES[kind](after)
    for thing in dict.fromkeys((*was, *now)):
        here, there = was.get(thing), now.get(thing)
        if here == there or (kind in GO_ALONG and None in (here, there)):
            continue
        if here is None:
            yield f"{thing} is there, and was not before the run{_of(there)}"
        elif there is None:
            yield f"{thing} is gone, and was there before the run{_of(here)}"
        else:
            yield f"{thing} was {here}, and is {there}"


def _of(what: str | None) -> str:
    """What else there is to say of a thing."""
    return f": {what}" if what and what != ONCE else ""


def _words(one: Mapping[str, Any], left_out: tuple[str, ...] = ()) -> str:
    kept = {key: value for key, value in sorted(one.items()) if key not in left_out}
    return ", ".join(f"{key} {value}" for key, value in kept.items() if value is not None)


def _counted(what: str, found: list[dict[str, Any]]) -> Things:
    """Things that are all that they are, in no order; of equal ones their number."""
    number = Counter(_words(one) for one in found)
    return {f"{what} ({words})": ONCE if count == 1 else f"{count} times"
            for words, count in number.items()}  # fmt: skip
