"""Who hears whom in a VLAN: macvlan's modes, and the switch port's hairpin.

Between hosts the trunk carries everything. On one host the mode decides, and what the mode does not
hand over leaves by the trunk, from where it comes back only if the switch port has hairpin on
(macvlan_queue_xmit() and macvlan_handle_frame() of drivers/net/macvlan.c).
"""

from __future__ import annotations

from harness import walk
from harness.topology import Endpoint, Topology

COMES_BACK = ("bridge", "vepa")
"""Modes whose broadcasts, when they come back, pass the parent on to its own stack; those of the
others go to who sent them, and to nobody else."""


def hears(topology: Topology, src: str, dst: str, *, unicast: bool) -> bool:
    """Whether a frame from one node arrives at another in the VLAN that they share.

    Nodes are endpoints, or hosts with their parent interfaces.
    """
    carrier = walk.carrier(topology, src)
    if carrier != walk.carrier(topology, dst):
        return True
    hairpin = topology.host(carrier).hairpin
    ends = topology.endpoint_vlans
    mode = topology.vlan(walk.vlan_of(topology, src, dst)).mode
    if src in ends and dst in ends and mode == "bridge":
        return True
    if src not in ends:
        return hairpin
    return hairpin and (unicast or mode in COMES_BACK)


def resolves(topology: Topology, src: str, dst: str) -> bool:
    """Whether a node learns another's MAC address: its broadcast arrives, and the answer too."""
    asked = hears(topology, src, dst, unicast=False)
    return asked and hears(topology, dst, src, unicast=True)


def shares_address(topology: Topology, host: str, endpoint: Endpoint) -> bool:
    """Whether an endpoint has its host's MAC address: no frame between them tells the two apart."""
    return endpoint.host == host and topology.vlan(endpoint.vlan).mode == "passthru"
