"""`harness diff` on reports of real runs: nothing where nothing changed, and each change once."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.diff import Change, compare
from harness.report.folder import read_document

ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("RUNS", "3"))
"""How many runs are compared in a row; `RUNS=20 pytest tests/lab/test_diff.py` is for a release."""
Document = dict[str, Any]
Seed = Callable[[Document], Any]


def run(reports: Path, *more: str) -> Path:
    """Run the suites on the tutorial lab; the run folder."""
    argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*argv, "--lab-reports", str(reports), *more], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    return (reports / "latest").resolve()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all stages."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    return run(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def report(first: Path) -> Document:
    """Its report.json."""
    return read_document(first)


def diff(*arguments: str | Path) -> tuple[int, str]:
    """The command, as a person runs it; its exit code and what it says."""
    command = [sys.executable, "-m", "harness", "diff", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_runs_of_one_kernel_are_alike(first: Path, tmp_path: Path) -> None:
    """In every cell, path and reading."""
    for number in range(RUNS):
        code, said = diff(first, run(tmp_path / str(number)))
        facts = said.splitlines()[-1].split()
        assert (code, facts[:2], facts[2]) == (0, ["0", "regressions;"], "0"), said
        assert ", 0 of " in said
        assert int(facts[-4]) > 1000


def test_a_run_says_what_changed_since_its_baseline(first: Path, tmp_path: Path) -> None:
    """Given as a run folder, or the good one that is kept; on its first night there is none."""
    quick = ("--lab-stage", "isolated", "-k", "test_same_vlan")
    alone = run(tmp_path, *quick, "--lab-baseline", "good")
    assert not (alone / "diff.txt").exists()
    assert CliRunner().invoke(cli, ["baseline", "set", str(alone)]).exit_code == 0
    compared = run(tmp_path, *quick, "--lab-baseline", "good")
    said = (compared / "diff.txt").read_text()
    assert f"old: {alone.name.rpartition('-')[2]} (" in said
    assert "0 regressions; 0 of " in said
    assert "Since the baseline: **0 regressions; 0 of " in (compared / "report.md").read_text()
    assert f"The baseline is {alone.name.rpartition('-')[2]} (" in (
        (compared / "report.html").read_text()
    )
    other = run(tmp_path, *quick, "--lab-baseline", str(first))
    changes = json.loads((other / "diff.json").read_text())["changes"]
    assert {one["kind"] for one in changes} == {"only-old", "run"}  # and what is not applicable
    assert (other / "diff.md").read_text().startswith("**0 regressions; 0 of ")


def test_a_baseline_that_is_not_there_is_said_before_anything_is_built(tmp_path: Path) -> None:
    """As a mistake in what was given."""
    argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*argv, "--lab-baseline", "nowhere", "--lab-reports", str(tmp_path)], cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "nowhere: no such run folder" in done.stdout + done.stderr) == (
        4,
        True,
    )
    assert list(tmp_path.iterdir()) == []


def cell(found: Document, name: str) -> Document:
    """A cell of a report."""
    return next(one for one in found["cells"] if one["id"] == name)


def reading(found: Document, name: str) -> Any:
    """What a reading of a report says."""
    return found["evidence"][name]["parsed"]


def every(found: Document, kind: str, node: str, change: Callable[[Any], Any]) -> None:
    """Change all readings of a kind on a node, as what lasts for a whole run does."""
    for one in found["evidence"].values():
        if (one["kind"], one["node"]) == (kind, node):
            change(one["parsed"])


def each_hop(found: Document, change: Callable[[Document], Any]) -> None:
    """Change every hop of every path."""
    for one in found["cells"]:
        for hop in one["path"]:
            change(hop)


def renamed(key: str, old: Any, new: Any) -> Callable[[Document], Any]:
    """A hop's MAC, address, tag or TTL in place of another."""

    def change(hop: Document) -> Any:
        return hop.update({key: new}) if hop[key] == old else None

    return change


def of_link(name: str, **values: Any) -> Callable[[list[Document]], None]:
    """Attributes of an interface."""

    def change(links: list[Document]) -> None:
        for link in links:
            if link["name"] == name:
                link.update(values)

    return change


def without(key: str, value: str) -> Callable[[list[Document]], None]:
    """A reading without some of its entries."""

    def change(entries: list[Document]) -> None:
        entries[:] = [one for one in entries if one.get(key) != value]

    return change


def swapped(lines: list[Document]) -> None:
    """The rules of one chain the other way round."""
    chain = [line for line in lines if line["chain"] == "FORWARD" and "rule" in line]
    others = [line for line in lines if line not in chain]
    lines[:] = [*others, *reversed(chain)]


def slower(found: Document) -> None:
    """Each ping through the gateway takes 5 ms more."""
    for one in found["cells"]:
        if one["probe"].startswith("icmp") and one["stage"] == "routed" and one["rtt_ms"]:
            one["rtt_ms"] += 5


ROUTED, BLOCKED = "routed-bbox1-to-bbox4-icmp", "isolated-bbox1-to-bbox4-icmp"
RULE = "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"
OTHER = {
    "table": "mangle",
    "chain": "FORWARD",
    "backend": "iptables-nft",
    "packets": 0,
    "octets": 0,
}
SEEDS: dict[str, tuple[Seed, tuple[str, str, str]]] = {
    "a cell fails": (
        lambda one: cell(one, ROUTED).update(verdict="fail", observed="silent"),
        ("regression", "cell", "routed icmp"),
    ),
    "a cell cannot be told": (
        lambda one: cell(one, BLOCKED).update(verdict="unproved", observed="inconclusive"),
        ("regression", "cell", "isolated icmp"),
    ),
    "an outcome": (
        lambda one: cell(one, BLOCKED).update(observed="silent"),
        ("changed", "cell", "isolated icmp"),
    ),
    "an expectation": (
        lambda one: cell(one, BLOCKED).update(expected="silent"),
        ("changed", "cell", "expected"),
    ),
    "the source seen": (
        lambda one: cell(one, ROUTED).update(seen_source="172.16.20.2"),
        ("changed", "path", "source seen"),
    ),
    "a hop is gone": (
        lambda one: cell(one, ROUTED)["path"].pop(3), ("changed", "path", "way"),
    ),
    "a hop more": (
        lambda one: cell(one, ROUTED)["path"].append(cell(one, ROUTED)["path"][0]),
        ("changed", "path", "way"),
    ),
    "a TTL": (
        lambda one: cell(one, ROUTED)["path"][-1].update(ttl=62), ("changed", "path", "TTL"),
    ),
    "an address translated to another": (
        lambda one: cell(one, ROUTED)["path"][-1].update(src_ip="172.16.20.2"),
        ("changed", "path", "address"),
    ),
    "a MAC, in all cells": (
        lambda one: each_hop(one, lambda hop: [
            renamed(f"{end}_mac", "02:42:ac:10:0a:0a", "02:00:00:00:00:01")(hop)
            for end in ("src", "dst")]),
        ("changed", "path", "MAC"),
    ),
    "a tag": (
        lambda one: each_hop(one, renamed("vlan", 20, 21)), ("changed", "path", "802.1Q tag"),
    ),
    "a cell is gone": (
        lambda one: one["cells"].remove(cell(one, ROUTED)),
        ("changed", "only-old", "cells of routed"),
    ),
    "a cell more": (
        lambda one: one["cells"].append({**cell(one, ROUTED), "id": "routed-new"}),
        ("changed", "only-new", "cells of routed"),
    ),
    "a rule is gone": (
        lambda one: every(one, "firewall", "gateway", without("rule", RULE)),
        ("changed", "fact", "gateway firewall: iptables-nft filter FORWARD"),
    ),
    "a rule more": (
        lambda one: every(one, "firewall", "host1", lambda lines: lines.append(
            {**OTHER, "rule": "-A FORWARD -j DROP"})),
        ("changed", "fact", "host1 firewall: iptables-nft mangle FORWARD"),
    ),
    "the order of rules": (
        lambda one: every(one, "firewall", "gateway", swapped),
        ("changed", "fact", "gateway firewall: iptables-nft filter FORWARD"),
    ),
    "a policy": (
        lambda one: every(one, "firewall", "gateway", lambda lines: [
            line.update(policy="DROP") for line in lines
            if line["chain"] == "FORWARD" and "policy" in line]),
        ("changed", "fact", "gateway firewall: iptables-nft filter FORWARD"),
    ),
    "a route is gone": (
        lambda one: every(one, "routes", "bbox1", without("dst", "default")),
        ("changed", "fact", "bbox1 routes: default"),
    ),
    "a route by another gateway": (
        lambda one: every(one, "routes", "bbox1", lambda found: [
            route.update(via="172.16.10.9") for route in found if route["via"]]),
        ("changed", "fact", "bbox1 routes: default"),
    ),
    "a route to nowhere": (
        lambda one: every(one, "routes", "host1", lambda found: found.append(
            {"dst": "10.9.0.0/16", "via": "192.168.56.1", "interface": "eth1"})),
        ("changed", "fact", "host1 routes: 10.9.0.0/16"),
    ),
    "what a kernel says of a destination": (
        lambda one: reading(one, "routed/bbox1/route-get/172.16.20.11/after").update(via="1.2.3.4"),
        ("changed", "fact", "bbox1 route-get 172.16.20.11"),
    ),
    "a sysctl": (
        lambda one: every(one, "sysctls", "gateway", lambda found: found.update(
            {"net.ipv4.conf.all.rp_filter": "2"})),
        ("changed", "fact", "gateway sysctls: net.ipv4.conf.all.rp_filter"),
    ),
    "a sysctl that is new": (
        lambda one: every(one, "sysctls", "host1", lambda found: found.update({"net.x": "1"})),
        ("changed", "fact", "host1 sysctls: net.x"),
    ),
    "an MTU": (
        lambda one: every(one, "links", "host1", of_link("eth2.10", mtu=1400)),
        ("changed", "fact", "host1 links: eth2.10 mtu"),
    ),
    "an interface that is down": (
        lambda one: every(one, "links", "host2", of_link("eth2.20", up=False)),
        ("changed", "fact", "host2 links: eth2.20 up"),
    ),
    "an interface that is gone": (
        lambda one: every(one, "links", "host2", without("name", "eth2.20")),
        ("changed", "fact", "host2 links: eth2.20"),
    ),
    "an address": (
        lambda one: every(one, "addresses", "bbox1", lambda found: [
            entry.update(address="172.16.10.99/24") for entry in found
            if entry["interface"] == "eth0"]),
        ("changed", "fact", "bbox1 addresses: eth0"),
    ),
    "an ARP entry of another MAC": (
        lambda one: reading(one, "routed/gateway/neighbours/main")[0].update(
            mac="02:00:00:00:00:09"),
        ("changed", "fact", "gateway neighbours: *"),
    ),
    "a timing": (slower, ("changed", "time", "round trip of routed icmp longer")),
    "the kernel": (
        lambda one: one["run"].update(kernel="6.12.95"), ("changed", "run", "kernel"),
    ),
    "a kernel module": (
        lambda one: one["run"]["versions"].update({"module bridge": "2.99"}),
        ("changed", "run", "version of module bridge"),
    ),
    "a tool": (
        lambda one: one["run"]["versions"].update({"iptables-nft": "iptables v1.8.11"}),
        ("changed", "run", "version of iptables-nft"),
    ),
    "an engine": (
        lambda one: one["run"].update(engines=["host1: Docker 28.5.2"]),
        ("changed", "run", "engines"),
    ),
    "a reading is gone": (
        lambda one: one["evidence"].pop("routed/gateway/firewall/after"),
        ("changed", "only-old", "readings: gateway firewall"),
    ),
}  # fmt: skip


def told(change: Change) -> tuple[str, str, str]:
    """How a change is called."""
    return change.sense, change.kind, change.what


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seeded_change_is_told_once(report: Document, seed: str) -> None:
    """And nothing else; the other way round it is one change as well."""
    change, (sense, kind, what) = SEEDS[seed]
    new = copy.deepcopy(report)
    change(new)
    assert new != report
    found = compare(report, new).changes
    assert len(found) == 1, found
    assert told(found[0])[:2] == (sense, kind)
    assert found[0].what.startswith(what.rstrip("*"))
    assert found[0].old != found[0].new
    (back,) = compare(new, report).changes
    assert (back.old, back.new) == (found[0].new, found[0].old)


SOFT: dict[str, Callable[[list[Document]], Any]] = {
    "neighbours": lambda entries: [one.update(state="STALE") for one in entries],
    "links": lambda links: [
        link.update(rx_dropped=7, promiscuity=1, mac="02:99:00:00:00:01", index=99)
        for link in links],
    "firewall": lambda lines: [line.update(packets=12, octets=999) for line in lines],
    "routes": lambda routes: routes.reverse(),
}  # fmt: skip


def test_soft_state_is_no_change(report: Document) -> None:
    """Counters, ages, the kernel's order, MACs that it makes up, times within noise and tokens."""
    new = copy.deepcopy(report)
    for one in new["evidence"].values():
        if one["kind"] in SOFT:
            SOFT[one["kind"]](one["parsed"])
    for one in new["cells"]:
        one.update({"token": "00", "attempts": 2})
        one["rtt_ms"] = one["rtt_ms"] and one["rtt_ms"] * 1.2
    each_hop(new, lambda hop: hop.update(t_us=hop["t_us"] + 3))
    assert compare(report, new).changes == ()


def test_a_real_delay_is_told_once(tmp_path: Path) -> None:
    """The gateway sends slower than it is asked to: packets wait for each other, and all arrive.

    Those of 1,500 octets, each of which empties the bucket.
    """
    name = f"delay-{os.getpid()}"
    harness = [sys.executable, "-m", "harness"]
    slow = "tc qdisc add dev eth2 root tbf rate 500kbit burst 1700 limit 3000000"

    def do(*argv: str) -> None:
        subprocess.run([*harness, *argv], cwd=ROOT, check=True, capture_output=True)

    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    do("up", "--name", name)
    try:
        before = run(tmp_path, "--lab-attach", name, "-k", "1472")
        do("exec", "--name", name, "gateway", "--", *slow.split())
        after = run(tmp_path, "--lab-attach", name, "-k", "1472")
    finally:
        do("down", name)
    (change,) = compare(read_document(before), read_document(after)).changes
    assert told(change) == ("changed", "time", "round trip of routed icmp longer")
    assert float(change.new.split()[0]) > 5


def test_a_regression_comes_first_and_is_exit_code_1(first: Path, tmp_path: Path) -> None:
    """On a terminal, for a program and for a pull request; what was mended the other way round."""
    broken = json.loads((first / "report.json").read_text())
    cause = {"code": "forward-policy-drop", "node": "gateway", "subject": "FORWARD", "detail": "x"}
    cell(broken, ROUTED).update(verdict="fail", observed="silent", cause=cause)
    broken["run"]["kernel"] = "6.99.0"
    (tmp_path / "report.json").write_text(json.dumps(broken))
    code, said = diff(first, tmp_path)
    assert code == 1
    assert said.splitlines()[3] == (
        "REGRESSION routed icmp: pass, reached -> fail, silent (forward-policy-drop)"
    )
    assert "RUN kernel: " in said
    assert "-> 6.99.0: 1 regression; 1 of 424 cells changed, 0 of " in said.splitlines()[-1]
    code, said = diff(first, tmp_path, "--json")
    assert [one["sense"] for one in json.loads(said)["changes"]] == ["regression", "changed"]
    assert "| regression | routed icmp | pass, reached |" in diff(first, tmp_path, "--markdown")[1]
    code, said = diff(tmp_path, first)
    assert (code, said.splitlines()[3].split()[0]) == (0, "MENDED")


def test_what_cannot_be_compared_is_exit_code_3(first: Path, tmp_path: Path) -> None:
    """Nothing in common; or all that is worse is that it could not be told."""
    other = json.loads((first / "report.json").read_text())
    cell(other, ROUTED).update(verdict="unproved", observed="inconclusive")
    (tmp_path / "report.json").write_text(json.dumps(other))
    assert diff(first, tmp_path)[0] == 3
    other["cells"] = []
    (tmp_path / "report.json").write_text(json.dumps(other))
    code, said = diff(first, tmp_path)
    assert (code, "no cell is in both runs" in said) == (3, True)
    other["schema"] = 7
    (tmp_path / "report.json").write_text(json.dumps(other))
    code, said = diff(first, tmp_path)
    assert (code, "schema 7; this version reads schema 1" in said) == (2, True)
    assert diff(first, first, "--json", "--markdown")[0] == 2
