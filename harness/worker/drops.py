"""Why the kernel dropped a packet, in its own words: `enum skb_drop_reason`, Linux 5.17 and later.

While `begin` and `end` are apart, a BPF program at the tracepoint skb:kfree_skb keeps the reason,
the network namespace and the first octets of each packet that is dropped; nothing else is done to
it. The program reads kernel memory by helpers that ask for a licence beside the GPL: its
instructions, here in `_program`, may be had under the BSD licence or the GPL as well.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from harness.worker import bpf, namespaces
from harness.worker.btf import Btf

PACKET_OCTETS = 128
"""From the IP or ARP header on: the addresses, the ports, and where a token is."""
RECORD = struct.Struct(f"=II{PACKET_OCTETS}s")
"""Inode of the namespace, reason, packet."""
ENTRIES = 1024
"""A queue takes no more, and the rest is not told; one probe alone is a few."""
PROBE_READ, MAP_PUSH = 113, 87
"""bpf_probe_read_kernel and bpf_map_push_elem of `enum bpf_func_id`."""
STACK = 10
"""The register that has the end of the stack."""
POINTER, EVENT = -8, -8 - RECORD.size
PREFIX = "SKB_DROP_REASON_"
WANTED = (
    ("sk_buff", "head"), ("sk_buff", "network_header"), ("sk_buff", "dev"), ("sk_buff", "sk"),
    ("net_device", "nd_net"), ("sock_common", "skc_net"), ("net", "ns"), ("ns_common", "inum"),
)  # fmt: skip
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
"""IANA's numbers."""
HEADERS = {
    4: (socket.AF_INET, 9, 12, 16),
    6: (socket.AF_INET6, 6, 8, 24),
    0: (socket.AF_INET, 0, 14, 24),
}
"""By the first four bits: the family of its addresses, and where the protocol and they are (RFC 791
and 8200). An ARP header has zeros there (RFC 826)."""

_open: list[int] = []
"""The queue, the program, and the tracepoint."""
_names: dict[int, str] = {}
_offsets: list[int] = []
"""What this kernel calls its reasons, and where `WANTED` are in its structures."""
_kept: dict[int, list[tuple[str, ...]]] = {}
"""By the inode of a namespace: what was taken from the queue, and not asked for yet."""


def begin() -> bool:
    """Watch from now on; whether this kernel tells, and lets us ask.

    An old one does not, nor one that nobody said the number of bpf(2) of, nor who is not root.
    """
    end()
    try:
        _open.append(bpf.queue(RECORD.size, ENTRIES))  # without the right to, this is soon over
        if not _offsets:  # it takes a while, and is the same as long as this kernel runs
            kernel = Btf()
            _names.update(kernel.names("skb_drop_reason"))
            _offsets.extend(kernel.offsets(*WANTED))
        program = _program(_open[0], _offsets)
        _open.append(bpf.load(program, bpf.RAW_TRACEPOINT, "Dual BSD/GPL"))
        _open.append(bpf.trace("kfree_skb", _open[1]))
    except (OSError, KeyError):
        end()
        return False
    return True


def end() -> None:
    """Watch no more."""
    while _open:
        os.close(_open.pop())
    _kept.clear()


def told(node: str) -> tuple[Any, str]:
    """What was dropped at a node since it was last asked; None if nothing was.

    `[{"reason", "protocol", "src", "dst", "packets"}]`, and the same in lines.
    """
    while _open:
        octets = bpf.taken(_open[0], RECORD.size)
        if octets is None:
            break
        inode, reason, packet = RECORD.unpack(octets)
        _kept.setdefault(inode, []).append((_named(reason), *_addressed(packet)))
    mine = _kept.pop(os.fstat(namespaces.descriptor(node)).st_ino, [])
    keys = ("reason", "protocol", "src", "dst")
    found = [{**dict(zip(keys, one)), "packets": mine.count(one)} for one in dict.fromkeys(mine)]
    lines = [f"{one['packets']} {one['reason']}: {one['protocol']} {one['src']} > {one['dst']}\n"
             for one in found]  # fmt: skip
    return found or None, "".join(lines)


def _named(reason: int) -> str:
    return _names.get(reason, str(reason)).removeprefix(PREFIX)


def _addressed(packet: bytes) -> tuple[str, str, str]:
    """Protocol, source and destination; nothing of a packet that is neither IP nor ARP."""
    version = packet[0] >> 4
    if version not in HEADERS:
        return "", "", ""
    family, at, src, dst = HEADERS[version]
    protocol = PROTOCOLS.get(packet[at], str(packet[at])) if at else "arp"
    size = 16 if family == socket.AF_INET6 else 4
    one, other = (socket.inet_ntop(family, packet[at : at + size]) for at in (src, dst))
    return protocol, one, other


def _program(queue: int, offsets: list[int]) -> list[bpf.Instruction]:
    """Put the reason, the namespace and the packet into a queue. r7 is the packet's sk_buff.

    Its namespace is its device's, or its socket's where it has no device yet.
    """
    head, network_header, device, owner, of_device, of_owner, common, inode = offsets
    of_its_owner = [
        *_read(POINTER, 8, 7, owner),
        bpf.load_long(8, STACK, POINTER),
        bpf.add(8, of_owner),
    ]
    return [
        bpf.load_long(7, 1, 0),
        bpf.load_long(8, 1, 16),
        bpf.store_word(STACK, EVENT + 4, 8),
        *_read(POINTER, 8, 7, device),
        bpf.load_long(8, STACK, POINTER),
        bpf.jump_equal(8, 0, 2),
        bpf.add(8, of_device),
        bpf.jump(len(of_its_owner)),
        *of_its_owner,
        *_read(POINTER, 8, 8, 0),
        bpf.load_long(8, STACK, POINTER),
        *_read(EVENT, 4, 8, common + inode),
        *_read(POINTER, 2, 7, network_header),
        bpf.load_half(9, STACK, POINTER),
        *_read(POINTER, 8, 7, head),
        bpf.load_long(8, STACK, POINTER),
        bpf.add_register(8, 9),
        *_read(EVENT + 8, PACKET_OCTETS, 8, 0),
        *bpf.map_of(1, queue),
        bpf.mov_register(2, STACK),
        bpf.add(2, EVENT),
        bpf.mov(3, 0),
        bpf.call(MAP_PUSH),
        bpf.mov(0, 0),
        bpf.leave(),
    ]


def _read(into: int, octets: int, base: int, offset: int) -> list[bpf.Instruction]:
    """Copy from where a register points into the stack; zeros if that is no memory."""
    return [
        bpf.mov_register(1, STACK),
        bpf.add(1, into),
        bpf.mov(2, octets),
        bpf.mov_register(3, base),
        bpf.add(3, offset),
        bpf.call(PROBE_READ),
    ]
