"""Archives that two readers read as two trees, or one reads and another does not.

Every one is a way in which a file was, or could be, smuggled past somebody who looked at
a layer with other eyes than the runtime's (RUSTSEC-2025-0111 and its relatives).
"""

from __future__ import annotations

from tests.build.hostile import Case, lone, no, yes
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

from layersmith.errors import BadWhiteout, MalformedTar, UnsafePath
from layersmith.rootfs.entries import File, Kind, Meta, Special

INNER = archive(file("etc/shadow", b"smuggled"))
LONG = "n" * 150
DEVICE = Header(b"null", b"3", mode=0o600, major=1, minor=3)


def _said(*records: tuple[str, str | bytes], header: Header | None = None) -> bytes:
    return archive(pax(*records), member(header or Header()))


SIZES = [
    no("an archive behind a PAX size", MalformedTar, archive(
        pax(("size", str(len(INNER)))), member(Header(size=b"0" * 11)), INNER)),
    no("an archive behind a size that PAX denies", MalformedTar, archive(
        pax(("size", "0")), member(Header(size=len(INNER)), INNER))),
    yes("an archive in a file", {"f": INNER}, archive(file("f", INNER))),
    no("an entry that starts inside a link's size", MalformedTar, archive(
        member(Header(b"l", b"2", link=b"x", size=BLOCK)), file("g"))),
    no("a PAX size of a directory", MalformedTar, _said(("size", "512"), header=Header(b"d/", b"5"))),
    no("a PAX size of a hard link", MalformedTar, archive(
        file("x"), pax(("size", "5")), member(Header(flag=b"1", link=b"x")))),
    no("a PAX size of a link", MalformedTar, _said(("size", "5"), header=Header(flag=b"2", link=b"x"))),
    no("a PAX size of a device", MalformedTar, _said(("size", "5"), header=DEVICE)),
    no("a PAX size of gigabytes over zero", MalformedTar, _said(("size", str(1 << 33)))),
    no("a PAX size of gigabytes over another", MalformedTar, _said(("size", str(1 << 33)), header=Header(size=5))),
    no("a PAX size of 2**63", MalformedTar, _said(("size", str(1 << 63)))),
    no("a PAX size of 19 nines", MalformedTar, _said(("size", "9" * 19))),
    no("a PAX size with a sign", MalformedTar, archive(pax(("size", "+5")), member(Header(size=5), b"hello"))),
    no("a PAX size between blanks", MalformedTar, archive(pax(("size", " 5")), member(Header(size=5), b"hello"))),
    no("a PAX size with a fraction", MalformedTar, archive(pax(("size", "5.0")), member(Header(size=5), b"hello"))),
    yes("a PAX size with zeros before", {"f": b"hello"}, archive(pax(("size", "0005")), member(Header(size=5), b"hello"))),
    no("the real size of star", MalformedTar, archive(
        pax(("SCHILY.realsize", "9")), member(Header(size=5), b"hello"))),
    yes("a size in base 256 with all its bits", {"f": b"hello"}, lone(Header(size=b"\x80" + bytes(10) + b"\5"), b"hello")),
    no("a size in base 256 with the sign bit", MalformedTar, lone(Header(size=b"\xc0" + bytes(10) + b"\5"), b"hello")),
    no("a size in base 256 and octal at once", MalformedTar, lone(Header(size=b"\x8000000000005"[:12]), b"hello")),
    no("a size with text behind its NUL", MalformedTar, lone(Header(size=b"0000005\0  77"), b"hello")),
    no("a size in base 64", MalformedTar, lone(Header(size=b"+AAAAAAAAAF\0"), b"hello")),
    no("a size with a plus", MalformedTar, lone(Header(size=b"+0000000005\0"), b"hello")),
]  # fmt: skip

SPARSE = [
    no("a sparse file of PAX 0.0", MalformedTar, archive(
        pax(("GNU.sparse.size", "1024"), ("GNU.sparse.numblocks", "1"),
            ("GNU.sparse.offset", "512"), ("GNU.sparse.numbytes", "512")),
        member(Header(size=512), b"x" * 512))),
    no("a sparse file of PAX 0.1", MalformedTar, archive(
        pax(("GNU.sparse.size", "1024"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "512,512")),
        member(Header(size=512), b"x" * 512))),
    no("a sparse file of PAX 1.0 under another name", MalformedTar, archive(
        pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "etc/passwd"), ("GNU.sparse.realsize", "512")),
        member(Header(b"GNUSparseFile.0/f", size=1024), b"1\n0\n512\n".ljust(1024, b"\0")))),
    no("a sparse name alone", MalformedTar, _said(("GNU.sparse.name", "etc/passwd"))),
    no("old GNU sparse with a map", MalformedTar, lone(
        Header(flag=b"S", magic=GNU, size=512,
               patch={386: b"00000000000\x0000000001000\0", 483: b"00000001000\0"}), b"x" * 512)),
    no("old GNU sparse with more headers", MalformedTar, archive(
        member(Header(flag=b"S", magic=GNU, patch={482: b"\1"})), bytes(BLOCK), bytes(BLOCK))),
    no("old GNU sparse of exabytes", MalformedTar, lone(
        Header(flag=b"S", magic=GNU, patch={386: b"77777777777\x0000000000000\0", 483: b"77777777777\0"}))),
    no("a sparse map of a million parts", MalformedTar, _said(("GNU.sparse.map", "0,1," * 200_000 + "0,1"))),
]  # fmt: skip

VENDORS = [
    no("a part of a volume", MalformedTar, _said(("GNU.volume.filename", "g"))),
    no("a label of a volume", MalformedTar, _said(("GNU.volume.label", "backup"))),
    no("a directory's dump", MalformedTar, _said(("GNU.dumpdir", "Yf\0"), header=Header(b"d/", b"5"))),
    no("device numbers of star", MalformedTar, _said(
        ("SCHILY.devmajor", "8"), ("SCHILY.devminor", "0"), header=DEVICE)),
    no("device numbers of SunOS", MalformedTar, _said(
        ("SUN.devmajor", "8"), ("SUN.devminor", "0"), header=DEVICE)),
    no("another type by star", MalformedTar, _said(("SCHILY.filetype", "dir"))),
    yes("an access list", {"f": b""}, _said(("SCHILY.acl.access", "user::rwx"))),
    yes("a comment", {"f": b""}, _said(("comment", "by hand"))),
    yes("names of owners", {"f": b""}, _said(("uname", "root"), ("gname", "wheel"))),
    yes("inode numbers of star", {"f": b""}, _said(("SCHILY.dev", "1"), ("SCHILY.ino", "2"), ("SCHILY.nlink", "3"))),
    yes("a label of SELinux", {"f": b""}, _said(("RHT.security.selinux", "system_u:object_r:bin_t:s0"))),
    yes("a birth time of libarchive", {"f": b""}, _said(("LIBARCHIVE.creationtime", "1"))),
    yes("flags of a file", {"f": b""}, _said(("SCHILY.fflags", "nodump,schg"))),
    yes("an upper-case path is no path", {"f": b""}, _said(("PATH", "g"))),
    yes("names in binary", {"caf\udce9": b""}, _said(("hdrcharset", "BINARY"), ("path", b"caf\xe9"))),
    yes("names in UTF-8", {"caf\N{LATIN SMALL LETTER E WITH ACUTE}": b""}, _said(
        ("hdrcharset", "ISO-IR 10646 2000 UTF-8"), ("path", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"))),
    no("names in another character set", MalformedTar, _said(("hdrcharset", "ISO-IR 8859 1 1998"), ("path", b"caf\xe9"))),
    no("a whiteout of overlayfs", BadWhiteout, archive(device("f", 0, 0))),
    no("an opaque mark of overlayfs", BadWhiteout, _said(
        ("SCHILY.xattr.trusted.overlay.opaque", "y"), header=Header(b"d/", b"5", mode=0o755))),
    no("an opaque mark of overlayfs without root", BadWhiteout, _said(
        ("SCHILY.xattr.user.overlay.opaque", "y"), header=Header(b"d/", b"5", mode=0o755))),
    no("a redirect of overlayfs", BadWhiteout, _said(
        ("SCHILY.xattr.trusted.overlay.redirect", "/etc"), header=Header(b"d/", b"5", mode=0o755))),
]  # fmt: skip

ORDERS = [
    no("a GNU name between PAX headers", MalformedTar, archive(
        pax(("path", "a")), long_name("b"), pax(("path", "c")), file("f"))),
    no("a PAX path, a GNU link and a GNU name", MalformedTar, archive(
        pax(("path", "a")), long_link("t"), long_name("b"), symlink("f", "x"))),
    no("a PAX path and two GNU names", MalformedTar, archive(
        long_name("a"), pax(("path", "b")), long_name("c"), file("f"))),
    no("two GNU links", MalformedTar, archive(long_link("a"), long_link("b"), symlink("f", "x"))),
    no("a global header behind a GNU name", MalformedTar, archive(
        long_name("a"), pax_raw(record("comment", "c"), flag=b"g"), file("f"))),
    no("a global header behind a PAX header", MalformedTar, archive(
        pax(("path", "a")), pax_raw(record("path", "b"), flag=b"g"), file("f"))),
    no("a global header of a commit", MalformedTar, archive(
        pax_raw(record("comment", "0" * 40), flag=b"g"), file("f"))),
    no("a global header alone", MalformedTar, archive(pax_raw(record("mtime", "1"), flag=b"g"))),
    no("an empty global header", MalformedTar, archive(pax_raw(b"", flag=b"g"), file("f"))),
    no("a global size", MalformedTar, archive(pax_raw(record("size", "5"), flag=b"g"), file("f"), file("g"))),
    no("a PAX header of Solaris", MalformedTar, archive(pax_raw(record("path", "a"), flag=b"X"), file("f"))),
    yes("a GNU link in front of a GNU name", {LONG: LONG}, archive(long_link(LONG), long_name(LONG), symlink("f", "x"))),
    yes("a GNU link in front of a file", {"f": b"hello"}, archive(long_link(LONG), file("f", b"hello"))),
    yes("a PAX link in front of a file", {"f": b"hello"}, archive(pax(("linkpath", LONG)), file("f", b"hello"))),
    yes("a link's name in a file's header", {"f": b"hello"}, lone(Header(link=b"x"), b"hello")),
    yes("a link's name in a directory's header", {"d/": None}, lone(Header(b"d/", b"5", mode=0o755, link=b"x"))),
    yes("a GNU name in a ustar header", {LONG: b""}, archive(
        member(Header(b"././@LongLink", b"L"), LONG.encode() + b"\0"), file("f"))),
    yes("a GNU name under any name", {LONG: b""}, archive(
        member(Header(b"etc/passwd", b"L", magic=GNU), LONG.encode() + b"\0"), file("f"))),
    yes("a GNU name without its end", {LONG: b""}, archive(
        member(Header(b"././@LongLink", b"L", magic=GNU), LONG.encode()), file("f"))),
    yes("a GNU name with many ends", {LONG: b""}, archive(
        member(Header(b"././@LongLink", b"L", magic=GNU), LONG.encode() + bytes(700)), file("f"))),
    yes("a GNU name of a hard link", {"a": b"!", LONG: b"!"}, archive(
        file("a", b"!"), long_name(LONG), hard_link("f", "a"))),
    yes("a GNU name of a directory", {LONG + "/": None}, archive(long_name(LONG + "/"), directory("d"))),
    yes("a PAX path over a prefix", {"a": b""}, archive(pax(("path", "a")), member(Header(prefix=b"p/q")))),
    no("a PAX header inside a PAX header", MalformedTar, archive(
        pax_raw(pax(("path", "a"))), file("f"))),
    no("a PAX header padded inside", MalformedTar, archive(pax_raw(record("path", "a") + bytes(9)), file("f"))),
    no("a PAX header with lines between its records", MalformedTar, archive(
        pax_raw(record("path", "a") + b"\n" + record("mtime", "1")), file("f"))),
    yes("a PAX record inside another's value", {"f": b""}, archive(
        pax_raw(b"20 comment=" + record("path", "a")), file("f"))),
    no("a PAX length in hexadecimal", MalformedTar, archive(pax_raw(b"0xc path=ab\n"), file("f"))),
    no("a PAX length behind a blank", MalformedTar, archive(pax_raw(b" 11 path=a\n"), file("f"))),
    no("a PAX length before a tab", MalformedTar, archive(pax_raw(b"9\tpath=a\n"), file("f"))),
    no("a PAX length in digits of another script", MalformedTar, archive(
        pax_raw("\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT TWO} path=a\n".encode()), file("f"))),
]  # fmt: skip

TYPES = [
    no("a PAX path with a slash on a file", MalformedTar, _said(("path", "d/"))),
    no("a PAX path with a slash on type NUL", MalformedTar, _said(("path", "d/"), header=Header(flag=b"\0"))),
    no("a GNU name with a slash on type NUL", MalformedTar, archive(long_name("d/"), member(Header(flag=b"\0")))),
    no("a prefix and a slash on type NUL", MalformedTar, lone(Header(b"d/", b"\0", prefix=b"p"))),
    no("type NUL of V7 with a slash", MalformedTar, lone(Header(b"d/", b"\0", magic=V7))),
    no("type NUL with a slash and content", MalformedTar, lone(Header(b"d/", b"\0"), file("g"))),
    no("a contiguous file", MalformedTar, lone(Header(flag=b"7"), b"hello")),
    no("a blank for a type", MalformedTar, lone(Header(flag=b" "), b"hello")),
    no("a type with its high bit", MalformedTar, lone(Header(flag=b"\xb0"), b"hello")),
    no("a pipe with a slash", MalformedTar, lone(Header(b"p/", b"6"))),
    no("a hard link with a slash", MalformedTar, archive(file("a"), hard_link("b/", "a"))),
    yes("a directory without a slash", {"d/": None}, lone(Header(b"d", b"5", mode=0o755))),
    yes("a V7 directory", {"d/": None}, lone(Header(b"d/", b"5", mode=0o755, magic=V7))),
    yes("a V7 link", {"f": "x"}, lone(Header(flag=b"2", link=b"x", magic=V7))),
    no("a cpio archive", MalformedTar, b"070701" + b"0" * 104 + b"TRAILER!!!".ljust(402, b"\0")),
    no("an ar archive", MalformedTar, b"!<arch>\n".ljust(BLOCK, b" ")),
    no("an empty zip archive", MalformedTar, b"PK\5\6" + bytes(18)),
    no("a header of blanks", MalformedTar, b" " * BLOCK + END),
    no("a header of ones", MalformedTar, b"\xff" * BLOCK + END),
    no("zero blocks in front", MalformedTar, END + archive(file("f"))),
    no("a zero block in front", MalformedTar, bytes(BLOCK) + archive(file("f"))),
    no("another archive behind the end", MalformedTar, archive(file("f")) + archive(file("g"))),
    no("another archive behind much padding", MalformedTar, archive(file("f"), end=END * 10) + archive(file("g"))),
    no("a zero block and a cut header", MalformedTar, archive(file("f"), end=bytes(BLOCK)) + file("g")[:300]),
    yes("a checksum before a blank and a NUL", {"f": b""}, lone(
        Header(checksum=b"%06o \0" % (sum(Header().block()) - sum(Header().block()[148:156]) + 256)))),
    yes("a checksum of eight digits", {"f": b""}, lone(
        Header(checksum=b"%08o" % (sum(Header().block()) - sum(Header().block()[148:156]) + 256)))),
    yes("a ustar header that ends in letters", {"f": b""}, lone(Header(patch={500: b"letters"}))),
]  # fmt: skip

OWNERS = [
    yes("an owner in base 256", {"f": File(Meta(0o644, 3_000_000, 0), b"")}, lone(Header(uid=base256(3_000_000, 8)))),
    yes("an owner in PAX", {"f": File(Meta(0o644, 3_000_000, 3_000_001), b"")}, _said(("uid", "3000000"), ("gid", "3000001"))),
    yes("an owner of 2**31 and more", {"f": File(Meta(0o644, 2**31, 2**32 - 2), b"")}, _said(("uid", str(2**31)), ("gid", str(2**32 - 2)))),
    no("an owner of 2**32 in PAX", MalformedTar, _said(("uid", str(2**32)))),
    no("an owner of 2**64 in PAX", MalformedTar, _said(("gid", str(2**64)))),
    no("an owner that means nobody changed in PAX", MalformedTar, _said(("uid", str(2**32 - 1)))),
    yes("a time of centuries", {"f": b""}, lone(Header(mtime=base256(1 << 33, 12)))),
    no("a PAX time in exponents", MalformedTar, _said(("mtime", "1e9"))),
    no("a PAX time of a point", MalformedTar, _said(("mtime", "."))),
    no("a PAX time with a plus", MalformedTar, _said(("mtime", "+1"))),
    no("a PAX time of 30 digits", MalformedTar, _said(("mtime", "1" * 30))),
    yes("a PAX time before 1970 with a fraction", {"f": b""}, _said(("mtime", "-1.5"))),
    yes("a character device of PAX", {"null": Special(Meta(0o600), Kind.CHAR, 1, 3)}, _said(("comment", "c"), header=DEVICE)),
    no("a PAX path of 5000 bytes", UnsafePath, _said(("path", "a/" * 2500))),
    no("a PAX link of 5000 bytes", MalformedTar, _said(("linkpath", "a/" * 2500), header=Header(flag=b"2"))),
]  # fmt: skip

CASES: list[Case] = [*SIZES, *SPARSE, *VENDORS, *ORDERS, *TYPES, *OWNERS]
