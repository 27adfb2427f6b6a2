"""Packages' files: what is in them, and those that are none."""

from __future__ import annotations

import io
import lzma
from typing import TYPE_CHECKING

import pytest
import zstandard
from tests.build.debs import Deb, ar, control_tar
from tests.build.tar import archive, file, symlink

from layersmith.debs.deb import open_deb
from layersmith.debs.xz import unxz
from layersmith.errors import LayerError, PackageError

if TYPE_CHECKING:
    from collections.abc import Callable

DEB = Deb(files={"usr/lib/libgreet.so.1": b"hello"}, scripts=("postinst", "prerm"))
BINARY = ("debian-binary", b"2.0\n")
CONTROL = ("control.tar", control_tar(DEB.paragraph.encode()))
DATA = ("data.tar", DEB.data)


class Bytes:
    """Bytes that are read as an open file is."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def pread(self, size: int, offset: int) -> bytes:
        return self._data[offset : offset + size]


@pytest.mark.parametrize("form", ["", ".xz", ".gz"])
def test_a_package(form: str) -> None:
    deb = open_deb(Bytes(bytes(Deb(files=DEB.files, scripts=DEB.scripts, form=form))), "it")
    assert (deb.control.name, deb.control.version) == ("libgreet1", "1.0-1")
    assert deb.control.architecture == "amd64"
    assert deb.control.scripts == ("postinst",)
    assert deb.control.paragraph.decode() == DEB.paragraph
    assert b"".join(deb.data()) == DEB.data


def test_zstd_and_members_of_others() -> None:
    packed = zstandard.ZstdCompressor().compress(DEB.data)
    raw = ar(BINARY, ("_extra", b"x"), CONTROL, ("data.tar.zst", packed), ("_gpgbuilder", b"yz"))
    assert b"".join(open_deb(Bytes(raw), "it").data()) == DEB.data
    named = ar(*((f"{name}/", data) for name, data in (BINARY, CONTROL, DATA)))
    assert b"".join(open_deb(Bytes(named), "it").data()) == DEB.data


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no ar archive"),
        (b"PK\3\4" * 20, "no ar archive"),
        (b"!<arch>\n", "empty ar"),
        (ar(BINARY, CONTROL, DATA)[:-600], "damaged ar"),
        (ar(BINARY, CONTROL, DATA, end=b"x" * 30), "damaged ar"),
        (ar(BINARY, CONTROL, DATA).replace(b"4         `", b"-4        `", 1), "damaged ar"),
        (ar(BINARY, CONTROL, DATA).replace(b"4         `", b"9999999999`", 1), "damaged ar"),
        (ar(*[BINARY] * 17), "damaged ar"),
        (ar(BINARY, CONTROL, DATA).replace(b"debian-binary", b"debian binary", 1), "damaged ar"),
        (ar(BINARY, CONTROL, DATA).replace(b"4         `", b"4        4`", 1), "damaged ar"),
        (ar(BINARY, ("control.tar", control_tar(b"Package: evil\n \nPackage: good\n")), DATA), "line of blanks"),
        (ar(BINARY, ("control.tar", control_tar(b"Package: evil\nPackage: good\n")), DATA), "two fields package"),
        (ar(CONTROL, DATA), "start with its version"),
        (ar(("debian-binary", b"3.0\n"), CONTROL, DATA), "nobody knows"),
        (ar(("debian-binary", b"2" * 99), CONTROL, DATA), "start with its version"),
        (ar(BINARY, DATA, CONTROL), "members data.tar, control.tar"),
        (ar(BINARY, CONTROL), "members control.tar, not"),
        (ar(BINARY, CONTROL, CONTROL, DATA), "members"),
        (ar(BINARY, CONTROL, DATA, DATA), "members"),
        (ar(BINARY, CONTROL, ("data.tar.bz2", b"")), "members"),
        (ar(BINARY, ("control.tar", archive(file("other"))), DATA), "no control file"),
        (ar(BINARY, ("control.tar", archive(symlink("control", "/etc/passwd"))), DATA), "control files"),
        (ar(BINARY, ("control.tar", archive(file("control", b"A: b\n"), file("control", b"A: b\n"))), DATA), "two control"),
        (ar(BINARY, ("control.tar", archive(file("control", b"nonsense\n"))), DATA), "not a field"),
        (ar(BINARY, ("control.tar", archive(file("../control", b"A: b\n"))), DATA), "goes up"),
        (ar(BINARY, ("control.tar.xz", b"nonsense" * 9), DATA), "damaged xz"),
        (ar(BINARY, ("control.tar.gz", b"\x1f\x8b\x08\0" + bytes(6) + b"\xff" * 99), DATA), "damaged gzip"),
        (ar(BINARY, ("control.tar.gz", b""), DATA), "empty gzip"),
    ],
)  # fmt: skip
def test_what_is_no_package(raw: bytes, why: str) -> None:
    with pytest.raises(PackageError, match=why):
        open_deb(Bytes(raw), "it")


def test_columns_that_are_full() -> None:
    """A mode of eight digits beside a size of ten is no longer number."""
    raw = ar(BINARY, CONTROL, DATA).replace(b"100644  4         `", b"001006440000000004`", 1)
    assert open_deb(Bytes(raw), "it").control.name == "libgreet1"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-4], "ends too early"),
        (lambda data: data + b"x", "garbage behind"),
        (lambda data: data + data, "garbage behind"),
        (lambda data: b"\xfd7zXZ\0" + data[7:], "damaged xz"),
    ],
)
def test_xz_that_is_not_whole(change: Callable[[bytes], bytes], why: str) -> None:
    data = change(lzma.compress(b"hello" * 1000))
    with pytest.raises(LayerError, match=why):
        list(unxz(io.BytesIO(data), len(data)))


def test_an_xz_bomb() -> None:
    data = lzma.compress(bytes(70 << 20))
    with pytest.raises(LayerError, match=r"inflates to more"):
        for _ in unxz(io.BytesIO(data), len(data)):
            pass
    small = lzma.compress(bytes(1000))
    assert b"".join(unxz(io.BytesIO(small), len(small), 1000)) == bytes(1000)
    with pytest.raises(LayerError, match="more than 999"):
        list(unxz(io.BytesIO(small), len(small), 999))
