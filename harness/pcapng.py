"""Captures as pcapng files, which Wireshark, tshark and tcpdump open.

The format is draft-ietf-opsawg-pcapng; its section numbers stand at the blocks below. Every
(node, interface) is an interface of the file, named `node:interface`; each frame has nanoseconds,
its direction and, where there is one, a comment.

Frames are written with the standard library and read with python-pcapng. Measured for frames of
98 octets: written in 0.7 microseconds each (python-pcapng: 23), read in 42.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from harness.errors import RunFolderError
from harness.frame import Frame

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
"""Block types: Section Header (4.1), Interface Description (4.2), Enhanced Packet (4.3)."""
BYTE_ORDER = 0x1A2B3C4D
ETHERNET = 1
"""LINKTYPE_ETHERNET of draft-ietf-opsawg-pcaplinktype."""
NANOSECONDS = 9
"""if_tsresol: time stamps count 10^-9 s."""
MICROSECONDS = 6
"""What a time stamp counts where an interface has no if_tsresol."""

COMMENT, NAME, FLAGS, RESOLUTION = 1, 2, 2, 9
"""Options: opt_comment of every block, if_name and if_tsresol of INTERFACE, epb_flags of PACKET."""
HARDWARE, OS, APPLICATION = 2, 3, 4
"""Options of SECTION: shb_hardware, shb_os, shb_userappl."""
DIRECTIONS = {"in": 1, "out": 2}
"""Bits 0 and 1 of epb_flags: inbound, outbound."""
WORDS = {"inbound": "in", "outbound": "out"}
"""python-pcapng's words for them."""
OPTION_OCTETS = 0xFFFF - 3
"""The longest value of an option whose length, with padding, still fits 16 bits."""

_BROKEN = (ValueError, LookupError, TypeError, OSError, struct.error)
"""What python-pcapng lets through from the standard library when it meets garbage."""
_PACKET_HEADER = struct.Struct("<7I").pack
_LENGTH = struct.Struct("<I").pack
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def dump(
    frames: Sequence[Frame],
    comments: Mapping[int, str],
    *,
    hardware: str,
    os: str,
    application: str,
) -> bytes:
    """Write frames, in their order, as one little-endian section.

    `comments` are by index of the frame. The section says its own length, so that a file that was
    cut between two blocks is known to be cut.
    """
    interfaces: dict[tuple[str, str], int] = {}
    packets: list[bytes] = []
    flags = {way: _option(FLAGS, _LENGTH(bits)) + bytes(4) for way, bits in DIRECTIONS.items()}
    for index, frame in enumerate(frames):
        number = interfaces.setdefault((frame.node, frame.interface), len(interfaces))
        options = flags[frame.direction]
        if index in comments:
            options = _option(COMMENT, _text(comments[index])) + options
        size = len(frame.raw)
        padding = _PADDING[size & 3]
        length = 32 + size + len(padding) + len(options)
        high, low = frame.t_ns >> 32, frame.t_ns & 0xFFFFFFFF
        packets += (
            _PACKET_HEADER(PACKET, length, number, high, low, size, size),
            frame.raw,
            padding,
            options,
            _LENGTH(length),
        )
    body = b"".join([*map(_interface, interfaces), *packets])
    about = {HARDWARE: hardware, OS: os, APPLICATION: application}
    options = b"".join(_option(code, _text(text)) for code, text in about.items()) + bytes(4)
    head = struct.pack("<IHHq", BYTE_ORDER, 1, 0, len(body))
    return _block(SECTION, head + options) + body


def _interface(key: tuple[str, str]) -> bytes:
    options = _option(NAME, _text(":".join(key))) + _option(RESOLUTION, bytes([NANOSECONDS]))
    return _block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, 0) + options + bytes(4))


def _block(kind: int, body: bytes) -> bytes:
    length = _LENGTH(len(body) + 12)
    return _LENGTH(kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _PADDING[len(value) & 3]


def _text(text: str) -> bytes:
    """UTF-8, cut to what an option holds; what has no UTF-8 form is written as its escape."""
    octets = text.encode(errors="backslashreplace")
    if len(octets) <= OPTION_OCTETS:
        return octets
    return octets[:OPTION_OCTETS].decode(errors="ignore").encode()


def load(octets: bytes) -> list[Frame]:
    """Read the frames of a pcapng file, of either byte order; other blocks are passed over.

    Raises RunFolderError, in one line, for what is not a whole pcapng file of Ethernet frames with
    names and directions as `dump` writes them.
    """
    from pcapng.exceptions import PcapngException

    if octets[:4] != _LENGTH(SECTION):
        raise RunFolderError("not a pcapng capture: it does not begin with a section header")
    stream = BytesIO(octets)
    try:
        with warnings.catch_warnings():
            # python-pcapng's own table of options still has if_tsresol in a form it deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            return [_frame(block) for block in _packets(stream, len(octets))]
    except (PcapngException, *_BROKEN) as error:
        found = " ".join(str(error).split())
        message = f"broken pcapng capture before octet {stream.tell()}: {found}"
        raise RunFolderError(message) from error


def _packets(stream: BytesIO, size: int) -> Iterator[Any]:
    """The Enhanced Packet Blocks of a stream of so many octets, as python-pcapng reads them.

    The library ends quietly where a block runs out, so the end that it came to is checked against
    the last whole block and against the length that a section gives.
    """
    from pcapng import FileScanner
    from pcapng.blocks import EnhancedPacket, SectionHeader

    whole = claimed = 0
    for block in FileScanner(stream):
        whole = stream.tell()
        if isinstance(block, EnhancedPacket):
            yield block
        elif isinstance(block, SectionHeader):
            claimed = max(claimed, whole + block.section_length)
    if whole < max(claimed, size):
        raise RunFolderError(f"cut pcapng capture: nothing whole after octet {whole}")


def _frame(block: Any) -> Frame:
    where = f"interface {block.interface_id}"
    if block.interface_id not in block.section.interfaces:
        raise RunFolderError(f"pcapng capture: {where} has frames and no description")
    if block.interface.link_type != ETHERNET:
        found = block.interface.link_type
        raise RunFolderError(f"pcapng capture: {where} has link type {found}, not Ethernet (1)")
    node, colon, interface = block.interface.options.get("if_name", "").partition(":")
    if not colon:
        raise RunFolderError(f"pcapng capture: {where} has no name of the form node:interface")
    flags = block.options.get("epb_flags")
    direction = WORDS.get(flags.inout if flags else "")
    if direction is None:
        raise RunFolderError(f"pcapng capture: a frame of {where} has no direction")
    ticks = (block.timestamp_high << 32) + block.timestamp_low
    t_ns = _nanoseconds(ticks, block.interface.options.get("if_tsresol", bytes([MICROSECONDS])))
    return Frame(node, interface, direction, t_ns, block.packet_data)


def _nanoseconds(ticks: int, resolution: bytes) -> int:
    """Time in units of if_tsresol (4.2): a negative power of 10, or of 2 with the top bit set."""
    exponent = resolution[0] & 0x7F
    units: int = 2**exponent if resolution[0] & 0x80 else 10**exponent
    return ticks * 10**9 // units
