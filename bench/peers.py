"""Peers that are not on every machine: crane, built from Debian's packages of Go code.

``python -m bench peers`` sets up what can be had without root and names what cannot. Debian
has no package of crane, but it has its source and the compiler: both are fetched by the
host's own apt, of a release that has them, and unpacked under ``.tools``.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from fixtures.apt import AptError, PrivateApt, host_architecture, run
from fixtures.places import TOOLS

__all__ = ["MISSING", "NEEDS", "found", "set_up"]

# What a contender's script calls beside GNU tar.
NEEDS = {
    "crane": ("crane",),
    "buildah": ("buildah",),
    "skopeo + umoci + tar": ("skopeo", "umoci"),
}
MISSING = {
    "crane": "python -m bench peers",
    "buildah": "apt-get install buildah",
    "skopeo": "apt-get install skopeo",
    "umoci": "apt-get install umoci",
}
_CRANE = TOOLS / "crane"
_RELEASE, _GO = "trixie", "1.24"
_SOURCE = "github.com/google/go-containerregistry/cmd/crane"
_PACKAGES = (
    f"golang-{_GO}-go", f"golang-{_GO}-src", "golang-github-google-go-containerregistry-dev",
    "golang-github-cespare-xxhash-dev", "golang-github-containerd-stargz-snapshotter-dev",
    "golang-github-docker-distribution-dev", "golang-github-docker-docker-credential-helpers-dev",
    "golang-github-docker-docker-dev", "golang-github-google-go-cmp-dev",
    "golang-github-klauspost-compress-dev", "golang-github-mitchellh-go-homedir-dev",
    "golang-github-opencontainers-go-digest-dev", "golang-github-opencontainers-image-spec-dev",
    "golang-github-pkg-errors-dev", "golang-github-sirupsen-logrus-dev",
    "golang-github-spf13-cobra-dev", "golang-github-spf13-pflag-dev",
    "golang-github-vbatts-tar-split-dev", "golang-golang-x-sync-dev", "golang-golang-x-sys-dev",
)  # fmt: skip


def search_path() -> str:
    """Return the PATH that contenders get: ours, and what was set up."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", str(_CRANE)])


def found(program: str) -> bool:
    """Tell whether a contender could call `program`."""
    return shutil.which(program, path=search_path()) is not None


def set_up() -> int:
    """Build crane, unless it is there; say what is missing."""
    if not found("crane"):
        try:
            _build_crane()
        except (AptError, subprocess.CalledProcessError, OSError) as error:
            print(f"crane cannot be built here: {error}")
    for program, remedy in MISSING.items():
        print(f"{program:<10}{'is here' if found(program) else remedy}")
    return 0


def _build_crane() -> None:
    architecture = host_architecture()
    apt = PrivateApt(_RELEASE, [architecture])
    root = TOOLS / f".crane.{os.getpid()}"
    root.mkdir(parents=True)
    try:
        for deb in apt.obtain(_PACKAGES, architecture).values():
            run(["dpkg-deb", "-x", str(deb), str(root)])
        go = root / f"usr/lib/go-{_GO}"
        settings = {
            "GOROOT": go, "GOPATH": root / "usr/share/gocode", "GOCACHE": root / "cache",
            "GO111MODULE": "off", "CGO_ENABLED": "0", "GOFLAGS": "-trimpath",
            "GOTOOLCHAIN": "local", "GOPROXY": "off",
        }  # fmt: skip
        _CRANE.mkdir(exist_ok=True)
        subprocess.run(
            [str(go / "bin/go"), "build", "-o", str(_CRANE / "crane"), _SOURCE],
            env={**os.environ, **{name: str(value) for name, value in settings.items()}},
            check=True,
        )
    finally:
        # The compiler and its cache are half a gigabyte.
        run(["chmod", "-R", "u+w", str(root)])
        shutil.rmtree(root)
