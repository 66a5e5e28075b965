"""My web server on bbox3 answers bbox1 and not bbox2."""

from __future__ import annotations

from collections.abc import Callable

from harness.handle import LiveLab, Result
from harness.own_fixtures import CaptureNow, HostByName, ProbeNow

Browse = Callable[[str], Result]


def test_it_answers_bbox1(browse_from: Browse) -> None:
    """A browser in the same VLAN gets the page."""
    assert browse_from("bbox1").out == "200\n"


def test_it_does_not_answer_bbox2(browse_from: Browse) -> None:
    """A browser in the other VLAN gets none."""
    assert not browse_from("bbox2").ok


def test_bbox2_is_blocked(probe: ProbeNow) -> None:
    """Not a slow server and no broken browser: what bbox2 sends is proved not to arrive."""
    verdict = probe("bbox2", "bbox3", "tcp")
    assert verdict.blocked, verdict.explain()


def test_bbox1_is_not(probe: ProbeNow) -> None:
    """The same probe from bbox1 arrives and is answered."""
    verdict = probe("bbox1", "bbox3", "tcp")
    assert verdict.reached, verdict.explain()


def test_bbox3_sees_bbox1_alone(browse_from: Browse, capture: CaptureNow, lab: LiveLab) -> None:
    """Of two browsers, one leaves packets at the server's interface."""
    with capture("bbox3", "eth0") as seen:
        browse_from("bbox1")
        browse_from("bbox2")
    guests = {packet.src_ip for packet in seen.packets if packet.dst_port == 8080}
    assert guests == {str(lab.topology.endpoint("bbox1").address)}


def test_the_gateway_routes(lab_host: HostByName) -> None:
    """It is the gateway's rules that block, not that it does not forward."""
    assert lab_host("gateway").sysctl("net.ipv4.ip_forward") == 1
