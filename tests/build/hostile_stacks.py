"""Names, links and whiteouts over several layers: where trees come apart, not headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.build.hostile import BELOW, LOWER, Case, _without, no, yes
from tests.build.tar import (
    Header,
    archive,
    device,
    directory,
    fifo,
    file,
    hard_link,
    long_name,
    member,
    pax,
    symlink,
)

from layersmith.errors import BadWhiteout, MalformedTar, UnsafeLink, UnsafePath
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Special

if TYPE_CHECKING:
    from tests.build.tree import Literal

ACUTE = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
APART = "cafe\N{COMBINING ACUTE ACCENT}"
NESTED = "d/" * 200  # deeper, and Go takes minutes
WIDE = ("d" * 199 + "/") * 19
MANY: Literal = {f"d/{n}": b"" for n in range(4100)}
CHAIN: Literal = {"l0/": None, **{f"l{n}": f"l{n - 1}" for n in range(1, 42)}}


def _chain(count: int, *more: bytes) -> bytes:
    """Return `count` links to a directory, each to the one before."""
    links = [symlink(f"l{n}", f"l{n - 1}") for n in range(1, count + 1)]
    return archive(directory("l0"), *links, *more)


NAMES = [
    yes("names of dots", {"...": b"", "..a": b"", "a..": b""}, archive(file("..."), file("..a"), file("a.."))),
    yes("names of blanks", {" ": b"", "a ": b"", " a": b""}, archive(file(" "), file("a "), file(" a"))),
    yes("names like options", {"-rf": b"", "--": b"", "@x": b""}, archive(file("-rf"), file("--"), file("@x"))),
    yes("names of other systems", {"CON": b"", "c:\\x": b"", "..\\x": b"", "a:b": b""}, archive(
        file("CON"), file("c:\\x"), file("..\\x"), file("a:b"))),
    yes("one name in two forms of Unicode", {ACUTE: b"1", APART: b"2"}, archive(file(ACUTE, b"1"), file(APART, b"2"))),
    yes("names that turn the line", {"a\N{RIGHT-TO-LEFT OVERRIDE}b": b""}, archive(file("a\N{RIGHT-TO-LEFT OVERRIDE}b"))),
    yes("UTF-8 that is too long", {"\udcc0\udcaf": b""}, archive(file(b"\xc0\xaf"))),
    yes("surrogates in UTF-8", {"\udced\udca0\udc80": b""}, archive(file(b"\xed\xa0\x80"))),
    yes("case twins of files and directories", {"A/x": b"1", "a": b"2"}, archive(file("A/x", b"1"), file("a", b"2"))),
    yes("case twins in two layers", {"A": b"1", "a": b"2"}, archive(file("A", b"1")), archive(file("a", b"2"))),
    yes("4100 names in a directory", MANY, archive(*(file(f"d/{n}") for n in range(4100)))),
    yes("200 directories in each other", {NESTED + "f": b""}, archive(long_name(NESTED + "f"), file("f"))),
    yes("a name of 3800 bytes by PAX", {WIDE + "f": b""}, archive(pax(("path", WIDE + "f")), file("f"))),
    yes("a prefix that is absolute", {"p/f": b""}, archive(member(Header(prefix=b"/p")))),
    yes("a prefix that ends in a slash", {"p/f": b""}, archive(member(Header(prefix=b"p/")))),
    yes("an absolute name behind a prefix", {"p/etc/x": b""}, archive(member(Header(b"/etc/x", prefix=b"p")))),
    no("a prefix of half of ..", UnsafePath, archive(member(Header(b"./../x", prefix=b"p")))),
    no("a PAX path that is the root", MalformedTar, archive(pax(("path", "/")), member(Header(flag=b"2", link=b"x")))),
    no("a PAX path of dots", UnsafePath, archive(pax(("path", "./..")), directory("d"))),
    no("a GNU name that goes up", UnsafePath, archive(long_name("a/../../etc/x"), file("f"))),
    no("the root as a pipe", UnsafePath, archive(fifo("./"[:1]))),
    yes("the root by a slash", {"f": b""}, archive(directory("/"), file("f"))),
    yes("the root twice", {"f": b""}, archive(directory("."), file("f"), directory("./", mode=0o755))),
    yes("300 times the same file", {"f": b"299"}, archive(*(file("f", b"%d" % n) for n in range(300)))),
]  # fmt: skip

HARD = [
    yes("a chain of hard links", dict.fromkeys("abcd", b"!"), archive(
        file("a", b"!"), hard_link("b", "a"), hard_link("c", "b"), hard_link("d", "c"))),
    yes("a chain of hard links through layers", dict.fromkeys("abc", b"!"), archive(
        file("a", b"!")), archive(hard_link("b", "a")), archive(hard_link("c", "b"))),
    yes("300 hard links", {"a": b"!", **{f"l{n}": b"!" for n in range(300)}}, archive(
        file("a", b"!"), *(hard_link(f"l{n}", "a") for n in range(300)))),
    yes("a chain of hard links whose first goes", {"b": b"!", "c": b"!"}, archive(
        file("a", b"!"), hard_link("b", "a")), archive(file(".wh.a"), hard_link("c", "b"))),
    yes("a layer replaces one of two names", {"a": b"new", "b": b"old"}, archive(
        file("a", b"old"), hard_link("b", "a")), archive(file("a", b"new"))),
    no("a hard link to what its layer removes", UnsafeLink, LOWER, archive(file(".wh.f"), hard_link("g", "f"))),
    no("a hard link, then the whiteout of its target", UnsafeLink, LOWER, archive(hard_link("g", "f"), file(".wh.f"))),
    no("a hard link into a directory made opaque", UnsafeLink, LOWER, archive(
        directory("d"), file("d/.wh..wh..opq"), hard_link("g", "d/x"))),
    no("a hard link to a whiteout", UnsafeLink, LOWER, archive(file(".wh.f"), hard_link("g", ".wh.f"))),
    no("a hard link to a link to nothing, followed", UnsafeLink, archive(symlink("l", "r"), hard_link("b", "l/x"))),
    no("a hard link to a directory through a link", UnsafeLink, archive(directory("d/e"), symlink("l", "d"), hard_link("b", "l/e"))),
    yes("a hard link to a pipe", {n: Special(Meta(0o644), Kind.FIFO) for n in "pq"}, archive(fifo("p"), hard_link("q", "p"))),
    yes("a hard link over a directory", {"a": b"!", "d": b"!"}, archive(
        file("a", b"!"), file("d/x"), hard_link("d", "a"))),
    yes("a hard link over a link", {"a": b"!", "d/": None, "l": b"!"}, archive(
        file("a", b"!"), directory("d"), symlink("l", "d"), hard_link("l", "a"))),
    yes("a hard link below a link", {"a": b"!", "d/b": b"!", "l": "d"}, archive(
        file("a", b"!"), directory("d"), symlink("l", "d"), hard_link("l/b", "a"))),
    no("a hard link over a directory that holds its target", UnsafeLink, archive(file("d/a", b"!"), hard_link("d", "d/a"))),
    no("a hard link out of the root by a link", UnsafeLink, archive(symlink("l", "/etc"), hard_link("b", "l/passwd"))),
    yes("a hard link that ends in dots and slashes", {"a": b"!", "b": b"!"}, archive(
        file("a", b"!"), hard_link("b", ".//a"))),
]  # fmt: skip

CHANGED_BY_LINK = [
    yes("a hard link with another mode", {"a": File(Meta(0o600), b"!"), "b": File(Meta(0o600), b"!")}, archive(
        file("a", b"!", mode=0o600), hard_link("b", "a", mode=0o600))),
]  # fmt: skip

SOFT = [
    yes("a link by .. within the root", {"d/e/l": "../../r", "r/x": b"!"}, archive(
        directory("d/e"), directory("r"), symlink("d/e/l", "../../r"), file("d/e/l/x", b"!"))),
    yes("a link by many .. stays at the root", {"l": "../../../r", "r/x": b"!"}, archive(
        directory("r"), symlink("l", "../../../r"), file("l/x", b"!"))),
    yes("a link of the layer below", {"l": "r", "r/x": b"!"}, archive(directory("r"), symlink("l", "r")), archive(file("l/x", b"!"))),
    yes("a link above replaces a directory", {"r/x": b"1", "d": "r"}, archive(
        file("r/x", b"1"), file("d/y", b"2")), archive(symlink("d", "r"))),
    yes("a directory above replaces a link", {"r/x": b"1", "l/y": b"2"}, archive(
        file("r/x", b"1"), symlink("l", "r")), archive(directory("l"), file("l/y", b"2"))),
    yes("a file above replaces a directory", {"d": b"!"}, archive(file("d/x/y")), archive(file("d", b"!"))),
    yes("a directory above replaces a file", {"f/x": b"!"}, archive(file("f")), archive(directory("f"), file("f/x", b"!"))),
    no("a file below a file of the layer below", UnsafePath, archive(file("f")), archive(file("f/x"))),
    no("a file through a link to nothing below", UnsafePath, archive(symlink("l", "r")), archive(file("l/x"))),
    no("a file through a link to a pipe", UnsafePath, archive(fifo("p"), symlink("l", "p"), file("l/x"))),
    no("a file below a device", UnsafePath, archive(device("v", 1, 3), file("v/x"))),
    yes("a file through 40 links", {**{f"l{n}": f"l{n - 1}" for n in range(1, 41)}, "l0/x": b"!"}, _chain(40, file("l40/x", b"!"))),
    no("a file through 41 links", UnsafeLink, _chain(41, file("l41/x"))),
    yes("41 links that nobody follows", CHAIN, _chain(41)),
    no("a file through a link that grows", UnsafeLink, archive(symlink("a", "a/b"), file("a/x"))),
    no("a directory through links in a circle", UnsafeLink, archive(symlink("a", "b"), symlink("b", "a"), directory("a/d"))),
    yes("a link to the root", {"l": "/", "x": b"!"}, archive(symlink("l", "/"), file("l/x", b"!"))),
    yes("a link to a dot", {"l": ".", "x": b"!"}, archive(symlink("l", "."), file("l/x", b"!"))),
    yes("a directory's entry through a link", {"l": "r", "r/d/": Directory(Meta(0o700), {})}, archive(
        directory("r"), symlink("l", "r"), directory("l/d", mode=0o700))),
    yes("links of absolute names that leave", {"l": "//etc/passwd"}, archive(symlink("l", "//etc/passwd"))),
    yes("a link whose target has control characters", {"l": "a\x1b[2Jb\nc"}, archive(symlink("l", "a\x1b[2Jb\nc"))),
]  # fmt: skip

WHITEOUTS = [
    no("a whiteout of no name in the lowest layer", BadWhiteout, archive(file("a"), file("d/.wh."))),
    no("a list of hard links of AUFS", BadWhiteout, archive(directory(".wh..wh.plnk"))),
    no("a mark of AUFS", BadWhiteout, archive(file(".wh..wh.aufs"))),
    no("an opaque mark spelled otherwise", BadWhiteout, archive(file("d/.wh..wh..OPQ"))),
    no("a whiteout that is a pipe", BadWhiteout, archive(fifo(".wh.x"))),
    no("a whiteout that is a device", BadWhiteout, archive(device(".wh.x", 0, 0))),
    no("a whiteout with a file below it", BadWhiteout, LOWER, archive(file(".wh.d"), file(".wh.d/x"))),
    no("a whiteout below a whiteout", BadWhiteout, LOWER, archive(file(".wh.d/.wh.x"))),
    no("a whiteout by a PAX path with content", BadWhiteout, LOWER, archive(pax(("path", ".wh.f")), file("x", b"!"))),
    no("a whiteout that goes up", UnsafePath, archive(file("d/../.wh.f"))),
    no("an opaque mark that goes up", UnsafePath, archive(file("../.wh..wh..opq"))),
    yes("a whiteout by a PAX path", _without("f"), LOWER, archive(pax(("path", ".wh.f")), file("x"))),
    yes("a whiteout by a GNU name", _without("f"), LOWER, archive(long_name(".wh.f"), file("x"))),
    yes("a whiteout by an absolute name", _without("f"), LOWER, archive(file("/.wh.f"))),
    yes("a whiteout of type NUL", _without("f"), LOWER, archive(member(Header(b".wh.f", b"\0")))),
    yes("a whiteout twice", _without("f"), LOWER, archive(file(".wh.f"), file(".wh.f"))),
    yes("whiteouts of a directory and what is in it", _without("d/x", "d/y"), LOWER, archive(
        file(".wh.d"), file("d/.wh.x"))),
    yes("whiteouts of what is in a directory, then of it", _without("d/x", "d/y"), LOWER, archive(
        file("d/.wh.x"), file(".wh.d"))),
    yes("an opaque mark twice", {**_without("d/x", "d/y"), "d/": None}, LOWER, archive(
        directory("d"), file("d/.wh..wh..opq"), file("d/.wh..wh..opq"))),
    yes("an opaque mark and a whiteout", {**_without("d/x", "d/y"), "d/": None}, LOWER, archive(
        directory("d"), file("d/.wh..wh..opq"), file("d/.wh.x"))),
    yes("an opaque mark without its directory", {**_without("d/x", "d/y"), "d/": None}, LOWER, archive(file("d/.wh..wh..opq"))),
    yes("an opaque mark under a file", BELOW, LOWER, archive(file("f/.wh..wh..opq"))),
    yes("an opaque root above nothing", {"z": b"new"}, archive(file(".wh..wh..opq"), file("z", b"new"))),
    yes("a whiteout of a case twin", BELOW, LOWER, archive(file(".wh.F"))),
    yes("a whiteout of one of two names", {"b": b"!"}, archive(file("a", b"!"), hard_link("b", "a")), archive(file(".wh.a"))),
    yes("a whiteout in one layer, the file again in the next", _without(f=b"new"), LOWER, archive(file(".wh.f")), archive(file("f", b"new"))),
    yes("a whiteout of what a link leads to", {**_without("d/x", "d/y")}, LOWER, archive(file(".wh.d"))),
    yes("a name with .wh. inside", {"a.wh.b": b"", "wh.": b""}, archive(file("a.wh.b"), file("wh."))),
    yes("a whiteout of bytes", {}, archive(file(b"\xff")), archive(file(b".wh.\xff"))),
    yes("a whiteout of a name with a line break", {}, archive(file("a\nb")), archive(file(".wh.a\nb"))),
]  # fmt: skip

CASES: list[Case] = [*NAMES, *HARD, *CHANGED_BY_LINK, *SOFT, *WHITEOUTS]
