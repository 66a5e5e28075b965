"""What a lab host's taps let pass, by the kernel's own filter machine."""

from __future__ import annotations

import socket

import pytest

from harness.worker import lab_filter

LAB, OTHER, THIRD = "02:42:ac:10:0a:0a", "52:54:00:00:00:01", "52:54:00:00:00:02"
SWAPPED = "02:42:ac:10:0a:0b"
MACS = ["02:6e:73:00:00:01", LAB]


def frame(dst: str, src: str, *types: str) -> bytes:
    """A frame with these addresses, and what follows them."""
    head = bytes.fromhex(dst.replace(":", "")) + bytes.fromhex(src.replace(":", ""))
    return (head + bytes.fromhex("".join(types))).ljust(60, b"\0")


def passes(octets: bytes, macs: list[str]) -> bool:
    """Whether a socket with the filter receives a frame."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        there.setblocking(False)
        lab_filter.attach(there, macs)
        try:
            here.send(octets)
            return there.recv(2048) == octets
        except (BlockingIOError, PermissionError):
            return False


@pytest.mark.parametrize(
    ("octets", "seen"),
    [
        (frame(LAB, OTHER, "0800"), True),
        (frame(OTHER, LAB, "0800"), True),
        (frame(OTHER, LAB, "8100", "000a", "86dd"), True),
        (frame(OTHER, THIRD, "0800"), False),
        (frame(OTHER, THIRD, "8100", "0063", "0800"), False),
        (frame(SWAPPED, THIRD, "0800"), False),
        (frame("03:42:ac:10:0a:0a", THIRD, "0800"), False),
        (frame("ff:ff:ff:ff:ff:ff", THIRD, "0806"), True),
        (frame("ff:ff:ff:ff:ff:ff", THIRD, "8100", "000a", "0806"), True),
        (frame(OTHER, THIRD, "88b5"), True),
        (frame(OTHER, THIRD, "8100", "000a", "8100", "0014", "88b5"), True),
    ],
)
def test_frames_of_the_lab_pass_and_others_do_not(octets: bytes, seen: bool) -> None:
    """By either address, tagged or not; layer-2 probes and ARP from anybody."""
    assert passes(octets, MACS) is seen


def test_a_lab_too_large_for_a_filter_is_seen_whole() -> None:
    """Better everything than not all of the lab."""
    many = [f"02:42:{number >> 8:02x}:{number & 255:02x}:00:01" for number in range(500)]
    assert passes(frame(OTHER, THIRD, "0800"), many)
