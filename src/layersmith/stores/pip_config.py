"""What pip's configuration says of indexes, so that a machine that is set up for pip is for us.

In pip's order ("Configuration"): the system's files, the user's, the virtual environment's, the
one that ``PIP_CONFIG_FILE`` names, and the variables ``PIP_...``; what comes later wins. With
``PIP_CONFIG_FILE`` set to the null device no file counts. Of the sections, ``[global]`` and
``[install]`` matter.
"""

from __future__ import annotations

import configparser
import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersmith.errors import InvalidInput, one_line
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PipConfig", "default_index", "read_pip_config"]

_SECTIONS: Final = ("global", "install")
_KEYS: Final = (
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert",
)  # fmt: skip
_LARGEST: Final = 1 << 20
_TRUE: Final = frozenset({"1", "yes", "true", "on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PipConfig:
    """Where pip would look; URLs may have credentials in them, so none is ever shown."""

    index: str = field(default="", repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    no_index: bool = False
    trusted: tuple[str, ...] = ()
    cert: str = ""


def read_pip_config(variables: Mapping[str, str] = os.environ) -> PipConfig:
    """Read it; raises :class:`InvalidInput` for a file that cannot be understood."""
    said: dict[str, str] = {}
    for path in _files(variables):
        said |= _read(path)
    for key in _KEYS:
        name = f"PIP_{key.upper().replace('-', '_')}"
        if variables.get(name):
            said[key] = variables[name]
    return PipConfig(
        index=said.get("index-url", "").strip(),
        extra=tuple(said.get("extra-index-url", "").split()),
        find_links=tuple(said.get("find-links", "").split()),
        no_index=said.get("no-index", "").strip().lower() in _TRUE,
        trusted=tuple(said.get("trusted-host", "").split()),
        cert=said.get("cert", "").strip(),
    )


def default_index() -> str:
    """Return the index that the pip beside us asks where no index-url is set; "" without a pip.

    It stands in a module that pip promises nobody, so whatever goes wrong there is no answer.
    """
    try:
        module = importlib.import_module("pip._internal.models.index")
        url = module.PyPI.simple_url
    except Exception:  # noqa: BLE001 - see above
        return ""
    return url if isinstance(url, str) and url.startswith("https://") else ""


def _files(variables: Mapping[str, str]) -> Iterator[Path]:
    named = variables.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    for folder in variables.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        if folder:
            yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    home = Path(variables.get("HOME") or "/nonexistent")
    yield home / ".pip" / "pip.conf"
    yield Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if environment := variables.get("VIRTUAL_ENV"):
        yield Path(environment) / "pip.conf"
    if named:
        yield Path(named)


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        raw = read_file(path, _LARGEST)
    except OSError:
        return {}
    if len(raw) > _LARGEST:
        raise InvalidInput(f"{one_line(str(path))}: larger than {_LARGEST >> 20} MiB")
    try:
        parser.read_string(raw.decode("utf-8"), str(path))
    except (configparser.Error, UnicodeDecodeError):
        # Its own message would show the line, in which a password may be.
        raise InvalidInput(f"{one_line(str(path))}: no configuration of pip") from None
    found = {}
    for section in _SECTIONS:
        for key in _KEYS:
            value = parser.get(section, key, fallback="")
            if value:
                found[key] = value
    return found
