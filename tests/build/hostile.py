"""Layers that were made to be misread, with the one reading that is right.

A case is one layer or several (lowest first). It is either refused, with the error it
says, or accepted with the tree it says; what is accepted, Go must read the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.build.tar import (
    BLOCK,
    END,
    GNU,
    V7,
    Header,
    archive,
    base256,
    device,
    directory,
    fifo,
    file,
    hard_link,
    long_link,
    long_name,
    member,
    pax,
    pax_raw,
    record,
    symlink,
)

from layersmith.errors import BadWhiteout, LayerError, MalformedTar, UnsafeLink, UnsafePath
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Special

if TYPE_CHECKING:
    from tests.build.tree import Literal

ZERO = bytes(BLOCK)


@dataclass(frozen=True)
class Case:
    """Layers, and either the `error` that refuses them or the `tree` they make."""

    name: str
    layers: tuple[bytes, ...]
    error: type[LayerError] | None = None
    tree: Literal | None = None

    @property
    def is_accepted(self) -> bool:
        return self.error is None


def yes(name: str, tree: Literal, *layers: bytes) -> Case:
    return Case(name, layers, tree=tree)


def no(name: str, error: type[LayerError], *layers: bytes) -> Case:
    return Case(name, layers, error=error)


def lone(header: Header, content: bytes = b"") -> bytes:
    return archive(member(header, content))


def _with_pax(*records: tuple[str, str | bytes], header: Header | None = None) -> bytes:
    return archive(pax(*records), member(header or Header()))


def _file(content: bytes, mode: int) -> File:
    return File(Meta(mode), content)


F: Literal = {"f": b""}
HELLO = file("f", b"hello")
HIGH = Header(b"\xff\xfe")
SIGNED = b"%06o\0 " % (sum(HIGH.block()) - sum(HIGH.block()[148:156]) + 8 * 32 - 2 * 256)
DEEP = "/".join(["d" * 99] * 30)
TOO_DEEP = "/".join(["d" * 99] * 50)

FRAMING = [
    yes("an empty stream", {}, b""),
    yes("nothing but the end marker", {}, archive()),
    yes("one zero block at the end", {"f": b"hello"}, archive(HELLO, end=ZERO)),
    yes("no end marker", {"f": b"hello"}, archive(HELLO, end=b"")),
    yes("NUL padding behind the end", {"f": b"hello"}, archive(HELLO, end=END * 10)),
    yes("odd padding behind the end", {"f": b"hello"}, archive(HELLO, end=END + bytes(100))),
    no("one and a half zero blocks", MalformedTar, archive(HELLO, end=ZERO + bytes(100))),
    no("an entry behind one zero block", MalformedTar, archive(HELLO, ZERO, file("g"))),
    no("an entry behind the end", MalformedTar, archive(HELLO, END, file("g"))),
    no("garbage behind the end", MalformedTar, archive(HELLO, END, b"x")),
    no("a header cut short", MalformedTar, file("f")[:300]),
    no("a content cut short", MalformedTar, file("f", b"x" * 2000)[:-1000]),
    no("a content cut at a block", MalformedTar, file("f", b"x" * 2000)[:-BLOCK]),
    no("padding cut short", MalformedTar, HELLO[:-1]),
    no("an extended header cut short", MalformedTar, pax(("path", "a" * 600))[:-BLOCK]),
    no("not a tar at all", MalformedTar, b"PK\3\4" * 256),
]  # fmt: skip

NUMBERS = [
    no("a wrong checksum", MalformedTar, lone(Header(checksum=b"000123\0 "))),
    no("no checksum", MalformedTar, lone(Header(checksum=bytes(8)))),
    no("a checksum of signed bytes", MalformedTar, lone(Header(HIGH.name, checksum=SIGNED))),
    no(
        "a checksum in base 256",
        MalformedTar,
        lone(Header(checksum=base256(sum(Header().block()) - sum(Header().block()[148:156]) + 256, 8))),
    ),
    yes(
        "a checksum between blanks",
        F,
        lone(Header(checksum=b" %05o\0 " % (sum(Header().block()) - sum(Header().block()[148:156]) + 256))),
    ),
    no("a size that is no number", MalformedTar, lone(Header(size=b"0000000000x\0"))),
    no("a size in two parts", MalformedTar, lone(Header(size=b"00000\x00000001"))),
    no("a size with a sign", MalformedTar, lone(Header(size=b"-0000000001\0"))),
    yes("a size between blanks", {"f": b"hello"}, lone(Header(size=b"         5 \0"), b"hello")),
    yes("a size without an end", {"f": b"hello"}, lone(Header(size=b"000000000005"), b"hello")),
    yes("a size of blanks", F, lone(Header(size=b" " * 12))),
    yes("a size in base 256", {"f": b"hello"}, lone(Header(size=base256(5, 12)), b"hello")),
    no("a negative size", MalformedTar, lone(Header(size=base256(-1, 12)))),
    no("a negative size of a link", MalformedTar, lone(Header(flag=b"2", link=b"x", size=base256(-1, 12)))),
    no("a size beyond the archive", MalformedTar, lone(Header(size=1 << 30))),
    no("a size of 2**62", MalformedTar, lone(Header(size=base256(1 << 62, 12)))),
    no("a size of 2**80", MalformedTar, lone(Header(size=base256(1 << 80, 12)))),
    no("a mode that is no number", MalformedTar, lone(Header(mode=b"rw-r--r-"))),
    no("a negative mode", MalformedTar, lone(Header(mode=base256(-1, 8)))),
    yes("a mode with the type in it", {"f": _file(b"", 0o640)}, lone(Header(mode=0o100640))),
    no("a file whose mode says directory", MalformedTar, lone(Header(mode=0o040755))),
    yes("a link whose mode says file", {"f": "x"}, lone(Header(flag=b"2", link=b"x", mode=0o100777))),
    yes("a directory whose mode says so", {"d/": None}, lone(Header(b"d/", b"5", mode=0o040755))),
    yes("set-uid, set-gid and sticky", {"f": _file(b"", 0o7755)}, lone(Header(mode=0o7755))),
    no("an owner that is no number", MalformedTar, lone(Header(uid=b"root\0\0\0\0"))),
    no("a negative owner", MalformedTar, lone(Header(gid=base256(-2, 8)))),
    no("the owner that means nobody changed", MalformedTar, lone(Header(uid=base256(2**32 - 1, 8)))),
    no("a time that is no number", MalformedTar, lone(Header(mtime=b"yesterday\0\0\0"))),
    yes("a time before 1970", F, lone(Header(mtime=base256(-86400, 12)))),
    no("a device number that is none", MalformedTar, lone(Header(major=b"zz\0\0\0\0\0\0"))),
    no("a minor number of a file that is none", MalformedTar, lone(Header(minor=b"zz\0\0\0\0\0\0"))),
    yes("device fields of V7 are not looked at", F, lone(Header(magic=V7, major=b"zz\0\0\0\0\0\0"))),
    no("a device beyond numbers", MalformedTar, lone(Header(flag=b"3", major=base256(1 << 40, 8)))),
]  # fmt: skip

FORMATS = [
    yes("V7", {"f": b"hello"}, lone(Header(magic=V7), b"hello")),
    yes("V7 has no prefix", F, lone(Header(magic=V7, prefix=b"p"))),
    yes("GNU", {"f": b"hello"}, lone(Header(magic=GNU), b"hello")),
    no("an unknown version of ustar", MalformedTar, lone(Header(magic=b"ustar\x0099"))),
    no("half the magic of GNU", MalformedTar, lone(Header(magic=b"ustar \0\0"))),
    no("star, whose prefix is shorter", MalformedTar, lone(Header(prefix=b"p", patch={508: b"tar\0"}))),
    no("GNU with a prefix where its times are", MalformedTar, lone(Header(magic=GNU, prefix=b"some/where"))),
    yes("GNU with its times", F, lone(Header(magic=GNU, prefix=b"00000000001\x0000000000002\0"))),
    no("GNU multi-volume", MalformedTar, lone(Header(flag=b"M", magic=GNU))),
    no("old GNU sparse", MalformedTar, lone(Header(flag=b"S", magic=GNU, size=512), b"x" * 512)),
    no("a sparse map on a plain file", MalformedTar, lone(Header(magic=GNU, patch={386: b"00000000001\0" * 2}))),
    no("more sparse headers to come", MalformedTar, lone(Header(magic=GNU, patch={482: b"\1"}))),
    *(
        no(f"an entry of type {flag.decode()}", MalformedTar, lone(Header(flag=flag)))
        for flag in (b"7", b"8", b"9", b"A", b"D", b"I", b"N", b"V", b"X", b"Z", b"~")
    ),
    yes("type NUL is a file", {"f": b"hello"}, lone(Header(flag=b"\0"), b"hello")),
    no("type NUL with a slash is a directory to some", MalformedTar, lone(Header(b"d/", b"\0"))),
]  # fmt: skip

EXTENDED = [
    yes("a PAX path", {"other": b""}, _with_pax(("path", "other"))),
    yes("a PAX path of bytes", {"caf\udce9": b""}, _with_pax(("path", b"caf\xe9"))),
    yes("a PAX path that is absolute", {"etc/x": b""}, _with_pax(("path", "/etc/x"))),
    yes("an unknown PAX record", F, _with_pax(("VENDOR.key", "value"))),
    yes("an equals sign in a PAX value", {"a=b": b""}, _with_pax(("path", "a=b"))),
    yes("a line break in a PAX value", {"a\nb": b""}, _with_pax(("path", "a\nb"))),
    yes("an empty PAX header", F, archive(pax(), file("f"))),
    no("a PAX path with ..", UnsafePath, _with_pax(("path", "../x"))),
    no("a NUL in a PAX path", MalformedTar, _with_pax(("path", b"a\0b"))),
    no("a NUL in a PAX link", MalformedTar, _with_pax(("linkpath", b"a\0b"), header=Header(flag=b"2"))),
    no("a NUL in a PAX key", MalformedTar, _with_pax(("a\0b", "v"))),
    no("an empty PAX path", MalformedTar, _with_pax(("path", ""))),
    no("an empty PAX key", MalformedTar, _with_pax(("", "v"))),
    no("a PAX path and a GNU name", MalformedTar, archive(pax(("path", "a")), long_name("b"), file("f"))),
    no("a GNU name and a PAX path", MalformedTar, archive(long_name("b"), pax(("path", "a")), file("f"))),
    no("a PAX link and a GNU link", MalformedTar, archive(pax(("linkpath", "a")), long_link("b"), symlink("f", "c"))),
    no("two PAX headers", MalformedTar, archive(pax(("path", "a")), pax(("path", "b")), file("f"))),
    no("a PAX record twice", MalformedTar, _with_pax(("path", "a"), ("path", "b"))),
    no("a PAX header with no entry", MalformedTar, archive(pax(("path", "a")))),
    no("a GNU name with no entry", MalformedTar, archive(long_name("a"))),
    no("a global PAX header", MalformedTar, archive(pax_raw(record("path", "a"), flag=b"g"), file("f"))),
    no("a PAX record without a length", MalformedTar, archive(pax_raw(b"path=a\n"), file("f"))),
    no("a PAX length too short", MalformedTar, archive(pax_raw(b"9 path=a\n\n"), file("f"))),
    no("a PAX length too long", MalformedTar, archive(pax_raw(b"99 path=a\n"), file("f"))),
    no("a PAX length of 30 digits", MalformedTar, archive(pax_raw(b"1" * 30 + b" path=a\n"), file("f"))),
    no("a PAX length with a sign", MalformedTar, archive(pax_raw(b"+10 path=a\n"), file("f"))),
    no("a PAX length with a zero before", MalformedTar, archive(pax_raw(b"010 path=a\n"), file("f"))),
    no("a PAX record without an end", MalformedTar, archive(pax_raw(b"10 path=ab"), file("f"))),
    no("a PAX record without an equals sign", MalformedTar, archive(pax_raw(b"8 pathx\n"), file("f"))),
    no("a PAX record of nothing", MalformedTar, archive(pax_raw(b"3 \n"), file("f"))),
    no("1001 PAX records", MalformedTar, _with_pax(*((f"k{n}", "v") for n in range(1001)))),
    no("a PAX header of 1 MiB and more", MalformedTar, _with_pax(("comment", "x" * (1 << 20)))),
    no("a sparse file of PAX", MalformedTar, _with_pax(("GNU.sparse.realsize", "100"))),
    no("a sparse file of PAX 1.0", MalformedTar, _with_pax(("GNU.sparse.major", "1"))),
    yes("a PAX size", {"f": b"hello"}, archive(pax(("size", "5")), member(Header(size=5), b"hello"))),
    no("a PAX size and another one", MalformedTar, archive(pax(("size", "512")), member(Header(size=b"0" * 11), b"x" * 512))),
    no("a PAX size that hides an entry", MalformedTar, archive(pax(("size", "512")), member(Header(size=5), file("g")))),
    no("a PAX size below zero", MalformedTar, _with_pax(("size", "-1"))),
    no("a PAX size over a negative one", MalformedTar, _with_pax(("size", "0"), header=Header(size=base256(-1, 12)))),
    no("a PAX size that is no number", MalformedTar, _with_pax(("size", "0x5"))),
    no("a PAX owner that is no number", MalformedTar, _with_pax(("uid", "root"))),
    no("a PAX owner below zero", MalformedTar, _with_pax(("uid", "-1"))),
    yes("a PAX time with a fraction", F, _with_pax(("mtime", "1700000000.987654321"))),
    no("a PAX time that is none", MalformedTar, _with_pax(("mtime", "now"))),
    no("a PAX access time that is none", MalformedTar, _with_pax(("atime", "now"))),
    no("a PAX change time that is none", MalformedTar, _with_pax(("ctime", "1.2.3"))),
    no("a PAX header whose own mode is no number", MalformedTar, archive(
        member(Header(b"x", b"x", mode=b"garbage\0"), record("path", "a")), file("f"))),
    no("a GNU name whose own owner is no number", MalformedTar, archive(
        member(Header(b"x", b"L", uid=b"garbage\0", magic=GNU), b"a\0"), file("f"))),
    yes("a GNU name", {"n" * 150: b""}, archive(long_name("n" * 150), file("f"))),
    yes("a GNU link", {"f": "t" * 150}, archive(long_link("t" * 150), symlink("f", "x"))),
    yes("a GNU name and a GNU link", {"n": "t"}, archive(long_link("t"), long_name("n"), symlink("f", "x"))),
    no("two GNU names", MalformedTar, archive(long_name("a"), long_name("b"), file("f"))),
    no("an empty GNU name", UnsafePath, archive(long_name(""), file("f"))),
    no("a GNU name with bytes behind its end", MalformedTar, archive(
        member(Header(b"././@LongLink", b"L", magic=GNU), b"a\0b\0"), file("f"))),
    no("a GNU name of 2 MiB", MalformedTar, archive(long_name("a/" * (1 << 20)), file("f"))),
    no("a GNU name of negative size", MalformedTar, archive(
        member(Header(b"././@LongLink", b"L", magic=GNU, size=base256(-512, 12))), file("f"))),
]  # fmt: skip

NAMES = [
    yes("an absolute name", {"etc/x": b"hi"}, archive(file("/etc/x", b"hi"))),
    yes("many slashes", {"a/b": b""}, archive(directory("//a//"), file(".//a/./b"))),
    yes("no parents", {"a/b/c": b""}, archive(file("a/b/c"))),
    no("a name that goes up", UnsafePath, archive(file("../x"))),
    no("a name that goes up in the middle", UnsafePath, archive(file("a/../b"))),
    no("a directory that goes up", UnsafePath, archive(directory("a/.."))),
    no("a prefix that goes up", UnsafePath, lone(Header(prefix=b".."))),
    no("no name", UnsafePath, lone(Header(b""))),
    no("a NUL first", UnsafePath, lone(Header(b"\0f"))),
    yes("a NUL ends the name", {"a": b""}, lone(Header(b"a\0b"))),
    yes("a name of 100 bytes", {"n" * 100: b""}, lone(Header(b"n" * 100))),
    yes("a prefix", {"p/q/f": b""}, lone(Header(prefix=b"p/q"))),
    yes("a full prefix", {"p" * 155 + "/" + "n" * 100: b""}, lone(Header(b"n" * 100, prefix=b"p" * 155))),
    yes("bytes that are not UTF-8", {"\udcff\udcfe": b""}, lone(HIGH)),
    yes("control characters", {"a\x1b[31m\nb": b""}, archive(file("a\x1b[31m\nb"))),
    yes("a backslash", {"a\\b": b"", "c:": b""}, archive(file("a\\b"), file("c:"))),
    yes("names that differ in case", {"A": b"1", "a": b"2"}, archive(file("A", b"1"), file("a", b"2"))),
    yes("a name of 255 bytes", {"n" * 255: b""}, archive(long_name("n" * 255), file("f"))),
    no("a name of 256 bytes", UnsafePath, archive(long_name("n" * 256), file("f"))),
    yes("a path of 3000 bytes", {DEEP: b""}, archive(long_name(DEEP), file("f"))),
    no("a path of 5000 bytes", UnsafePath, archive(long_name(TOO_DEEP), file("f"))),
    no("a file with a slash behind it", MalformedTar, archive(file("f/"))),
    no("a link with a slash behind it", MalformedTar, archive(symlink("l/", "x"))),
    yes("the root as a directory", {"f": b""}, archive(directory("./", mode=0o755), file("f"))),
    no("the root as a file", UnsafePath, archive(file("."))),
    no("the root as a link", UnsafePath, archive(symlink(".", "/etc"))),
    no("the root as a hard link", UnsafePath, archive(file("f"), hard_link("./.", "f"))),
    no("the root as a slash, and a file", MalformedTar, archive(file("/"))),
]  # fmt: skip

LINKS = [
    no("a link with a size", MalformedTar, lone(Header(flag=b"2", link=b"x", size=5), b"hello")),
    no("a hard link with a size", MalformedTar, archive(file("x"), member(Header(flag=b"1", link=b"x", size=5), b"hello"))),
    no("a directory with a size", MalformedTar, lone(Header(b"d/", b"5", size=512), file("g"))),
    no("a fifo with a size", MalformedTar, lone(Header(flag=b"6", size=5), b"hello")),
    no("a device with a size", MalformedTar, lone(Header(flag=b"3", size=5), b"hello")),
    no("a link to nothing at all", MalformedTar, lone(Header(flag=b"2"))),
    no("a hard link to nothing at all", MalformedTar, lone(Header(flag=b"1"))),
    no("a link to 5000 bytes", MalformedTar, archive(long_link("x" * 5000), symlink("f", "y"))),
    yes("a link out of the root", {"f": "../../../etc/shadow"}, archive(symlink("f", "../../../etc/shadow"))),
    yes("a link to bytes", {"f": "\udcff"}, archive(symlink("f", b"\xff"))),
    yes(
        "a file through a link that leaves the root",
        {"d": "/../../../../tmp", "tmp/x": b"!"},
        archive(directory("tmp"), symlink("d", "/../../../../tmp"), file("d/x", b"!")),
    ),
    yes(
        "a file through a chain of links",
        {"a": "b", "b": "./c", "c": "/r", "r/x": b"!"},
        archive(directory("r"), symlink("c", "/r"), symlink("b", "./c"), symlink("a", "b"), file("a/x", b"!")),
    ),
    yes(
        "a directory replaces a link",
        {"r/": None, "l/x": b"!"},
        archive(directory("r"), symlink("l", "r"), directory("l"), file("l/x", b"!")),
    ),
    no("a file through a link to nothing", UnsafePath, archive(symlink("l", "r"), file("l/x"))),
    no("a file through a link to itself", UnsafeLink, archive(symlink("l", "l"), file("l/x"))),
    no("a file through links in a circle", UnsafeLink, archive(symlink("a", "b"), symlink("b", "a"), file("a/x"))),
    no("a file through a link to a file", UnsafePath, archive(file("r"), symlink("l", "r"), file("l/x"))),
    no("a file below a file", UnsafePath, archive(file("a"), file("a/b"))),
    no("a hard link to an absent file", UnsafeLink, archive(hard_link("b", "a"))),
    no("a hard link to a later file", UnsafeLink, archive(hard_link("b", "a"), file("a"))),
    no("a hard link out of the root", UnsafePath, archive(hard_link("b", "../a"))),
    no("a hard link to the root", UnsafePath, archive(hard_link("b", "/"))),
    no("a hard link to a directory", UnsafeLink, archive(directory("a"), hard_link("b", "a"))),
    no("a hard link to itself", UnsafeLink, archive(file("a"), hard_link("a", "a"))),
    no("a hard link to what it replaces", UnsafeLink, archive(file("a/b"), hard_link("a", "a/b"))),
    no(
        "a hard link to itself through a link",
        UnsafeLink,
        archive(directory("d"), symlink("l", "d"), file("d/a"), hard_link("l/a", "d/a")),
    ),
    yes("a hard link", {"a": b"!", "b": b"!"}, archive(file("a", b"!"), hard_link("b", "a"))),
    yes("a hard link to an absolute name", {"a": b"!", "b": b"!"}, archive(file("a", b"!"), hard_link("b", "/a"))),
    yes("a hard link to the layer below", {"a": b"!", "b": b"!"}, archive(file("a", b"!")), archive(hard_link("b", "a"))),
    yes("a hard link to a link", {"a": "x", "b": "x"}, archive(symlink("a", "x"), hard_link("b", "a"))),
    yes(
        "a hard link through a linked directory",
        {"d/a": b"!", "l": "d", "b": b"!"},
        archive(file("d/a", b"!"), symlink("l", "d"), hard_link("b", "l/a")),
    ),
    yes(
        "a hard link outlives its first name",
        {"a": b"new", "b": b"old"},
        archive(file("a", b"old"), hard_link("b", "a"), file("a", b"new")),
    ),
    yes("a fifo", {"p": Special(Meta(0o644), Kind.FIFO)}, archive(fifo("p"))),
]  # fmt: skip

# Go makes no devices without root: its reading of these is not compared.
DEVICES = [
    yes("a device", {"null": Special(Meta(0o600), Kind.CHAR, 1, 3)}, archive(device("null", 1, 3))),
    yes("a block device", {"sda": Special(Meta(0o600), Kind.BLOCK, 8, 0)}, archive(device("sda", 8, 0, flag=b"4"))),
]  # fmt: skip

REPEATS = [
    yes("a file twice", {"f": b"2"}, archive(file("f", b"1"), file("f", b"2"))),
    yes("a file twice under two spellings", {"f": b"2"}, archive(file("./f", b"1"), file("/f", b"2"))),
    yes("a directory over a file", {"x/": None}, archive(file("x", b"1"), directory("x"))),
    yes("a file over a directory", {"x": b"1"}, archive(directory("x"), file("x/y"), file("x", b"1"))),
    yes("a link over a directory", {"e/": None, "x": "e"}, archive(directory("e"), file("x/y"), symlink("x", "e"))),
    yes("a file over a link", {"e/": None, "x": b"1"}, archive(directory("e"), symlink("x", "e"), file("x", b"1"))),
    yes(
        "a directory twice keeps its children",
        {"d/": Directory(Meta(0o700), {}), "d/x": b""},
        archive(directory("d", mode=0o755), file("d/x"), directory("d", mode=0o700)),
    ),
]  # fmt: skip

LOWER = archive(
    directory("d"), file("d/x", b"1"), file("d/y", b"2"), file("f", b"3"), symlink("l", "d")
)
BELOW: Literal = {"d/x": b"1", "d/y": b"2", "f": b"3", "l": "d"}


def _without(*paths: str, **more: bytes | str | None) -> Literal:
    return {k: v for k, v in BELOW.items() if k not in paths} | more


WHITEOUTS = [
    no("a whiteout of no name", BadWhiteout, archive(file(".wh."))),
    no("a whiteout of .", BadWhiteout, archive(file(".wh.."))),
    no("a whiteout of ..", BadWhiteout, archive(file(".wh..."))),
    no("a whiteout of a whiteout", BadWhiteout, archive(file(".wh..wh.x"))),
    no("a whiteout of no name in a directory", BadWhiteout, archive(file("d/.wh."))),
    no("a whiteout with content", BadWhiteout, archive(file(".wh.x", b"x"))),
    no("a whiteout that is a directory", BadWhiteout, archive(directory(".wh.x"))),
    no("a whiteout that is a link", BadWhiteout, archive(symlink(".wh.x", "y"))),
    no("a whiteout that is a hard link", BadWhiteout, archive(file("y"), hard_link(".wh.x", "y"))),
    no("an opaque mark that is a directory", BadWhiteout, archive(directory("d/.wh..wh..opq"))),
    no("an opaque mark with content", BadWhiteout, archive(file("d/.wh..wh..opq", b"x"))),
    no("an entry below a whiteout", BadWhiteout, archive(file(".wh.d/x"))),
    yes("a whiteout of a file", _without("f"), LOWER, archive(file(".wh.f"))),
    yes("a whiteout of a directory", _without("d/x", "d/y"), LOWER, archive(file(".wh.d"))),
    yes("a whiteout of a link removes the link", _without("l"), LOWER, archive(file(".wh.l"))),
    yes("a whiteout of nothing", BELOW, LOWER, archive(file(".wh.nothing"))),
    yes("a whiteout in an absent directory", BELOW, LOWER, archive(file("no/where/.wh.x"))),
    yes("a whiteout below a file", BELOW, LOWER, archive(file("f/.wh.x"))),
    no("a whiteout through a link", BadWhiteout, LOWER, archive(file("l/.wh.x"))),
    yes("a whiteout, then the file", _without(f=b"new"), LOWER, archive(file(".wh.f"), file("f", b"new"))),
    yes("a file, then its whiteout", _without(f=b"new"), LOWER, archive(file("f", b"new"), file(".wh.f"))),
    yes(
        "a directory put again under its whiteout",
        {**_without("d/x", "d/y"), "d/z": b"new"},
        LOWER,
        archive(directory("d"), file("d/z", b"new"), file(".wh.d")),
    ),
    yes(
        "an opaque directory",
        {**_without("d/x", "d/y"), "d/z": b"new"},
        LOWER,
        archive(directory("d"), file("d/.wh..wh..opq"), file("d/z", b"new")),
    ),
    yes(
        "an opaque mark behind its siblings",
        {**_without("d/x", "d/y"), "d/x": b"new"},
        LOWER,
        archive(directory("d"), file("d/x", b"new"), file("d/.wh..wh..opq")),
    ),
    yes("an opaque root", {"z": b"new"}, LOWER, archive(file("z", b"new"), file(".wh..wh..opq"))),
    yes("an opaque mark in an absent directory", BELOW, LOWER, archive(file("no/.wh..wh..opq"))),
    yes(
        "an opaque directory where a file was",
        {**_without("f"), "f/z": b"new"},
        LOWER,
        archive(directory("f"), file("f/.wh..wh..opq"), file("f/z", b"new")),
    ),
    yes(
        "an opaque directory where a link was leaves its target alone",
        {**_without("l"), "l/z": b"new"},
        LOWER,
        archive(directory("l"), file("l/.wh..wh..opq"), file("l/z", b"new")),
    ),
    yes(
        "a whiteout in a directory that replaces a link leaves its target alone",
        {**_without("l"), "l/z": b"new"},
        LOWER,
        archive(directory("l"), file("l/.wh.x"), file("l/z", b"new")),
    ),
    no("an opaque mark in a link", BadWhiteout, LOWER, archive(file("l/.wh..wh..opq"))),
    yes("a whiteout of what only its own layer has", {"x": b"1"}, archive(file("x", b"1"), file(".wh.x"))),
]  # fmt: skip

CASES = [
    *FRAMING,
    *NUMBERS,
    *FORMATS,
    *EXTENDED,
    *NAMES,
    *LINKS,
    *DEVICES,
    *REPEATS,
    *WHITEOUTS,
]
