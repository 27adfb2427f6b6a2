#!/usr/bin/env python3
"""Make .venv: hashed requirements and the project itself. Needs only python3 and apt, no root.

A second run with unchanged requirements does nothing and takes no time. ``setup.py fuzz``
makes .venv-fuzz of requirements/fuzz.txt instead.
Standard library only, and no syntax newer than the check of the version below.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).resolve().parent.parent
KIND = "fuzz" if sys.argv[1:] == ["fuzz"] else "dev"
VENV = PROJECT / (".venv" if KIND == "dev" else ".venv-fuzz")
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = PROJECT / "requirements" / f"{KIND}.txt"
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
OLDEST = (3, 11)


def main() -> int:
    """Set up what is not set up yet; the exit code says whether it worked."""
    if sys.version_info < OLDEST:
        running = ".".join(str(part) for part in sys.version_info[:3])
        print(f"layersmith needs Python 3.11 or newer, this is {running}: make PYTHON=python3.13")
        return 1
    try:
        _once("requirements", _install_requirements, REQUIREMENTS.read_bytes(), _this_python())
        _once("project", _install_project, (PROJECT / "pyproject.toml").read_bytes())
    except (subprocess.CalledProcessError, OSError, RuntimeError) as failure:
        print(f"set-up failed: {failure}", file=sys.stderr)
        return 1
    return 0


def _once(step: str, action: Callable[[], None], *inputs: bytes) -> None:
    """Do `action`, unless it has been done in this environment with the same inputs."""
    stamp = VENV / f".{step}"
    wanted = hashlib.sha256(b"\0".join(inputs)).hexdigest()
    if not (PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted):
        action()
        stamp.write_text(wanted)


def _this_python() -> bytes:
    """Tell what an environment is bound to: an interpreter, and its own place."""
    return f"{sys.version} {VENV}".encode()


def _install_requirements() -> None:
    print(f"setting up {VENV.name} with Python {sys.version.split()[0]}", flush=True)
    _make_environment()
    _pip("install", "--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS))


def _install_project() -> None:
    # The build back end is one of the requirements: isolation would download it unpinned.
    _pip("install", "--no-deps", "--no-build-isolation", "-e", str(PROJECT))


def _make_environment() -> None:
    """Make the environment with pip in it, though Debian splits ensurepip off its python3."""
    if importlib.util.find_spec("ensurepip") is not None:
        _call(sys.executable, "-m", "venv", "--clear", str(VENV))
        return
    print("python3-venv is not installed: taking pip from the package python3-pip-whl", flush=True)
    _call(sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
    site_packages = next(VENV.glob("lib/python3*/site-packages"))
    with zipfile.ZipFile(_debian_pip_wheel()) as wheel:
        wheel.extractall(site_packages)
    if not HOST_CERTIFICATES.exists():
        # Debian's pip trusts what the host trusts, and this host has no ca-certificates:
        # let it use the bundle inside the wheel, as pip does everywhere else.
        with (site_packages / "pip" / "_vendor" / "certifi" / "core.py").open("a") as core:
            core.write("\n\ndef where():\n    return __file__[:-len('core.py')] + 'cacert.pem'\n")


def _debian_pip_wheel() -> Path:
    """Get pip from Debian's own package, by the host's apt."""
    sys.path.insert(0, str(PROJECT))
    from fixtures.tools import unpack  # noqa: PLC0415 (not on the path before)

    wheels = unpack("python3-pip-whl") / "usr" / "share" / "python-wheels"
    return next(wheels.glob("pip-*.whl"))


def _pip(*arguments: str) -> None:
    _call(str(PYTHON), "-m", "pip", "--disable-pip-version-check", "-qq", *arguments)


def _call(*command: str) -> None:
    # A virtual environment or a PYTHONPATH of the caller must not leak into ours.
    leaks = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    env = {name: value for name, value in os.environ.items() if name not in leaks}
    subprocess.run(command, check=True, cwd=PROJECT, env=env)


if __name__ == "__main__":
    sys.exit(main())
