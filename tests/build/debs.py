"""Debian's packages and an archive of them, byte by byte, signed with a key of the tests' own."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache, partial
from typing import TYPE_CHECKING

import pysequoia
from tests.build.tar import archive, directory, file, symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Archive", "Deb", "ar", "clear_signed", "control_tar", "keyring", "suite_of"]

_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".xz": lzma.compress,
    ".gz": partial(gzip.compress, mtime=0),
}


@cache
def _key(name: str) -> pysequoia.Tsk:
    return pysequoia.Tsk.generate(f"{name} <{name}@archive.example>")


def keyring(name: str = "archive") -> bytes:
    """Return the public part of a key."""
    return bytes(_key(name).extract_certificate())


def clear_signed(text: bytes, name: str = "archive") -> bytes:
    """Return a text signed as an archive signs its ``InRelease``."""
    return pysequoia.sign(_key(name).signer(), text, mode=pysequoia.SignatureMode.CLEAR)


def ar(*members: tuple[str, bytes], end: bytes = b"") -> bytes:
    """Return an ar archive, its members padded to even sizes."""
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out + end


def control_tar(paragraph: bytes, scripts: Sequence[str] = ()) -> bytes:
    members = [file(f"./{name}", b"#!/bin/sh\n", mode=0o755) for name in scripts]
    return archive(directory("./"), file("./control", paragraph), *members)


@dataclass(frozen=True)
class Deb:
    """A package: what it says, and what it has; `fields` are further fields of its paragraph."""

    name: str = "libgreet1"
    version: str = "1.0-1"
    files: Mapping[str, bytes | str | None] = field(default_factory=dict)
    depends: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"
    form: str = ".xz"
    scripts: tuple[str, ...] = ()
    members: tuple[bytes, ...] = ()  # of data.tar, further ones

    @property
    def filename(self) -> str:
        version = self.version.rpartition(":")[2]
        return f"pool/main/{self.name}_{version}_{self.architecture}.deb"

    @property
    def paragraph(self) -> str:
        said = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@archive.example>",
            **({"Depends": self.depends} if self.depends else {}),
            **self.fields,
            "Description": "a package of the tests",
        }
        return "".join(f"{name}: {value}\n" for name, value in said.items())

    @property
    def data(self) -> bytes:
        folders = sorted({p for name in self.files for p in _parents(f"./{name}")})
        members = [directory("./"), *(directory(f"{path}/") for path in folders)]
        for path, content in self.files.items():
            if content is None:
                members.append(directory(f"./{path}/"))
            elif isinstance(content, str):
                members.append(symlink(f"./{path}", content))
            else:
                members.append(file(f"./{path}", content, mode=0o755 if ".so" in path else 0o644))
        return archive(*members, *self.members)

    def __bytes__(self) -> bytes:
        """Return the file."""
        pack = _FORMS[self.form]
        control = control_tar(self.paragraph.encode(), self.scripts)
        return ar(
            ("debian-binary", b"2.0\n"),
            (f"control.tar{self.form}", pack(control)),
            (f"data.tar{self.form}", pack(self.data)),
        )

    @property
    def stanza(self) -> str:
        data = bytes(self)
        return (
            f"{self.paragraph}Filename: {self.filename}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
        )


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]


def suite_of(files: Mapping[str, bytes], **said: str) -> bytes:
    """Return a Release over `files`; what is said empty is left out."""
    now = time.time()
    fields = {
        "Origin": "Debian",
        "Suite": "stable",
        "Codename": "trixie",
        "Date": formatdate(now - 60).replace("-0000", "UTC"),
        "Valid-Until": formatdate(now + 86400).replace("-0000", "UTC"),
        "Acquire-By-Hash": "yes",
        "Architectures": "all amd64 arm64",
        "No-Support-for-Architecture-all": "Packages",
        **{key.replace("_", "-"): value for key, value in said.items()},
    }
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    lines.append("SHA256:")
    lines += [
        f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}" for path, data in files.items()
    ]
    return ("\n".join(lines) + "\n").encode()


@dataclass
class Archive:
    """Packages of one suite, as an archive serves them: path -> bytes."""

    debs: Sequence[Deb]
    suite: str = "trixie"
    said: Mapping[str, str] = field(default_factory=dict)
    form: str = ".xz"
    signer: str = "archive"

    def files(self) -> dict[str, bytes]:
        lists: dict[str, bytes] = {}
        served: dict[str, bytes] = {}
        for architecture in ("amd64", "arm64"):
            stanzas = [d.stanza for d in self.debs if d.architecture in (architecture, "all")]
            plain = "\n".join(stanzas).encode()
            path = f"main/binary-{architecture}/Packages"
            packed = _FORMS[self.form](plain)
            lists |= {path: plain, path + self.form: packed}
            by_hash = f"main/binary-{architecture}/by-hash/SHA256/"
            served[by_hash + hashlib.sha256(packed).hexdigest()] = packed
        release = clear_signed(suite_of(lists, **self.said), self.signer)
        found = {f"dists/{self.suite}/{path}": data for path, data in served.items()}
        found[f"dists/{self.suite}/InRelease"] = release
        return found | {deb.filename: bytes(deb) for deb in self.debs}
