"""Our ELF reader against pyelftools, which reads by sections what we read by segments."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.segments import InterpSegment

from layersmith.analysis.elf import read_elf

pytestmark = pytest.mark.interop

Facts = tuple[object, ...]


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("kind", ["base", "builder"])
def test_every_object_is_read_alike(
    kind: str, arch: str, rootfs: Callable[[str, str], Path]
) -> None:
    count = 0
    for path, data in elf_files(rootfs(kind, arch)):
        count += 1
        read, expected = ours(data), theirs(data)
        if ELFFile(io.BytesIO(data)).num_sections() == 0:  # only segments tell the versions
            read, expected = read[:4], expected[:4]
        assert (path, read) == (path, expected)
    assert count >= 20


def elf_files(root: Path) -> Iterator[tuple[Path, bytes]]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if data[:4] == b"\x7fELF":
                yield path, data


def ours(data: bytes) -> Facts:
    elf = read_elf(data, "x")
    assert elf is not None
    needs = [tuple(need) for need in elf.version_needs]
    names = (elf.soname, elf.rpath, elf.runpath, elf.interpreter)
    return (elf.bits, elf.is_dynamic, names, list(elf.needed), needs, list(elf.versions))


def theirs(data: bytes) -> Facts:
    file = ELFFile(io.BytesIO(data))
    needed: list[str] = []
    named: dict[str, str] = {}
    is_dynamic = False
    interpreter = None
    for segment in file.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        if isinstance(segment, DynamicSegment):
            is_dynamic = True
            for tag in segment.iter_tags():
                kind = str(tag.entry.d_tag).removeprefix("DT_").lower()
                if kind == "needed":
                    needed.append(getattr(tag, kind))
                elif kind in ("soname", "rpath", "runpath"):
                    named[kind] = getattr(tag, kind)
    names = (*(named.get(kind) for kind in ("soname", "rpath", "runpath")), interpreter)
    needs, versions = version_tables(file)
    return (file.elfclass, is_dynamic, names, needed, needs, versions)


def version_tables(file: ELFFile) -> tuple[list[tuple[str, str, bool]], list[str]]:
    needs: list[tuple[str, str, bool]] = []
    versions: list[str] = []
    for section in file.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for need, wanted in section.iter_versions():
                needs += [(str(need.name), one.name, bool(one["vna_flags"] & 2)) for one in wanted]
        elif isinstance(section, GNUVerDefSection):
            versions += [next(iter(names)).name for _, names in section.iter_versions()]
    return needs, versions
