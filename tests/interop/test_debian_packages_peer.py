"""Debian's own packages added to an application: apt, gpg and dpkg on the other side, and judges.

The archive is on loopback, made by apt-ftparchive and signed by gpg, of real packages and of
some that dpkg-deb has just made. apt says which packages it would choose, dpkg what is in them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures import build, sandbox
from fixtures.apt import PrivateApt
from tests.fakes.file_server import serve_files
from tests.interop.conftest import ARCHITECTURES, emulator, layersmith
from tests.interop.dpkg_peer import Admin
from tests.interop.peers import need

from layersmith.debs.choosing import _FOR_SCRIPTS

pytestmark = pytest.mark.interop

NAMES = ("libpq5", "libmagic1t64", "libxml2")
OWN = {"hello-zstd": "zstd", "hello-gzip": "gzip", "hello-none": "none"}
SCRIPT = """
import ctypes
print(ctypes.CDLL("libpq.so.5").PQlibVersion() > 100000, ctypes.CDLL("libxml2.so.2").xmlCheckVersion)
magic = ctypes.CDLL("libmagic.so.1")
magic.magic_open.restype = magic.magic_file.restype = ctypes.c_void_p
cookie = ctypes.c_void_p(magic.magic_open(0))
print(magic.magic_load(cookie, None), open("/usr/lib/hello-zstd/data").read())
"""


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(
        command, cwd=cwd, check=False, capture_output=True, env={**os.environ, **(env or {})}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True)
class Shop:
    """What was built, of which packages."""

    folder: Path
    document: dict[str, Any]
    debs: dict[str, dict[str, Path]]
    chosen: dict[str, set[str]]

    def packages(self, arch: str) -> list[dict[str, str]]:
        platforms = {p["platform"]: p for p in self.document["platforms"]}
        found: list[dict[str, str]] = platforms[f"linux/{arch}"]["debian"]["packages"]
        return found


def status(rootfs: Path, path: Path, arch: str) -> Path:
    """Write what the image has as apt wants it: its packages lack most of what they depend on."""
    admin = Admin.of(rootfs, path)
    tools = dict.fromkeys(_FOR_SCRIPTS, ("99", "all"))
    kept = ("Provides", "Multi-Arch")
    fields: dict[str, str] = {}
    for paragraph in (admin.path / "status").read_text().split("\n\n"):
        name = next(line[9:] for line in paragraph.splitlines() if line.startswith("Package: "))
        lines = [line for line in paragraph.splitlines() if line.startswith(kept)]
        fields[name] = "".join(f"{line}\n" for line in lines)
    text = [
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
        f"Architecture: {architecture}\nMaintainer: x\nDescription: x\n{fields.get(name, '')}"
        for name, (version, architecture) in {**tools, **admin.packages()}.items()
    ]
    (path / "for-apt").write_text("\n".join(text))
    return path / "for-apt"


def own_packages(folder: Path) -> None:
    for name, form in OWN.items():
        tree = folder / name
        data = tree / "lib" / name / "data"  # through the image's link
        data.parent.mkdir(parents=True)
        data.write_text(name)
        os.link(data, data.with_name("twin"))
        data.with_name("link").symlink_to(f"/usr/lib/{name}/data")
        (tree / f"usr/share/doc/{name}").mkdir(parents=True)
        (tree / f"usr/share/doc/{name}/copyright").write_text("free")
        (tree / f"usr/share/doc/{name}/changelog").write_text("long")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 1:2~rc1-3\nArchitecture: all\nMaintainer: x <x@x.example>\n"
            "Depends: dpkg (>= 1.15)\nDescription: hello\n  of the tests\n"
        )
        run("dpkg-deb", "--root-owner-group", f"-Z{form}", "-b", name, f"{name}.deb", cwd=folder)


def signed_archive(folder: Path, debs: dict[str, dict[str, Path]]) -> dict[str, bytes]:
    """Return the files of an archive over these packages, as Debian's tools make them."""
    lists = folder / "dists/trixie"
    for arch, paths in debs.items():
        pool = folder / "pool" / arch
        pool.mkdir(parents=True)
        for path in paths.values():
            (pool / path.name).write_bytes(path.read_bytes())
        binary = lists / f"main/binary-{arch}"
        binary.mkdir(parents=True)
        listed = run("apt-ftparchive", "packages", f"pool/{arch}", cwd=folder)
        (binary / "Packages").write_bytes(listed)
        run("xz", "-k", "Packages", cwd=binary)
    said = {"Origin": "Debian", "Suite": "stable", "Codename": "trixie"}
    options = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in said.items()]
    release = run("apt-ftparchive", *options, "release", "dists/trixie", cwd=folder)
    (folder / "Release").write_bytes(release)
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home)}
    about = ("--batch", "--passphrase", "")
    run("gpg", *about, "--quick-generate-key", "x <x@x.example>", "rsa3072", "sign", env=env)
    run("gpg", *about, "--clearsign", "--digest-algo", "SHA512", "-o", "InRelease", "Release",
        cwd=folder, env=env)  # fmt: skip
    (folder / "key.asc").write_bytes(run("gpg", "--armor", "--export", env=env))
    run("gpgconf", "--kill", "gpg-agent", env=env)
    files = [path for place in ("dists", "pool") for path in (folder / place).rglob("*")]
    found = {str(p.relative_to(folder)): p.read_bytes() for p in files if p.is_file()}
    return {**found, "dists/trixie/InRelease": (folder / "InRelease").read_bytes()}


@pytest.fixture(scope="module")
def shop(
    peers: None,
    images: build.Fixtures,
    rootfs: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    for program in ("apt-ftparchive", "gpg", "dpkg-deb", "xz"):
        need(program)
    folder = tmp_path_factory.mktemp("debian")
    own_packages(folder)
    own = {name: folder / f"{name}.deb" for name in OWN}
    debs, chosen = {}, {}
    for arch in ARCHITECTURES:
        there = status(rootfs("result", arch), folder / f"status-{arch}", arch)
        apt = PrivateApt("trixie", [arch], status=there, name=arch, cache=folder / "apt")
        chosen[arch] = set(apt.closure(NAMES, arch))
        found = PrivateApt("trixie", ARCHITECTURES).obtain(chosen[arch], arch)
        debs[arch] = {package.name: path for package, path in found.items()} | own
    files = signed_archive(folder, debs)
    wanted = [option for name in (*NAMES, *OWN) for option in ("--debian-package", name)]
    with serve_files(files) as server:
        done = layersmith(
            "app", "build", "3.13-debian13", "--base", f"oci:{images.base}:latest",
            "--builder", f"oci:{images.builder}:3.13-slim-trixie", "--json",
            "--output", f"oci:{folder}/out:t", "--cache-dir", f"{folder}/cache", *wanted,
            "--debian-archive", f"{server.url} trixie main",
            "--debian-keyring", f"{folder}/key.asc",
        )  # fmt: skip
    assert done.code == 0, done.err
    return Shop(folder, done.document, debs, chosen)


@pytest.fixture(scope="module")
def unpacked(
    shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], sandbox.Bundle]:
    known: dict[str, sandbox.Bundle] = {}
    folder = tmp_path_factory.mktemp("unpacked")

    def one(arch: str) -> sandbox.Bundle:
        if arch not in known:
            known[arch] = sandbox.unpack(shop.folder / "out", "t", arch, folder / arch)
        return known[arch]

    return one


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_apt_would_choose_the_same(shop: Shop, arch: str) -> None:
    names = {package["name"] for package in shop.packages(arch)}
    assert names == shop.chosen[arch] | set(OWN)
    assert {p["architecture"] for p in shop.packages(arch)} <= {arch, "all"}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_dpkg_finds_every_file_as_it_was(
    shop: Shop,
    unpacked: Callable[[str], sandbox.Bundle],
    rootfs: Callable[[str, str], Path],
    arch: str,
    tmp_path: Path,
) -> None:
    admin = Admin.of(unpacked(arch).rootfs, tmp_path / "admin")
    assert admin.wrong() == Admin.of(rootfs("result", arch), tmp_path / "before").wrong()
    versions = {name: version for name, (version, _) in admin.packages().items()}
    for package in shop.packages(arch):
        assert versions[package["name"]] == package["version"]
        place = tmp_path / package["name"]
        run("dpkg-deb", "-x", str(shop.debs[arch][package["name"]]), str(place))
        for path in place.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                continue
            name = str(path.relative_to(place))
            name = f"usr/{name}" if name.startswith("lib/") else name
            there = unpacked(arch).rootfs / name
            if name.startswith("usr/share/") and not os.path.lexists(there):
                assert any(
                    part in name for part in ("/man/", "/doc/", "/locale/", "/lintian/", "/bug/")
                )
                assert not name.endswith("/copyright") or name.count("/") > 4
                continue
            if path.is_symlink():
                assert path.readlink() == there.readlink(), name
            else:
                assert path.read_bytes() == there.read_bytes(), name
                assert path.stat().st_mode & 0o755 == there.stat().st_mode & 0o777, name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_libraries_are_found_and_work(
    unpacked: Callable[[str], sandbox.Bundle], arch: str
) -> None:
    done = sandbox.run(
        unpacked(arch), ["/usr/local/bin/python3", "-c", SCRIPT], emulator=emulator(arch)
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("True ")
    assert second == "0 hello-zstd"
