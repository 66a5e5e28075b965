"""What the running kernel's structures look like, from its own description (BTF).

The format is Documentation/bpf/btf.rst of the kernel: a header, types in the order of their ids,
and strings. Only what is asked for is looked at; everything else is stepped over.
"""

from __future__ import annotations

import struct

FILE = "/sys/kernel/btf/vmlinux"

STRUCT, UNION, ENUM = 4, 5, 6
MAGIC = 0xEB9F
HEAD = struct.Struct("=HBBIIIII")
TYPE = struct.Struct("=III")
MEMBER = struct.Struct("=III")
ENUMERATOR = struct.Struct("=Ii")
AFTER = {1: 4, 3: 12, 14: 4, 17: 4}
"""Octets after a type of these kinds: INT, ARRAY, VAR, DECL_TAG."""
EACH = {STRUCT: 12, UNION: 12, ENUM: 8, 13: 8, 15: 12, 19: 12}
"""Octets after a type for each of its members: also FUNC_PROTO, DATASEC, ENUM64."""


class Btf:
    """A kernel's types. OSError if it does not describe them."""

    def __init__(self, path: str = FILE) -> None:
        with open(path, "rb") as file:
            self._octets = file.read()
        magic, _, _, length, types, size, strings, _ = HEAD.unpack_from(self._octets)
        if magic != MAGIC:
            raise OSError(f"{path} is no description of this machine's kernel")
        self._strings = length + strings
        self._places = [0]
        """Where the type of each id begins; there is none of id 0."""
        place, end = length + types, length + types + size
        while place < end:
            self._places.append(place)
            _, info, _ = TYPE.unpack_from(self._octets, place)
            kind = (info >> 24) & 0x1F
            place += TYPE.size + AFTER.get(kind, 0) + EACH.get(kind, 0) * (info & 0xFFFF)

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
        wanted = self._octets.find(b"\0" + name.encode() + b"\0", self._strings) + 1
        for place in self._places[1:] if wanted else ():
            named, info, _ = TYPE.unpack_from(self._octets, place)
            if named == wanted - self._strings and (info >> 24) & 0x1F == kind:
                return place
        return 0

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
                within = self._member(self._places[type_id], wanted)
                if within is not None:
                    return int(offset & mask) + within
        return None

    def _kind(self, type_id: int) -> int:
        info: int = TYPE.unpack_from(self._octets, self._places[type_id])[1]
        return (info >> 24) & 0x1F

    def _string(self, offset: int) -> str:
        start = self._strings + offset
        return self._octets[start : self._octets.index(b"\0", start)].decode()
