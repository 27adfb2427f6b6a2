"""The images that are measured: the fixtures, or others that BENCH_IMAGES names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from fixtures import build

__all__ = ["images", "named"]


def images(work: Path) -> dict[str, Path]:
    """Return the repositories' layouts; archives of BENCH_IMAGES are unpacked in `work`.

    BENCH_IMAGES is a directory of two OCI archives or layouts named
    ``distroless-cc-debian13*`` and ``python-3.13-slim-trixie*``.
    """
    chosen = os.environ.get("BENCH_IMAGES")
    if not chosen:
        return build.build().repositories()
    found = {}
    for folder, repository in build.REPOSITORIES.items():
        source = next(Path(chosen).glob(f"{folder}*"))
        if source.is_file():
            (work / folder).mkdir()
            subprocess.run(["tar", "-x", "-f", source, "-C", work / folder], check=True)
            source = work / folder
        found[repository] = source
    return found


def named() -> str:
    """Return what the images are called in a table."""
    return "replicas of upstream's images" if os.environ.get("BENCH_IMAGES") else "fixtures"
