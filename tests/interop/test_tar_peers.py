"""Layers as others read them: Go (umoci), GNU tar, libarchive and Python.

Every runtime reads layers with Go's archive/tar. Whatever we accept, it must accept
too, and make the same tree of it; and it must read what we write as we meant it.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING, TypeAlias

import pytest
from tests.build.hostile import CASES, DEVICES, Case
from tests.build.image import Made
from tests.build.layers import stacked
from tests.build.mutants import mutated, random_layers
from tests.build.tree import Shelf, described, entries, tree
from tests.interop.peers import need

from layersmith.errors import LayerError
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Special
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import MemoryContents, Root
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.build.tree import Literal

pytestmark = pytest.mark.interop

Shown: TypeAlias = "tuple[object, ...]"
COMPARED = [case for case in CASES if case.is_accepted and case not in DEVICES]


def go_tree(folder: Path, *layers: bytes) -> dict[str, Shown]:
    """Return what umoci makes of an image of `layers`; raises CalledProcessError."""
    umoci = need("umoci")
    layout = Layout(folder / "layout")
    layout.tag("t", Made(layers, compression="none").put(layout))
    command = [umoci, "unpack", "--rootless", "--image", f"{folder}/layout:t", f"{folder}/bundle"]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return on_disk(folder / "bundle/rootfs")


def on_disk(root: Path) -> dict[str, Shown]:
    """Return what stands below `root`, as `described` does for a tree."""
    return dict(_walked(root, ""))


def _walked(folder: Path, below: str) -> Iterator[tuple[str, Shown]]:
    for path in sorted(folder.iterdir()):
        name = f"{below}{path.name}"
        status = path.lstat()
        mode = oct(stat.S_IMODE(status.st_mode))
        if path.is_symlink():
            yield name, ("link", os.readlink(path))  # noqa: PTH115 - a Path would tidy it
        elif path.is_dir():
            yield name, ("directory", mode)
            yield from _walked(path, f"{name}/")
        elif path.is_file():
            yield name, ("file", mode, path.read_bytes())
        else:
            yield name, ("FIFO" if path.is_fifo() else "other", mode, 0, 0)


@pytest.mark.parametrize("case", COMPARED, ids=lambda case: case.name)
def test_go_makes_the_same_tree_of_what_we_accept(case: Case, tmp_path: Path) -> None:
    assert go_tree(tmp_path, *case.layers) == described(stacked(*case.layers))


@pytest.mark.parametrize("seed", range(100))
def test_go_makes_the_same_tree_of_random_layers_that_we_accept(seed: int, tmp_path: Path) -> None:
    layers = random_layers(random.Random(seed))
    try:
        ours = described(stacked(*layers))
    except LayerError:
        return
    assert go_tree(tmp_path, *layers) == ours


@pytest.mark.parametrize("seed", range(100))
def test_go_makes_the_same_tree_of_mutated_headers_that_we_accept(
    seed: int, tmp_path: Path
) -> None:
    data = mutated(random.Random(seed))
    try:
        ours = described(stacked(data))
    except LayerError:
        return
    theirs = go_tree(tmp_path, data)
    devices = {path for path, shown in ours.items() if shown[0] in ("CHAR", "BLOCK")}
    assert without(theirs, devices) == without(ours, devices)


def without(shown: dict[str, Shown], paths: set[str]) -> dict[str, Shown]:
    return {path: what for path, what in shown.items() if path not in paths}


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
    assert go_tree(tmp_path, packed(filled)) == described(Root(tree(filled), MemoryContents()))


def test_go_makes_one_inode_of_our_hard_links(tmp_path: Path) -> None:
    shown, data = linked()
    assert go_tree(tmp_path, data) == described(shown)
    files = tmp_path / "bundle/rootfs/usr/bin"
    assert (files / "python3").samefile(files / "python3.13")


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
    assert on_disk(out) == described(Root(tree(FILLED), MemoryContents()))
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
    wanted = on_disk(source)
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
