"""A lab that is up is broken by hand: each fault is named, with its place and what mends it.

The command that a diagnosis prints is given where it says so, and everything is green again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.catalogue import BY_CODE, PATH
from harness.causes import Code
from harness.worker import drops
from tests.lab.broken import ROOT, Up, harness, lab_of

OWN_TABLE = """
add table ip own
add chain ip own c { type filter hook forward priority 5; }
add rule ip own c ip daddr 172.16.20.11 drop
"""
MOVED = (
    "ip -n bbox4 link delete eth0",
    (
        "ip link add link {parent} name eth0 netns bbox4 address 02:42:ac:10:14:0b "
        "type macvlan mode bridge"
    ),
    "ip -n bbox4 address add 172.16.20.11/24 dev eth0",
    "ip -n bbox4 link set eth0 up",
    "ip -n bbox4 route add default via 172.16.20.1",
)
RULES = "iptables-save > /run/rules"
RESTORED = "iptables-restore /run/rules && iptables -P FORWARD ACCEPT"


@dataclass(frozen=True)
class Fault:
    """What is done to the lab, and what must be said of it."""

    code: Code
    node: str
    """Where it is done."""
    change: str
    undo: str
    subject: str
    """Part of the diagnosis' subject."""
    fix: str
    """The command that must mend it; nothing where it is not said here."""
    lost_at: str = ""
    """Where `cell` must have been lost."""
    cell: str = "routed-bbox1-to-bbox4-icmp"
    at: str = ""
    """The node at fault, if it is another than where it is done."""

    def __str__(self) -> str:
        return f"{self.code}-{self.node}"


BY_HAND = [
    Fault(
        Code.DEFAULT_ROUTE_MISSING,
        "bbox1",
        "ip route delete default",
        "ip route replace default via 172.16.10.1",
        "default",
        "ip route add default via 172.16.10.1",
        "bbox1:eth0 (out)",
    ),
    Fault(
        Code.VLAN_ID_MISMATCH,
        "host2",
        " && ".join(MOVED).format(parent="eth2.10"),
        " && ".join(MOVED).format(parent="eth2.20"),
        "bbox4:eth0",
        " && ".join(MOVED).format(parent="eth2.20"),
        "gateway:eth2.20 (out)",
    ),
    Fault(
        Code.FORWARD_POLICY_DROP,
        "gateway",
        f"{RULES} && iptables -P FORWARD DROP && iptables -F FORWARD",
        RESTORED,
        "-P FORWARD DROP",
        "iptables -P FORWARD ACCEPT",
        "gateway:eth2.20 (out)",
    ),
    Fault(
        Code.FORWARD_RULE_DROP,
        "gateway",
        f"nft '{OWN_TABLE}'",
        "nft delete table ip own",
        "ip own c: ip daddr 172.16.20.11 drop",
        "nft delete rule ip own c handle 2",
        "gateway:eth2.20 (out)",
    ),
    Fault(
        Code.STALE_NEIGHBOUR,
        "gateway",
        "ip neighbour replace 172.16.20.11 lladdr 02:00:00:00:00:99 dev eth2.20",
        "ip neighbour delete 172.16.20.11 dev eth2.20",
        "172.16.20.11 lladdr 02:00:00:00:00:99 PERMANENT",
        "ip neighbour delete 172.16.20.11 dev eth2.20",
        "bbox4:eth0 (in)",
    ),
    Fault(
        Code.PARENT_DOWN,
        "host2",
        "ip link set eth2.20 down",
        "ip link set eth2.20 up",
        "eth2.20",
        "ip link set eth2.20 up",
        "gateway:eth2.20 (out)",
    ),
]
"""What people do to such a lab by hand."""


@pytest.fixture(scope="module")
def lab_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One routed tutorial lab for all faults."""
    with lab_of("macvlan-two-host", "diagnosis", tmp_path_factory.mktemp("reports")) as up:
        yield up


@pytest.fixture
def untouched() -> None:
    """The lab outlives each test of this module; `lab_up` takes it down."""


def report(up: Up, chosen: Collection[dict[str, Any]] = ()) -> dict[str, Any]:
    """Test the lab as it is, or the pairs of the chosen cells of it; its report.json."""
    argv = ["-m", "pytest", "suites", "-q", "--lab-attach", up.name, "-p", "no:cacheprovider"]
    argv += ["-k", " or ".join(sorted({f"{one['src']}-to-{one['dst']}-" for one in chosen}))]
    subprocess.run(
        [sys.executable, *argv, "--lab-reports", str(up.reports)],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    found: dict[str, Any] = json.loads((up.reports / "latest" / "report.json").read_text())
    return found


def give(up: Up, node: str, command: str) -> None:
    """Give a command on a node, as a person does."""
    harness("exec", "--name", up.name, node, "--", "sh", "-c", command)


@pytest.mark.parametrize("fault", BY_HAND, ids=str)
def test_a_fault_is_named_and_its_fix_mends_it(lab_up: Up, fault: Fault) -> None:
    """Every cell that is not green has this one cause, shown by a reading; its fix mends all."""
    give(lab_up, fault.node, fault.change)
    try:
        found = report(lab_up)
        diagnoses = found["diagnoses"]
        assert [one["code"] for one in diagnoses] == [fault.code]
        assert fault.subject in diagnoses[0]["subject"]
        assert diagnoses[0]["node"] == (fault.at or fault.node)
        assert diagnoses[0]["fix"] == fault.fix
        wrong = {one["id"]: one for one in found["cells"] if one["verdict"] != "pass"}
        assert set(diagnoses[0]["cells"]) == set(wrong)
        assert wrong[fault.cell]["lost_at"] == fault.lost_at
        assert all(_is_shown(found, one) for one in wrong.values())
        give(lab_up, diagnoses[0]["node"], diagnoses[0]["fix"])
        healed = report(lab_up, wrong.values())
        assert [one["id"] for one in healed["cells"] if one["verdict"] != "pass"] == []
        assert healed["diagnoses"] == []
    finally:
        subprocess.run(
            [sys.executable, "-m", "harness", "exec", "--name", lab_up.name, fault.node, "--",
             "sh", "-c", fault.undo],
            cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip


def _is_shown(found: dict[str, Any], cell: dict[str, Any]) -> bool:
    """Whether a reading that the cell cites is of a kind that can show its cause."""
    kinds = {found["evidence"][name]["kind"] for name in cell["evidence"]}
    shown_by = BY_CODE[Code(cell["cause"]["code"])].shown_by
    return PATH in shown_by or bool(kinds & set(shown_by))


def test_explain_says_the_cause_and_what_mends_it(lab_up: Up) -> None:
    """One packet, followed: why it is lost stands at its end."""
    give(lab_up, "gateway", "sysctl -w net.ipv4.ip_forward=0")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness", "explain", "--name", lab_up.name, "bbox1", "bbox4"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        give(lab_up, "gateway", "sysctl -w net.ipv4.ip_forward=1")
    cause, fix = done.stdout.splitlines()[-2:]
    assert cause.partition("; the kernel of gateway says ")[0] == (
        "cause ip-forward-off: the probe came in at gateway:eth2.10 (in), and was not seen at "
        "gateway:eth2.20 (out): gateway does not forward: net.ipv4.ip_forward is 0"
    )
    assert fix == "on gateway: sysctl -w net.ipv4.ip_forward=1"


def test_the_kernel_says_why_it_dropped_a_packet(lab_up: Up) -> None:
    """Of the packet that was lost, where it was lost; the cell cites the reading that has it."""
    if not drops.begin():
        pytest.skip("this kernel says not why it drops packets: Linux 5.17 with BTF does")
    drops.end()
    give(lab_up, "gateway", "iptables -I FORWARD -p icmp -j DROP")
    try:
        found = report(lab_up)
    finally:
        give(lab_up, "gateway", "iptables -D FORWARD -p icmp -j DROP")
    wrong = [one for one in found["cells"] if one["verdict"] != "pass"]
    assert wrong
    for cell in wrong:
        assert cell["cause"]["detail"].endswith("; the kernel of gateway says NETFILTER_DROP")
        (told,) = [name for name in cell["evidence"] if found["evidence"][name]["kind"] == "drops"]
        (one,) = [one for one in found["evidence"][told]["parsed"] if one["protocol"] == "icmp"]
        assert (one["reason"], one["packets"]) == ("NETFILTER_DROP", 1)
