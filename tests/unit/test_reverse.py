"""What a node drops because of its way back: the route is at fault, or rp_filter itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.causes import Code
from harness.diagnosis.filtering import Flow
from harness.diagnosis.place import Kind
from harness.flow import Point
from tests.unit.sick import AT_ROUTER, Change, Readings, found, place, route

GW, NET10 = "gateway", "172.16.10.0/24"
RP_FILTER = "net.ipv4.conf.all.rp_filter"
OF_STRANGER = replace(AT_ROUTER, flow=replace(AT_ROUTER.flow, src="192.0.2.7"))
ASKED_BY_BBOX1 = replace(
    place(Kind.RECEIVER, GW, "bbox1", near=Point(GW, "eth2.10", "in")),
    flow=Flow("arp", "172.16.10.10", "172.16.10.1", ""),
    asker="bbox1", asked=GW, next_hop="172.16.10.1",
)  # fmt: skip
"""bbox1's question for its gateway comes in there, and is not answered."""


def strict(*routes: dict[str, object], mode: str = "1", without: str = "") -> Change:
    """The gateway's rp_filter is on, and it has other routes."""

    def change(readings: Readings) -> None:
        readings[GW, "conf"][RP_FILTER] = mode
        readings[GW, "tables"] = [
            *(one for one in readings[GW, "tables"] if one["dst"] != without), *routes,
        ]  # fmt: skip

    return change


MOVED = strict(route(NET10, None, "eth2.20"), without=NET10)
ALSO_MOVED = strict(route(NET10, None, "eth2.20", metric=7), without=NET10)
MORE_SPECIFIC = strict(route("172.16.10.10/32", None, "eth1"))
GONE = strict(without=NET10)
BY_ETH1 = strict(route("default", "192.0.2.1", "eth1"))


@pytest.mark.parametrize(
    ("at", "change", "code", "subject", "fix"),
    [
        (AT_ROUTER, MOVED, Code.ROUTE_BLACKHOLE, f"{NET10} dev eth2.20",
         f"ip route replace {NET10} dev eth2.10"),
        (AT_ROUTER, ALSO_MOVED, Code.ROUTE_BLACKHOLE, f"{NET10} dev eth2.20 metric 7",
         f"ip route replace {NET10} dev eth2.10 metric 7"),
        (ASKED_BY_BBOX1, MOVED, Code.ROUTE_BLACKHOLE, f"{NET10} dev eth2.20",
         f"ip route replace {NET10} dev eth2.10"),
        (AT_ROUTER, MORE_SPECIFIC, Code.ROUTE_BLACKHOLE, "172.16.10.10/32 dev eth1",
         "ip route delete 172.16.10.10/32 dev eth1"),
        (AT_ROUTER, GONE, Code.DEFAULT_ROUTE_MISSING, NET10, f"ip route add {NET10} dev eth2.10"),
        (OF_STRANGER, BY_ETH1, Code.RP_FILTER_DROP, RP_FILTER, f"sysctl -w {RP_FILTER}=0"),
        (OF_STRANGER, strict(), Code.RP_FILTER_DROP, RP_FILTER, f"sysctl -w {RP_FILTER}=0"),
        (OF_STRANGER, strict(mode="2"), Code.RP_FILTER_DROP, RP_FILTER, f"sysctl -w {RP_FILTER}=0"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_way_back(
    at: object, change: Change, code: Code, subject: str, fix: str
) -> None:
    """A route that must be another one is mended; where the way back is right, rp_filter is."""
    finding, lab = found(at, change)  # type: ignore[arg-type]
    assert finding is not None
    assert (finding.code, finding.node, finding.subject) == (code, GW, subject)
    assert finding.fix == fix
    assert "drops what comes from" in finding.message
    assert "tables" in {lab.state.by_name[name].kind for name in finding.shown}


@pytest.mark.parametrize("mode", ["1", "2"])
def test_a_way_back_that_leads_back_is_no_cause(mode: str) -> None:
    """What comes in where it would be answered passes; in the loose mode, what has any way back."""
    assert found(AT_ROUTER, strict(mode=mode))[0] is None
    loose = found(OF_STRANGER, strict(route("default", "192.0.2.1", "eth1"), mode=mode))[0]
    assert (loose is None) is (mode == "2")
