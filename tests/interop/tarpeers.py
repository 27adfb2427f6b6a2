"""What others make of layers: Go (umoci, skopeo) of images, GNU tar and libarchive of archives.

Every answer is brought into one form, so that two readings are equal or they are not.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tests.build.tree import described

from layersmith.rootfs.entries import File, Slice
from layersmith.rootfs.tar import TarReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from layersmith.rootfs.tree import Root

Shown: TypeAlias = "tuple[object, ...]"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
PATIENCE = 60


@dataclass(frozen=True)
class Seen:
    """A file system: what a person sees of it, whose it is, and which names are one file."""

    paths: dict[str, Shown]
    owners: dict[str, tuple[int, int]] = field(default_factory=dict)
    inodes: frozenset[frozenset[str]] = frozenset()

    def without(self, paths: set[str]) -> Seen:
        """Return it without some paths."""
        return Seen(
            {path: what for path, what in self.paths.items() if path not in paths},
            {path: who for path, who in self.owners.items() if path not in paths},
            self.inodes,
        )


def seen(root: Root) -> Seen:
    """Return what we make of layers."""
    inodes: defaultdict[object, set[str]] = defaultdict(set)
    owners = {}
    for path, entry in root.tree.walk():
        owners[path] = (entry.meta.uid, entry.meta.gid)
        if isinstance(entry, File) and isinstance(entry.content, Slice):
            inodes[entry.content.layer, entry.content.offset].add(path)
    return Seen(described(root), owners, _shared(inodes))


def devices(root: Root) -> set[str]:
    """Return the paths of devices, which only root can make."""
    return {path for path, what in described(root).items() if what[0] in ("CHAR", "BLOCK")}


def on_disk(folder: Path) -> Seen:
    """Return what stands below `folder`."""
    paths, owners = {}, {}
    inodes: defaultdict[object, set[str]] = defaultdict(set)
    for name, path, status in _walked(folder, ""):
        paths[name] = _shown(path, status)
        owners[name] = (status.st_uid, status.st_gid)
        if stat.S_ISREG(status.st_mode):
            inodes[status.st_dev, status.st_ino].add(name)
    return Seen(paths, owners, _shared(inodes))


def _walked(folder: Path, below: str) -> Iterator[tuple[str, str, os.stat_result]]:
    todo = [(os.fspath(folder), below)]
    while todo:
        here, prefix = todo.pop()
        with os.scandir(here) as listing:
            for item in listing:
                status = item.stat(follow_symlinks=False)
                yield prefix + item.name, item.path, status
                if stat.S_ISDIR(status.st_mode):
                    todo.append((item.path, f"{prefix}{item.name}/"))


def _shown(path: str, status: os.stat_result) -> Shown:
    kind, mode = status.st_mode, oct(stat.S_IMODE(status.st_mode))
    if stat.S_ISLNK(kind):
        return "link", os.readlink(path)  # noqa: PTH115 - a Path would tidy it
    if stat.S_ISDIR(kind):
        return "directory", mode
    if stat.S_ISREG(kind):
        with open(path, "rb") as file:  # noqa: PTH123
            return "file", mode, file.read()
    name = "FIFO" if stat.S_ISFIFO(kind) else "CHAR" if stat.S_ISCHR(kind) else "BLOCK"
    return name, mode, os.major(status.st_rdev), os.minor(status.st_rdev)


def _shared(inodes: dict[object, set[str]]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(names) for names in inodes.values() if len(names) > 1)


# Go: what every runtime reads layers with


def missing_peers(programs: Iterable[str]) -> list[str]:
    """Return the programs that are not here."""
    return [program for program in programs if shutil.which(program) is None]


def can_own(folder: Path) -> bool:
    """Tell whether files can be given away here, and devices made, as a runtime does it."""
    probe = folder / "probe"
    try:
        os.mknod(probe, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.chown(probe, 1, 1)
        probe.unlink()
    except OSError:
        return False
    return True


def go_tree(umoci: str, layout: Path, tag: str, folder: Path, *, rootless: bool = True) -> Seen:
    """Return what umoci makes of an image; raises CalledProcessError where it refuses."""
    command = [umoci, "unpack", *(["--rootless"] if rootless else [])]
    command += ["--image", f"{layout}:{tag}", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        return on_disk(folder / "rootfs")
    finally:
        removed(folder)


def go_layers(skopeo: str, layout: Path, tag: str, folder: Path) -> list[str]:
    """Return the digests of an image's layers as skopeo inflates them.

    Raises CalledProcessError where it refuses one.
    """
    command = [skopeo, "copy", "-q", "--insecure-policy", "--dest-decompress"]
    command += [f"oci:{layout}:{tag}", f"dir:{folder}"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        document = json.loads((folder / "manifest.json").read_bytes())
        return [_digest(folder / each["digest"].partition(":")[2]) for each in document["layers"]]
    finally:
        removed(folder)


def removed(folder: Path) -> None:
    """Remove a directory of any depth, which shutil cannot."""
    subprocess.run(["rm", "-rf", str(folder)], check=True, timeout=PATIENCE)


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


# archives, entry by entry


@dataclass(frozen=True)
class Line:
    """One entry of an archive; what a reader does not tell is left as it is here."""

    path: str
    kind: str
    mode: int
    owner: tuple[int, int]
    size: int = 0
    link: str = ""
    device: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Listing:
    """An archive as a reader tells it: its entries, and the bytes of all files in a row."""

    lines: tuple[Line, ...]
    content: bytes


def tidy(name: str) -> str:
    """Return a name as all mean it: no leading, trailing or double slashes, no dots."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def our_listing(data: bytes) -> Listing:
    """Return what our reader tells; raises LayersmithError."""
    reader = TarReader(io.BytesIO(data))
    lines: list[Line] = []
    pieces: list[bytes] = []
    for entry in reader:
        link = tidy(entry.link) if entry.type == "1" else entry.link
        owner, device = (entry.uid, entry.gid), (entry.major, entry.minor)
        kind = entry.type
        lines.append(Line(entry.path, kind, entry.mode, owner, entry.size, link, device))
        pieces += reader.content()
    return Listing(tuple(lines), b"".join(pieces))


def libarchive_listing(bsdtar: str, data: bytes) -> Listing:
    """Return what libarchive reads: it writes that again, as an archive without riddles.

    Raises CalledProcessError where it refuses or warns.
    """
    command = [bsdtar, "-P", "--format=pax", "-cf", "-", "@-"]
    again = _asked(command, data)
    lines: list[Line] = []
    pieces: list[bytes] = []
    with tarfile.open(fileobj=io.BytesIO(again)) as archive:
        for member in archive:
            link = tidy(member.linkname) if member.islnk() else member.linkname
            lines.append(
                Line(
                    tidy(member.name),
                    member.type.decode(),
                    member.mode & 0o7777,
                    (member.uid, member.gid),
                    member.size,
                    link if member.islnk() or member.issym() else "",
                    (member.devmajor, member.devminor) if member.isdev() else (0, 0),
                )
            )
            content = archive.extractfile(member) if member.isreg() else None
            pieces.append(content.read() if content else b"")
    return Listing(tuple(lines), b"".join(pieces))


def gnu_listing(tar: str, data: bytes) -> Listing:
    """Return what GNU tar reads; raises CalledProcessError where it refuses."""
    shown = [tar, "-tvf", "-", "--numeric-owner", "--quoting-style=c", "--full-time"]
    lines = [_gnu_line(line) for line in _asked(shown, data).decode().splitlines()]
    return Listing(tuple(lines), _asked([tar, "-xOf", "-"], data))


def _asked(command: list[str], data: bytes) -> bytes:
    ran = subprocess.run(
        command, input=data, capture_output=True, check=True, timeout=PATIENCE, env=ENVIRONMENT
    )
    return ran.stdout


_GNU_LINE = re.compile(
    r"(?P<mode>\S{10}) (?P<uid>\d+)/(?P<gid>\d+) +(?P<size>[\d,]+) \S+ \S+"
    r' "(?P<name>(?:[^"\\]|\\.)*)"(?: (?:->|link to) "(?P<link>(?:[^"\\]|\\.)*)")?'
)
_GNU_KINDS = {"-": "0", "h": "1", "l": "2", "c": "3", "b": "4", "d": "5", "p": "6"}


def _gnu_line(line: str) -> Line:
    match = _GNU_LINE.fullmatch(line)
    if match is None:
        return Line(line, "?", 0, (0, 0))
    kind = _GNU_KINDS.get(match["mode"][0], "?")
    is_device = kind in "34"
    numbers = match["size"].split(",")
    link = _unquoted(match["link"] or "")
    return Line(
        tidy(_unquoted(match["name"])),
        kind,
        _bits(match["mode"][1:]),
        (int(match["uid"]), int(match["gid"])),
        0 if is_device else int(numbers[0]),
        tidy(link) if kind == "1" else link,
        (int(numbers[0]), int(numbers[1])) if is_device else (0, 0),
    )


def _unquoted(text: str) -> str:
    """Undo the quoting of C."""
    raw = text.encode("utf-8", "surrogateescape").decode("latin-1")
    raw = re.sub(r"\\(.)", lambda m: m[0] if m[1] in "abfnrtv\\01234567" else m[1], raw)
    return (
        raw.encode("latin-1")
        .decode("unicode_escape")
        .encode("latin-1")
        .decode("utf-8", "surrogateescape")
    )


def _bits(letters: str) -> int:
    """Return the mode that ls writes as rwxr-xr-x."""
    mode = 0
    for place, letter in enumerate(letters):
        if letter in "rwxst":
            mode |= 0o400 >> place
        if letter.lower() in "st":
            mode |= (0o4000, 0o2000, 0o1000)[place // 3]
    return mode


def same_entries(ours: Listing, theirs: Listing) -> str:
    """Return how another reading differs from ours, or nothing.

    What cannot matter is passed over: a link's mode, and a root that is spelled as nothing.
    """
    if len(ours.lines) != len(theirs.lines):
        return f"{len(theirs.lines)} entries, not {len(ours.lines)}"
    for one, other in zip(ours.lines, theirs.lines, strict=True):
        left = _plain(one)
        right = _plain(other)
        if left != right:
            return f"{right}, not {left}"
    return "" if ours.content == theirs.content else "other contents"


def _plain(line: Line) -> Line:
    mode = 0 if line.kind in "12" else line.mode
    size = line.size if line.kind == "0" else 0
    return Line(line.path, line.kind, mode, line.owner, size, line.link, line.device)
