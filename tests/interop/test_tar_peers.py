"""Layers as others read them: Go (umoci), GNU tar, libarchive and Python.

Every runtime reads layers with Go's archive/tar. Whatever we accept, it must accept
too, and make the same tree of it; and it must read what we write as we meant it.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.build.corpus import CASES, FRAMES, Case, Frame
from tests.build.layers import stacked
from tests.build.mutants import mutated, random_layers
from tests.build.stack import Blob, write_layout
from tests.build.tree import Shelf, described, entries, tree
from tests.interop.peers import need
from tests.interop.tarpeers import (
    Shown,
    can_own,
    devices,
    gnu_listing,
    go_layers,
    libarchive_listing,
    on_disk,
    our_listing,
    same_entries,
    seen,
)
from tests.interop.tarpeers import go_tree as unpacked

from layersmith.errors import LayerError
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Special
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import MemoryContents, Root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.build.tree import Literal
    from tests.interop.tarpeers import Seen

pytestmark = pytest.mark.interop

ACCEPTED = [case for case in CASES if case.is_accepted]


def go_tree(folder: Path, *layers: bytes, owned: bool = False) -> Seen:
    """Return what umoci makes of an image of `layers`; raises CalledProcessError."""
    umoci = need("umoci")
    write_layout(folder / "layout", {"t": [Blob.of(layer, "none") for layer in layers]})
    return unpacked(umoci, folder / "layout", "t", folder / "bundle", rootless=not owned)


def agreed(folder: Path, *layers: bytes) -> None:
    """Assert that Go makes the same tree of `layers` as we, as far as it may here."""
    root = stacked(*layers)
    owned = can_own(folder)
    absent = set() if owned else devices(root)
    ours, theirs = seen(root).without(absent), go_tree(folder, *layers, owned=owned).without(absent)
    assert theirs.paths == ours.paths
    assert theirs.inodes == ours.inodes
    assert theirs.owners == ours.owners or not owned


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_go_makes_the_same_tree_of_what_we_accept(case: Case, tmp_path: Path) -> None:
    agreed(tmp_path, *case.layers)


@pytest.mark.parametrize("seed", range(100))
def test_go_makes_the_same_tree_of_random_layers_that_we_accept(seed: int, tmp_path: Path) -> None:
    layers = random_layers(random.Random(seed))
    try:
        stacked(*layers)
    except LayerError:
        return
    agreed(tmp_path, *layers)


@pytest.mark.parametrize("seed", range(100))
def test_go_makes_the_same_tree_of_mutated_headers_that_we_accept(
    seed: int, tmp_path: Path
) -> None:
    data = mutated(random.Random(seed))
    try:
        stacked(data)
    except LayerError:
        return
    agreed(tmp_path, data)


@pytest.mark.parametrize("frame", [f for f in FRAMES if f.tar is not None], ids=lambda f: f.name)
def test_go_inflates_what_we_accept_to_the_same_bytes(frame: Frame, tmp_path: Path) -> None:
    blob = Blob(frame.blob, frame.compression, frame.tar or b"")
    write_layout(tmp_path / "layout", {"t": [blob]})
    inflated = go_layers(need("skopeo"), tmp_path / "layout", "t", tmp_path / "dir")
    assert inflated == [blob.layer.diff_id]


# Plain archives, as every writer makes them: here nobody may read anything else.
PLAIN = [
    "a PAX path",
    "a GNU name and a GNU link",
    "a hard link",
    "a device",
    "set-uid, set-gid and sticky",
]


@pytest.mark.parametrize("name", PLAIN)
def test_gnu_tar_and_libarchive_list_the_same_entries(name: str) -> None:
    (case,) = [case for case in CASES if case.name == name]
    for data in case.layers:
        ours = our_listing(data)
        assert same_entries(ours, gnu_listing(need("tar"), data)) == ""
        assert same_entries(ours, libarchive_listing(need("bsdtar"), data)) == ""


# what we write


FILLED: Literal = {
    "usr/bin/tool": File(Meta(0o755), b"tool"),
    "usr/lib/" + "long-" * 30 + "/" + "name-" * 19: b"both in a ustar header",
    "usr/lib/" + "/".join(["deep" * 20] * 10): b"in a PAX header",
    "usr/lib/" + "n" * 200: b"in a PAX header too",
    "etc/caf\N{LATIN SMALL LETTER E WITH ACUTE}": b"UTF-8",
    "etc/empty": b"",
    "etc/link": "../usr/bin/tool",
    "etc/long": "t/" * 120,
    "home/monty/": Directory(Meta(0o700, 1000, 1000), {}),
    "tmp/": Directory(Meta(0o1777), {}),
    "run/pipe": Special(Meta(0o600), Kind.FIFO),
    "srv/big": bytes(range(256)) * 5000,
}
BYTES: Literal = {"etc/caf\udce9": b"not UTF-8", "etc/to": "caf\udce9"}


def packed(literal: Literal, mtime: int = 1_700_000_000) -> bytes:
    return b"".join(pack(entries(literal), MemoryContents(), mtime))


def linked() -> tuple[Root, bytes]:
    """Return a tree where one inode has two names, and its layer."""
    shelf = Shelf()
    inode = shelf.file(b"one inode", 0o755)
    listed = entries(
        {"usr/bin/python3": inode, "usr/bin/python3.13": inode, "usr/bin/py": "python3"}
    )
    return Root(tree(listed), shelf), b"".join(pack(listed, shelf, 0))


def test_go_reads_what_we_pack(tmp_path: Path) -> None:
    filled = {**FILLED, **BYTES}
    assert go_tree(tmp_path, packed(filled)).paths == described(
        Root(tree(filled), MemoryContents())
    )


def test_go_makes_one_inode_of_our_hard_links(tmp_path: Path) -> None:
    shown, data = linked()
    theirs = go_tree(tmp_path, data)
    assert theirs.paths == described(shown)
    assert theirs.inodes == {frozenset({"usr/bin/python3", "usr/bin/python3.13"})}


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_tar_programs_extract_what_we_pack(program: str, tmp_path: Path) -> None:
    found = need(program)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        [found, "-x", "-p", "--no-same-owner", "-f", "-", "-C", str(out)],
        input=packed(FILLED),
        check=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    assert on_disk(out).paths == described(Root(tree(FILLED), MemoryContents()))
    assert (out / "usr/bin/tool").stat().st_mtime == 1_700_000_000


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_tar_programs_list_our_names_in_our_order(program: str) -> None:
    found = need(program)
    ran = subprocess.run(
        [found, "-t", "-f", "-"],
        input=packed(FILLED),
        check=True,
        capture_output=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    names = [line.rstrip("/") for line in ran.stdout.decode().splitlines()]
    assert names == sorted(entries(FILLED), key=str.encode)


def test_python_reads_what_we_pack() -> None:
    filled = {**FILLED, **BYTES}
    shown = dict(_members(packed(filled)))
    assert shown == described(Root(tree(filled), MemoryContents()))


def test_python_sees_our_owners_and_time_and_no_names_of_owners() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(FILLED, 12345))) as archive:
        members = archive.getmembers()
    assert {member.mtime for member in members} == {12345}
    assert {(member.uname, member.gname) for member in members} == {("", "")}
    owners = {member.name: (member.uid, member.gid) for member in members}
    assert owners.pop("home/monty") == (1000, 1000)
    assert set(owners.values()) == {(0, 0)}


def _members(data: bytes) -> Iterator[tuple[str, Shown]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.issym():
                yield member.name, ("link", member.linkname)
            elif member.isdir():
                yield member.name, ("directory", oct(member.mode))
            elif member.isfifo():
                yield member.name, ("FIFO", oct(member.mode), 0, 0)
            else:
                content = archive.extractfile(member)
                assert content is not None
                yield member.name, ("file", oct(member.mode), content.read())


# others write, we read


def test_we_read_what_gnu_tar_and_libarchive_write(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / ("d" * 120)).mkdir(parents=True)
    (source / "a/file").write_bytes(b"content")
    (source / "a/file").chmod(0o640)
    (source / "a" / ("d" * 120) / ("n" * 120)).write_bytes(b"x" * 1000)
    (source / "a/twin").hardlink_to(source / "a/file")
    (source / "a/link").symlink_to("t" * 150)
    os.mkfifo(source / "a/pipe", 0o600)
    wanted = on_disk(source).paths
    writers = [
        ["tar", "--format=gnu"],
        ["tar", "--format=posix"],
        ["tar", "--format=oldgnu"],
        ["bsdtar", "--format=pax"],
        ["bsdtar", "--format=gnutar"],
    ]
    for program, form in writers:
        if shutil.which(program) is None:
            continue
        ran = subprocess.run(
            [program, "-c", form, "-f", "-", "-C", str(source), "a"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert described(stacked(ran.stdout)) == wanted, (program, form)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_we_read_what_python_writes(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in (("d/a", b"1"), ("d/" + "n" * 90, b"2" * 600)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    shown = described(stacked(out.getvalue()))
    assert shown == {
        "d": ("directory", "0o755"),
        "d/a": ("file", "0o600", b"1"),
        "d/" + "n" * 90: ("file", "0o600", b"2" * 600),
    }
