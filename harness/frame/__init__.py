"""A captured Ethernet frame and what its headers say.

Captures are not clean input. The kernel hands checksums over half computed (CHECKSUM_PARTIAL), a
snap length cuts, and a lab that is wrong sends garbage. So no checksum is looked at, nothing here
raises on any octets, and a field that cannot be read stays None.
"""

from harness.frame.dissect import dissect
from harness.frame.packet import Frame, Packet

__all__ = ["Frame", "Packet", "dissect"]
