"""An interpreter that compiles for the examples: the one of the builder image itself."""

import shutil
from pathlib import Path

from fixtures import sandbox
from fixtures.apt import host_architecture

_TAG = "3.13-slim-trixie"
_LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
_TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def interpreter(builder: Path, folder: Path) -> Path:
    """Return a program of this machine that runs the builder's Python, outside of a sandbox."""
    shutil.rmtree(folder, ignore_errors=True)
    architecture = host_architecture()
    root = sandbox.unpack(builder, _TAG, architecture, folder).rootfs
    libraries = root / "usr" / "lib" / _TRIPLES[architecture]
    program = folder / "python3.13"
    program.write_text(
        f"#!/bin/sh\nPYTHONHOME={root}/usr/local exec {libraries}/{_LOADERS[architecture]} "
        f'--library-path {libraries}:{root}/usr/local/lib {root}/usr/local/bin/python3.13 "$@"\n'
    )
    program.chmod(0o755)
    return program
