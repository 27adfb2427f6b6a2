"""Which libraries ldconfig would find, by the names that programs ask for.

This is `search_dir` of glibc's elf/ldconfig.c without its side effects: the links that
it would make are reported instead. What it prefers and what it skips is decided here;
`ldcache` only writes it down, and `loader` asks it as ld.so asks the cache.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.analysis.elf import Machine
from layersmith.analysis.objects import find_directory
from layersmith.rootfs.entries import Directory, File, Symlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.analysis.elf import ElfFile
    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.objects import Objects
    from layersmith.rootfs.tree import Root

__all__ = ["Entry", "Index", "NewLink", "cache_flags", "name_order", "read_index"]

HWCAPS: Final = "glibc-hwcaps"


class Entry(NamedTuple):
    """One line of the cache. `hwcaps` is the glibc-hwcaps subdirectory it is for."""

    soname: str
    path: str
    flags: int
    hwcaps: str | None = None
    isa_level: int = 0


class NewLink(NamedTuple):
    """A symbolic link that ldconfig would make at `path`, so that an entry is true."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Index:
    """The entries in the order of the cache, and all hwcaps names that were met."""

    entries: tuple[Entry, ...]
    hwcaps: tuple[str, ...]
    links: tuple[NewLink, ...]
    by_name: dict[str, Entry]

    def lookup(self, name: str) -> str | None:
        """Return the path that ld.so would read for `name` on the baseline CPU.

        As `search_cache` (elf/dl-cache.c): names are equal where their numbers are.
        """
        entry = self.by_name.get(_unpadded(name))
        return entry.path if entry else None


def name_order(name: str, *, signed: bool = False) -> str:
    """Return what orders names as `_dl_cache_libcmp`: numbers by value, above letters.

    `signed` is whether the machine's `char` is, which only names beyond ASCII show.
    """
    text = name.encode("utf-8", "surrogateescape").decode("latin-1")
    return _NUMBERS.sub(_number, text).translate(_SIGNED if signed else _UNSIGNED) + _END


# A name as text whose own order is the one that is wanted: letters from 256 on, so that
# the end can sort below them, and above the letters that a signed char makes negative.
_END: Final = "\u0100"
_NUMBER: Final = "\uffff"
_UNSIGNED: Final = {code: code + 256 for code in range(256)}
_SIGNED: Final = {code: code + 256 if code < 128 else code for code in range(256)}
_NUMBERS: Final = re.compile("[0-9]+")


def _number(digits: re.Match[str]) -> str:
    value = digits[0].lstrip("0")
    return f"{_NUMBER}{chr(512 + len(value))}{value}"  # a longer number is a larger one


def _unpadded(name: str) -> str:
    """Return what is equal for names that order as equals: their numbers have one value."""
    return _PADDING.sub("", name)


_PADDING: Final = re.compile("(?<![0-9])0+(?=[0-9])")


def read_index(root: Root, glibc: Glibc, directories: Iterable[str], objects: Objects) -> Index:
    """Index `directories` (of ld.so.conf) and then the loader's own, as ldconfig would."""
    scan = _Scan(root, glibc, objects)
    for directory in (*directories, *glibc.system):
        scan.add(directory)
    for place in scan.places:
        scan.search(place)
    # Stable sorts, the least significant first: `compare` of elf/cache.c.
    entries = sorted(scan.entries, key=lambda entry: (entry.hwcaps is None, entry.hwcaps or ""))
    entries.sort(key=lambda entry: entry.flags, reverse=True)
    entries.sort(key=lambda entry: scan.order(entry.soname), reverse=True)
    by_name: dict[str, Entry] = {}
    own = _FLAGS[Machine(glibc.machine)] if glibc.bits == 64 else None
    for entry in entries:
        if entry.hwcaps is None and own in (None, entry.flags):
            by_name.setdefault(_unpadded(entry.soname), entry)
    return Index(tuple(entries), tuple(dict.fromkeys(scan.hwcaps)), tuple(scan.links), by_name)


class _Place(NamedTuple):
    """A directory as it was named, where it really is, and the hwcaps it is for."""

    name: str
    path: str
    hwcaps: str | None


class _Library(NamedTuple):
    """The best file so far for one soname in one directory."""

    name: str
    flags: int
    is_link: bool
    isa_level: int


class _Scan:
    """One run of ldconfig: directories first, then the libraries in each."""

    def __init__(self, root: Root, glibc: Glibc, objects: Objects) -> None:
        self.root, self.glibc, self.objects = root, glibc, objects
        self.places: list[_Place] = []
        self.seen: set[str] = set()
        self.entries: list[Entry] = []
        self.hwcaps: list[str] = []
        self.links: list[NewLink] = []

    def add(self, name: str) -> None:
        """Add a directory unless it was reached before, by whatever name (`add_single_dir`)."""
        found = find_directory(self.root, name)
        if found is None or found[0] in self.seen:
            return
        self._place(name, found[0], None)
        below = find_directory(self.root, f"{name}/{HWCAPS}")
        for child in sorted(below[1].children) if below else ():
            if child.startswith(".") or ":" in child:
                continue
            inner = find_directory(self.root, f"{name}/{HWCAPS}/{child}")
            if inner is not None:
                self.hwcaps.append(child)
                if inner[0] not in self.seen:
                    self._place(f"{name}/{HWCAPS}/{child}", inner[0], child)

    def _place(self, name: str, path: str, hwcaps: str | None) -> None:
        self.seen.add(path)
        self.places.append(_Place(name, path, hwcaps))

    def search(self, place: _Place) -> None:
        """Pick one file for each soname of a directory."""
        best: dict[str, _Library] = {}
        for soname, library in self._libraries(place):
            if soname not in best or self._is_better(library, best[soname]):
                best[soname] = library
        for soname, library in best.items():
            if place.hwcaps is None and not library.is_link:
                self._link(place, library.name, soname)
            name = soname if place.hwcaps is None else library.name
            path, level = f"{place.name}/{name}", library.isa_level
            self.entries.append(Entry(soname, path, library.flags, place.hwcaps, level))

    def _is_better(self, library: _Library, known: _Library) -> bool:
        """Prefer a file to a link, then the one with the higher name."""
        if library.is_link != known.is_link:
            return known.is_link
        return self.order(known.name) < self.order(library.name)

    def order(self, name: str) -> str:
        """Return what orders names here."""
        return name_order(name, signed=self.glibc.machine in (Machine.X86_64, Machine.I386))

    def _libraries(self, place: _Place) -> Iterator[tuple[str, _Library]]:
        directory = self.root.tree.entry(place.path)
        assert isinstance(directory, Directory)
        for name in sorted(directory.children):
            entry = directory.children[name]
            is_link = isinstance(entry, Symlink)
            # In a glibc-hwcaps directory a link is followed whatever its name.
            any_name = is_link and place.hwcaps is not None
            if not (is_link or isinstance(entry, File)):
                continue
            if not _is_considered(name, any_name=any_name, version=self.glibc.version):
                continue
            opened = self.objects.open(self.root, f"{place.path}/{name}")
            if opened is None or opened.elf is None or not opened.elf.is_shared:
                continue
            elf = opened.elf
            flags = cache_flags(elf, self.glibc)
            if flags is None or not elf.is_dynamic:
                continue
            soname = name if elf.soname is None else elf.soname
            # A link counts as one if it has the soname's own name, or is the one for ld(1).
            is_link &= name == soname or (name.endswith(".so") and soname.startswith(name))
            level = elf.isa_level
            yield (name if is_link else soname), _Library(name, flags, is_link, level)

    def _link(self, place: _Place, name: str, soname: str) -> None:
        """Note the link that `create_links` would make; loaders are never relinked."""
        path = f"{place.path}/{soname}"
        there = self.objects.open(self.root, path)
        if there is not None:
            file = self.objects.open(self.root, f"{place.path}/{name}")
            is_link = isinstance(self.root.tree.entry(path), Symlink)
            if not is_link or soname.startswith("ld") or (file and file.inode == there.inode):
                return
        self.links.append(NewLink(path, name))


def _is_considered(name: str, *, any_name: bool, version: tuple[int, ...]) -> bool:
    """Whether ldconfig opens the file at all (`_dl_is_dso`, `skip_dso_based_on_name`)."""
    is_dso = (name.startswith(("lib", "ld-")) and ".so" in name) or name.startswith(
        ("ld.so.", "ld64.so.")
    )
    if not (is_dso or any_name) or name.endswith(".#prelink#") or name[-17:-6] == ".#prelink#.":
        return False
    # What rpm and dpkg leave while they unpack is known to ldconfig since glibc 2.39.
    temporary = name.endswith((".dpkg-new", ".dpkg-tmp")) or ";" in name
    return not temporary or () < version < (2, 39)


# FLAG_ELF_LIBC6 and the bits of sysdeps/generic/ldconfig.h
_LIBC6: Final = 0x3
_FLAGS: Final = {
    Machine.X86_64: 0x303,
    Machine.S390: 0x403,
    Machine.PPC64: 0x503,
    Machine.AARCH64: 0xA03,
    Machine.RISCV: 0x1003,
    Machine.LOONGARCH: 0x1203,
}


def cache_flags(elf: ElfFile, glibc: Glibc) -> int | None:
    """Return the flags of an entry; None for what this machine's ldconfig leaves out.

    Each machine has its own readelflib.c: x86 looks at the machine of the file, aarch64
    at nothing but its class.
    """
    if glibc.machine in (Machine.X86_64, Machine.I386):
        if elf.machine == Machine.X86_64:
            return _FLAGS[Machine.X86_64] if elf.bits == 64 else 0x803
        return _LIBC6 if (elf.machine, elf.bits) == (Machine.I386, 32) else None
    if glibc.machine in (Machine.AARCH64, Machine.ARM):
        return _FLAGS[Machine.AARCH64] if elf.bits == 64 else _arm_flags(elf.flags)
    return _FLAGS.get(Machine(elf.machine)) if elf.abi == glibc.abi else None


def _arm_flags(flags: int) -> int:
    """Hard-float and soft-float objects of EABI version 5 are told apart."""
    if flags >> 24 != 5:
        return _LIBC6
    return 0x903 if flags & 0x400 else 0xB03 if flags & 0x200 else _LIBC6
