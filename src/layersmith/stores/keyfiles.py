"""Where keys are kept: files, and variables of the environment (``env://NAME``)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from layersmith.errors import InvalidKey, OutputError, one_line
from layersmith.stores.files import appearing, disk_errors
from layersmith.userfiles import read_file

__all__ = ["key_name", "read_key", "write_pair"]

_ENVIRONMENT: Final = "env://"
_LARGEST: Final = 64 << 10


def key_name(where: str) -> str:
    """Return how a key is called in messages; what a variable holds is never shown."""
    return one_line(where, 200)


def read_key(where: str) -> bytes:
    """Return the bytes of a key; raises :class:`InvalidKey`."""
    if not where:  # it would be the current directory
        raise InvalidKey("the key's name is empty", hint="is a variable not set?")
    if where.startswith(_ENVIRONMENT):
        name = where.removeprefix(_ENVIRONMENT)
        value = os.environ.get(name)
        if not value:
            raise InvalidKey(f"the variable {one_line(name, 60)} holds no key")
        return value.encode(errors="surrogateescape")
    if "://" in where:
        kind = one_line(where.partition("://")[0], 40)
        raise InvalidKey(f"{kind}:// keys are not supported", hint="give a file, or env://NAME")
    try:
        raw = read_file(Path(where), _LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        raise InvalidKey(f"{key_name(where)} cannot be read: {why}") from None
    if len(raw) > _LARGEST:
        raise InvalidKey(f"{key_name(where)} is larger than {_LARGEST >> 10} KiB: no key")
    return raw


def write_pair(prefix: Path, private: bytes, public: bytes) -> tuple[Path, Path]:
    """Write ``PREFIX.key`` and ``PREFIX.pub``, both or none, and never over what is there.

    Only the owner can read the private one, from its first byte on. Raises
    :class:`OutputError`.
    """
    secret, open_ = (prefix.with_name(prefix.name + end) for end in (".key", ".pub"))
    for path in (secret, open_):
        if path.is_symlink() or path.exists():
            raise _in_the_way(path)
    _write(secret, private, 0o600)
    try:
        _write(open_, public, 0o644)
    except BaseException:
        secret.unlink(missing_ok=True)
        raise
    return secret, open_


def _write(path: Path, data: bytes, mode: int) -> None:
    with disk_errors(f"writing {one_line(str(path))}"):
        try:
            with appearing(path, durable=True, fresh=True, mode=mode) as new:
                new.write(data)
        except FileExistsError:
            raise _in_the_way(path) from None


def _in_the_way(path: Path) -> OutputError:
    return OutputError(
        f"{one_line(str(path))} is there already: keys are never written over",
        hint="choose another name with -o, or move it away",
    )
