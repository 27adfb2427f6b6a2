"""What is in the image, by dpkg's own tools: just the packages that are shipped, every file."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.conftest import ARCHITECTURES, TARGET, Assembled, layersmith
from tests.interop.dpkg_peer import RECORDS, Admin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Rootfs = Callable[[str, str], Path]

pytestmark = pytest.mark.interop

# Of each of these a library is shipped that Python's modules need ...
LIBRARIES = {
    "libbz2-1.0", "libdb5.3t64", "libffi8", "libgdbm6t64", "liblzma5", "libncursesw6",
    "libreadline8t64", "libsqlite3-0", "libtinfo6", "libuuid1",
}  # fmt: skip
# (the fixtures' Python is Debian's, which does not bundle expat)
FIXTURES = {"libexpat1"}
# ... and of these what they read: descriptions of terminals, the locale, the keys.
DATA = {"ncurses-base", "libc-bin"}
# readline-common's postinst makes it: no package has it.
NOBODYS = {"/etc/inputrc"}


def layer(assembled: Assembled, arch: str) -> set[str]:
    """Return the regular files of the new layer, as a tar reader sees them."""
    about = next(p for p in assembled.document["platforms"] if p["platform"] == f"linux/{arch}")
    blob = assembled.layout / "blobs" / about["layer"]["digest"].replace(":", "/")
    with tarfile.open(blob) as tar:
        return {f"/{member.name}" for member in tar if member.isfile() or member.islnk()}


def unrecorded(files: set[str], admin: Admin) -> set[str]:
    """Return the files outside /usr/local that no record lists, but those that we made."""
    recorded = {path for name in admin.packages() for path in admin.files(name)}
    ours = (f"/{RECORDS}/", "/usr/local/", "/etc/")
    return {path for path in files - recorded if not path.startswith(ours)}


@pytest.fixture(scope="module")
def plans(assembled: Assembled, mirrors: tuple[str, ...]) -> dict[str, Any]:
    done = layersmith("plan", TARGET, *mirrors, "--json", "--cache-dir", str(assembled.cache))
    assert done.code == 0, done.err
    return {p["platform"].removeprefix("linux/"): p for p in done.document["platforms"]}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_file_is_without_an_owner(
    assembled: Assembled, plans: dict[str, Any], arch: str
) -> None:
    said = {file["path"]: file["owner"] for file in plans[arch]["files"]}
    files = layer(assembled, arch)
    assert files <= said.keys()
    nobodys = {path for path in files if said[path] is None}
    assert nobodys == {one["path"] for one in plans[arch]["unowned"] if one["reason"]}
    assert nobodys <= NOBODYS
    kinds = {said[path]["kind"] for path in files - nobodys}
    assert kinds == {"debian", "cpython", "layersmith"}
    ours = {path for path in files - nobodys if said[path]["kind"] == "layersmith"}
    assert {path for path in ours if not path.startswith(f"/{RECORDS}/")} <= {
        "/etc/passwd", "/etc/group", "/etc/ld.so.cache", "/etc/ld.so.conf",
    }  # fmt: skip


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_dpkg_lists_just_what_is_shipped(
    rootfs: Rootfs, assembled: Assembled, arch: str, tmp_path: Path
) -> None:
    base = Admin.of(rootfs("base", arch), tmp_path / "base").packages()
    result = Admin.of(rootfs("result", arch), tmp_path / "result")
    known = result.packages()
    assert base.items() <= known.items()
    ours = known.keys() - base.keys()
    assert LIBRARIES - ours <= base.keys()
    assert LIBRARIES & ours == ours - DATA - FIXTURES
    assert {arch, "all"} >= {architecture for _, architecture in known.values()}
    files = layer(assembled, arch)
    assert {path for name in ours for path in result.files(name)} <= files
    assert unrecorded(files, result) == set()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_dpkg_verifies_every_recorded_file(rootfs: Rootfs, arch: str, tmp_path: Path) -> None:
    result = Admin.of(rootfs("result", arch), tmp_path / "admin")
    base = Admin.of(rootfs("base", arch), tmp_path / "base")
    # (a base's record may claim more than the base has: that is not ours to mend)
    assert set(result.wrong()) <= set(base.wrong())
    copy = tmp_path / "changed"
    for name in (
        RECORDS,
        *sorted(p for n in LIBRARIES & result.packages().keys() for p in result.files(n)),
    ):
        source, target = result.rootfs / name.strip("/"), copy / name.strip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    library = next(p for p in sorted(result.files("libbz2-1.0")) if ".so" in p)
    with (copy / library.strip("/")).open("ab") as file:
        file.write(b"x")
    assert any(library in line for line in Admin(result.path, copy).wrong())


def test_a_record_that_is_missing_is_missed(
    rootfs: Rootfs, assembled: Assembled, tmp_path: Path
) -> None:
    files = layer(assembled, "amd64")
    whole = Admin.of(rootfs("result", "amd64"), tmp_path / "whole")
    for name in sorted(whole.packages().keys() & (LIBRARIES | DATA)):
        admin = Admin.of(rootfs("result", "amd64"), tmp_path / name, without=name)
        assert name not in admin.packages()
        assert unrecorded(files, admin), name
