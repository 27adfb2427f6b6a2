"""Where packages' files land on an image, and what no package may do there."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest
from tests.build.debs import Deb
from tests.build.elf import elf
from tests.build.tar import device, directory, fifo, file, hard_link, symlink
from tests.build.tree import root
from tests.unit.analysis.worlds import glibc_files

from layersmith.analysis.ldcache import write_cache
from layersmith.errors import ClosureError, PackageError, UnsafePath
from layersmith.plan.adding import Opened, add_packages
from layersmith.rootfs.entries import Directory, File, Slice, Symlink
from layersmith.rootfs.layer import overlay, put, read_layer
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.rootfs.entries import Entry

LIB = "usr/lib/x86_64-linux-gnu"
IMAGE = {
    "usr/lib": None, "lib": "usr/lib", "etc/passwd": b"root", "usr/share/doc": None,
    "usr/bin/sh": b"shell", "opt/there": "nowhere", "usr/same": b"same",
}  # fmt: skip


class Tars:
    """The data of packages, by name."""

    def __init__(self) -> None:
        self.tars: dict[str, bytes] = {}

    def read(self, file: File) -> bytes:
        content = file.content
        if isinstance(content, bytes):
            return content
        tar = self.tars.get(content.layer)
        if tar is None:
            return IMAGE_ROOT.contents.read(file)
        return tar[content.offset : content.offset + content.size]

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self.read(file)


IMAGE_ROOT = root(IMAGE)


def opened(deb: Deb, tars: Tars) -> Opened:
    tars.tars[deb.name] = deb.data
    changes = list(read_layer(io.BytesIO(deb.data), deb.name))
    return Opened(deb.name, deb.paragraph.encode(), changes)


def added(*debs: Deb, base: Root = IMAGE_ROOT) -> dict[str, Entry]:
    tars = Tars()
    return add_packages(base, [opened(deb, tars) for deb in debs], tars)


def names(entries: dict[str, Entry]) -> set[str]:
    """Return what is neither a directory nor a record."""
    return {
        path
        for path, entry in entries.items()
        if not isinstance(entry, Directory) and not path.startswith("var/lib/dpkg/")
    }


def read(entry: Entry) -> bytes:
    assert isinstance(entry, File)
    assert isinstance(entry.content, bytes)
    return entry.content


def test_through_the_links_of_the_image() -> None:
    deb = Deb(files={"lib/x86_64-linux-gnu/libgreet.so.1.0": b"hello",
                     f"{LIB}/libgreet.so.1": "libgreet.so.1.0"})  # fmt: skip
    found = added(deb)
    assert names(found) == {f"{LIB}/libgreet.so.1.0", f"{LIB}/libgreet.so.1"}
    assert "lib" not in found
    assert all(parent in found for parent in ("usr", "usr/lib", LIB))


def test_the_record_is_of_what_is_there() -> None:
    deb = Deb(files={"lib/a": b"hello", "usr/b": "a", "usr/share/man/man1/a.1": b"page",
                     "usr/same": b"same"})  # fmt: skip
    found = added(deb)
    assert read(found["var/lib/dpkg/status.d/libgreet1"]) == deb.paragraph.encode()
    md5 = hashlib.md5(b"hello").hexdigest()
    assert read(found["var/lib/dpkg/status.d/libgreet1.md5sums"]) == f"{md5}  usr/lib/a\n".encode()


def test_what_only_people_read_is_left_out() -> None:
    deb = Deb(files={
        "usr/share/doc/libgreet1/copyright": b"free", "usr/share/doc/libgreet1/changelog.gz": b"x",
        "usr/share/doc/libgreet1/examples/copyright": b"x", "usr/share/doc/libgreet2": "libgreet1",
        "usr/share/man/man1/a.1": b"x", "usr/share/info/a": b"x", "usr/share/lintian/o/a": b"x",
        "usr/share/locale/de/LC_MESSAGES/a.mo": b"x", "usr/share/documents/a": b"kept",
    })  # fmt: skip
    found = added(deb)
    assert names(found) == {
        "usr/share/doc/libgreet1/copyright", "usr/share/doc/libgreet2", "usr/share/documents/a"
    }  # fmt: skip
    assert "usr/share/man" not in found


def test_root_owns_all_and_nothing_is_setuid() -> None:
    deb = Deb(files={"usr/a": b"x"}, members=(
        file("./usr/su", b"x", mode=0o6755, uid=7), directory("./var/mail/", mode=0o2775),
        hard_link("./usr/c", "./usr/a"),
    ))  # fmt: skip
    found = added(deb)
    assert found["usr/su"].meta.mode == 0o755
    assert {entry.meta.uid for entry in found.values()} == {0}
    assert found["var/mail"].meta.mode == 0o755
    first, second = found["usr/a"], found["usr/c"]
    assert isinstance(first, File)
    assert isinstance(second, File)
    assert first.content == second.content
    assert isinstance(first.content, Slice)


def test_dpkg_s_own_directories_are_left_out() -> None:
    found = added(Deb(files={"usr/a": b"x", "var/lib/dpkg/alternatives": None, "app": None}))
    assert "usr/a" in found
    assert "app" not in found
    assert "var/lib/dpkg/alternatives" not in found


def test_names_do_not_drive_a_terminal() -> None:
    with pytest.raises(ClosureError) as caught:
        added(Deb("liba", files={"usr/\x1b[2Jx": b"y"}), Deb("libb", files={"usr/\x1b[2Jx": None}))
    assert "\x1b" not in str(caught.value)


def test_two_packages_with_one_file() -> None:
    other = Deb("libother1", files={"usr/a": b"x", "usr/b": "a"})
    assert {"usr/a", "usr/b"} <= names(added(Deb(files={"usr/a": b"x", "usr/b": "a"}), other))
    with pytest.raises(ClosureError, match="libother1 and another package have another /usr/a"):
        added(Deb(files={"usr/a": b"y"}), other)
    with pytest.raises(ClosureError, match="another /lib/a"):
        added(Deb("liba", files={"usr/lib/a": b"y"}), Deb("libb", files={"lib/a": b"x"}))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"usr/bin/sh": b"other"}, "another /usr/bin/sh than the image"),
        ({"usr/bin/sh": "x"}, "another /usr/bin/sh than the image"),
        ({"usr/lib": b"x"}, "another /usr/lib than the image"),
        ({"lib": "x"}, "another /lib than the image"),
        ({"etc/passwd": None}, "the directory /etc/passwd, the image something else"),
        ({"etc/passwd/x": b"x"}, "no directory"),
        ({"opt/there/x": b"x"}, "link to nothing|something else"),
    ],
)
def test_nothing_of_the_image_is_changed(files: dict[str, bytes | str | None], why: str) -> None:
    with pytest.raises(ClosureError, match=why) as caught:
        added(Deb(files=files))
    assert caught.value.hint


def test_a_link_of_a_package_is_no_way_for_another() -> None:
    ones = Deb("liba", files={"opt/x": "/etc"}), Deb("libb", files={"opt/x/shadow": b"x"})
    with pytest.raises(ClosureError, match="something else"):
        added(*ones)


def test_a_link_is_no_way_within_a_package() -> None:
    deb = Deb(files={"opt/x": "/etc"}, members=(file("./opt/x/shadow", b"x"),))
    with pytest.raises(ClosureError, match="below what is no directory"):
        added(deb)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (device("./dev/null", 1, 3), "device or a pipe"),
        (fifo("./run/pipe"), "device or a pipe"),
        (file("./usr/.wh.sh"), "whiteout"),
        (file("./usr/.wh..wh..opq"), "whiteout"),
        (hard_link("./usr/x", "./usr/bin/sh"), "link to nothing"),
        (file("./app/x"), "not a package's"),
        (symlink("./app", "/etc"), "not a package's"),
        (symlink("./var/lib/dpkg", "/app"), "not a package's"),
        (file("./var/lib/dpkg/status.d/libc6"), "not a package's"),
    ],
)
def test_what_no_package_has(member: bytes, why: str) -> None:
    with pytest.raises(PackageError, match=why):
        added(Deb(members=(member,)))


def test_a_name_that_goes_up() -> None:
    with pytest.raises(UnsafePath, match="goes up"):
        added(Deb(members=(file("./../etc/x"),)))


def test_the_rest_of_a_package_that_is_there() -> None:
    there = b"0" * 32 + b"  usr/lib/x\n"
    base = root({**IMAGE, "var/lib/dpkg/status.d/libgreet1": Deb().paragraph.encode(),
                 "var/lib/dpkg/status.d/libgreet1.md5sums": there})  # fmt: skip
    tars = Tars()
    deb = opened(Deb(files={"usr/a": b"x"}), tars)

    class Both(Tars):
        def read(self, file: File) -> bytes:
            is_ours = isinstance(file.content, Slice) and file.content.layer in tars.tars
            return tars.read(file) if is_ours else base.contents.read(file)

    found = add_packages(base, [deb], Both())
    assert "var/lib/dpkg/status.d/libgreet1" not in found
    sums = read(found["var/lib/dpkg/status.d/libgreet1.md5sums"])
    assert sums == there + hashlib.md5(b"x").hexdigest().encode() + b"  usr/a\n"


def test_the_loader_s_cache_knows_the_new_library() -> None:
    base = root({**glibc_files(), "etc/ld.so.cache": b"old"})
    library = elf(soname="libgreet.so.1", needed=["libc.so.6"])
    tars = Tars()
    deb = opened(Deb(files={"usr/lib/libgreet.so.1": library}), tars)

    class Both(Tars):
        def read(self, file: File) -> bytes:
            is_ours = isinstance(file.content, Slice) and file.content.layer in tars.tars
            return tars.read(file) if is_ours else base.contents.read(file)

    found = add_packages(base, [deb], Both())
    cache = read(found["etc/ld.so.cache"])
    assert b"libgreet.so.1\0" in cache
    final = Root(overlay([[put(path, found[path]) for path in sorted(found)]], base.tree), Both())
    assert cache == write_cache(final)
    assert isinstance(added(Deb(files={"usr/l": "m"}))["usr/l"], Symlink)
    assert "etc/ld.so.cache" not in added(Deb(files={"usr/a": b"x"}))
