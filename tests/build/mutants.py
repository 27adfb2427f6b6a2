"""Layers made at random, the same for the same seed: odd sequences and odd headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.build.tar import (
    BLOCK,
    END,
    GNU,
    V7,
    Header,
    archive,
    directory,
    fifo,
    file,
    hard_link,
    long_link,
    long_name,
    member,
    pax,
    symlink,
)

if TYPE_CHECKING:
    from random import Random

NAMES = ("a", "b", "d", "d/x", "d/e", "d/e/y", "l", "l/x", "l/e/y", "m", "m/x", "./a", "/d/x")
TARGETS = ("d", "a", "/d", "d/e", "..", "l", "../d", "m", "nowhere", "/", "d/x", "./b")

WHOLE = (
    archive(directory("d"), file("d/x", b"hello"), symlink("l", "d"), hard_link("h", "d/x")),
    archive(
        pax(("path", "p/q"), ("mtime", "1.5"), ("SCHILY.xattr.user.a", "b")),
        file("f", b"x" * 600),
        pax(("size", "5"), ("uid", "7")),
        member(Header(b"g", size=5), b"hello"),
    ),
    archive(long_name("n" * 120), file("f", b"1"), long_link("t" * 120), symlink("s", "x")),
    archive(
        member(Header(b"g", magic=GNU), b"hello"),
        member(Header(b"v", magic=V7), b"hi"),
        member(Header(b"n" * 100, prefix=b"p/q")),
    ),
)
# Where header fields start, and how long they are.
FIELDS = (
    *((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8), (156, 1)),
    *((157, 100), (257, 8), (265, 32), (297, 32), (329, 8), (337, 8), (345, 12), (357, 12)),
    *((369, 12), (381, 4), (386, 96), (482, 1), (483, 12), (495, 17)),
)
VALUES = (
    *(b"\0", b" ", b"0", b"7", b"8", b"9", b"\x80", b"\xff", b"\xc0", b"/", b".", b"..", b"1"),
    *(b"2", b"5", b"-", b"+1", b"00000000005", b"        5 ", b"x", b"ustar", b"L", b"K", b"="),
    *(b"\n", b"0000644\0", b"0000644 ", b"1_0", b"\0001", b"777777777777", b"\x80\0\0\0\0\0\0\5"),
)


def random_layers(rng: Random) -> list[bytes]:
    """Return up to three layers over few names, so that they meet each other."""
    return [_random_layer(rng, is_lowest=number == 0) for number in range(rng.randint(1, 3))]


def _random_layer(rng: Random, *, is_lowest: bool) -> bytes:
    files = ["a"]
    members = [_entry(rng, files, is_lowest=is_lowest) for _ in range(rng.randint(1, 7))]
    # The order of whiteouts means nothing to us; to Go it does where links are replaced.
    return archive(*sorted(members, key=lambda data: b".wh." not in data))


def _entry(rng: Random, files: list[str], *, is_lowest: bool) -> bytes:
    name, kind = rng.choice(NAMES), rng.random()
    if kind < 0.35:
        files.append(name)
        return file(name, rng.choice((b"", b"1", b"22")), mode=rng.choice((0o644, 0o600, 0o755)))
    if kind < 0.55:
        return directory(name, mode=rng.choice((0o755, 0o700)))
    if kind < 0.7:
        return symlink(name, rng.choice(TARGETS))
    if kind < 0.85:
        return hard_link(name, rng.choice((*files, *files, *NAMES)))
    if kind < 0.88 or is_lowest:
        return fifo(name)
    folder, slash, last = name.rpartition("/")
    return file(folder + slash + rng.choice((f".wh.{last}", ".wh..wh..opq")))


def mutated(rng: Random) -> bytes:
    """Return a good archive with some header fields changed, most checksums mended."""
    data = bytearray(rng.choice(WHOLE))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(0, len(data) - len(END), BLOCK)
        start, width = rng.choice(FIELDS)
        value = (rng.choice(VALUES) * rng.choice((1, 1, width)))[:width]
        shift = rng.choice((0, 0, width - len(value), rng.randrange(width)))
        value = value[: width - shift]
        data[at + start + shift : at + start + shift + len(value)] = value
        if rng.random() < 0.85:
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + BLOCK])
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


def damaged_blob(rng: Random, blob: bytes) -> bytes:
    """Return a compressed stream with a byte changed, dropped or doubled, or cut short."""
    data = bytearray(blob)
    at = rng.randrange(len(data))
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[at : at + 1] = bytes([data[at]]) * 2
    elif kind == 3:
        del data[at]
    else:
        data += rng.choice((b"\0", bytes(512), blob[: at + 1], blob[at:]))
    return bytes(data)
