"""Interpreters to build with: this machine's, and our own image's in a sandbox, emulated too.

Each gets layersmith's requirements as wheels for its version and machine, pinned as always.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fixtures import sandbox, tools
from fixtures.places import PROJECT, TOOLS

__all__ = ["Box", "Interpreter", "interpreters", "wheels"]

CORE: Final = frozenset({"deflate", "msgspec", "xxhash", "zstandard"})
_REQUIREMENTS: Final = PROJECT / "requirements" / "runtime.txt"
_GLIBC: Final = ("2014", "_2_28", "_2_34")
_ASK: Final = "import sys; print(sys.implementation.name, '.'.join(map(str, sys.version_info[:3])))"
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_EMULATORS: Final = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}


@dataclass(frozen=True)
class Interpreter:
    """A Python of this machine, and what its environment must hold to run layersmith."""

    version: str
    path: str
    env: dict[str, str] = field(default_factory=dict)


def interpreters(*, obtain: bool) -> list[Interpreter]:
    """This one first, then every other version from 3.11 on that has its wheels or may get them."""
    found = [Interpreter(".".join(map(str, sys.version_info[:3])), sys.executable)]
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    home = Path.home()
    folders += map(str, sorted(home.glob(".pyenv/versions/*/bin")))
    folders += map(str, sorted(home.glob(".local/share/uv/python/*/bin")))
    for path in (path for folder in folders for path in sorted(Path(folder).glob("python3.1?"))):
        version = _version(path)
        if version is None or version in [known.version for known in found]:
            continue
        minor = version.rpartition(".")[0]
        if (place := wheels(minor, os.uname().machine, obtain=obtain)) is not None:
            env = {"PYTHONPATH": f"{PROJECT / 'src'}:{place}", "PYTHONNOUSERSITE": "1"}
            found.append(Interpreter(version, str(path), env))
    return found


def _version(path: Path) -> str | None:
    """The version of a CPython that is new enough, if it runs at all."""
    done = subprocess.run(
        [str(path), "-Ic", _ASK], capture_output=True, text=True, check=False, timeout=60
    )
    kind, _, version = done.stdout.strip().partition(" ")
    is_new = [int(part) for part in re.findall(r"\d+", version)][:2] >= [3, 11]
    return version if kind == "cpython" and is_new else None


def wheels(
    minor: str, machine: str, *, only: Iterable[str] = (), obtain: bool = True
) -> Path | None:
    """The unpacked wheels of our requirements, or of `only` some, for another interpreter."""
    listed = _some(_REQUIREMENTS.read_text(), frozenset(only))
    name = hashlib.sha256(listed.encode()).hexdigest()[:12]
    place = TOOLS / "wheels" / f"{minor}-{machine}-{name}"
    if place.is_dir() or not obtain:
        return place if place.is_dir() else None
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    (fresh / "requirements.txt").write_text(listed)
    platforms = [f"--platform=manylinux{glibc}_{machine}" for glibc in _GLIBC]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    command += ["--target", str(fresh), "--no-compile", "--only-binary=:all:", "--no-deps"]
    command += ["--implementation=cp", f"--python-version={minor}", *platforms]
    command += ["--require-hashes", "-r", str(fresh / "requirements.txt")]
    subprocess.run(command, check=True, timeout=900)
    try:
        fresh.rename(place)
    except OSError:  # another process was quicker
        shutil.rmtree(fresh)
    return place


def _some(listed: str, only: frozenset[str]) -> str:
    """Cut a requirements file down to `only` these; all when there are none."""
    blocks = re.split(r"\n(?=[A-Za-z])", listed)
    return "\n".join(one for one in blocks if not only or one.partition("==")[0] in only)


class Box:
    """Our own image as a machine: its Python, in a sandbox, with layersmith on a shared directory.

    What else is to be seen in there goes into `shared`, which is ``/tmp/shared`` inside.
    """

    def __init__(self, layout: Path, tag: str, architecture: str, folder: Path) -> None:
        self.architecture = architecture
        self.shared = folder / "shared"
        self._bundle = sandbox.unpack(layout, tag, architecture, folder / "image")
        self.shared.mkdir()
        self._emulator: str | None = None
        if os.uname().machine != _MACHINES[architecture]:
            emulator = _EMULATORS[architecture]
            self._emulator = str(tools.find(emulator, "qemu-user-static").path)
        self.name = f"{'emulated ' if self._emulator else ''}{architecture}"

    def furnish(self, minor: str, only: Iterable[str] = ()) -> None:
        """Bring in layersmith, what the core needs of the tests, and wheels."""
        lib = wheels(minor, _MACHINES[self.architecture], only=only)
        if lib is None:
            raise FileNotFoundError("no wheels")
        shutil.copytree(lib, self.shared / "lib")
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "src", self.shared / "src", ignore=skip)
        shutil.copytree(PROJECT / "tests/build", self.shared / "tests/build", ignore=skip)
        reliability = self.shared / "tests/reliability"
        reliability.mkdir()
        for name in ("__init__.py", "repro_core.py"):
            shutil.copy(PROJECT / "tests/reliability" / name, reliability)

    def python(self, *words: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run the image's Python."""
        inside = "/tmp/shared"
        env = {
            "PYTHONPATH": f"{inside}/src:{inside}/lib:{inside}",
            "PYTHONDONTWRITEBYTECODE": "",
            "HOME": "/tmp",
        }
        command: Sequence[str] = ["/usr/local/bin/python3", *words]
        return sandbox.run(
            self._bundle, command, emulator=self._emulator, env=env, shared=self.shared,
            timeout=timeout,
        )  # fmt: skip
