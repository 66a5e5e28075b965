"""iptables on a node: iptables-nft or iptables-legacy, whichever works; ip6tables likewise."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from typing import Any, Callable

from harness.worker import namespaces, process

BACKENDS = ("iptables-nft", "iptables-legacy")
IPV6_BACKENDS = ("ip6tables-nft", "ip6tables-legacy")

NO_BACKEND = (
    "neither iptables-nft nor iptables-legacy works; an ordinary user cannot have the modules of "
    "the latter loaded: as root, modprobe -a ip_tables iptable_nat iptable_filter"
)

_backend: list[str | None] = [None]


def backend() -> str | None:
    """The first backend that takes a NAT rule where it is nobody's business, or None.

    Listing is no proof: iptables-nft lists tables that the kernel cannot make.
    """
    if _backend[0] is None:
        with namespaces.aside() as node:
            _backend[0] = next((name for name in _preferred() if _works(node, name)), None)
    return _backend[0]


def comments() -> bool:
    """Whether rules can have a comment."""
    name = backend()
    if name is None:
        return False
    with namespaces.aside() as node:
        rule = ["OUTPUT", "-m", "comment", "--comment", "ask", "-j", "ACCEPT"]
        done = [process.run(node, [name, how, *rule])["code"] for how in ("-A", "-D")]
    return done == [0, 0]


def _preferred() -> Sequence[str]:
    """On a lab host first what its `iptables` is: the rules of two backends would both decide."""
    if not namespaces.on_machine():
        return BACKENDS
    said = process.run(None, ["iptables", "--version"])["out"]
    return BACKENDS[::-1] if "(legacy)" in said else BACKENDS


def _works(node: str | None, name: str) -> bool:
    if not shutil.which(name):
        return False
    rule = ["POSTROUTING", "-o", "ask0", "-j", "MASQUERADE"]
    done = [process.run(node, [name, "-t", "nat", how, *rule])["code"] for how in ("-A", "-D")]
    return done == [0, 0]


def restore(
    node: str,
    table: str,
    lines: Sequence[str],
    policies: dict[str, str],
    ipv6: bool = False,  # noqa: FBT001, FBT002 - always named
) -> dict[str, Any]:
    """Apply rule lines (`-A`, `-D`) and chain policies to one table, leaving the rest alone."""
    name = backend()
    if name is None:
        return {"code": 127, "out": "", "err": NO_BACKEND}
    chains = [f":{chain} {policy} [0:0]" for chain, policy in sorted(policies.items())]
    script = "\n".join([f"*{table}", *chains, *lines, "COMMIT", ""])
    name = name.replace("iptables", "ip6tables") if ipv6 else name
    return process.run(node, [f"{name}-restore", "--noflush", "--counters"], script)


def present(node: str, program: str, table: str, lines: Sequence[str]) -> list[str]:
    """Those of lines that delete a rule (`-D`) whose rule is there."""
    own = (backend() or program).replace("iptables", program)
    asked = [[own, "-t", table, *shlex.split(line.replace("-D ", "-C ", 1))] for line in lines]
    return [line for line, argv in zip(lines, asked) if process.run(node, argv)["code"] == 0]


def saves(nodes: Sequence[str]) -> Callable[[], dict[str, list[dict[str, str]]]]:
    """What every backend in use on each node has, with counters: `{"backend", "text"}` each.

    Who calls what is returned waits for it. iptables-legacy is asked only where its tables are
    loaded: asking would load them.
    """
    asked = [
        (node, name)
        for node in nodes
        for name in BACKENDS + (IPV6_BACKENDS if _has_ipv6(node) else ())
        if shutil.which(name) and (name.endswith("-nft") or _legacy_in_use(node, name))
    ]
    texts = process.start_together([(node, [f"{name}-save", "--counters"]) for node, name in asked])

    def found() -> dict[str, list[dict[str, str]]]:
        saved: dict[str, list[dict[str, str]]] = {node: [] for node in nodes}
        for (node, name), (text, errors) in zip(asked, texts()):
            saved[node].append({"backend": name, "text": text + errors})
        return saved

    return found


def _has_ipv6(node: str) -> bool:
    return _said(node, "/proc/sys/net/ipv6/conf/all/disable_ipv6") == "0"


def _legacy_in_use(node: str, name: str) -> bool:
    word = "ip6" if name in IPV6_BACKENDS else "ip"
    return bool(_said(node, f"/proc/net/{word}_tables_names"))


def _said(node: str, path: str) -> str:
    """What a file of /proc says on a node; nothing if it is not there."""
    with namespaces.entered(node):
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""


def parse(text: str) -> list[dict[str, Any]]:
    """The chains and rules of an iptables-save text, in its order, with packets and octets."""
    found: list[dict[str, Any]] = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            chain, policy, counters = line[1:].split(" ")
            found.append({"table": table, "chain": chain, "policy": policy, **_counters(counters)})
        elif line.startswith("["):
            counters, _, rule = line.partition(" ")
            chain = rule.split(" ")[1]
            found.append({"table": table, "chain": chain, "rule": rule, **_counters(counters)})
    return found


def _counters(text: str) -> dict[str, int]:
    packets, octets = text.strip("[]").split(":")
    return {"packets": int(packets), "octets": int(octets)}
