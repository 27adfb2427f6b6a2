"""What an image says of how it is run: its user, its programs; and what every sandbox adds.

Names are looked up in the image's tree, never on this host's disk.
"""

from __future__ import annotations

import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersmith.errors import InvalidInput, UnsafePath, one_line
from layersmith.rootfs.entries import Directory, File, Meta
from layersmith.rootfs.layer import overlay, put
from layersmith.rootfs.tree import Root, canonical
from layersmith.sandbox.task import EMULATOR, Ids, TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.oci.documents import ImageConfig
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.layer import Change

__all__ = [
    "DEFAULT_PATH",
    "command_line",
    "furnished",
    "home_of",
    "stop_signal_of",
    "user_of",
]

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOSTS: Final = b"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tlayersmith\n"
_OPEN: Final = Directory(Meta(0o1777), {})
_SHUT: Final = Directory(Meta(0o755), {})
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_SIGNAL: Final = re.compile(r"(?:SIG)?([A-Z][A-Z0-9]{1,9})(?:\+([0-9]{1,2}))?", re.ASCII)
_LAST_SIGNAL: Final = 64
_MAX_ID: Final = 2**32 - 2
_MAX_TABLE: Final = 1 << 20
_MAX_SCRIPTS: Final = 4
_FIRST_LINE: Final = 256  # BINPRM_BUF_SIZE of Linux


def user_of(root: Root, text: str) -> Ids:
    """Return the ids of a config's ``User``: ``uid``, ``user``, ``uid:gid``, ``user:group``.

    An empty one is root's (image-spec config.md). Raises :class:`InvalidInput` for a name
    that the image's own accounts do not have.
    """
    name, _, group = text.partition(":")
    accounts = list(_table(root, "etc/passwd", 7))
    known = next((line for line in accounts if name and name in (line[0], line[2])), None)
    if _NUMBER.fullmatch(name or "0"):
        uid = int(name or 0)
    elif known is not None and _NUMBER.fullmatch(known[2]):
        uid = int(known[2])
    else:
        raise InvalidInput(f"the image's user is {one_line(name, 60)!r}, whom it does not have")
    if not group:
        gid = known[3] if known is not None else "0"
    elif _NUMBER.fullmatch(group):
        gid = group
    else:
        gid = next((line[2] for line in _table(root, "etc/group", 4) if line[0] == group), "")
    if not _NUMBER.fullmatch(gid) or max(uid, int(gid)) > _MAX_ID:
        raise InvalidInput(f"the image's user is {one_line(text, 60)!r}, whose group it has not")
    return Ids(uid, int(gid))


def home_of(root: Root, uid: int) -> str:
    """Return the home that the image's accounts give a user, ``/`` for strangers."""
    lines = _table(root, "etc/passwd", 7)
    return next((line[5] for line in lines if line[2] == str(uid) and line[5]), "/")


def stop_signal_of(config: ImageConfig) -> int:
    """Return the number of the signal that tells the image's program to end.

    It is SIGTERM where the config says none; else a name, with SIG or without, or a number
    (image-spec config.md, "StopSignal"). Raises :class:`InvalidInput` for what is no signal.
    """
    text = (config.config.stop_signal if config.config else None) or "SIGTERM"
    number = int(text) if _NUMBER.fullmatch(text) else 0
    if match := _SIGNAL.fullmatch(text):
        named = getattr(signal, f"SIG{match[1]}", None)
        number = named + int(match[2] or 0) if isinstance(named, signal.Signals) else 0
    if not 0 < number <= _LAST_SIGNAL:
        raise InvalidInput(f"the image's stop signal is {one_line(text, 60)!r}, which is none")
    return number


def _table(root: Root, path: str, fields: int) -> Iterator[list[str]]:
    found = root.tree.lookup(path)
    if isinstance(found, File) and found.size <= _MAX_TABLE:
        for line in root.contents.read(found).decode("utf-8", "surrogateescape").split("\n"):
            parts = line.split(":")
            if len(parts) == fields:
                yield parts


def furnished(root: Root, writable: Sequence[str], *, network: bool) -> Root:
    """Return `root` with what runtimes put into every container: mount points, hosts.

    Raises :class:`UnsafePath` where the image has no directory where there must be one, and
    :class:`TaskError` for a directory to be writable that is none.
    """
    changes: list[Change] = []
    for name in ("proc", "dev", "tmp"):
        if not isinstance(root.tree.entry(name), Directory | None):
            raise UnsafePath("no directory, so nothing can be mounted there", path=f"/{name}")
        changes.append(put(name, _OPEN if name == "tmp" else _SHUT))
    for place in writable:
        found = root.tree.resolve(canonical(place))
        if found is None or not isinstance(found.entry, Directory) or found.links:
            real = f": it is /{found.path}" if found is not None and found.links else ""
            raise TaskError(f"{one_line(place, 200)} is no directory of the image{real}")
        # Some runtimes give what they mount there the mode of what it hides.
        changes.append(put(found.path, _OPEN))
    if isinstance(root.tree.entry("etc"), Directory):
        changes += [put(name, file) for name, file in _settings(root, network=network)]
    return Root(overlay([changes], root.tree), root.contents)


def _settings(root: Root, *, network: bool) -> Iterator[tuple[str, File]]:
    settings = {"etc/hosts": _HOSTS}
    if network:
        with suppress(OSError):
            settings["etc/resolv.conf"] = Path("/etc/resolv.conf").read_bytes()
    for name, content in settings.items():
        if isinstance(root.tree.entry(name), File | None):
            yield name, File(Meta(0o644), content)


def command_line(
    root: Root, words: Sequence[str], env: Mapping[str, str], workdir: str, *, emulated: bool
) -> tuple[str, ...]:
    """Return what the kernel is to execute for `words`, whose first is a program of the image.

    An emulator of one program is not the kernel: it starts neither what is no program nor
    what a script names, so that is worked out here. Raises :class:`TaskError`.
    """
    path, entry = _program(root, words[0], env.get("PATH") or DEFAULT_PATH, workdir)
    line = (path, *words[1:])
    if not emulated:
        return line
    for _ in range(_MAX_SCRIPTS):
        first = b"".join(_beginning(root, entry))
        if not first.startswith(b"#!"):
            return (EMULATOR, *line)
        shebang = first[2:].partition(b"\n")[0].strip().decode("utf-8", "surrogateescape")
        interpreter, _, argument = shebang.partition(" ")
        path, entry = _program(root, interpreter, "", "/")
        line = (path, *([argument.strip()] if argument.strip() else []), *line)
    raise TaskError(f"{one_line(words[0], 200)}: scripts that start scripts")


def _beginning(root: Root, entry: File) -> Iterator[bytes]:
    """Yield the first bytes; a file is read whole, or nothing of it is verified."""
    left = _FIRST_LINE
    for piece in root.contents.chunks(entry):
        yield piece[:left]
        left -= len(piece[:left])


def _program(root: Root, word: str, path: str, workdir: str) -> tuple[str, File]:
    """Find a program as execvp(3) does, in the image."""
    if "/" in word:
        places = [word if word.startswith("/") else f"{workdir}/{word}"]
    else:
        places = [f"{folder}/{word}" for folder in path.split(":") if folder.startswith("/")]
    found: Entry | None = None
    for place in places if word else ():
        entry = root.tree.lookup(place)
        if isinstance(entry, File) and entry.meta.mode & 0o111:
            return place, entry
        found = found or entry
    what = "is not executable" if found is not None else "is not in the image"
    where = "" if "/" in word or found is not None else f" (PATH is {one_line(path, 200)})"
    raise TaskError(f"the program {one_line(word, 200)!r} {what}{where}")
