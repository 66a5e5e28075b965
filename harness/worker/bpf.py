"""Load small BPF programs with bpf(2).

Instructions are (opcode, destination register, source register, offset, immediate), numbered as in
<linux/bpf.h> and <linux/bpf_common.h>. The helpers' numbers are those of `enum bpf_func_id`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence
from typing import Any

Instruction = tuple[int, int, int, int, int]

MAP_CREATE, PROG_LOAD, RAW_TRACEPOINT_OPEN, LOOKUP_AND_DELETE = 0, 5, 17, 21
COMMANDS = {
    MAP_CREATE: "BPF_MAP_CREATE", PROG_LOAD: "BPF_PROG_LOAD",
    RAW_TRACEPOINT_OPEN: "BPF_RAW_TRACEPOINT_OPEN",
    LOOKUP_AND_DELETE: "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
}  # fmt: skip
SCHED_CLS, RAW_TRACEPOINT = 3, 17
"""Kinds of program (`enum bpf_prog_type`)."""
QUEUE = 22
"""A kind of map (`enum bpf_map_type`)."""
SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
"""bpf(2) by architecture, from the kernel's system call tables."""

SKB_VLAN_PRESENT = 20
SKB_VLAN_TCI = 24
"""Offsets in `struct __sk_buff`."""

VLAN_ID_MASK = 0xFFF
"""The VLAN id's 12 bits of the tag control information (IEEE 802.1Q)."""

VLAN_PUSH, VLAN_POP, REDIRECT = 18, 19, 23
ACT_SHOT, ACT_UNSPEC = 2, -1
"""<linux/pkt_cls.h>; with direct action, `unspec` goes on with the next filter."""


def mov(register: int, value: int) -> Instruction:
    """Register = immediate (BPF_ALU64 | BPF_MOV | BPF_K)."""
    return (0xB7, register, 0, 0, value)


def mov_register(register: int, source: int) -> Instruction:
    """Register = register (BPF_ALU64 | BPF_MOV | BPF_X)."""
    return (0xBF, register, source, 0, 0)


def load_long(register: int, base: int, offset: int) -> Instruction:
    """Register = 64 bits at base + offset (BPF_LDX | BPF_MEM | BPF_DW)."""
    return (0x79, register, base, offset, 0)


def load_half(register: int, base: int, offset: int) -> Instruction:
    """Register = 16 bits at base + offset (BPF_LDX | BPF_MEM | BPF_H)."""
    return (0x69, register, base, offset, 0)


def store_word(base: int, offset: int, register: int) -> Instruction:
    """32 bits at base + offset = register (BPF_STX | BPF_MEM | BPF_W)."""
    return (0x63, base, register, offset, 0)


def add(register: int, value: int) -> Instruction:
    """Register += immediate (BPF_ALU64 | BPF_ADD | BPF_K)."""
    return (0x07, register, 0, 0, value)


def add_register(register: int, source: int) -> Instruction:
    """Register += register (BPF_ALU64 | BPF_ADD | BPF_X)."""
    return (0x0F, register, source, 0, 0)


def map_of(register: int, descriptor: int) -> list[Instruction]:
    """Register = the map of a file descriptor (BPF_LD | BPF_DW | BPF_IMM, BPF_PSEUDO_MAP_FD)."""
    return [(0x18, register, 1, 0, descriptor), (0, 0, 0, 0, 0)]


def load_word(register: int, base: int, offset: int) -> Instruction:
    """Register = 32 bits at base + offset (BPF_LDX | BPF_MEM | BPF_W)."""
    return (0x61, register, base, offset, 0)


def bit_and(register: int, value: int) -> Instruction:
    """Register &= immediate (BPF_ALU64 | BPF_AND | BPF_K)."""
    return (0x57, register, 0, 0, value)


def jump_equal(register: int, value: int, skip: int) -> Instruction:
    """Skip instructions if register == immediate (BPF_JMP | BPF_JEQ | BPF_K)."""
    return (0x15, register, 0, skip, value)


def jump_not_equal(register: int, value: int, skip: int) -> Instruction:
    """Skip instructions if register != immediate (BPF_JMP | BPF_JNE | BPF_K)."""
    return (0x55, register, 0, skip, value)


def jump(skip: int) -> Instruction:
    """Skip instructions (BPF_JMP | BPF_JA)."""
    return (0x05, 0, 0, skip, 0)


def call(helper: int) -> Instruction:
    """Call a helper: arguments in r1..r5, result in r0 (BPF_JMP | BPF_CALL)."""
    return (0x85, 0, 0, 0, helper)


def leave() -> Instruction:
    """End with r0 as the action (BPF_JMP | BPF_EXIT)."""
    return (0x95, 0, 0, 0, 0)


def only_vlan(vlan_id: int) -> list[Instruction]:
    """Go on with frames whose outer tag is of a VLAN, r6 being their context; leave out all others.

    What is left out goes on to the next filter, untouched.
    """
    return [
        mov_register(6, 1),
        mov(0, ACT_UNSPEC),
        load_word(2, 6, SKB_VLAN_PRESENT),
        jump_not_equal(2, 0, 1),
        leave(),
        load_word(2, 6, SKB_VLAN_TCI),
        bit_and(2, VLAN_ID_MASK),
        jump_equal(2, vlan_id, 1),
        leave(),
    ]


def load(
    program: Sequence[Instruction], kind: int = SCHED_CLS, licence_of_it: str = "Apache-2.0"
) -> int:
    """Load a program; its file descriptor. OSError with the verifier's answer if refused."""
    octets = b"".join(
        struct.pack("=BBhi", code, (source << 4) | register, offset, value)
        for code, register, source, offset, value in program
    )
    instructions = ctypes.create_string_buffer(octets, len(octets))
    licence = ctypes.create_string_buffer(licence_of_it.encode())
    log = ctypes.create_string_buffer(4096)
    attributes = struct.pack(
        "=IIQQIIQII",
        kind,
        len(program),
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        1,
        len(log),
        ctypes.addressof(log),
        0,
        0,
    )
    try:
        return ask(PROG_LOAD, attributes)
    except OSError as error:
        said = log.value.decode(errors="replace").strip().splitlines()[-1:]
        raise OSError(error.errno, " ".join([str(error.strerror), *said])) from error


def queue(octets: int, entries: int) -> int:
    """Make a queue of values of so many octets; its file descriptor."""
    return ask(MAP_CREATE, struct.pack("=IIII", QUEUE, 0, octets, entries))


def taken(descriptor: int, octets: int) -> bytes | None:
    """The next value of a queue, if there is one."""
    value = ctypes.create_string_buffer(octets)
    try:
        ask(LOOKUP_AND_DELETE, struct.pack("=IIQQQ", descriptor, 0, 0, ctypes.addressof(value), 0))
    except FileNotFoundError:
        return None
    return value.raw


def trace(name: str, program: int) -> int:
    """Have a program run at a tracepoint while the file descriptor that is returned is open."""
    named = ctypes.create_string_buffer(name.encode())
    return ask(RAW_TRACEPOINT_OPEN, struct.pack("=QII", ctypes.addressof(named), program, 0))


def ask(command: int, attributes: bytes) -> int:
    """One call of bpf(2); what it answers. OSError if it is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = SYSCALL_NUMBER[platform.machine()]
    answer = libc.syscall(number, command, attributes, len(attributes))
    if answer < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"bpf({COMMANDS[command]}): {os.strerror(errno)}")
    return int(answer)


def attach(
    netlink: Any, index: int, place: tuple[str, int, str], program: list[Instruction]
) -> None:
    """Load a program and have an interface run it; `place` is the hook, a priority and a name.

    PermissionError where programs cannot be loaded.
    """
    parent, priority, name = place
    descriptor = load(program)
    try:
        if not any(qdisc.get("kind") == "clsact" for qdisc in netlink.get_qdiscs(index=index)):
            netlink.tc("add", "clsact", index=index)
        netlink.tc(
            "add-filter", "bpf", index=index, fd=descriptor, name=name, parent=parent,
            prio=priority, direct_action=True,
        )  # fmt: skip
    finally:
        os.close(descriptor)
