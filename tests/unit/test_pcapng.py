"""pcapng files: what is written reads back, here and elsewhere; bad input is named, not raised."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from io import BytesIO
from pathlib import Path

import dpkt
import pytest

from harness import pcapng
from harness.errors import RunFolderError
from harness.frame import Frame
from tests.unit.builders import TOKEN, ethernet

T0 = 1_795_464_301_123_456_789
FRAMES = [
    Frame("bbox1", "eth0", "out", T0, ethernet(0x88B5, TOKEN)),
    Frame("host1", "eth2", "out", T0 + 1, ethernet(0x88B5, TOKEN + b"1", (0x8100, 10))),
    Frame("host1", "eth2", "in", T0 + 999, ethernet(0x88B5, TOKEN + b"12", (0x8100, 20))),
    Frame("bbox1", "eth0", "in", T0 + 10**9, ethernet(0x88B5, TOKEN + b"123")),
]
COMMENTS = {0: "routed-bbox1-to-bbox4-icmp", 2: "a stray: größer | <b>"}


def dumped(frames: list[Frame] = FRAMES, comments: dict[int, str] = COMMENTS) -> bytes:
    """A file of frames."""
    return pcapng.dump(frames, comments, hardware="x86_64", os="Linux 6.18", application="harness")


def test_what_is_written_reads_back() -> None:
    """Node, interface, direction, nanoseconds and octets survive, in their order."""
    assert pcapng.load(dumped()) == FRAMES


def test_a_capture_of_nothing_reads_back() -> None:
    """A stage in which no tap saw anything is a file too."""
    assert pcapng.load(dumped([], {})) == []


def test_an_empty_frame_reads_back() -> None:
    """A frame of no octets is odd, not an error."""
    frames = [Frame("bbox1", "eth0", "in", T0, b"")]
    assert pcapng.load(dumped(frames, {})) == frames


def test_dpkt_reads_the_same_frames() -> None:
    """An independent reader finds the octets and the time stamps."""
    found = list(dpkt.pcapng.Reader(BytesIO(dumped())))
    assert [raw for _, raw in found] == [frame.raw for frame in FRAMES]
    assert [float(t) for t, _ in found] == pytest.approx([frame.t_ns / 1e9 for frame in FRAMES])


def test_dpkt_finds_names_comments_and_directions() -> None:
    """The blocks are there as the draft lays them out, read one by one."""
    octets, options, start = dumped(), [], 0
    kinds = {
        pcapng.SECTION: dpkt.pcapng.SectionHeaderBlockLE,
        pcapng.INTERFACE: dpkt.pcapng.InterfaceDescriptionBlockLE,
        pcapng.PACKET: dpkt.pcapng.EnhancedPacketBlockLE,
    }
    while start < len(octets):
        kind, length = struct.unpack_from("<II", octets, start)
        block = kinds[kind](octets[start : start + length])
        options += [(kind, option.code, bytes(option.data)) for option in block.opts]
        start += length
    assert (pcapng.SECTION, pcapng.APPLICATION, b"harness") in options
    names = [text for kind, code, text in options if (kind, code) == (1, pcapng.NAME)]
    assert names == [b"bbox1:eth0", b"host1:eth2"]
    said = [text.decode() for kind, code, text in options if (kind, code) == (6, pcapng.COMMENT)]
    assert said == list(COMMENTS.values())
    ways = [text[0] for kind, code, text in options if (kind, code) == (6, pcapng.FLAGS)]
    assert ways == [2, 2, 1, 1]


def test_a_section_says_its_length() -> None:
    """The section header counts the octets behind it."""
    octets = dumped()
    (head,) = struct.unpack_from("<I", octets, 4)
    assert struct.unpack_from("<q", octets, 16) == (len(octets) - head,)


def test_a_long_comment_is_cut_between_characters() -> None:
    """An option holds less than 65,536 octets, and half a character is none."""
    octets = dumped(FRAMES, {0: "x" + "ü" * 40_000})
    assert pcapng.load(octets) == FRAMES
    assert b"x\xc3\xbc" in octets


def test_a_comment_that_is_not_unicode_is_escaped() -> None:
    """An undecodable octet from a tool's output does not lose the capture."""
    octets = dumped(FRAMES, {0: "odd \udcff"})
    assert b"odd \\udcff" in octets
    assert pcapng.load(octets) == FRAMES


def test_every_cut_is_told() -> None:
    """A file cut at any length is refused, between blocks too: a lost frame is a lost proof."""
    octets = dumped()
    for size in range(len(octets)):
        with pytest.raises(RunFolderError) as caught:
            pcapng.load(octets[:size])
        assert "\n" not in str(caught.value)


def test_garbage_is_read_or_refused() -> None:
    """Changed octets give frames or RunFolderError, never another exception."""
    chance = random.Random(20)
    for _ in range(4_000):
        octets = bytearray(dumped())
        for _ in range(chance.randrange(1, 4)):
            octets[chance.randrange(len(octets))] = chance.choice((0, 1, 2, 6, 255))
        try:
            found = pcapng.load(bytes(octets))
        except RunFolderError:
            continue
        assert all(isinstance(frame, Frame) for frame in found)


@pytest.mark.parametrize("octets", [b"", b"{}", b"\xd4\xc3\xb2\xa1" + bytes(20)])
def test_another_kind_of_file_is_named(octets: bytes) -> None:
    """An empty file, JSON and the older pcap are not pcapng."""
    with pytest.raises(RunFolderError, match="not a pcapng capture"):
        pcapng.load(octets)


def test_an_unknown_block_is_passed_over() -> None:
    """Block types that are not known here (0x80000001 is for local use) do not matter."""
    block = struct.pack("<III4sI", 0x80000001, 20, 0, b"mine", 20)
    head = dumped([], {})
    assert pcapng.load(head + block) == []


def foreign(order: str, options: bytes, flags: bytes, link_type: int = 1) -> bytes:
    """A file of one frame at tick 1,500,000 as another program may write it."""
    section = struct.pack(f"{order}IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    length = 20 + len(options)
    described = struct.pack(f"{order}IIHHI", 1, length, link_type, 0, 0) + options
    described += struct.pack(f"{order}I", length)
    length = 32 + 4 + len(flags)
    frame = struct.pack(f"{order}7I", 6, length, 0, 0, 1_500_000, 4, 4) + b"\1\2\3\4" + flags
    return section + described + frame + struct.pack(f"{order}I", length)


def option(order: str, code: int, value: bytes) -> bytes:
    """An option with its padding."""
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "t_ns"),
    [(None, 1_500_000_000), (b"\x03", 1_500_000_000_000), (b"\x94", 1_430_511_474)],
    ids=["default", "milliseconds", "2^-20 seconds"],
)
def test_foreign_clocks_and_byte_orders_are_read(
    order: str, resolution: bytes | None, t_ns: int
) -> None:
    """Microseconds where nothing is said, powers of ten and of two, on either kind of machine."""
    options = option(order, 2, b"bbox1:eth0")
    options += option(order, 9, resolution) if resolution else b""
    octets = foreign(order, options, option(order, 2, struct.pack(f"{order}I", 1)))
    assert pcapng.load(octets) == [Frame("bbox1", "eth0", "in", t_ns, b"\1\2\3\4")]


NAMED, INBOUND = option("<", 2, b"bbox1:eth0"), option("<", 2, b"\1\0\0\0")


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (foreign("<", NAMED, INBOUND, 113), "interface 0 has link type 113, not Ethernet"),
        (foreign("<", b"", INBOUND), "interface 0 has no name"),
        (foreign("<", option("<", 2, b"eth0"), INBOUND), "interface 0 has no name"),
        (foreign("<", NAMED, b""), "a frame of interface 0 has no direction"),
        (foreign("<", NAMED, option("<", 2, bytes(4))), "a frame of interface 0 has no direction"),
        (foreign("<", option("<", 2, b"\xff:"), INBOUND), "broken pcapng capture before octet"),
        (foreign("<", NAMED, INBOUND)[:-1], "broken pcapng capture before octet"),
        (foreign("<", NAMED, INBOUND)[:-40], "cut pcapng capture: nothing whole after octet 64"),
    ],
    ids=["cooked", "nameless", "no-colon", "no-flags", "no-way", "not-utf-8", "cut", "early-end"],
)
def test_what_cannot_be_used_is_named(octets: bytes, message: str) -> None:
    """A capture of another kind of tap gets a sentence that says what is missing."""
    with pytest.raises(RunFolderError, match=message):
        pcapng.load(octets)


def test_a_frame_of_an_undescribed_interface_is_named() -> None:
    """An Enhanced Packet Block must follow the description of its interface."""
    octets = bytearray(foreign("<", NAMED, INBOUND))
    octets[-36] = 7
    with pytest.raises(RunFolderError, match="interface 7 has frames and no description"):
        pcapng.load(bytes(octets))


@pytest.mark.parametrize("program", ["capinfos", "tshark"])
def test_wireshark_reads_it(program: str, tmp_path: Path) -> None:
    """Wireshark's own tools open the file without a complaint."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / "stage.pcapng").write_bytes(dumped())
    flag = [path, "-r"] if program == "tshark" else [path]
    done = subprocess.run([*flag, tmp_path / "stage.pcapng"], capture_output=True, check=False)
    assert (done.returncode, b"cut short" in done.stderr) == (0, False)
