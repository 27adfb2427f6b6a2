"""Small file systems that were made to keep a loader busy, to lead it out, or to break it.

A case has a root with a C library in it, what is looked at as programs, and the words of
what is said about them: an error, a problem, or "fine".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.build.elf import AARCH64, I386, elf
from tests.build.tree import Spec
from tests.unit.analysis.worlds import LIB, library

from layersmith.rootfs.entries import Kind, Meta, Special

Literal = Mapping[str, Spec | None]
X86_LOADER = f"{LIB}/ld-linux-x86-64.so.2"
A = library("liba.so", pad=b"A")
FINE, MISSING, STEPS = "^fine$", "is not in", "steps to resolve"
BUSY = f"{STEPS}|in more than 1000 ways"


@dataclass(frozen=True)
class Case:
    """A root over the usual one (`files` is only called when the case is run)."""

    name: str
    said: str
    files: Callable[[], Literal]
    roots: tuple[str, ...] = ()
    shipped: tuple[str, ...] | None = field(default=None)


def cases() -> Iterator[Case]:
    """Yield all of them, the small ones first."""
    for group in (_needs, _paths, _places, _loaders, _confs, _conf_limits, _products):
        yield from group()


# A line a case, whatever its length.
# fmt: off


def _main(*needed: str, **more: object) -> bytes:
    return library(None, *needed, **more)


def _one(name: str, said: str, main: bytes, shipped: tuple[str, ...] | None = None, **files: Spec | None) -> Case:
    literal = {"app/main": main, **{path.replace("__", "/"): spec for path, spec in files.items()}}
    return Case(name, said, lambda: literal, ("app/main",), shipped)


def _with(name: str, said: str, main: bytes, files: Literal, shipped: tuple[str, ...] | None = None) -> Case:
    return Case(name, said, lambda: {"app/main": main, **files}, ("app/main",), shipped)


def _needs() -> Iterator[Case]:
    odd = {
        "nothing": "", "a dot": ".", "two dots": "..", "a slash": "/", "a directory": "/usr/lib", "a relative path": "lib/liba.so",
        "a line break": "lib\na.so", "an escape": "\x1b[2Jliba.so", "a way out": "/../../../../etc/passwd", "the file itself": "/app/main",
        "its own directory": "$ORIGIN", "a long name": "x" * 300, "the longest name": "x" * 4096, "an unknown token": "$NOTHING/liba.so",
        "half a token": "${ORIGIN/liba.so", "an empty token": "${}/liba.so", "many slashes": "/" * 4000 + "liba.so", "a surrogate": "lib\udcff.so",
        "a colon": "/a:/b", "a number of 4,000 digits": "lib" + "9" * 4000 + ".so",
    }
    for name, need in odd.items():
        # A way out ends at a file that is none; what loads itself is itself.
        said = "cannot be loaded|is not in" if name == "a way out" else FINE if name == "the file itself" else MISSING
        yield _with(f"a need of {name}", said, _main(need), {"etc/passwd": b"root"})
    yield _with("a cycle of one", FINE, _main("liba.so"), {"usr/lib/liba.so": library("liba.so", "liba.so")}, ("usr/lib/liba.so",))
    yield _with("a cycle of two", FINE, _main("liba.so"), {"usr/lib/liba.so": library("liba.so", "libb.so"), "usr/lib/libb.so": library("libb.so", "liba.so")}, ("usr/lib/liba.so", "usr/lib/libb.so"))
    yield Case("a cycle with the program", FINE, lambda: {"usr/lib/libm.so": library("libm.so", "liba.so"), "usr/lib/liba.so": library("liba.so", "libm.so")}, ("usr/lib/libm.so",))
    for soname in ("", ".", "..", "/", "../../etc/passwd", "a/b", "lib\n.so", "\x1b]0;x\a", "x" * 4096, "liba.so\udcff", "9" * 4096):
        yield _with(f"a library that calls itself {soname[:12]!r}", FINE, _main("liba.so"), {"usr/lib/liba.so": library(soname)}, ("usr/lib/liba.so",))
    yield _with("a library that wants what is not there", MISSING, _main("liba.so"), {"usr/lib/liba.so": library("liba.so", "none.so")})
    yield _with("versions that nobody has", "wants", _main("libc.so.6", wants={"libc.so.6": ["GLIBC_9.9"]}), {})
    yield _with("a version of many digits", "wants", _main("libc.so.6", wants={"libc.so.6": ["GLIBC_" + "9" * 4000]}), {})
    yield _with("versions of a file not needed", FINE, _main(wants={"libc.so.6": ["GLIBC_9.9"]}), {})


def _paths() -> Iterator[Case]:
    there = {"opt/liba.so": A}
    inside = {
        "/opt": FINE, "/opt/": FINE, "//opt": FINE, "/./opt/.": FINE, "$ORIGIN/../opt": FINE, "${ORIGIN}/../opt": FINE, "/opt/../opt": FINE,
        "$ORIGIN/../../../../opt": FINE, "/../../opt": FINE, "/opt:/opt": FINE, "$ORIGIN/" + "../" * 400 + "opt": FINE, "/x:" * 1000 + "/opt": FINE,
        "$ORIGINAL/opt": "searches the working directory", ":/opt": "searches the working directory", "/opt:": "searches the working directory",
        "opt": "searches the working directory", "./opt": "searches the working directory", "": MISSING, ":" * 32000: "searches the working directory",
        "/opt;/x": MISSING, "~/opt": "searches the working directory", "$ORIGIN" * 600 + ":/opt": FINE, "$LIB" * 2000 + ":/opt": FINE,
        ":".join(f"/{n}" for n in range(1025)): "more than 1024 directories", "/opt/\x1b[31m:/opt": FINE, "/\udcff:/opt": FINE, "$PLATFORM/x:/opt": "searches",
    }
    for path, said in inside.items():
        for kind in ("rpath", "runpath"):
            yield _with(f"{kind} {path[:24]!r} of {len(path)}", said, _main("liba.so", **{kind: path}), there, ("opt/liba.so",) if said == FINE else None)


def _places() -> Iterator[Case]:
    yield _with("a library that is a directory", MISSING, _main("liba.so"), {"usr/lib/liba.so/": None})
    yield _with("a library that is a pipe", MISSING, _main("liba.so"), {"usr/lib/liba.so": Special(Meta(0o644), Kind.FIFO)})
    yield _with("a library that is a device", MISSING, _main("liba.so"), {"usr/lib/liba.so": Special(Meta(0o644), Kind.CHAR, 1, 5)})
    yield _with("a link to itself", MISSING, _main("liba.so"), {"usr/lib/liba.so": "liba.so"})
    yield _with("two links to each other", MISSING, _main("liba.so"), {"usr/lib/liba.so": "libb.so", "usr/lib/libb.so": "liba.so"})
    yield _with("a link to nowhere", MISSING, _main("liba.so"), {"usr/lib/liba.so": "/none"})
    yield _with("a link out", MISSING, _main("liba.so"), {"usr/lib/liba.so": "../" * 50 + "etc/hostname"})
    yield _with("a link far up and down again", FINE, _main("liba.so"), {"usr/lib/liba.so": "../" * 50 + "opt/liba.so", "opt/liba.so": A})
    chain: dict[str, Spec | None] = {f"usr/lib/l{n}": f"l{n + 1}" for n in range(50)}
    yield _with("fifty links", MISSING, _main("l0"), {**chain, "usr/lib/l50": A})
    yield _with("thirty links", FINE, _main("l20"), {**chain, "usr/lib/l50": A})
    yield _with("a directory that holds itself", FINE, _main("liba.so", runpath="/opt/x/x/x/x/x/x"), {"opt/x": ".", "opt/liba.so": A})
    for name, data in {"nothing": b"", "a script": b"INPUT(-la)", "a cut object": A[:70], "only the magic": b"\x7fELF", "zeros": bytes(9000)}.items():
        yield _with(f"a library of {name}", "cannot be loaded", _main("liba.so"), {"usr/lib/liba.so": data})
    yield _with("a library of another machine", MISSING, _main("liba.so"), {"usr/lib/liba.so": elf(machine=AARCH64, soname="liba.so")})
    yield _with("a library of another class", MISSING, _main("liba.so"), {"usr/lib/liba.so": elf(bits=32, machine=I386, soname="liba.so")})
    yield _with("a library of another byte order", MISSING, _main("liba.so"), {"usr/lib/liba.so": elf(order=">", soname="liba.so")})
    yield _with("one of another machine before the right one", FINE, _main("liba.so", runpath="/x:/opt"), {"x/liba.so": elf(machine=AARCH64), "opt/liba.so": A}, ("opt/liba.so",))
    for level in ("x86-64-v9", "a:b", ".hidden", "\x1b[m", "x" * 255):
        yield _with(f"hwcaps of {level[:12]!r}", FINE, _main("liba.so"), {"usr/lib/liba.so": A, f"usr/lib/glibc-hwcaps/{level}/liba.so": library("liba.so", pad=b"v")})
    yield _with("hwcaps that are a link to the parent", FINE, _main("liba.so"), {"usr/lib/liba.so": A, "usr/lib/glibc-hwcaps/x86-64-v2": "../..", "usr/lib/glibc-hwcaps/x": "."})


def _loaders() -> Iterator[Case]:
    for interpreter in ("/none", "lib/ld.so", "/etc", "\x1b[2J", "/../../lib64/none", "x" * 4000):
        yield _with(f"the interpreter {interpreter[:12]!r}", "the dynamic loader of", _main(interpreter=interpreter), {"etc/x": b""})
    yield _with("an interpreter that is no loader", "is not in the base", _main("libc.so.6", interpreter="/etc/x"), {"etc/x": b"no"})
    yield _with("an interpreter that is the program", FINE, _main("libc.so.6", interpreter="/app/main"), {})
    for name, words in {
        "many directories": b"\0/lib/" * 0 + b"".join(b"\0/lib%d/" % n for n in range(50_000)) + b"\0",
        "a run of lib": b"\0/" + b"lib" * 2_000_000, "slashes": b"\0" + b"/lib" * 1_000_000 + b"/", "a banner and another": b"GNU C Library (x) " * 200_000,
        "a banner without an end": b"GNU C Library (x) " + b"release version " * 200_000, "a version of many digits": b"GNU C Library (x) release version " + b"9" * 100_000 + b".\n",
        "parentheses": b"GNU C Library " + b"(" * 1_000_000, "stars": b"\0/" + b"!" * 2_000_000 + b"lib/\0",
    }.items():
        yield Case(f"a loader and a C library of {name}", "fine|no dynamic loader", lambda w=words: {X86_LOADER: elf(soname="ld", pad=w), f"{LIB}/libc.so.6": elf(soname="libc.so.6", pad=w)}, (f"{LIB}/libc.so.6",))  # type: ignore[misc]
    for data in (b"", b"\x7fELF", A[:90], b"#!/bin/sh", elf(machine=AARCH64), elf(bits=32, machine=I386)):
        yield Case(f"a loader of {len(data)} bytes", "no dynamic loader", lambda d=data: {X86_LOADER: d}, (f"{LIB}/libc.so.6",))  # type: ignore[misc]
    yield Case("a loader that is a directory", "no dynamic loader", lambda: {"usr/lib64/ld-linux-x86-64.so.2": "/etc", "etc/x": b""}, ())


def _conf(name: str, said: str, conf: bytes, **files: Spec | None) -> Case:
    more = {path.replace("__", "/"): spec for path, spec in files.items()}
    return Case(f"ld.so.conf: {name}", said, lambda: {"etc/ld.so.conf": conf, "app/main": _main("liba.so"), "opt/liba.so": A, **more}, ("app/main",))


def _confs() -> Iterator[Case]:
    good = b"/opt\n"
    found = {
        "a directory": good, "no end of line": b"/opt", "carriage returns": b"/opt\r\n", "a comment": b"/opt # why\n", "blanks": b" \t/opt \t\n", "slashes": b"/opt////\n",
        "hwcap": b"hwcap 0 nosegneg\n" + good, "hwcap in capitals": b"HWCAP\t1 x\n" + good, "no hwcap": b"hwcapx\n" + good, "NUL in a line": b"/opt\0/none\n", "NULs": b"\0\0\0\n" + good,
        "garbage first": bytes(range(1, 10)) + b"\xff\xfe\n" + good, "a line of 100,000": b"x" * 100_000 + b"\n" + good, "relative": b"opt\n./opt\n../opt\n" + good,
        "include of nothing": b"include\ninclude \ninclude\t\n" + good, "include of none": b"include /none /none/* *.none\n" + good, "include of a directory": b"include /etc /etc/\n" + good,
        "include of itself": b"include /etc/ld.so.conf\ninclude ld.so.conf ./ld.so.conf /etc/../etc/ld.so.conf\n" + good, "include of all": b"include /*/* /etc/*\n" + good,
        "broken globs": b"include /etc/[ /etc/[z-a] /etc/[!] /etc/[]\n" + good, "stars": b"include /etc/" + b"*" * 3000 + b"x\n" + good, "a glob of many stars": b"include /etc/" + b"*a" * 1000 + b"\n" + good,
        "a long include": b"include /" + b"a/" * 30_000 + b"\n" + good, "dots": b"/../../opt\n", "itself as a directory": b"/etc/ld.so.conf\n" + good, "twice": good * 5000, "a link loop": b"/loop\n" + good,
        "an empty line of blanks": b"   \n\t\n" + good, "escapes": b"/\x1b[2J\n" + good,
    }
    for name, conf in found.items():
        yield _conf(name, FINE, conf, loop="loop", etc__ld__so="x")
    missing = {"nothing": b"", "only comments": b"#/opt\n" * 1000, "utf-16": "/opt\n".encode("utf-16"), "a BOM": b"\xef\xbb\xbf/opt\n", "a bad include": b"includes /etc/x\n", "old format": b"/opt=libc5\n", "a NUL first": b"\0/opt\n"}
    for name, conf in missing.items():
        yield _conf(name, MISSING, conf)
    yield Case("ld.so.conf: a directory", FINE, lambda: {"etc/ld.so.conf/": None}, (f"{LIB}/libc.so.6",))
    yield Case("ld.so.conf: a pipe", FINE, lambda: {"etc/ld.so.conf": Special(Meta(0o644), Kind.FIFO)}, (f"{LIB}/libc.so.6",))
    yield Case("ld.so.conf: a loop of links", FINE, lambda: {"etc/ld.so.conf": "ld.so.conf"}, (f"{LIB}/libc.so.6",))
    yield Case("ld.so.conf: a link out", FINE, lambda: {"etc/ld.so.conf": "../" * 60 + "etc/conf", "etc/conf": good, "app/main": _main("liba.so"), "opt/liba.so": A}, ("app/main",))


def _conf_limits() -> Iterator[Case]:
    many = {f"etc/c/{n:04}": b"include /etc/c/*\n" * 4 for n in range(30)}
    yield _limited("2^n includes", "deeper than", b"include /etc/c/*\n/opt\n", many)
    yield _limited("2^n includes of 900", "deeper than", b"include /etc/c/*\n/opt\n", {f"etc/c/{n:04}": b"include /etc/c/*\n" * 4 for n in range(900)})
    yield _limited("includes in depth", "deeper than", b"include /etc/0\n/opt\n", {f"etc/{n}": b"include /etc/%d\n" % (n + 1) for n in range(50)})
    yield _limited("1,001 files", "more than 1000 files", b"include /etc/c/*\n/opt\n", {f"etc/c/{n}": b"/%d\n" % n for n in range(1001)})
    yield _limited("files of 1 MiB", "larger than", b"include /etc/c/*\n/opt\n", {f"etc/c/{n}": b"#" * (1 << 20) for n in range(3)})
    yield _limited("files of 200 KiB", "includes and all", b"include /etc/c/*\n/opt\n", {f"etc/c/{n}": b"#" * (200 << 10) for n in range(3)})
    yield _limited("many directories", "more than 10000 directories", b"".join(b"/%d\n" % n for n in range(20_000)), {})
    yield _limited("many globs", "too many", b"".join(b"include /e*%d\n" % n for n in range(10_000)), {})
    yield _limited("the same glob", "too many", b"include /e*x\n" * 15_000, {})
    yield _limited("globs over a way in circles", "too many", b"include /d" + b"/*" * 40 + b"\n", {"d/a": ".", "d/b": "."})
    yield _limited("short lines", FINE, b"\n" * 100_000 + b"a\n" * 50_000 + b"/opt\n", {})
    yield _limited("long includes", FINE, b"include " + b"x/" * 100_000 + b"\n/opt\n", {})
    yield _limited("too large", "larger than", b"#" * (1 << 20), {})


def _limited(name: str, said: str, conf: bytes, files: Literal) -> Case:
    return Case(f"ld.so.conf: {name}", said, lambda: {"etc/ld.so.conf": conf, "app/main": _main("liba.so"), "opt/liba.so": A, **files}, ("app/main",))


def _products() -> Iterator[Case]:
    """Yield what is small by itself and large where it meets."""
    def each(make: Callable[[int], tuple[str, bytes]], count: int) -> Callable[[], Literal]:
        return lambda: dict(make(n) for n in range(count))

    def names(prefix: str, count: int) -> tuple[str, ...]:
        return tuple(f"{prefix}{n}" for n in range(count))

    deep = "/".join(["d" * 250] * 14)
    versions = [f"V_{n}" for n in range(8000)]
    wanted = [f"W_{n}" for n in range(8000)]
    yield Case("a chain of 10,000", FINE, lambda: {**{f"opt/lib{n}.so": library(f"lib{n}.so", f"lib{n + 1}.so", rpath="/opt") for n in range(10_000)}, "opt/lib10000.so": A}, ("opt/lib0.so",))
    yield Case("a ring of 10,000", FINE, each(lambda n: (f"opt/lib{n}.so", library(f"lib{n}.so", f"lib{(n + 1) % 10_000}.so", rpath="/opt")), 10_000), ("opt/lib0.so",))
    yield Case("a chain of 2,000 from everywhere", BUSY, each(lambda n: (f"opt/lib{n}", library(f"lib{n}", f"lib{n + 1}", rpath="/opt")), 2000), names("opt/lib", 2000))
    yield Case("a chain with an RPATH each", BUSY, each(lambda n: (f"opt{n}/lib{n}", library(f"lib{n}", f"lib{n + 1}", rpath=f"/opt{n + 1}")), 1000), tuple(f"opt{n}/lib{n}" for n in range(1000)))
    yield Case("all of 400 need all", BUSY, each(lambda n: (f"usr/lib/lib{n}", library(f"lib{n}", *names("lib", 400))), 400), names("usr/lib/lib", 400))
    yield Case("one need 4,000 times in 100 programs", STEPS, each(lambda n: (f"p{n}", _main(*["libc.so.6"] * 4000, pad=b"%d" % n)), 100), names("p", 100))
    yield Case("400 needs in 600 programs", STEPS, lambda: {**{f"usr/lib/lib{n}": library(f"lib{n}") for n in range(400)}, **{f"p{n}": _main(*names("lib", 400), pad=b"%d" % n) for n in range(600)}}, names("p", 600))
    yield Case("4,000 needs that are nowhere in 100 programs", BUSY, each(lambda n: (f"p{n}", _main(*names("l", 4000), pad=b"%d" % n)), 100), names("p", 100))
    yield Case("needs nowhere times directories", BUSY, each(lambda n: (f"p{n}", _main(*names(f"l{n}x", 900), rpath=":".join(f"/d{m}" for m in range(1000)))), 9), names("p", 9))
    yield Case("8,000 versions wanted of 8,000 others", "wants", lambda: {"usr/lib/liba.so": library("liba.so", versions=versions), "p": _main("liba.so", wants={"liba.so": wanted})}, ("p",))
    yield Case("and wanted in 4,000 needs", STEPS, lambda: {"usr/lib/liba.so": library("liba.so", versions=versions), "p": _main(*["liba.so"] * 4000, wants={"liba.so": wanted})}, ("p",))
    yield Case("tokens in 250 needs of 10 programs", MISSING, each(lambda n: (f"{deep}/p{n}", _main(*["$ORIGIN" * 500] * 250, pad=b"%d" % n)), 10), names(f"{deep}/p", 10))
    yield Case("1,000 directories with a long $ORIGIN", MISSING, each(lambda n: (f"{deep}/p{n}", _main("none.so", rpath=":".join(f"$ORIGIN/{m}" for m in range(1000)), pad=b"%d" % n)), 10), names(f"{deep}/p", 10))
    yield Case("16,000 elements refused in 50 programs", "working directory", each(lambda n: (f"p{n}", _main("libc.so.6", rpath=":".join(["x"] * 16_000), pad=b"%d" % n)), 50), names("p", 50))
    yield Case("search paths of 32,000, all different", f"working|{STEPS}", each(lambda n: (f"p{n}", _main("libc.so.6", rpath=":".join([f"{n}"] * 8000))), 200), names("p", 200))
    yield Case("names of many numbers", FINE, each(lambda n: (f"usr/lib/lib{'1a' * 120}{n}.so", library(f"lib{'1a' * 900}{n}.so")), 700), ())
    yield Case("names of long numbers", FINE, each(lambda n: (f"usr/lib/lib{'9' * 240}{n}.so", library(f"lib{'9' * 4000}{n}.so")), 100), ())
    yield Case("30,000 links to a library", FINE, lambda: {"usr/lib/liba.so": A, **{f"usr/lib/lib{n}.so": "liba.so" for n in range(30_000)}}, ())
    yield Case("20 libraries of 8,000 versions", "wants", lambda: {**{f"usr/lib/lib{n}": library(f"lib{n}", versions=versions) for n in range(10)}, "p": _main(*names("lib", 10), wants=dict.fromkeys(names("lib", 10), wanted[:400]))}, ("p",))
# fmt: on
