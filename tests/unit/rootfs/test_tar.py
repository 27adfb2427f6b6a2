"""The tar reader: what it says of each entry, and how little it takes at once."""

from __future__ import annotations

import io
import time

import pytest
from tests.build.tar import (
    BLOCK,
    GNU,
    Header,
    archive,
    base256,
    device,
    directory,
    fifo,
    file,
    hard_link,
    member,
    pax,
    symlink,
)

from layersmith.errors import LayerError, MalformedTar
from layersmith.rootfs import tar
from layersmith.rootfs.tar import Allowance, TarEntry, TarReader


class Counting:
    """A stream that remembers the largest read, and gives at most `most` bytes."""

    def __init__(self, data: bytes, most: int = 1 << 30) -> None:
        self._data = io.BytesIO(data)
        self._most = most
        self.largest = 0

    def read(self, size: int = -1, /) -> bytes:
        self.largest = max(self.largest, size)
        return self._data.read(min(size, self._most))


def read(data: bytes) -> list[TarEntry]:
    return list(TarReader(io.BytesIO(data)))


def one(data: bytes) -> TarEntry:
    (entry,) = read(archive(data))
    return entry


def test_says_what_a_header_says() -> None:
    header = Header(b"d/f", mode=0o4750, uid=12, gid=34, mtime=56)
    assert one(member(header, b"hello")) == TarEntry(
        path="d/f",
        type="0",
        mode=0o4750,
        uid=12,
        gid=34,
        mtime=56,
        size=5,
        link="",
        major=0,
        minor=0,
        xattrs=(),
        offset=BLOCK,
    )


def test_knows_all_types() -> None:
    entries = read(
        archive(
            file("f"),
            hard_link("h", "./f"),
            symlink("s", "./f"),
            device("c", 1, 3),
            device("b", 8, 1, flag=b"4"),
            directory("d"),
            fifo("p"),
        )
    )
    assert [entry.type for entry in entries] == list("0123456")
    assert (entries[1].link, entries[2].link) == ("f", "./f")
    assert (entries[3].major, entries[3].minor, entries[4].major) == (1, 3, 8)


def test_says_where_contents_start() -> None:
    data = archive(file("a", b"1" * 600), pax(("path", "b")), file("x", b"22"), file("c"))
    entries = read(data)
    assert [data[e.offset : e.offset + e.size] for e in entries] == [b"1" * 600, b"22", b""]
    assert len({entry.offset for entry in entries}) == 3


def test_fields_are_read_to_their_last_digit() -> None:
    header = Header(mode=0o7777, uid=0o7777777, gid=0o1234567, mtime=0o77777777777)
    entry = one(member(header))
    assert (entry.mode, entry.uid, entry.gid) == (0o7777, 0o7777777, 0o1234567)
    assert entry.mtime == 0o77777777777
    null = one(device("d", 0o7777777, 0o7654321))
    assert (null.major, null.minor) == (0o7777777, 0o7654321)


@pytest.mark.parametrize("number", [-1, 0o7777777 + 1])
def test_devices_have_bounds(number: int) -> None:
    with pytest.raises(MalformedTar, match="a device of number"):
        read(archive(member(Header(flag=b"3", minor=base256(number, 8)))))


def test_the_longest_owner_name_and_link_are_read() -> None:
    path = "/".join(["d" * 127] * 32)[:4095]
    entry = one(
        pax(("path", path), ("linkpath", "t" * 4095), ("gid", str(2**32 - 2))) + symlink("a", "b")
    )
    assert (entry.path, len(entry.link), entry.gid) == (path, 4095, 2**32 - 2)
    for record in (("path", path + "d"), ("linkpath", "t" * 4096), ("gid", str(2**32 - 1))):
        with pytest.raises(LayerError):
            read(archive(pax(record), symlink("a", "b")))


def test_a_number_may_be_as_large_as_64_bits() -> None:
    assert one(member(Header(mtime=base256(2**63 - 1, 12)))).mtime == 2**63 - 1
    assert one(member(Header(mtime=base256(-(2**63), 12)))).mtime == -(2**63)
    with pytest.raises(MalformedTar, match="overflows"):
        read(archive(member(Header(mtime=base256(2**63, 12)))))


def test_numbers_may_be_gnus() -> None:
    header = Header(uid=base256(3_000_000_000, 8), mtime=base256(-5, 12), magic=GNU)
    assert (one(member(header)).uid, one(member(header)).mtime) == (3_000_000_000, -5)


def test_pax_records_win_over_fields() -> None:
    records = pax(
        ("path", "p" * 200),
        ("linkpath", "l" * 200),
        ("uid", "3000000000"),
        ("gid", "7"),
        ("mtime", "99.5"),
        ("uname", "who"),
    )
    entry = one(records + symlink("short", "short"))
    assert (entry.path, entry.link) == ("p" * 200, "l" * 200)
    assert (entry.uid, entry.gid, entry.mtime) == (3_000_000_000, 7, 99)


def test_pax_records_are_for_one_entry_only() -> None:
    entries = read(archive(pax(("path", "p"), ("uid", "7")), file("a"), file("b")))
    assert [(entry.path, entry.uid) for entry in entries] == [("p", 7), ("b", 0)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("1.999999999", 1), ("-1", -1), ("-1.0", -1), ("-1.5", -2), ("-0.5", -1), ("5.", 5)],
)
def test_times_are_rounded_towards_the_past(text: str, seconds: int) -> None:
    assert one(pax(("mtime", text)) + file("f")).mtime == seconds


def test_extended_attributes_are_in_order_and_may_hold_any_bytes() -> None:
    entry = one(
        pax(
            ("SCHILY.xattr.user.z", b"\0\xff\n="),
            ("SCHILY.xattr.security.capability", b"\1\0\0\2"),
            ("LIBARCHIVE.xattr.user.z", "eA=="),
        )
        + file("f")
    )
    assert entry.xattrs == (("security.capability", b"\1\0\0\2"), ("user.z", b"\0\xff\n="))


def test_an_empty_extended_attribute_is_none_as_for_go() -> None:
    assert one(pax(("SCHILY.xattr.user.a", "")) + file("f")).xattrs == ()


def test_contents_are_read_in_bounded_pieces() -> None:
    content = bytes(range(256)) * 12_000
    stream = Counting(archive(file("f", content)))
    reader = TarReader(stream)
    pieces: list[bytes] = []
    for _ in reader:
        pieces += reader.content()
    assert b"".join(pieces) == content
    assert stream.largest <= 1 << 20


def test_contents_that_nobody_reads_are_skipped_or_read_in_part() -> None:
    reader = TarReader(io.BytesIO(archive(file("a", b"1" * 3_000_000), file("b", b"2"))))
    paths = []
    for entry in reader:
        paths.append(entry.path)
        next(iter(reader.content()), None)
    assert paths == ["a", "b"]


@pytest.mark.parametrize("most", [1, 7, 511, 513])
def test_the_stream_may_give_little_at_once(most: int) -> None:
    data = archive(pax(("path", "p" * 250)), file("f", b"x" * 1500), directory("d"))
    reader = TarReader(Counting(data, most))
    seen = [(entry.path, b"".join(reader.content())) for entry in reader]
    assert seen == [("p" * 250, b"x" * 1500), ("d", b"")]


def test_a_stream_of_single_bytes_takes_linear_time() -> None:
    started = time.process_time()
    assert len(list(TarReader(Counting(archive(file("f", b"x" * 400_000)), 1)))) == 1
    assert time.process_time() - started < 5


def test_a_declared_size_allocates_nothing() -> None:
    data = archive(member(Header(size=0o77777777777), b""))
    stream = Counting(data)
    with pytest.raises(MalformedTar, match="ends inside content"):
        list(TarReader(stream))
    assert stream.largest <= 1 << 20


def test_what_is_kept_of_entries_is_counted() -> None:
    data = archive(*(file(name) for name in "abcd"))
    assert len(list(TarReader(io.BytesIO(data), Allowance(4 * 321)))) == 4
    with pytest.raises(MalformedTar, match="'d': more entries"):
        list(TarReader(io.BytesIO(data), Allowance(4 * 321 - 1)))


@pytest.mark.parametrize(
    "data",
    [
        archive(file("n" * 99)),
        archive(symlink("n", "t" * 99)),
        archive(pax(("SCHILY.xattr.user.n", "v" * 99)), file("f")),
    ],
)
def test_names_links_and_attributes_count_too(data: bytes) -> None:
    with pytest.raises(MalformedTar, match="longer names"):
        list(TarReader(io.BytesIO(data), Allowance(410)))


def test_archives_may_share_an_allowance() -> None:
    shared = Allowance(1000)
    assert [len(list(TarReader(io.BytesIO(archive(file("a"))), shared))) for _ in "abc"] == [
        1,
        1,
        1,
    ]
    with pytest.raises(MalformedTar, match="more entries"):
        list(TarReader(io.BytesIO(archive(file("a"))), shared))


def test_extended_headers_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "_MAX_EXTENDED", 3 << 20)
    big = pax(("comment", "x" * 1_000_000))
    assert len(read(archive(*(big + file(name) for name in "abc")))) == 3
    with pytest.raises(MalformedTar, match="more than 3 MiB of extended headers"):
        read(archive(*(big + file(name) for name in "abcd")))


def test_the_path_at_fault_is_named() -> None:
    with pytest.raises(MalformedTar) as caught:
        read(archive(file("fine"), member(Header(b"faulty", b"9"))))
    assert caught.value.path == "faulty"
