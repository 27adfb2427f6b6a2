"""Package indexes: both forms of the simple API, and who is told a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.wheels import Made, wheel
from tests.fakes.package_index import PackageIndex, serve_index

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidInput,
    LayersmithError,
    NotFound,
    Unauthorized,
)
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.stores.cache import Cache
from layersmith.stores.registry_options import Limits, RegistryOptions
from layersmith.stores.simple_index import files_at, files_in, files_of
from layersmith.stores.web import Web
from layersmith.stores.wheelhouse import Wheelhouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO = wheel()
FAST = RegistryOptions(limits=Limits(backoff=0.001, longest_backoff=0.001, tries=3))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    found = Web(FAST)
    yield found
    found.close()


def house(web: Web, folder: Path) -> Wheelhouse:
    return Wheelhouse(Cache(folder / "cache"), lambda: web, folder, NoProgress())


def file_url(index: PackageIndex, made: Made = DEMO) -> str:
    return f"http://{index.host}/files/{made.filename}"


@pytest.mark.parametrize("html", [False, True])
def test_both_forms_say_the_same(web: Web, tmp_path: Path, html: bool) -> None:
    requires = {DEMO.filename: ">=3.9"}
    with serve_index(DEMO, html=html, requires=requires, others=["demo-1.0.tar.gz"]) as index:
        found = files_of(web, index.url, "demo", tmp_path)
        assert [file.filename for file in found] == [DEMO.filename, "demo-1.0.tar.gz"]
        assert found[0].url == file_url(index)
        assert found[0].hashes == {DEMO.digest}
        assert found[0].requires_python == ">=3.9"
        assert files_of(web, index.url, "gone", tmp_path) == []


def test_a_password_goes_to_its_origin_only(web: Web, tmp_path: Path) -> None:
    with (
        serve_index(DEMO) as other,
        serve_index(DEMO, user="me:s3 cret", moved=f"http://{other.host}") as index,
    ):
        url = index.url.replace("http://", "http://me:s3%20cret@")
        files_of(web, url, "demo", tmp_path)
        assert index.seen[0][1].startswith("Basic ")
        assert [said for _, said in other.seen] == [""]


def test_a_refusal_shows_no_password(web: Web, tmp_path: Path) -> None:
    with serve_index(DEMO, user="me:right") as index:
        url = index.url.replace("http://", "http://me:wr0ng@")
        with pytest.raises(Unauthorized) as caught:
            files_of(web, url, "demo", tmp_path)
    assert "wr0ng" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.exit_code == 4


def test_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve_index(DEMO, user="me:s3cret") as index:
        assert files_of(Web(FAST), index.url, "demo", tmp_path)
    (tmp_path / "netrc").write_text("default login me password s3cret\n")
    with serve_index(DEMO, user="me:s3cret") as index, pytest.raises(Unauthorized):
        files_of(Web(FAST), index.url, "demo", tmp_path)
    (tmp_path / "netrc").write_text("what is this?\n")
    with pytest.raises(InvalidInput, match="no netrc"):
        Web(FAST)


def test_plain_http_is_for_this_machine(web: Web, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="plain HTTP"):
        files_of(web, "http://index.example/simple", "demo", tmp_path)
    with pytest.raises(InvalidInput, match="no http or https URL"):
        files_of(web, "ftp://u:s3cret@index.example/simple", "demo", tmp_path)


def test_links_that_lead_elsewhere_are_no_files(web: Web, tmp_path: Path) -> None:
    with serve_index(html=True, others=["demo-1.0-py3-none-any.whl", "demo-x.exe"]) as index:
        found = files_of(web, index.url, "demo", tmp_path)
        assert [file.filename for file in found] == ["demo-1.0-py3-none-any.whl"]


def test_links_that_are_no_urls_are_no_files(web: Web, tmp_path: Path) -> None:
    page = tmp_path / "links.html"
    page.write_text(
        '<a href="http://[::1/odd-1-py3-none-any.whl">x</a><a href="demo-1-py3-none-any.whl">x</a>'
        '<base href="http://[::1/"><a href="http://[::1/more-1-py3-none-any.whl">x</a>'
    )
    assert [file.filename for file in files_in(page)] == ["demo-1-py3-none-any.whl"]
    page.write_text(f'<a href="&#{"9" * 5000};">x</a>')
    with pytest.raises(DocumentError, match="no page of links"):
        files_in(page)


def test_directories_and_pages_of_files(web: Web, tmp_path: Path) -> None:
    DEMO.write(tmp_path / "simple" / "demo")
    assert [f.filename for f in files_of(web, "simple", "demo", tmp_path)] == [DEMO.filename]
    assert [f.filename for f in files_at(web, "simple/demo", tmp_path)] == [DEMO.filename]
    assert files_in(tmp_path / "gone") == []
    page = tmp_path / "links.html"
    page.write_text(f'<a href="simple/demo/{DEMO.filename}#sha256={DEMO.digest.encoded}">x</a>')
    (found,) = files_at(web, page.as_uri(), tmp_path)
    assert found.hashes == {DEMO.digest}
    assert house(web, tmp_path).open(DEMO.filename, found.url, DEMO.digest).size == len(DEMO.data)


def test_a_wheel_is_fetched_once_and_verified_each_time(web: Web, tmp_path: Path) -> None:
    with serve_index(DEMO) as index:
        for _ in range(2):
            file = house(web, tmp_path).open(DEMO.filename, file_url(index), DEMO.digest)
            assert file.pread(len(DEMO.data), 0) == DEMO.data
        assert len(index.paths) == 1
        path = Cache(tmp_path / "cache").blob_path(DEMO.digest)
        path.write_bytes(DEMO.data[:-1] + b"x")
        file = house(web, tmp_path).open(DEMO.filename, file_url(index), DEMO.digest)
        assert file.pread(len(DEMO.data), 0) == DEMO.data
        assert len(index.paths) == 2


def test_a_corrupted_wheel_is_not_kept(web: Web, tmp_path: Path) -> None:
    with serve_index(DEMO, damaged=True) as index:
        with pytest.raises(DigestMismatch) as caught:
            house(web, tmp_path).open(DEMO.filename, file_url(index), DEMO.digest)
        assert DEMO.filename in caught.value.message
        assert caught.value.exit_code == 6
    assert not Cache(tmp_path / "cache").blob_path(DEMO.digest).exists()


def test_a_download_that_breaks_is_begun_again(web: Web, tmp_path: Path) -> None:
    with serve_index(DEMO, cut=2) as index:
        file = house(web, tmp_path).open(DEMO.filename, file_url(index), DEMO.digest)
        assert file.pread(len(DEMO.data), 0) == DEMO.data
        assert len(index.paths) == 3


def test_what_is_gone(web: Web, tmp_path: Path) -> None:
    with serve_index() as index, pytest.raises(NotFound, match="does not have it"):
        house(web, tmp_path).open(DEMO.filename, file_url(index), DEMO.digest)
    with pytest.raises(NotFound, match="is not there"):
        house(web, tmp_path).open(DEMO.filename, "file:gone.whl", DEMO.digest)


def test_a_file_of_which_no_index_says_the_digest(web: Web, tmp_path: Path) -> None:
    known = [Digest.of(b"other"), DEMO.digest, Digest.of(DEMO.data, "sha512")]
    with serve_index(DEMO) as index:
        found = house(web, tmp_path).learn(DEMO.filename, file_url(index), known)
        assert found == DEMO.digest
        with pytest.raises(LayersmithError):
            house(web, tmp_path).learn(DEMO.filename, file_url(index), known[:1])
