"""The `rootfs` fixture from directories that are already unpacked: ``-p tests.interop.rootfs_env``.

``LAYERSMITH_ROOTFS`` names a directory with ``base-amd64``, ``builder-arm64``,
``result-amd64`` and so on in it.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def rootfs() -> Callable[[str, str], Path]:
    """Return the root of a kind and architecture, or skip."""

    def find(kind: str, arch: str) -> Path:
        path = Path(os.environ.get("LAYERSMITH_ROOTFS", "/nonexistent")) / f"{kind}-{arch}"
        if not path.is_dir():
            pytest.skip(f"no {path}")
        return path

    return find
