"""What the interop tests share: peers, a seeded registry, an assembled image, unpacked roots.

A missing peer skips a test, and fails it where ``CI=true``: there nothing may hide.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures import build, registry, sandbox
from tests.interop.peers import need

ARCHITECTURES = ("amd64", "arm64")
TARGET = "3.13-debian13"
_EMULATORS = {"arm64": "qemu-aarch64-static"}
_PEERS = (
    "docker-registry", "skopeo", "umoci", "runc", "bwrap", "strace", "qemu-aarch64-static",
)  # fmt: skip


@pytest.fixture(scope="session")
def peers() -> None:
    """All peers are there."""
    for program in _PEERS:
        need(program)


@dataclass(frozen=True)
class Result:
    """What one run of the program gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that it printed."""
        value: dict[str, Any] = json.loads(self.out)
        return value


def layersmith(
    *arguments: str,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    stdin: str = "",
) -> Result:
    """Run the program as a user would, and return what it said."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "layersmith", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **(env or {})},
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def images() -> build.Fixtures:
    """Base and builder, made from Debian's packages."""
    return build.build()


@pytest.fixture(scope="session")
def served(peers: None, images: build.Fixtures) -> Iterator[registry.Registry]:
    """A registry that holds base and builder."""
    with registry.serve() as running:
        running.seed(images.repositories())
        yield running


@pytest.fixture(scope="session")
def mirrors(served: registry.Registry) -> tuple[str, ...]:
    """Options that make the program read from our registry."""
    return (
        f"--mirror=docker.io={served.host}",
        f"--mirror=gcr.io={served.host}",
    )


@dataclass(frozen=True)
class Assembled:
    """The fixtures' image, in a layout and in the registry."""

    document: dict[str, Any]
    layout: Path
    repository: str
    cache: Path

    @property
    def digest(self) -> str:
        """The index's digest."""
        return str(self.document["digest"])


@pytest.fixture(scope="session")
def assembled(
    served: registry.Registry, mirrors: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Assembled:
    """Assemble once, cold, to a layout and to the registry."""
    directory = tmp_path_factory.mktemp("assembled")
    repository = f"{served.host}/team/python"
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--push", repository,
        "--output", f"oci:{directory}/layout", "--cache-dir", f"{directory}/cache",
    )  # fmt: skip
    assert done.code == 0, done.err
    return Assembled(done.document, directory / "layout", repository, directory / "cache")


@pytest.fixture(scope="session")
def bundles(
    peers: None,
    images: build.Fixtures,
    assembled: Assembled,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, str], sandbox.Bundle]:
    """Return the unpacked image of a kind (base, builder, result) and architecture."""
    directory = tmp_path_factory.mktemp("roots")
    layouts = {
        "base": (images.base, "latest"),
        "builder": (images.builder, "3.13-slim-trixie"),
        "result": (assembled.layout, TARGET),
    }
    known: dict[tuple[str, str], sandbox.Bundle] = {}

    def unpacked(kind: str, arch: str) -> sandbox.Bundle:
        if (kind, arch) not in known:
            layout, tag = layouts[kind]
            known[kind, arch] = sandbox.unpack(layout, tag, arch, directory / f"{kind}-{arch}")
        return known[kind, arch]

    return unpacked


@pytest.fixture(scope="session")
def rootfs(bundles: Callable[[str, str], sandbox.Bundle]) -> Callable[[str, str], Path]:
    """Return the root directory of a kind and architecture."""
    return lambda kind, arch: bundles(kind, arch).rootfs


def emulator(arch: str) -> str | None:
    """Return the program that runs binaries of `arch` here, if they need one."""
    here = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    return None if arch == here else need(_EMULATORS[arch])
