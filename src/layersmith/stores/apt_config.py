"""apt's own configuration: where this machine takes its packages from, if it is a Debian.

``/etc/apt/sources.list`` and, of ``/etc/apt/sources.list.d``, what ends in ``.list`` or
``.sources`` (sources.list(5)). What apt keeps of passwords (apt_auth.conf(5)) is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from layersmith.errors import InvalidInput, one_line
from layersmith.stores.files import disk_errors

__all__ = ["Host", "read_host", "read_text"]

_LIST: Final = "etc/apt/sources.list"
_FOLDER: Final = "etc/apt/sources.list.d"
_RELEASE: Final = "etc/os-release"
_KEYRINGS: Final = tuple(
    f"usr/share/keyrings/debian-archive-keyring.{suffix}" for suffix in ("pgp", "gpg")
)
_LARGEST: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Host:
    """What a machine says: `sources` are names and texts of files, `keyring` is Debian's own."""

    release: str = ""
    sources: tuple[tuple[str, str], ...] = ()
    keyring: str = ""
    root: Path = field(default=Path("/"))


def read_host(root: Path = Path("/")) -> Host:
    """Read it; a machine without apt has nothing to say."""
    folder = root / _FOLDER
    files = [root / _LIST] if (root / _LIST).is_file() else []
    if folder.is_dir():
        files += sorted(each for each in folder.iterdir() if each.suffix in (".list", ".sources"))
    sources = tuple((str(path), read_text(path)) for path in files if path.is_file())
    release = read_text(root / _RELEASE) if (root / _RELEASE).is_file() else ""
    keyring = next((root / each for each in _KEYRINGS if (root / each).is_file()), "")
    return Host(release, sources, str(keyring), root)


def read_text(path: Path) -> str:
    """Return a file of a user's or of the system; raises :class:`InvalidInput`."""
    return read_bytes(path).decode("utf-8", "replace")


def read_bytes(path: Path) -> bytes:
    """Return a file of a user's or of the system; raises :class:`InvalidInput`."""
    shown = one_line(str(path), 200)
    if not path.is_file():
        raise InvalidInput(f"there is no file {shown}")
    with disk_errors(f"reading {shown}"), path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise InvalidInput(f"{shown}: more than {_LARGEST >> 20} MiB")
    return data
