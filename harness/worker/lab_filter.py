"""A socket filter that lets frames of the lab pass, and nothing else that a machine has to do.

Those are frames from or to a MAC address of the lab, layer-2 probes and ARP, tagged or not. Classic
BPF, as <linux/filter.h> has it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

SO_ATTACH_FILTER = 26
"""<asm-generic/socket.h>."""
INSTRUCTION = struct.Struct("=HBBI")
"""`struct sock_filter`: code, jumps if true and if false, operand."""
LOAD_WORD, LOAD_HALF, JUMP_EQUAL, RETURN = 0x20, 0x28, 0x15, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_LD|BPF_H|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""
WHOLE, NOTHING = 0xFFFFFFFF, 0
DESTINATION, SOURCE = 0, 6
"""Where the addresses of a frame begin."""
ETHERTYPES, TYPE_AT = (0x88B5, 0x0806), (12, 16, 20)
"""Of layer-2 probes and of ARP; behind no tag, one or two."""
MOST = 4096
"""BPF_MAXINSNS."""


def program(macs: Sequence[str]) -> list[bytes]:
    """The filter for the lab that has these MAC addresses."""
    found: list[bytes] = []
    for mac in macs:
        octets = bytes.fromhex(mac.replace(":", ""))
        first, last = struct.unpack("!HI", octets)
        for start in (DESTINATION, SOURCE):
            found += [
                INSTRUCTION.pack(LOAD_WORD, 0, 0, start + 2),
                INSTRUCTION.pack(JUMP_EQUAL, 0, 3, last),
                INSTRUCTION.pack(LOAD_HALF, 0, 0, start),
                INSTRUCTION.pack(JUMP_EQUAL, 0, 1, first),
                INSTRUCTION.pack(RETURN, 0, 0, WHOLE),
            ]
    for start in TYPE_AT:
        found.append(INSTRUCTION.pack(LOAD_HALF, 0, 0, start))
        for ethertype in ETHERTYPES:
            found.append(INSTRUCTION.pack(JUMP_EQUAL, 0, 1, ethertype))
            found.append(INSTRUCTION.pack(RETURN, 0, 0, WHOLE))
    return [*found, INSTRUCTION.pack(RETURN, 0, 0, NOTHING)]


def attach(own: socket.socket, macs: Sequence[str]) -> None:
    """Have a socket receive frames of the lab only; of one too large for a filter it gets all."""
    instructions = program(macs)
    if len(instructions) > MOST:
        return
    octets = ctypes.create_string_buffer(b"".join(instructions))
    given = struct.pack("@HP", len(instructions), ctypes.addressof(octets))
    own.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, given)
