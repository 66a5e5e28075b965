"""Readings of two runs, taken apart into facts; each kind by its own rule, which says what counts.

Counters, ages, ids, random MAC addresses and the order that a kernel happens to list things in say
nothing of a network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness import marks
from harness.diff import docker
from harness.diff.change import Change
from harness.diff.docker import NONE, Facts
from harness.normal import no_counters, no_flows

RESOLVER = "127.0.0.11"
"""Docker's, in each container; it listens on ports that the kernel chooses."""
OF_RESOLVER = re.compile(r"(--sport |--to-destination 127\.0\.0\.11:)\d+")


def links(parsed: list[dict[str, Any]]) -> Facts:
    """Each attribute of each interface, but a run's mark. MACs that matter are those of paths."""
    return {
        f"{link['name']} {key}": _text(None if marks.is_one(str(value)) else value)
        for link in no_counters(parsed)
        for key, value in link.items()
        if key not in ("name", "index", "parent_index", "mac")
    } | {str(link["name"]): "there" for link in parsed}


def addresses(parsed: list[dict[str, Any]]) -> Facts:
    """All of an interface together; link-local ones come of its MAC, and are left out."""
    kept = [one for one in parsed if one.get("scope") != "link"]
    return _gathered(kept, "interface", ("address", "scope"))


def routes(parsed: list[dict[str, Any]]) -> Facts:
    """All of a destination together."""
    return _gathered(parsed, "dst", ("via", "interface", "source", "metric"))


def route(parsed: dict[str, Any]) -> Facts:
    """What the kernel says of one destination."""
    return {"": _text({key: value for key, value in parsed.items() if key != "dst"})}


def neighbours(parsed: list[dict[str, Any]]) -> Facts:
    """Which MAC each address has; not how old an entry is, nor one that nobody answered.

    Link-local ones come of a MAC, or are the address that a probe of NDP had for itself.
    """
    kept = [one for one in parsed if one["mac"] and not one["address"].startswith("fe80:")]
    return {str(one["address"]): str(one["mac"]) for one in kept}


def firewall(parsed: list[dict[str, Any]]) -> Facts:
    """The rules of a chain in their order, and its policy, without counters and empty chains."""
    found: dict[str, list[str]] = {}
    for line in parsed:
        if "rule" in line or line["policy"] not in ("ACCEPT", "-"):
            chain = f"{line.get('backend', '')} {line['table']} {line['chain']}".strip()
            rule = _lasting(line["rule"]) if "rule" in line else f"policy {line['policy']}"
            found.setdefault(chain, []).append(rule)
    return {chain: "; ".join(rules) for chain, rules in found.items()}


def _lasting(rule: str) -> str:
    """A rule without the mark of a run, and the ports that Docker's resolver happens to get."""
    ports = OF_RESOLVER.sub(r"\1PORT", rule) if RESOLVER in rule else rule
    return marks.without(ports)


def sysctls(parsed: Mapping[str, Any]) -> Facts:
    """Each of them, but how many flows happened to be tracked."""
    return {key: str(value) for key, value in no_flows(dict(parsed)).items()}


RULES: dict[str, Callable[[Any], Facts]] = {
    "links": links,
    "addresses": addresses,
    "routes": routes,
    "route-get": route,
    "neighbours": neighbours,
    "firewall": firewall,
    "sysctls": sysctls,
    **docker.RULES,
}
"""The rule of each kind of reading; kinds without one are flows of the run itself."""


def facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[tuple[Change, ...], int]:
    """Changes in the readings that both runs have, each once; and how many facts were compared."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    compared = 0
    for name in old.keys() & new.keys():
        was, now = _of(old[name]), _of(new[name])
        if was is None or now is None:
            continue
        compared += len(was.keys() | now.keys())
        for key, *values in _differing(was, now):
            what = _called(name, old[name], key)
            found.setdefault((what, values[0], values[1]), {})[old[name]["stage"]] = None
    changes = [
        Change("fact", what, was, now, where=tuple(sorted(stages)))
        for (what, was, now), stages in found.items()
    ]
    return (*changes, *_only(old, new)), compared


def _of(reading: Mapping[str, Any]) -> Facts | None:
    rule = RULES.get(reading["kind"])
    return rule(reading["parsed"]) if rule else None


def _differing(was: Facts, now: Facts) -> Iterator[tuple[str, str, str]]:
    """Of an interface that came or went its attributes are not told one by one."""
    for key in was.keys() | now.keys():
        head = key.partition(" ")[0]
        gone = key != head and (head in was) != (head in now)
        if was.get(key) != now.get(key) and not gone:
            yield key, *_brief(was.get(key, NONE), now.get(key, NONE))


def _brief(was: str, now: str) -> tuple[str, str]:
    """Of two lists of rules only what one of them has; both whole where their order differs."""
    before, after = was.split("; "), now.split("; ")
    gone = [one for one in before if one not in after]
    come = [one for one in after if one not in before]
    if not gone and not come:
        return was, now
    return "; ".join(gone) or NONE, "; ".join(come) or NONE


def _called(name: str, reading: Mapping[str, Any], key: str) -> str:
    """`gateway firewall: filter FORWARD`, and of a route the destination that was asked for."""
    kind, node = reading["kind"], reading["node"]
    parts = name.split("/")
    target = f" {parts[3]}" if kind == "route-get" else ""
    return f"{node} {kind}{target}: {key}".rstrip(": ")


def _only(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for kind, here, there in (("only-old", old, new), ("only-new", new, old)):
        names = sorted(here.keys() - there.keys())
        kinds: dict[str, list[str]] = {}
        for name in names:
            kinds.setdefault(f"{here[name]['node']} {here[name]['kind']}", []).append(name)
        for what, where in kinds.items():
            count = str(len(where))
            was, now = (count, "0") if kind == "only-old" else ("0", count)
            yield Change(kind, f"readings: {what}", was, now, where=tuple(where))


def _gathered(entries: list[dict[str, Any]], key: str, rest: tuple[str, ...]) -> Facts:
    found: dict[str, list[str]] = {}
    for one in entries:
        words = [f"{name} {one[name]}" for name in rest if one.get(name) is not None]
        found.setdefault(str(one[key]), []).append(", ".join(words))
    return {name: "; ".join(sorted(texts)) for name, texts in found.items()}


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items() if one is not None)
    return str(value)
