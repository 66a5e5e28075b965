"""Kernels whose macvlan loses what is for many: `harness rehearse` calls them bad, and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.causes import Code
from harness.faults.change import Change, Lost
from harness.faults.fault import TUTORIAL, Fault
from harness.faults.filters import alters, lost_in
from harness.faults.predict import path_of, predict
from harness.frame import Packet
from harness.machines.kernel import Kernel
from tests.vm.bad_kernels import NO_BROADCAST, NO_GROUPS, patched
from tests.vm.rehearsing import NIGHTLY, rehearse

EVERYBODY = "ff:ff:ff:ff:ff:ff"
PARENTS = [(host, f"eth2.{vlan}") for host in ("host1", "host2") for vlan in (10, 20)]


def _is_broadcast(packet: Packet) -> bool:
    return packet.dst_mac == EVERYBODY


def _is_multicast(packet: Packet) -> bool:
    return not _is_broadcast(packet) and int(str(packet.dst_mac)[:2], 16) & 1 == 1


@NIGHTLY
@pytest.mark.parametrize(
    ("patch", "lost", "code", "topology"),
    [
        (NO_BROADCAST, _is_broadcast, Code.BROADCAST_LOST_TO_MACVLAN, TUTORIAL),
        (NO_GROUPS, _is_multicast, Code.MULTICAST_LOST_TO_MACVLAN, "dual-stack"),
    ],
    ids=["broadcast", "multicast"],
)
def test_a_macvlan_that_loses_what_is_for_many(  # noqa: PLR0913, PLR0917 - a kernel, and its cells
    oldest: Kernel,
    beside: Callable[[str], Path],
    tmp_path: Path,
    patch: tuple[bytes, bytes],
    lost: Lost,
    code: Code,
    topology: str,
) -> None:
    """Just the cells fail for which such a frame must come in, and all name that cause."""
    kernel = patched(oldest, "macvlan", beside("bad"), patch)
    exit_code, said = rehearse(
        str(kernel), f"--topology={path_of(topology)}", stage="routed", reports=tmp_path
    )
    assert exit_code == 1
    (run,) = said["runs"]
    assert run["judgement"] == "bad"
    document = json.loads(Path(run["folder"], "report.json").read_text("utf-8"))
    change = Change((), (), alters(*(lost_in(*parent, lost) for parent in PARENTS)))
    wanted = predict(Fault("", "", change, (code,), topology))
    assert {one["id"]: one["verdict"] for one in document["cells"]} == wanted.rulings
    red = [one for one in document["cells"] if one["verdict"] != "pass"]
    assert {one["cause"]["code"] for one in red} == {code}
