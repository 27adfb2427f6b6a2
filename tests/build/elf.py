"""Tiny ELF objects for tests: no code, but everything that a loader looks at.

They are whole enough for glibc's own ld.so to load them with ``--list`` and for ldconfig
to index them, so the same objects serve unit tests and oracles.
"""

import struct
from collections.abc import Mapping, Sequence

X86_64, AARCH64, I386, ARM = 62, 183, 3, 40
EXEC, DYN = 2, 3
PAGE = 0x1000

Wanted = str | tuple[str, bool]  # a version, or a version and whether it is weak


class Strings:
    """A string table that grows."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        at = self.data.find(b"\0" + raw)
        if at >= 0:
            return at + 1
        self.data += raw
        return len(self.data) - len(raw)


def elf(
    *,
    bits: int = 64,
    order: str = "<",
    machine: int = X86_64,
    type: int = DYN,  # noqa: A002
    flags: int = 0,
    interpreter: str | None = None,
    dynamic: bool = True,
    soname: str | None = None,
    needed: Sequence[str] = (),
    rpath: str | None = None,
    runpath: str | None = None,
    flags_1: int = 0,
    wants: Mapping[str, Sequence[Wanted]] | None = None,
    versions: Sequence[str] = (),
    isa: int | None = None,
    tags: Sequence[tuple[int, int]] = (),
    pad: bytes = b"",
) -> bytes:
    """Return an object; `wants` are versions by file, `versions` those it defines.

    `tags` are further dynamic entries; `pad` makes otherwise equal objects differ.
    """
    wide = bits == 64
    word = 8 if wide else 4
    ehdr, phdr = (64, 56) if wide else (52, 32)
    strings = Strings()
    entries = [(1, strings.add(name)) for name in needed]
    for tag, text in ((14, soname), (15, rpath), (29, runpath)):
        if text is not None:
            entries.append((tag, strings.add(text)))
    if flags_1:
        entries.append((0x6FFFFFFB, flags_1))
    need = _needs(order, strings, wants or {})
    defs = _definitions(order, strings, soname or "this", versions)

    count = 2 + bool(interpreter) + dynamic + (isa is not None)
    blob = b""
    start = ehdr + count * phdr

    def place(data: bytes) -> tuple[int, int]:
        nonlocal blob
        blob += b"\0" * (-(start + len(blob)) % 8)
        at = start + len(blob)
        blob += data
        return at, len(data)

    headers: list[tuple[int, int, int, int, int]] = [(0x6474E551, 6, 0, 0, 16)]  # PT_GNU_STACK
    if interpreter:
        at, size = place(interpreter.encode() + b"\0")
        headers.append((3, 4, at, size, 1))
    if isa is not None:
        at, size = place(_property(order, word, isa))
        headers.append((0x6474E553, 4, at, size, word))
    if dynamic:
        for data, tag, number in (
            (need, 0x6FFFFFFE, len(wants or {})),
            (defs, 0x6FFFFFFC, len(versions) + 1),
        ):
            if data:
                at, _ = place(data)
                entries += [(tag, at), (tag + 1, number)]
        if need or defs:
            entries.append((0x6FFFFFF0, place(b"\0" * 2)[0]))  # DT_VERSYM, which ld.so reads then
        table, _ = place(strings.data)
        symbols, _ = place(b"\0" * (24 if wide else 16))
        hashes, _ = place(struct.pack(order + "IIII", 1, 1, 0, 0))
        entries += [(5, table), (10, len(strings.data)), (6, symbols), (4, hashes)]
        entries += [(11, 24 if wide else 16), *tags, (0, 0)]
        pair = struct.Struct(order + ("QQ" if wide else "II"))
        at, size = place(b"".join(pair.pack(tag, value) for tag, value in entries))
        headers.append((2, 6, at, size, 8))
    place(pad)
    total = start + len(blob)
    headers.insert(0, (1, 6, 0, total, PAGE))
    table_of_headers = b"".join(_header(order, wide, *header) for header in headers)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1, 0]) + bytes(8)
    header = struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        type,
        machine,
        1,
        0,
        ehdr,
        0,
        flags,
        ehdr,
        phdr,
        count,
        0,
        0,
        0,
    )
    return ident + header + table_of_headers + blob


def _header(
    order: str, wide: bool, kind: int, rights: int, at: int, size: int, align: int
) -> bytes:
    if wide:
        return struct.pack(order + "IIQQQQQQ", kind, rights, at, at, at, size, size, align)
    return struct.pack(order + "IIIIIIII", kind, at, at, at, size, size, rights, align)


def _hash(name: str) -> int:
    value = 0
    for char in name.encode("utf-8", "surrogateescape"):
        value = (value << 4) + char
        value ^= (value & 0xF0000000) >> 24
        value &= 0x0FFFFFFF
    return value


def _needs(order: str, strings: Strings, wants: Mapping[str, Sequence[Wanted]]) -> bytes:
    data = b""
    for number, (file, wanted) in enumerate(wants.items()):
        size = 16 + 16 * len(wanted)
        link = size if number + 1 < len(wants) else 0
        data += struct.pack(order + "HHIII", 1, len(wanted), strings.add(file), 16, link)
        for index, want in enumerate(wanted):
            version, weak = want if isinstance(want, tuple) else (want, False)
            after = 16 if index + 1 < len(wanted) else 0
            data += struct.pack(
                order + "IHHII", _hash(version), 2 * weak, index + 2, strings.add(version), after
            )
    return data


def _definitions(order: str, strings: Strings, base: str, versions: Sequence[str]) -> bytes:
    data = b""
    names = [base, *versions] if versions else []
    for number, name in enumerate(names):
        link = 28 if number + 1 < len(names) else 0
        data += struct.pack(order + "HHHHIII", 1, number == 0, number + 1, 1, _hash(name), 20, link)
        data += struct.pack(order + "II", strings.add(name), 0)
    return data


def _property(order: str, word: int, isa: int) -> bytes:
    """An NT_GNU_PROPERTY_TYPE_0 note with GNU_PROPERTY_X86_ISA_1_NEEDED."""
    body = struct.pack(order + "III", 0xC0008002, 4, isa)
    body += b"\0" * (-len(body) % word)
    return struct.pack(order + "III4s", 4, len(body), 5, b"GNU\0") + body
