"""What archives of packages serve: sources, signed indexes, lists of packages, packages."""

from __future__ import annotations

import io
import lzma
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from tests.build.debs import Deb, ar, clear_signed, control_tar, keyring, suite_of
from tests.build.tar import archive, device, directory, file, hard_link, symlink
from tests.build.tree import root
from tests.fuzz.target import Target, refused
from tests.unit.analysis.worlds import glibc_files

from layersmith.debs.deb import open_deb
from layersmith.debs.packages import Listing, Stanza
from layersmith.debs.release import check_release, parse_release
from layersmith.debs.signed import Keyring, signed_text
from layersmith.debs.sources import (
    Source,
    fitted,
    parse_deb822,
    parse_line,
    parse_list,
    read_release,
)
from layersmith.debs.xz import unxz
from layersmith.plan.adding import Opened, add_packages
from layersmith.rootfs.compression import PieceReader
from layersmith.rootfs.layer import read_layer
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.rootfs.entries import File

_IMAGE: Final = {"ID": "debian", "VERSION_CODENAME": "trixie"}
_NAMES: Final = ("libgreet1", "aa", "virtual")
_DEB: Final = Deb(
    files={"usr/lib/libgreet.so.1": b"hello", "lib/x": "y", "usr/share/doc/a/copyright": b"c"},
    depends="libc6 (>= 2.38), aa | bb (<< 2)", scripts=("postinst",),
    fields={"Provides": "virtual (= 1)", "Breaks": "old"},
)  # fmt: skip
_LISTS: Final = {
    "main/binary-amd64/Packages": b"x", "main/binary-amd64/Packages.xz": b"y",
    "main/binary-all/Packages.gz": b"z", "main/Contents-amd64.gz": b"c",
}  # fmt: skip


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def pread(self, size: int, offset: int) -> bytes:
        return self._data[offset : offset + size]


class _Nothing:
    """Contents that nobody asks for bytes that matter."""

    def read(self, file: File) -> bytes:
        return b""

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self.read(file)


def _sources(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    release = read_release(text)
    found = parse_list(text)
    refused(partial(parse_line, text))
    refused(partial(parse_deb822, text, "it"))
    if not refused(lambda: found.extend(parse_deb822(text, "it"))):
        for source in fitted(found, {"ID": "debian", "VERSION_CODENAME": "bookworm"}, _IMAGE):
            assert not source.problem
            assert ".." not in source.uri + source.suite
            assert source.uri.startswith(("http://", "https://"))
    fitted(found, release, _IMAGE)


def _release(data: bytes) -> None:
    release = parse_release(data, "it")
    for path, (sha256, size) in release.files.items():
        assert ".." not in path
        assert len(sha256) == 64
        assert size >= 0
    for listed in release.indexes("main", "amd64"):
        assert all(place.startswith("main/binary-") for place in release.places(listed))
    assert release.has("main") or not list(release.indexes("main", "amd64"))
    assert all(component.isprintable() for component in release.components)
    source = Source("http://a.example", "trixie", ("main",))
    refused(lambda: check_release(release, source, "trixie", 1e9, "it"))


@cache
def _keyring() -> Keyring:
    return Keyring([("it", keyring())])


def _signed(data: bytes) -> None:
    """Let nothing through but what was signed, and all of it."""
    text = signed_text(data, _keyring(), "it")
    assert text.strip() in (suite_of(_LISTS, **_DATED).strip(), b"A: b\n- c")
    assert data.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\n")


def _packages(data: bytes) -> None:
    listing = Listing(data, "it", "http://a.example")
    for name in (*_NAMES, *list(listing.names)[:3]):
        for found in (listing.named, listing.providing):
            refused(partial(_stanzas, found(name)))


def _stanzas(stanzas: Iterator[object]) -> None:
    for stanza in stanzas:
        assert isinstance(stanza, Stanza)
        assert not {"", ".", ".."} & set(stanza.filename.split("/"))
        for clause in (*stanza.depends, *stanza.conflicts):
            for relation in clause:
                assert str(relation).startswith(relation.name)
                assert relation.accepts("") is (not relation.order)
                assert relation.accepts(relation.version or "1") is (
                    relation.order not in ("<<", ">>")
                )


def _deb(data: bytes) -> None:
    deb = open_deb(_Bytes(data), "it")
    changes = list(read_layer(PieceReader(deb.data()), "it"))
    opened = Opened(deb.control.name or "it", deb.control.paragraph, changes)
    base = root({"usr/lib": None, "lib": "usr/lib", "etc/passwd": b"x"})
    entries = add_packages(Root(base.tree, base.contents), [opened], _Nothing())
    for path, entry in entries.items():
        assert ".." not in path.split("/")
        assert not path.startswith("lib/")
        assert entry.meta.mode & 0o7000 == 0 or path in ("lib", "usr", "etc")
        assert entry.meta.uid == 0
    twin = opened._replace(name="twin")
    refused(partial(add_packages, _other_image(), [opened, twin], _Nothing()))


@cache
def _other_image() -> Root:
    """Return one that has the package, some of its files, and a cache of the loader."""
    there: dict[str, bytes | str] = {
        "etc/ld.so.cache": b"", "usr/lib/libgreet.so.1": b"hello", "lib": "usr/lib",
        "usr/lib/x": "y", "var/lib/dpkg/status.d/libgreet1": _DEB.paragraph.encode(),
        "var/lib/dpkg/status.d/libgreet1.md5sums": b"",
    }  # fmt: skip
    return root({**glibc_files(), **there})


def _xz(data: bytes) -> None:
    whole = b"".join(unxz(io.BytesIO(data), len(data), 1 << 20))
    assert whole == lzma.decompress(data, lzma.FORMAT_XZ)


_DATED: Final = {"Date": "Sat, 12 Sep 2026 07:55:41 UTC", "Valid-Until": ""}


def _source_seeds() -> Iterator[bytes]:
    yield (
        b"# c\nTypes: deb deb-src\nURIs: http://a.example/d/ https://b.example\nSuites: bookworm "
        b"bookworm-updates\nComponents: main contrib\nSigned-By: /a.gpg, /b.gpg\n\n"
        b"Types: deb\nEnabled: no\n\nTypes: deb\nURIs: http://c.example\nSuites: stable\n"
        b"Components: main\nCheck-Valid-Until: no\nSigned-By:\n"
        b" -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    yield b"deb [arch=amd64 signed-by=/a,/b check-valid-until=no] http://a.example trixie main # x\n"
    yield b"deb-src http://a.example x main\ndeb\n# deb\nid=x\n"
    yield b'ID=debian\nVERSION_CODENAME="bookworm"\nVERSION="13 (trixie)"\nA=\'b\'\n'
    yield b"http://a.example trixie main"
    yield b"Types: deb\nURIs: http://a.example\nSuites: bookworm\nComponents: main\nSigned-By: ABC\n"
    for line in (
        b"ftp://a x main", b"http://u:p@a x main", b"http://a x", b"http://a ../x main", b"[", b"",
        b"http://a.example/../x y main", b"http://a.example x a/../b", b"http://a.example x @",
        b"http://[::::]/d x main", b"http://u@[x x main",
        b"[signed-by=ABC] http://a.example x main", b"[a] [b] c d e", b"\xff\n\n\n\0",
    ):  # fmt: skip
        yield line
        yield b"deb " + line + b"\n"


def _release_seeds() -> Iterator[bytes]:
    whole = suite_of(_LISTS, **_DATED)
    yield whole
    yield suite_of(_LISTS, Acquire_By_Hash="", No_Support_for_Architecture_all="", **_DATED)
    until = {**_DATED, "Valid-Until": "Sat, 12 Sep 1998 07:55:41 UTC"}
    yield suite_of(
        _LISTS, Date="Sat, 12 Sep 1998 07:55:41 UTC", **{"Valid-Until": until["Valid-Until"]}
    )
    yield suite_of(_LISTS, Date="Sat, 12 Sep 1998 07:55:41 UTC", Codename="bookworm", Suite="trixie",
                   **{"Valid-Until": ""})  # fmt: skip
    yield suite_of(_LISTS, Codename="sid", Suite="sid", **_DATED)
    for old, new in (
        (b"SHA256:\n", b"SHA256:\n x\n"), (b"Origin", b"Suite: x\nOrigin"), (b"Origin: ", b"x"),
        (b"Date: Sat", b"Date: x"), (b" 1 main", b" 9999999999 main"), (b"main/binary-all", b"../x/binary-all"),
        (b"Sep 2026", b"Sep 999999999999"), (b"07:55:41", b"99:99:99"),
        (b"Origin", b"Components: main\n x\nOrigin"), (b"Origin", b" \nOrigin"),
    ):  # fmt: skip
        yield whole.replace(old, new, 1)


def _signed_seeds() -> Iterator[bytes]:
    whole = clear_signed(suite_of(_LISTS, **_DATED))
    yield from (whole, clear_signed(b"A: b\n- c\n"), clear_signed(b"A: b\n", "stranger"))
    yield from (whole + whole, b"x\n" + whole, whole + b"x", b"", whole[: len(whole) // 2])
    yield whole.replace(b"trixie", b"sid", 1)


def _package_seeds() -> Iterator[bytes]:
    whole = f"{_DEB.stanza}\n{Deb('aa', '2').stanza}\n{Deb('bb').stanza}".encode()
    yield whole
    for old, new in (
        (b"Filename: pool", b"Filename: ../pool"), (b"SHA256: ", b"SHA256: x"), (b"Size: ", b"Size: -"),
        (b"Version: 1", b"Version: _"), (b"Version: 1", b"Version: a"), (b"(>= 2.38)", b"((>= 2.38)"),
        (b"(>= 2.38)", b"(>= 2_38)"), (b"Size:", b"Size: 1\nSize:"), (b"Size:", b"x\nSize:"), (b"Size:", b" \nSize:"), (b"\n\n", b"\n"),
        (b"libc6 ", b"libc6:any [amd64] <!x> "), (b"Provides: ", b"Provides:\n "), (b"aa | ", b"|"),
        (b"(>= 2.38)", b"(= :)"), (b"Package: libgreet1", b"Package: libgreet1 x"),
    ):  # fmt: skip
        yield whole.replace(old, new, 1)
    yield b"Package: aa\nDepends: " + b"aa," * 2001 + b"\n"
    yield b"Package: aa\nX: " + b"a" * (1 << 20) + b"\n"


def _deb_seeds() -> Iterator[bytes]:
    binary, data = ("debian-binary", b"2.0\n"), _DEB.data
    control = ("control.tar", control_tar(_DEB.paragraph.encode(), ("postinst",)))
    whole = ar(binary, control, ("data.tar", data))
    yield from (
        whole,
        bytes(_DEB),
        bytes(Deb(form=".gz")),
        whole[:-9],
        whole + b"x",
        b"!<arch>\n",
        b"",
    )
    yield ar(control)
    yield whole.replace(b"100644  4         `", b"1006440000000000 4`", 1)
    yield ar(("debian-binary", b"3"), control)
    yield ar(binary, ("_x", b"y"), ("control.tar/", control[1]), ("data.tar", data), ("_z", b""))
    yield from (ar(binary, control), ar(*[binary] * 17), ar(binary, control, ("data.tar.bz2", b"")))
    for paragraph in (b"", b"nonsense", b"Package: x\n\nPackage: y\n", b"A: b\n \nA: b\n"):
        yield ar(binary, ("control.tar", control_tar(paragraph)), ("data.tar", data))
    for members in ((file("x"),), (symlink("control", "x"),), (file("control", b"A: b\n"),) * 2):
        yield ar(binary, ("control.tar", archive(*members)), ("data.tar", data))
    for member in (
        device("./d", 1, 3), file("./.wh.x"), hard_link("./a", "./b"), file("./../x"), file("./app/x"),
        file("./etc/passwd/x"), file("./etc/passwd", b"y"), directory("./etc/passwd/"), file("./lib"),
        file("./var/lib/dpkg/x"), directory("./var/lib/dpkg/x/"), symlink("./app", "/"), file("./lib/x/y"), directory("./lib/x/"), file("./usr/su", b"", mode=0o6755),
        file("./usr/lib/x", b"other"), symlink("./usr/lib/x", "./y"),
    ):  # fmt: skip
        more = Deb(files=_DEB.files, members=(member,), form="")
        yield ar(binary, control, ("data.tar", more.data))


def _xz_seeds() -> Iterator[bytes]:
    whole = lzma.compress(b"hello" * 99)
    yield from (whole, whole[:-4], whole + b"x", whole + whole, b"", b"\xfd7zXZ\0", whole[:20])
    yield lzma.compress(bytes(2 << 20))


TARGETS: Final = (
    Target(
        "apt-sources", _sources, _source_seeds, ("debs.sources",),
        (b"Types: deb\n", b"URIs: http://a.example\n", b"Suites: ", b"Components: main\n", b"[signed-by=", b"\n\n"),
    ),
    Target(
        "debian-release", _release, _release_seeds, ("debs.release", "debs.paragraph"),
        (b"SHA256:\n ", b"Date: ", b"Valid-Until: ", b"Codename: ", b"/binary-amd64/Packages"),
    ),
    Target("debian-signed", _signed, _signed_seeds, ("debs.signed",), (b"-----BEGIN PGP", b"\n- ")),
    Target(
        "debian-packages", _packages, _package_seeds, ("debs.packages", "debs.relations"),
        (b"Package: aa\n", b"Depends: ", b"Provides: ", b" (>= 1)", b"\n\n", b"Filename: ", b" | "),
        16 << 10,
    ),
    Target("deb", _deb, _deb_seeds, ("debs.deb", "plan.adding"), (b"data.tar", b"`\n", b"!<arch>\n"), 24 << 10),
    Target("xz", _xz, _xz_seeds, ("debs.xz",), (b"\xfd7zXZ\0", b"YZ")),
)  # fmt: skip
