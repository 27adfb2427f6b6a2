"""Wheels for tests, whole or with something wrong; and locks of them."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layersmith.oci.digest import Digest
from layersmith.stores.files import OpenFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STAMP = (1980, 1, 1, 0, 0, 0)
EXECUTABLE = 0o100755
PLAIN = 0o100644


@dataclass(frozen=True)
class Made:
    """A wheel: its name and its bytes."""

    filename: str
    data: bytes = field(repr=False)

    @property
    def digest(self) -> Digest:
        return Digest.of(self.data)

    @property
    def requirement(self) -> str:
        """A line of requirements.txt."""
        name, version = self.filename.split("-")[:2]
        return f"{name}=={version} --hash={self.digest}"

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        path.write_bytes(self.data)
        return path

    def file(self, folder: Path) -> OpenFile:
        return OpenFile.at(self.write(folder))


def record_line(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def zipped(members: Mapping[str, bytes], **attributes: Any) -> bytes:
    """Return a zip; `attributes` are of names: ``modes={name: mode}``."""
    modes = attributes.get("modes", {})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, STAMP)
            info.create_system = 3
            info.external_attr = modes.get(name, PLAIN) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


def wheel(
    name: str = "demo",
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    scripts: Mapping[str, str] | None = None,
    metadata: str = "",
    record: str | None = None,
    more_record: str = "",
    modes: Mapping[str, int] | None = None,
    dist_info: Mapping[str, bytes] | None = None,
) -> Made:
    """Return a wheel; `scripts` are console scripts, `record` takes the place of its RECORD."""
    stem = f"{name}-{version}"
    info = f"{stem}.dist-info"
    members = dict(files if files is not None else {f"{name}/__init__.py": b"answer = 42\n"})
    purelib = "true" if tag.endswith("-any") else "false"
    members[f"{info}/METADATA"] = (
        metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    ).encode()
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {purelib}\nTag: {tag}\n"
    ).encode()
    if scripts:
        lines = "".join(f"{key} = {value}\n" for key, value in scripts.items())
        members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    members |= {f"{info}/{key}": value for key, value in (dist_info or {}).items()}
    if record is None:
        record = "".join(record_line(path, data) for path, data in members.items())
        record += f"{info}/RECORD,,\n"
    members[f"{info}/RECORD"] = (record + more_record).encode()
    return Made(f"{stem}-{tag}.whl", zipped(members, modes=modes or {}))


def requirements(*wheels: Made) -> str:
    return "".join(f"{each.requirement}\n" for each in wheels)


def pylock(*wheels: Made, where: str = "wheels", more: str = "") -> str:
    """Return a pylock.toml whose files lie in the directory `where` beside it."""
    text = f'lock-version = "1.0"\ncreated-by = "tests"\n{more}'
    by_name: dict[tuple[str, str], list[Made]] = {}
    for each in wheels:
        name, version = each.filename.split("-")[:2]
        by_name.setdefault((name, version), []).append(each)
    for (name, version), found in by_name.items():
        text += f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        for each in found:
            text += (
                f'\n[[packages.wheels]]\nname = "{each.filename}"\n'
                f'path = "{where}/{each.filename}"\nsize = {len(each.data)}\n'
                f'hashes = {{sha256 = "{each.digest.encoded}"}}\n'
            )
    return text
