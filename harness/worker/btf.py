"""What the running kernel's structures look like, from its own description (BTF).

The format is Documentation/bpf/btf.rst of the kernel: a header, types in the order of their ids,
and strings. Only what is asked for is looked at; everything else is stepped over.
"""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Iterator

FILE = "/sys/kernel/btf/vmlinux"

STRUCT, UNION, ENUM = 4, 5, 6
MAGIC = 0xEB9F
HEAD = struct.Struct("=HBBIIIII")
TYPE = struct.Struct("=III")
MEMBER = struct.Struct("=III")
ENUMERATOR = struct.Struct("=Ii")
AFTER = {1: 1, 3: 3, 14: 1, 17: 1}
"""Words of 32 bits after a type of these kinds: INT, ARRAY, VAR, DECL_TAG."""
EACH = {STRUCT: 3, UNION: 3, ENUM: 2, 13: 2, 15: 3, 19: 3}
"""Words after a type for each of its members: also FUNC_PROTO, DATASEC, ENUM64."""


class Btf:
    """A kernel's types. OSError if it does not describe them."""

    def __init__(self, path: str = FILE) -> None:
        with open(path, "rb") as file:
            self._octets = file.read()
        magic, _, _, length, types, size, strings, _ = HEAD.unpack_from(self._octets)
        if magic != MAGIC:
            raise OSError(f"{path} is no description of this machine's kernel")
        self._strings = length + strings
        self._first, self._end = length + types, length + types + size
        self._following = _places(self._octets[self._first : self._end], self._first)
        self._places = [0]
        """Where the type of each id begins, as far as was asked; there is none of id 0."""

    def offsets(self, *wanted: tuple[str, str]) -> list[int]:
        """Where members of structures begin, in octets; OSError if one of them is not there.

        A member may be within structures and unions without a name.
        """
        found = []
        for structure, member in wanted:
            place = self._find(structure, STRUCT)
            offset = self._member(place, member) if place else None
            if offset is None:
                raise OSError(f"this kernel's struct {structure} has no {member}")
            found.append(offset // 8)
        return found

    def names(self, enumeration: str) -> dict[int, str]:
        """The values of an enumeration; none if it is not there."""
        place = self._find(enumeration, ENUM)
        if not place:
            return {}
        count = TYPE.unpack_from(self._octets, place)[1] & 0xFFFF
        first = place + TYPE.size
        each = [ENUMERATOR.unpack_from(self._octets, first + number * ENUMERATOR.size)
                for number in range(count)]  # fmt: skip
        return {value: self._string(name) for name, value in each}

    def _find(self, name: str, kind: int) -> int:
        at = self._octets.find(b"\0" + name.encode() + b"\0", self._strings) + 1
        wanted = (at - self._strings).to_bytes(4, sys.byteorder)
        place = self._octets.find(wanted, self._first, self._end) if at else -1
        while place >= 0:
            # What else has the name, as a member, has no such kind behind it: ids are small.
            if (place - self._first) % 4 == 0 and self._is(place, kind):
                return place
            place = self._octets.find(wanted, place + 1, self._end)
        return 0

    def _is(self, place: int, kind: int) -> bool:
        return (int(TYPE.unpack_from(self._octets, place)[1]) >> 24) & 0x1F == kind

    def _member(self, place: int, wanted: str) -> int | None:
        """A member's offset in bits."""
        _, info, _ = TYPE.unpack_from(self._octets, place)
        mask = 0xFFFFFF if info >> 31 else 0xFFFFFFFF
        for number in range(info & 0xFFFF):
            at = place + TYPE.size + number * MEMBER.size
            name, type_id, offset = MEMBER.unpack_from(self._octets, at)
            if self._string(name) == wanted:
                return int(offset & mask)
            if name == 0 and self._kind(type_id) in (STRUCT, UNION):
                within = self._member(self._place(type_id), wanted)
                if within is not None:
                    return int(offset & mask) + within
        return None

    def _kind(self, type_id: int) -> int:
        info: int = TYPE.unpack_from(self._octets, self._place(type_id))[1]
        return (info >> 24) & 0x1F

    def _place(self, type_id: int) -> int:
        """Where a type begins; the core's structures come early among a hundred thousand types."""
        self._places += itertools.islice(self._following, max(0, type_id + 1 - len(self._places)))
        return self._places[type_id]

    def _string(self, offset: int) -> str:
        start = self._strings + offset
        return self._octets[start : self._octets.index(b"\0", start)].decode()


def _places(types: bytes, first: int) -> Iterator[int]:
    """Where each type begins, in the order of their ids."""
    words = memoryview(types).cast("I")
    place, end = 0, len(words)
    while place < end:
        yield first + 4 * place
        info = words[place + 1]
        kind = info >> 24 & 0x1F
        place += 3 + AFTER.get(kind, 0) + EACH.get(kind, 0) * (info & 0xFFFF)
