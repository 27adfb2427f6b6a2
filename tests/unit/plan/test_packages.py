"""Package records: just what is shipped, beside the base's own, never at odds with them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.build.tree import root

from layersmith.errors import RecipeError
from layersmith.plan.packages import record_packages
from layersmith.plan.placing import Placing
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from tests.build.tree import Literal

RECORDS = "var/lib/dpkg/status.d"
BUILDER: Literal = {
    "var/lib/dpkg/status": (
        b"Package: liba\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
        b"Package: libb\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n\n"
        b"Package: doc-base\nStatus: install ok installed\nArchitecture: all\nVersion: 3\n"
    ),
    "var/lib/dpkg/info/liba:amd64.list": (
        b"/usr/lib/a.so.1.0\n/usr/lib/a.so.1\n/usr/bin/a\n/usr/share/doc/liba/copyright\n"
    ),
    "var/lib/dpkg/info/libb:amd64.list": b"/usr/lib/b.so\n/usr/share/doc/libb\n",
    "var/lib/dpkg/info/doc-base.list": b"/usr/share/doc/doc-base/copyright\n",
    "usr/lib/a.so.1.0": b"a",
    "usr/lib/a.so.1": "a.so.1.0",
    "usr/bin/a": b"never shipped",
    "usr/lib/b.so": b"b",
    "usr/lib/local.so": b"of no package",
    "usr/share/doc/liba/copyright": b"free a",
    "usr/share/doc/libb": "doc-base",
    "usr/share/doc/doc-base/copyright": b"free b",
}
LIBC = {f"{RECORDS}/libc6": b"Package: libc6\nVersion: 2\nArchitecture: amd64\n"}


def placed(base: Literal, *paths: str, exclude: tuple[str, ...] = ()) -> Placing:
    placing = Placing(root(base), root(BUILDER))
    for path in paths:
        placing.take(path, "test")
    record_packages(placing, exclude)
    return placing


def text(placing: Placing, path: str) -> str:
    entry = placing.entries[path]
    assert isinstance(entry, File)
    assert isinstance(entry.content, bytes)
    return entry.content.decode()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_record_lists_just_the_regular_files_that_are_shipped() -> None:
    placing = placed(LIBC, "usr/lib/a.so.1.0", "usr/lib/a.so.1", "usr/lib/local.so")
    assert text(placing, f"{RECORDS}/liba").startswith("Package: liba\n")
    assert text(placing, f"{RECORDS}/liba.md5sums") == (
        f"{md5(b'a')}  usr/lib/a.so.1.0\n{md5(b'free a')}  usr/share/doc/liba/copyright\n"
    )
    records = {path for path in placing.entries if path.startswith(f"{RECORDS}/")}
    assert records == {f"{RECORDS}/liba", f"{RECORDS}/liba.md5sums"}


def test_a_copyright_file_of_another_package_is_that_packages() -> None:
    placing = placed(LIBC, "usr/lib/b.so")
    assert text(placing, f"{RECORDS}/libb.md5sums") == f"{md5(b'b')}  usr/lib/b.so\n"
    assert text(placing, f"{RECORDS}/doc-base.md5sums") == (
        f"{md5(b'free b')}  usr/share/doc/doc-base/copyright\n"
    )


def test_a_copyright_file_can_be_excluded() -> None:
    placing = placed(LIBC, "usr/lib/a.so.1.0", exclude=("usr/share/doc/**",))
    assert "usr/share/doc/liba/copyright" not in placing.entries


def test_no_package_no_record() -> None:
    placing = placed(LIBC, "usr/lib/local.so")
    assert not [path for path in placing.entries if path.startswith(RECORDS)]


def test_the_bases_record_of_the_same_package_grows() -> None:
    base = {
        f"{RECORDS}/liba": b"Package: liba\nVersion: 1\nArchitecture: amd64\nOrigin: base\n",
        f"{RECORDS}/liba.md5sums": b"0123  usr/lib/elsewhere\n",
    }
    placing = placed(base, "usr/lib/a.so.1.0")
    assert f"{RECORDS}/liba" not in placing.entries
    lines = text(placing, f"{RECORDS}/liba.md5sums").splitlines()
    assert lines[0] == "0123  usr/lib/elsewhere"
    assert f"{md5(b'a')}  usr/lib/a.so.1.0" in lines


@pytest.mark.parametrize(
    "other", ["Version: 9\nArchitecture: amd64", "Version: 1\nArchitecture: arm64"]
)
def test_another_version_in_the_base_is_refused(other: str) -> None:
    base = {f"{RECORDS}/liba": f"Package: liba\n{other}\n".encode()}
    with pytest.raises(RecipeError, match="the base has liba") as caught:
        placed(base, "usr/lib/a.so.1.0")
    assert "--replace-package liba" in caught.value.hint
