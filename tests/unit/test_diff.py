"""What changed between two runs, from values: each change once, worst first."""

from __future__ import annotations

from typing import Any

import pytest

from harness.diff import Change, compare, text
from harness.diff.facts import RULES
from harness.errors import CannotCompare
from harness.flow import Ruling
from harness.report.document import document
from tests.unit.builders import cell, failed, hop, passed, reading, report

PATH = (hop("host1", "out"), hop("gateway", t_ns=1500))
GOOD = passed(cell("bbox1", "bbox3"))
BAD = failed(cell("bbox1", "bbox3"), path=PATH)


def of(*verdicts: Any, **fields: Any) -> dict[str, Any]:
    """The report.json of a run."""
    return document(report(*verdicts, **fields))


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """What changed, worst first."""
    found = compare(old, new).changes
    return [(one.sense, one.kind, one.what, one.old, one.new) for one in found]


def fact(kind: str, was: Any, now: Any) -> list[tuple[str, str, str]]:
    """What changed in one reading of the gateway."""
    made = [of(GOOD, evidence=(reading(f"routed/gateway/{kind}/after", kind=kind, parsed=one),))
            for one in (was, now)]  # fmt: skip
    return [(what, old, new) for _, _, what, old, new in changes(*made)]


def test_a_run_and_itself() -> None:
    """There is nothing to say but how much was compared."""
    found = compare(of(GOOD), of(GOOD))
    assert (found.changes, found.cells, found.exit_code) == ((), 1, 0)
    assert text.text(found).endswith("0 regressions; 0 of 1 cell changed, 0 of 0 facts in evidence")
    assert "|" not in text.markdown(found)


def test_senses_of_cells() -> None:
    """Worse, better, or another failure."""
    assert changes(of(GOOD), of(BAD)) == [
        ("regression", "cell", "isolated icmp", "pass, reached", "fail, silent"),
    ]
    assert changes(of(BAD), of(GOOD))[0][0] == "mended"
    told = of(BAD)
    told["cells"][0]["cause"] = {"code": "raw-drop"}
    assert changes(of(BAD), told) == [
        ("changed", "cell", "isolated icmp", "fail, silent", "fail, silent (raw-drop)"),
    ]


def test_exit_codes() -> None:
    """What could not be told any more is no failure."""
    untold = passed(cell("bbox1", "bbox3"), ruling=Ruling.UNPROVED)
    assert compare(of(GOOD), of(BAD)).exit_code == 1
    assert compare(of(GOOD), of(untold)).exit_code == 3
    both = of(BAD, passed(cell("bbox3", "bbox1"), ruling=Ruling.UNPROVED))
    assert compare(of(GOOD, passed(cell("bbox3", "bbox1"))), both).exit_code == 1


def test_paths() -> None:
    """What differs in many cells is one change; another way is told whole."""
    other = (PATH[0], hop("gateway", t_ns=1500, ttl=63))
    old = of(*(failed(cell("bbox1", end), path=PATH) for end in ("bbox2", "bbox3")))
    new = of(*(failed(cell("bbox1", end), path=other) for end in ("bbox2", "bbox3")))
    (found,) = compare(old, new).changes
    assert (found.kind, found.what, found.old, found.new) == ("path", "TTL", "64", "63")
    assert found.where == ("isolated-bbox1-to-bbox2-icmp", "isolated-bbox1-to-bbox3-icmp")
    away = of(*(failed(cell("bbox1", end), path=()) for end in ("bbox2", "bbox3")))
    assert changes(old, away) == [
        ("changed", "path", "way", "host1:eth2 (out) gateway:eth2 (in)", "nowhere"),
    ]


@pytest.mark.parametrize("probe", ["ndp", "icmp6"])
def test_the_address_that_a_probe_has_for_itself(probe: str) -> None:
    """A probe of NDP takes another one in each run; whom it asks for is compared all the same."""

    def asked(own: str, wanted: str) -> dict[str, Any]:
        path = (hop("host1", "out", src_ip=own, dst_ip=wanted),
                hop("host1", src_ip=wanted, dst_ip=own))  # fmt: skip
        return of(failed(cell("bbox1", "bbox3", probe), path=path))

    old = asked("fe80::1", "2001:db8::1")
    own = [("changed", "path", "address", "fe80::1", "fe80::2")]
    assert changes(old, asked("fe80::2", "2001:db8::1")) == ([] if probe == "ndp" else own)
    wanted = ("changed", "path", "address", "2001:db8::1", "2001:db8::2")
    assert wanted in changes(old, asked("fe80::2", "2001:db8::2"))
    assert changes(of(failed(cell("bbox1", "bbox3", probe), path=())), old)[0][2] == "way"


def test_what_was_expected_and_seen() -> None:
    """The source that a destination sees is told once, not as a hop's as well."""
    old, new = of(BAD), of(BAD)
    old["cells"][0]["seen_source"] = "172.16.10.10"
    new["cells"][0]["seen_source"] = "172.16.20.1"
    new["cells"][0]["path"][1]["src_ip"] = "172.16.20.1"
    new["cells"][0]["expected"] = "silent"
    assert changes(old, new) == [
        ("changed", "cell", "expected", "reached", "silent"),
        ("changed", "path", "source seen", "172.16.10.10", "172.16.20.1"),
    ]


def test_what_is_in_one_run_only() -> None:
    """Cells by their stage, readings by node and kind."""
    one = reading("routed/gateway/firewall/after")
    both = of(GOOD, passed(cell("bbox3", "bbox1")), evidence=(one,))
    assert changes(both, of(GOOD)) == [
        ("changed", "only-old", "cells of isolated", "1", "0"),
        ("changed", "only-old", "readings: gateway firewall", "1", "0"),
    ]
    assert [new for *_, new in changes(of(GOOD), both)] == ["1", "1"]


def test_nothing_in_common_is_said() -> None:
    """With what each run was."""
    with pytest.raises(CannotCompare, match=r"no cell is in both runs.*: 5f3a \(macvlan-two-host"):
        compare(of(GOOD), of(passed(cell("bbox3", "bbox1"))))


def test_runs_of_other_kernels_and_tools() -> None:
    """What was tested with what."""
    old, new = of(GOOD), of(GOOD)
    old["run"] |= {"engines": ["host1: Docker 20.10"], "versions": {"kernel": "1", "nft": "1.0"}}
    new["run"] |= {"kernel": "6.99.0", "versions": {"kernel": "2", "iptables": "1.8"}}
    new["run"]["not_applicable"] = ["no IPv6"]
    assert [one[2:] for one in changes(old, new)] == [
        ("engines", "host1: Docker 20.10", "-"),
        ("kernel", old["run"]["kernel"], "6.99.0"),
        ("not applicable", "IPv6: the topology has no IPv6 addresses", "no IPv6"),
        ("version of iptables", "-", "1.8"),
        ("version of nft", "1.0", "-"),
    ]
    assert f"RUN kernel: {old['run']['kernel']} -> 6.99.0\n" in text.text(compare(old, new))
    assert text.summary(compare(old, new)).startswith(f"kernel {old['run']['kernel']} -> 6.99.0: ")


LINK = {"name": "eth2", "index": 3, "mac": "02:00:00:00:00:01", "mtu": 1500, "state": "UP"}
ROUTE = {"dst": "default", "via": "172.16.10.1", "interface": "eth0"}
RULE = {"table": "filter", "chain": "FORWARD", "rule": "-A FORWARD -j DROP"}
MARKED = " -m comment --comment macvlan-harness-"
POLICY = {"table": "filter", "chain": "FORWARD", "policy": "ACCEPT"}
NEIGHBOUR = {"address": "172.16.10.1", "mac": "02:00:00:00:00:01", "state": "STALE"}
ROWS: dict[str, tuple[str, Any, Any, list[tuple[str, str, str]]]] = {
    "an MTU": ("links", [LINK], [LINK | {"mtu": 1400}], [("links: eth2 mtu", "1500", "1400")]),
    "an interface": ("links", [LINK], [], [("links: eth2", "there", "-")]),
    "soft state of a link": ("links", [LINK], [LINK | {"mac": "x", "index": 9, "state": "-"}], []),
    "an address": (
        "addresses", [{"interface": "eth0", "address": "10.0.0.1/8", "scope": "global"}],
        [{"interface": "eth0", "address": "10.0.0.2/8", "scope": "global"},
         {"interface": "eth0", "address": "fe80::1/64", "scope": "link"}],
        [("addresses: eth0", "address 10.0.0.1/8, scope global",
          "address 10.0.0.2/8, scope global")],
    ),
    "a route": (
        "routes", [ROUTE], [ROUTE | {"via": "172.16.10.2"}],
        [("routes: default", "via 172.16.10.1, interface eth0",
          "via 172.16.10.2, interface eth0")],
    ),
    "what a kernel says": (
        "route-get", ROUTE, {"dst": "default", "interface": "eth0"},
        [("route-get after", "via 172.16.10.1, interface eth0", "interface eth0")],
    ),
    "a neighbour": (
        "neighbours", [NEIGHBOUR], [NEIGHBOUR | {"mac": "02:00:00:00:00:02"}],
        [("neighbours: 172.16.10.1", "02:00:00:00:00:01", "02:00:00:00:00:02")],
    ),
    "one that does not answer": ("neighbours", [], [NEIGHBOUR | {"mac": None}], []),
    "one of a link only": ("neighbours", [], [NEIGHBOUR | {"address": "fe80::1"}], []),
    "a rule": (
        "firewall", [POLICY], [POLICY | {"policy": "DROP"}, RULE, RULE],
        [("firewall: filter FORWARD", "-", "policy DROP; -A FORWARD -j DROP; -A FORWARD -j DROP")],
    ),
    "an order": (
        "firewall", [RULE, RULE | {"rule": "-A FORWARD -j ACCEPT"}],
        [RULE | {"rule": "-A FORWARD -j ACCEPT"}, RULE],
        [("firewall: filter FORWARD", "-A FORWARD -j DROP; -A FORWARD -j ACCEPT",
          "-A FORWARD -j ACCEPT; -A FORWARD -j DROP")],
    ),
    "a sysctl": (
        "sysctls", {"a": "1", "net.netfilter.nf_conntrack_count": "4"}, {"a": "2"},
        [("sysctls: a", "1", "2")],
    ),
    "the mark of a link": (
        "links", [LINK | {"alias": "macvlan-harness-1a"}], [LINK | {"alias": "macvlan-harness-2b"}],
        [],
    ),
    "another alias": (
        "links", [LINK | {"alias": "uplink"}], [LINK | {"alias": "trunk"}],
        [("links: eth2 alias", "uplink", "trunk")],
    ),
    "the mark of a rule": (
        "firewall", [RULE | {"rule": RULE["rule"].replace(" -j", f"{MARKED}1a -j")}],
        [RULE | {"rule": RULE["rule"].replace(" -j", f"{MARKED}2b -j")}], [],
    ),
    "the ports of Docker's resolver": (
        "firewall",
        [RULE | {"rule": "-A X -s 127.0.0.11/32 -p tcp --sport 38511 -j SNAT --to-source :53"}],
        [RULE | {"rule": "-A X -s 127.0.0.11/32 -p tcp --sport 37419 -j SNAT --to-source :53"}],
        [],
    ),
    "flows of the run itself": ("conntrack", [1], [2], []),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_facts(row: str) -> None:
    """Each kind of reading by its rule; what has none says nothing of a network."""
    kind, was, now, wanted = ROWS[row]
    assert fact(kind, was, now) == [(f"gateway {what}", old, new) for what, old, new in wanted]
    assert (kind in RULES) == (kind != "conntrack")


def test_a_table_is_safe_in_markdown() -> None:
    """Names come from outside."""
    where = tuple(f"cell{number}" for number in range(5))
    odd = Change("fact", "a|<b>", "x\n", "y", where=where)
    found = compare(of(GOOD), of(GOOD))
    shown = text.markdown(type(found)(found.old, found.new, (odd,), 1, 1))
    assert "| fact | a\\|&lt;b> | x\\n | y | cell0, cell1, cell2 and 2 more |" in shown
    assert odd.as_json()["where"] == list(where)
    assert compare(of(GOOD), of(BAD)).as_json()["changes"][0]["sense"] == "regression"
    assert "  isolated-bbox1-to-bbox3-icmp" in text.text(compare(of(GOOD), of(BAD)))
