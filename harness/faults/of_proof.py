"""Faults of what a proof takes: probes that are sent, and taps that see."""

from __future__ import annotations

from harness.causes import Code
from harness.faults import change as do
from harness.faults import filters
from harness.faults.fault import Fault
from harness.testing.stack import EPHEMERAL_PORTS
from harness.testing.state import LinkName

LEG: LinkName = ("gateway", "eth2.20")
DISTURB = (do.PYTHON, "-m", "harness.worker.disturb")


def _disturbed(where: LinkName, act: str, tap: LinkName, field: str) -> do.Change:
    """Something in the background that disturbs an interface in the middle of each sweep.

    `tap` is where it shows, `field` what the fake network's link has for it.
    """
    node, name = where
    return do.Change(
        ((node, *DISTURB, act, name),),
        ((node, *DISTURB, "stop", name),),
        lambda state: setattr(state.link(tap), field, True),
    )


SENDING = (
    Fault(
        "probe-not-sent-for-want-of-a-port",
        "All ports that bbox1 may send from are reserved.",
        do.sysctl("bbox1", "net.ipv4.ip_local_reserved_ports", EPHEMERAL_PORTS, ""),
        (Code.PROBE_NOT_SENT,),
    ),
    Fault(
        "probe-not-sent-for-want-of-room",
        "The queue of bbox4's interface has room for nothing.",
        do.Change(
            (("bbox4", "tc", "qdisc", "add", "dev", "eth0", "root", "pfifo", "limit", "0"),),
            (("bbox4", "tc", "qdisc", "delete", "dev", "eth0", "root"),),
            filters.lost_out("bbox4", "eth0", lambda _packet: True),
        ),
        (Code.PROBE_NOT_SENT,),
    ),
)

SEEING = (
    Fault(
        "tap-dead-interface-flaps",
        "The gateway's eth2.20 goes down for a moment whenever frames begin to pass it.",
        _disturbed(LEG, "flap", LEG, "flaps"),
        (Code.TAP_DEAD,),
        mended=False,
    ),
    Fault(
        "tap-dead-frames-flood",
        "Whenever frames begin to pass the gateway's switch port, more come than a tap can hold.",
        _disturbed(("switch", "gateway"), "flood", ("gateway", "eth2"), "floods"),
        (Code.TAP_DEAD,),
        mended=False,
    ),
)

FAULTS = (*SENDING, *SEEING)
