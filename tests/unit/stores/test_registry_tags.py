"""Lists of a registry: pages that end, stay at home, and hold what they should."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor, shown
from tests.fakes.registry import FakeRegistry, Reply, error

from layersmith.errors import DocumentError, LayersmithError, NotFound, RegistryError, Unauthorized
from layersmith.oci.documents import OCI_INDEX, OCI_MANIFEST
from layersmith.oci.reference import Reference
from layersmith.stores import registry_tags
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits
from layersmith.stores.registry_tags import RegistryListing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "team/image"
SUBJECT = descriptor(b"subject", OCI_MANIFEST)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def listing(fake: FakeRegistry) -> Iterator[RegistryListing]:
    with Registries(RegistryOptions(limits=Limits(connect=2, read=2))) as registries:
        yield RegistryListing(registries.repository(Reference(f"{fake.host}/{NAME}")))


def page(value: object, link: str = "", kind: str = "application/json") -> Reply:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(200, {"Content-Type": kind, **({"Link": link} if link else {})}, raw)


def tags(*names: str, link: str = "") -> Reply:
    return page({"name": NAME, "tags": list(names)}, link)


def test_one_page_is_sorted(fake: FakeRegistry, listing: RegistryListing) -> None:
    fake.once("GET", "/tags/list", tags("b", "a"))
    assert listing.tags() == ["a", "b"]


@pytest.mark.parametrize("form", ['<{path}>; rel="next"', "<{url}{path}>;rel=next"])
def test_pages_are_followed(fake: FakeRegistry, listing: RegistryListing, form: str) -> None:
    path = f"/v2/{NAME}/tags/list?n=2&last=b"
    fake.once("GET", r"last=b", tags("c", "a"))
    fake.once("GET", "/tags/list", tags("a", "b", link=form.format(path=path, url=fake.url)))
    assert listing.tags() == ["a", "b", "c"]
    assert fake.log[-1].target == path


def test_no_tags_are_no_error(fake: FakeRegistry, listing: RegistryListing) -> None:
    fake.once("GET", "/tags/list", page({"name": NAME, "tags": None}))
    assert listing.tags() == []


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/v2/x/tags/list", "https://elsewhere.example/", "//[::1]:9/x"]
)
def test_a_page_elsewhere_is_never_asked_for(
    fake: FakeRegistry, listing: RegistryListing, target: str
) -> None:
    fake.once("GET", "/tags/list", tags("a", link=f'<{target}>; rel="next"'))
    with pytest.raises(RegistryError, match="next page"):
        listing.tags()
    assert len(fake.log) == 1


def test_a_page_that_leads_to_itself_ends(fake: FakeRegistry, listing: RegistryListing) -> None:
    link = f'</v2/{NAME}/tags/list?n=1000>; rel="next"'
    fake.once("GET", "/tags/list", tags("a", link=link), times=3)
    with pytest.raises(RegistryError, match="no end"):
        listing.tags()
    assert len(fake.log) == 1


@pytest.mark.parametrize("link", ["garbage", "<>", '</x>; rel="prev"', "<" * 9000])
def test_other_links_are_no_pages(fake: FakeRegistry, listing: RegistryListing, link: str) -> None:
    fake.once("GET", "/tags/list", tags("a", link=link))
    assert listing.tags() == ["a"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        b"{",
        {"tags": "a"},
        {"tags": [1]},
        {"tags": ["\x1b]0;evil"]},
        {"tags": ["a/b"]},
        b"x" * 5_000_000,
    ],
)
def test_what_is_no_list_is_an_error(
    fake: FakeRegistry, listing: RegistryListing, value: object
) -> None:
    fake.once("GET", "/tags/list", page(value))
    with pytest.raises(DocumentError) as caught:
        listing.tags()
    assert "\x1b" not in str(caught.value)


def test_too_many_tags_are_refused(
    fake: FakeRegistry, listing: RegistryListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_tags, "_MAX_TAGS", 2)
    fake.always("GET", "/tags/list", tags("a", "b", "c"))
    with pytest.raises(DocumentError, match="more than 2 tags"):
        listing.tags()


def test_pages_of_too_many_bytes_are_refused(
    fake: FakeRegistry, listing: RegistryListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_tags, "_MAX_TOGETHER", 3 << 20)
    more = f"</v2/{NAME}/tags/list?last=a>; rel=next"
    fake.once("GET", "/tags/list", page({"tags": ["a"], "x": "x" * (2 << 20)}, more))
    fake.once("GET", "/tags/list", page({"tags": ["b"], "x": "x" * (2 << 20)}))
    with pytest.raises(DocumentError, match="more than 3 MiB of pages"):
        listing.tags()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (401, Unauthorized), (403, Unauthorized)]
)
def test_a_refusal_is_told(
    fake: FakeRegistry, listing: RegistryListing, status: int, kind: type[LayersmithError]
) -> None:
    fake.once("GET", "/tags/list", error(status, "X"), times=2)
    with pytest.raises(kind):
        listing.tags()


def test_referrers_are_listed(fake: FakeRegistry, listing: RegistryListing) -> None:
    one = shown(descriptor(b"1", OCI_MANIFEST), artifactType="application/x")
    two = shown(descriptor(b"2", OCI_MANIFEST))
    link = f'</v2/{NAME}/referrers/{SUBJECT.digest}?page=2>; rel="next"'
    fake.once("GET", "page=2", page({"manifests": [one, two]}, kind=OCI_INDEX))
    fake.once("GET", "/referrers/", page({"manifests": [one]}, link, kind=OCI_INDEX))
    found = listing.referrers(SUBJECT.digest)
    assert found is not None
    assert [d.digest for d in found] == [one["digest"], two["digest"]]
    assert found[0].artifact_type == "application/x"


@pytest.mark.parametrize(
    "answer", [error(404, "X"), error(405, "X"), page(b"<html>", kind="text/html")]
)
def test_a_registry_without_the_api_is_noticed(
    fake: FakeRegistry, listing: RegistryListing, answer: Reply
) -> None:
    fake.once("GET", "/referrers/", answer)
    assert listing.referrers(SUBJECT.digest) is None


def test_too_many_referrers_are_refused(fake: FakeRegistry, listing: RegistryListing) -> None:
    many = [shown(descriptor(b"%d" % n, OCI_MANIFEST)) for n in range(1001)]
    fake.once("GET", "/referrers/", page({"manifests": many}, kind=OCI_INDEX))
    with pytest.raises(DocumentError, match="1000"):
        listing.referrers(SUBJECT.digest)
