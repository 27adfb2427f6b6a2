"""dpkg as a judge of an image without dpkg: its records, put together as dpkg keeps them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

RECORDS = "var/lib/dpkg/status.d"
_LINE = re.compile(r"([0-9a-f]{32})  (.+)")


@dataclass(frozen=True)
class Admin:
    """A directory that ``dpkg --admindir`` takes, made of an unpacked image's ``status.d``."""

    path: Path
    rootfs: Path

    @classmethod
    def of(cls, rootfs: Path, path: Path, *, without: str = "") -> Admin:
        """Copy the records, all but those of the package `without`."""
        info = path / "info"
        info.mkdir(parents=True)
        (path / "updates").mkdir()
        (path / "available").touch()
        (info / "format").write_text("1\n")
        paragraphs = []
        for record in sorted((rootfs / RECORDS).iterdir()):
            if record.name.endswith(".md5sums") or record.name == without:
                continue
            control = record.read_text().strip("\n")
            paragraphs.append(f"{control}\nStatus: install ok installed\n")
            same = "\nMulti-Arch: same" in control
            arch = re.search(r"^Architecture: (.+)$", control, re.MULTILINE)
            assert arch, record
            name = f"{record.name}:{arch[1]}" if same else record.name
            sums = record.with_name(f"{record.name}.md5sums").read_text()
            listed = [match[2] for match in map(_LINE.fullmatch, sums.splitlines()) if match]
            assert len(listed) == len(sums.splitlines()), record
            (info / f"{name}.md5sums").write_text(sums)
            (info / f"{name}.list").write_text("".join(f"/{line}\n" for line in [".", *listed]))
        (path / "status").write_text("\n".join(paragraphs))
        return cls(path, rootfs)

    def packages(self) -> dict[str, tuple[str, str]]:
        """Return what dpkg-query lists: name -> version and architecture."""
        form = "${Package} ${Version} ${Architecture}\\n"
        shown = self._run("dpkg-query", "--show", f"--showformat={form}")
        rows = (line.split(" ") for line in shown.splitlines())
        return {name: (version, arch) for name, version, arch in rows}

    def sources(self) -> dict[str, tuple[str, str]]:
        """Return each package's source and the source's version."""
        form = "${Package} ${source:Package} ${source:Version}\\n"
        shown = self._run("dpkg-query", "--show", f"--showformat={form}")
        rows = (line.split(" ") for line in shown.splitlines())
        return {name: (source, version) for name, source, version in rows}

    def files(self, package: str) -> set[str]:
        """Return what ``dpkg-query --listfiles`` gives, without the root."""
        return set(self._run("dpkg-query", "--listfiles", package).split("\n")) - {"", "/.", "/"}

    def wrong(self) -> list[str]:
        """Return what ``dpkg --verify`` finds: files that are gone or have other bytes."""
        done = subprocess.run(
            ["dpkg", f"--admindir={self.path}", f"--instdir={self.rootfs}", "--verify"],
            capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
        assert not done.stderr, done.stderr
        return done.stdout.splitlines()

    def _run(self, program: str, *arguments: str) -> str:
        return subprocess.run(
            [program, f"--admindir={self.path}", *arguments],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
