"""Changes of what lets packets pass: rules of every table and tool, and frames that get lost."""

from __future__ import annotations

from harness.faults.change import Alter, Change, Lost
from harness.testing.rules import OWN
from harness.testing.state import State


def rule(
    node: str, words: str, table: str = "filter", *, first: bool = False, program: str = "iptables"
) -> Change:
    """Add a rule; `words` are its chain and what follows."""
    line, of_ipv6 = f"-A {words}", program.startswith("ip6")

    def alter(state: State) -> None:
        changed = state.nodes[node]
        rules = changed.rules6 if of_ipv6 else changed.rules.setdefault(_table(table, program), [])
        rules.insert(0 if first else len(rules), line)

    head = (node, program, "-t", table)
    return Change(
        ((*head, "-I" if first else "-A", *words.split()),),
        ((*head, "-D", *words.split()),),
        alter,
    )


def rule_gone(node: str, words: str, place: int, table: str = "filter") -> Change:
    """Delete a rule, the `place`-th of its chain (the first is 1)."""

    def alter(state: State) -> None:
        state.nodes[node].rules[table].remove(f"-A {words}")

    chain, *rest = words.split()
    head = (node, "iptables", "-t", table)
    return Change(((*head, "-D", chain, *rest),), ((*head, "-I", chain, str(place), *rest),), alter)


def policy(node: str, chain: str, value: str, was: str) -> Change:
    """Change the policy of a chain of the filter table."""

    def alter(state: State) -> None:
        state.nodes[node].policies[chain] = value

    head = (node, "iptables", "-P", chain)
    return Change(((*head, value),), ((*head, was),), alter)


def nft(node: str, family: str, hook: str, words: str, alter: Alter) -> Change:
    """Add a table with one chain and one rule."""
    table = f"{family} fault"
    made = f"add table {table}; add chain {table} c {{ type filter hook {hook}; }}"
    return Change(
        ((node, "nft", f"{made}; add rule {table} c {words}"),),
        ((node, "nft", f"delete table {table}"),),
        alter,
    )


def alters(*each: Alter) -> Alter:
    """Several alterations as one."""

    def alter(state: State) -> None:
        for one in each:
            one(state)

    return alter


def own_rule(node: str, line: str) -> Alter:
    """What a rule in a table of one's own alters, as iptables(8) would write it."""

    def alter(state: State) -> None:
        state.nodes[node].rules.setdefault(f"{OWN}fault", []).append(line)

    return alter


def xfrm(node: str, selector: str, way: str, line: str) -> Change:
    """Add an IPsec policy that blocks (ip-xfrm(8)): to packets it is a rule that drops."""
    head = (node, "ip", "xfrm", "policy")
    words = (*selector.split(), "dir", way)
    return Change(
        ((*head, "add", *words, "action", "block"),),
        ((*head, "delete", *words),),
        own_rule(node, line),
    )


def lost_in(node: str, name: str, lost: Lost) -> Alter:
    """What comes in at a link is lost."""
    return lambda state: state.link((node, name)).loses_in.append(lost)


def lost_out(node: str, name: str, lost: Lost) -> Alter:
    """What should leave by a link is lost."""
    return lambda state: state.link((node, name)).loses_out.append(lost)


def _table(table: str, program: str) -> str:
    """The table of another backend is asked beside the usual one."""
    return table if program == "iptables" else f"{OWN}{program} {table}"


def flushed(node: str, table: str, policy: str | None, was: tuple[str, ...]) -> Change:
    """Flush POSTROUTING of nat or FORWARD of filter, whose rules are `was`, and set a policy."""
    chain = "POSTROUTING" if table == "nat" else "FORWARD"
    head = (node, "iptables", "-t", table)

    def alter(state: State) -> None:
        state.nodes[node].rules[table] = []
        if policy:
            state.nodes[node].policies[chain] = policy

    set_policy = ((*head, "-P", chain, policy),) if policy else ()
    back = ((*head, "-P", chain, "ACCEPT"),) if policy else ()
    added = tuple((*head, "-A", *line.split()) for line in was)
    return Change((*set_policy, (*head, "-F", chain)), (*back, (*head, "-F", chain), *added), alter)


def replaced(node: str, place: int, words: str, by: str, table: str = "filter") -> Change:
    """Replace a rule, the `place`-th of its chain, by another."""
    chain, *rest = words.split()
    head = (node, "iptables", "-t", table, "-R", chain, str(place))

    def alter(state: State) -> None:
        rules = state.nodes[node].rules[table]
        rules[rules.index(f"-A {words}")] = f"-A {chain} {by}"

    return Change(((*head, *by.split()),), ((*head, *rest),), alter)
