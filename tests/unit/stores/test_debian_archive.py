"""Files of an archive by digest: fetched once, and never more, or other, than was promised."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.fakes.file_server import serve_files

from layersmith.errors import (
    NotFound,
    PackageError,
    RegistryError,
    Unauthorized,
    VerificationError,
)
from layersmith.oci.content import NoProgress
from layersmith.rootfs.checksum import checksum
from layersmith.rootfs.entries import File, Meta, Slice
from layersmith.rootfs.tree import MemoryContents
from layersmith.stores import debian_archive
from layersmith.stores.apt_config import read_host
from layersmith.stores.cache import Cache
from layersmith.stores.debian_archive import DebContents, DebianArchive, on_disk
from layersmith.stores.registry_options import RegistryOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"Package: x\n" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[DebianArchive]:
    found = DebianArchive(Cache(tmp_path / "cache"), RegistryOptions(), NoProgress())
    yield found
    found.close()


def test_a_file_is_fetched_once(archive: DebianArchive) -> None:
    with serve_files({"a": DATA}) as server:
        for _ in range(2):
            file = archive.file([f"{server.url}/none", f"{server.url}/a"], SHA256, len(DATA))
            assert file.whole().read() == DATA
        assert server.asked == ["none", "a"]
        with pytest.raises(NotFound, match="does not have it"):
            archive.file([f"{server.url}/none"], "0" * 64, 1)


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"y" + DATA[1:], b""])
def test_other_bytes_than_promised(archive: DebianArchive, data: bytes, tmp_path: Path) -> None:
    with serve_files({"a": data}) as server, pytest.raises(VerificationError):
        archive.file([f"{server.url}/a"], SHA256, len(DATA))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.name == SHA256]


def test_what_is_signed_is_asked_for_each_time(archive: DebianArchive) -> None:
    with serve_files({"InRelease": b"1"}) as server:
        assert archive.signed(f"{server.url}/InRelease") == b"1"
        server.files["InRelease"] = b"2"
        assert archive.signed(f"{server.url}/InRelease") == b"2"


def test_an_old_index_with_the_present_one_s_tag_does_not_stay(archive: DebianArchive) -> None:
    with serve_files({"InRelease": b"old"}) as server:
        server.tag = '"now"'
        assert archive.signed(f"{server.url}/InRelease") == b"old"
        server.files["InRelease"] = b"new"
        assert archive.signed(f"{server.url}/InRelease") == b"new"


def test_an_index_without_an_end(archive: DebianArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_archive, "_LARGEST_INDEX", 1 << 16)
    with (
        serve_files({"InRelease": bytes(1 << 20)}) as server,
        pytest.raises(RegistryError, match="InRelease: more than 65536 bytes"),
    ):
        archive.signed(f"{server.url}/InRelease")


def test_where_a_password_belongs(archive: DebianArchive) -> None:
    with serve_files({}) as server:
        server.status = 401
        with pytest.raises(Unauthorized, match=r"refuses \(401\)") as caught:
            archive.signed(f"{server.url}/InRelease")
    assert caught.value.hint.startswith("put user and password in netrc")


def test_no_password_goes_over_plain_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    found = DebianArchive(Cache(tmp_path / "cache"), RegistryOptions(), NoProgress())
    with serve_files({"a": DATA}) as server:
        found.signed(f"{server.url}/a")
        found.file([f"{server.url}/a"], SHA256, len(DATA))
        found.close()
        assert server.asked
        assert server.users == []


def test_contents_are_verified(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    tar, pieces = on_disk(iter([b"head", DATA, b"tail"]), cache)
    assert b"".join(pieces) == b"head" + DATA + b"tail"
    contents = DebContents(MemoryContents())
    contents.add("deb", tar)

    def sliced(said: bytes, size: int = len(DATA)) -> File:
        return File(Meta(0o644), Slice("deb", 4, size, said))

    right = checksum(DATA)
    assert contents.read(sliced(right)) == DATA
    assert b"".join(contents.chunks(sliced(right))) == DATA
    assert contents.read(File(Meta(0o644), b"ours")) == b"ours"
    for wrong in (sliced(bytes(16)), sliced(right, len(DATA) + 100)):
        with pytest.raises(PackageError, match="changed"):
            contents.read(wrong)
        with pytest.raises(PackageError, match="changed"):
            list(contents.chunks(wrong))
    assert not list((tmp_path / "cache").rglob("tmp*")), "it has no name"


def test_what_a_host_says(tmp_path: Path) -> None:
    assert read_host(tmp_path).sources == ()
    folder = tmp_path / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("1")
    for name in ("b.sources", "a.list", "c.sources.disabled", "d.save"):
        (folder / name).write_text(name)
    (tmp_path / "etc/os-release").write_text("ID=debian\n")
    keyring = tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg"
    keyring.parent.mkdir(parents=True)
    keyring.write_bytes(b"")
    host = read_host(tmp_path)
    assert [text for _, text in host.sources] == ["1", "a.list", "b.sources"]
    assert (host.release, host.keyring) == ("ID=debian\n", str(keyring))
