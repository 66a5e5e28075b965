"""What the kernel says of a packet that it dropped: which of all that it says is of a cell."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis import Diagnosed
from harness.report.model import Evidence
from harness.worker import btf
from tests.unit import faults
from tests.unit.test_diagnose import ROUTED, UDP, diagnosed

READING = f"routed/gateway/drops/after-{ROUTED}"
MINE = {
    "reason": "NETFILTER_DROP", "protocol": "icmp", "src": "172.16.10.10", "dst": "172.16.20.11",
    "packets": 1,
}  # fmt: skip


def told(*drops: dict[str, Any], node: str = "gateway", cell: str = ROUTED) -> Diagnosed:
    """A cell that was lost in the gateway, and what the kernel says that it dropped meanwhile."""
    name = f"routed/{node}/drops/after-{ROUTED}"
    reading = Evidence(name, node, "routed", "drops", "", list(drops), "")
    cells = tuple(dict.fromkeys((cell, ROUTED)))
    lost = [faults.lost(one, "gateway:eth2.20 (out)") for one in cells]
    return diagnosed(
        cells, lambda _: None, *lost, alone=(ROUTED,), more=lambda every: (*every, reading)
    )


def test_the_reason_stands_in_the_cause_and_is_cited() -> None:
    """Also where nothing else says why."""
    found = told(MINE)
    verdict = next(one for one in found.verdicts if one.cell.id == ROUTED)
    assert verdict.cause
    assert verdict.cause.code is Code.UNKNOWN
    assert verdict.cause.detail.endswith("; the kernel of gateway says NETFILTER_DROP")
    assert READING in verdict.evidence
    (one,) = found.diagnoses
    assert "; the kernel of gateway says NETFILTER_DROP; ruled out: " in one.message


@pytest.mark.parametrize(
    "other",
    [
        {**MINE, "dst": "172.16.20.10"},
        {**MINE, "protocol": "udp"},
        {**MINE, "reason": "NOT_SPECIFIED"},
    ],
    ids=["another packet", "another protocol", "no reason"],
)
def test_what_is_said_of_others_is_not_said_of_it(other: dict[str, Any]) -> None:
    """A kernel drops a great deal that is no loss."""
    (one,) = told(other).diagnoses
    assert "the kernel of" not in one.message


def test_what_is_dropped_elsewhere_is_not_it() -> None:
    """As copies that a switch floods."""
    (one,) = told(MINE, node="host1").diagnoses
    assert "the kernel of" not in one.message


def test_a_probe_of_another_kind_was_not_sent_again() -> None:
    """Nothing is known of it."""
    found = told(MINE, cell=UDP)
    verdict = next(one for one in found.verdicts if one.cell.id == UDP)
    assert verdict.cause
    assert "the kernel of" not in verdict.cause.detail


STRINGS = b"\0sk_buff\0dev\0reason\0ONE\0"


def described(types: bytes, magic: int = btf.MAGIC) -> bytes:
    """A kernel's description of its types."""
    head = (magic, 1, 0, btf.HEAD.size, 0, len(types), len(types), len(STRINGS))
    return btf.HEAD.pack(*head) + types + STRINGS


def test_members_within_nameless_unions_are_found(tmp_path: Path) -> None:
    """Types that nobody asks for, whatever their length, are stepped over."""
    integer = struct.pack("=IIII", 0, 1 << 24, 8, 64)
    array = struct.pack("=IIIIII", 0, 3 << 24, 0, 1, 1, 4)
    union = struct.pack("=IIIIII", 0, (btf.UNION << 24) | 1, 8, 9, 1, 32)
    whole = struct.pack("=IIIIII", 1, (btf.STRUCT << 24) | 1, 16, 0, 3, 64)
    values = struct.pack("=IIIIi", 13, (btf.ENUM << 24) | 1, 4, 20, 7)
    path = tmp_path / "btf"
    path.write_bytes(described(integer + array + union + whole + values))
    found = btf.Btf(str(path))
    assert found.offsets(("sk_buff", "dev")) == [12]
    assert found.names("reason") == {7: "ONE"}
    assert found.names("sk_buff") == {}
    with pytest.raises(OSError, match="struct sk_buff has no reason"):
        found.offsets(("sk_buff", "reason"))


def test_what_is_no_description_is_refused(tmp_path: Path) -> None:
    """As that of a machine of the other byte order."""
    path = tmp_path / "btf"
    path.write_bytes(described(b"", magic=0x9FEB))
    with pytest.raises(OSError, match="no description of this machine's kernel"):
        btf.Btf(str(path))
