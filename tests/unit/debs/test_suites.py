"""A suite's signed index: what it says, and what is not the suite that was asked for."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from tests.build.debs import suite_of

from layersmith.debs.release import check_release, parse_release
from layersmith.debs.sources import Source
from layersmith.errors import PackageError, RecipeError, Untrusted

LISTS = {
    "main/binary-amd64/Packages": b"x" * 50,
    "main/binary-amd64/Packages.xz": b"y" * 5,
    "main/binary-arm64/Packages.gz": b"z" * 7,
    "main/binary-all/Packages": b"a",
    "main/Contents-amd64.gz": b"big",
}
SOURCE = Source("http://a.example", "trixie", ("main",))
DAY = 86400


def dated(offset: float) -> str:
    return formatdate(time.time() + offset).replace("-0000", "UTC")


def checked(source: Source = SOURCE, codename: str = "trixie", **said: str) -> None:
    release = parse_release(suite_of(LISTS, **said), "it")
    check_release(release, source, codename, time.time(), "it")


def test_the_smallest_form_of_a_list() -> None:
    release = parse_release(suite_of(LISTS), "it")
    (listed,) = release.indexes("main", "amd64")
    assert (listed.path, listed.size, listed.inflated) == ("main/binary-amd64/Packages.xz", 5, 50)
    assert release.places(listed) == [
        f"main/binary-amd64/by-hash/SHA256/{listed.sha256}",
        "main/binary-amd64/Packages.xz",
    ]
    (other,) = release.indexes("main", "arm64")
    assert (other.path, other.inflated) == ("main/binary-arm64/Packages.gz", 0)
    assert list(release.indexes("contrib", "amd64")) == []
    assert list(release.indexes("main", "s390x")) == []
    assert release.has("main")
    assert not release.has("contrib")
    assert parse_release(suite_of(LISTS, Components="main contrib"), "it").components == (
        "main", "contrib"
    )  # fmt: skip


def test_lists_of_all_architectures_apart() -> None:
    said = {"No_Support_for_Architecture_all": "", "Acquire_By_Hash": ""}
    release = parse_release(suite_of(LISTS, **said), "it")
    paths = [listed.path for listed in release.indexes("main", "amd64")]
    assert paths == ["main/binary-amd64/Packages.xz", "main/binary-all/Packages"]
    assert release.places(next(release.indexes("main", "amd64"))) == paths[:1]
    release = parse_release(suite_of(LISTS, **said, Architectures="amd64"), "it")
    assert len(list(release.indexes("main", "amd64"))) == 1


@pytest.mark.parametrize("suite", ["trixie", "stable"])
def test_the_suite_that_was_asked_for(suite: str) -> None:
    checked(Source("http://a.example", suite, ("main",)))


def test_another_suite() -> None:
    with pytest.raises(Untrusted, match="'sid', not of 'trixie'"):
        checked(Codename="sid", Suite="unstable")


def test_another_release_than_the_image_s() -> None:
    with pytest.raises(RecipeError, match="of Debian bookworm, the image of trixie"):
        checked(Source("http://a.example", "bookworm", ("main",)), Codename="bookworm")
    checked(Source("http://a.example", "own", ("main",)), Origin="Us", Codename="own")
    source = Source("http://a.example", "trixie-security", ("main",))
    checked(source, Codename="trixie-security", Suite="stable-security")


def test_an_old_answer() -> None:
    with pytest.raises(Untrusted, match="expired") as caught:
        checked(Valid_Until=dated(-60))
    assert "check-valid-until=no" in caught.value.hint
    checked(Source("http://a.example", "trixie", ("main",), expires=False), Valid_Until=dated(-60))
    checked(Valid_Until="")


def test_an_answer_of_the_future() -> None:
    checked(Date=dated(60))
    with pytest.raises(Untrusted, match="future"):
        checked(Date=dated(2 * DAY))


@pytest.mark.parametrize(
    "said", [{"Date": ""}, {"Date": "yesterday"}, {"Valid_Until": "never"}, {"Date": "1 Jan 99999"}]
)
def test_dates_that_are_none(said: dict[str, str]) -> None:
    with pytest.raises(PackageError, match="no date"):
        parse_release(suite_of(LISTS, **said), "it")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"SHA256:\n", b"SHA256:\n nonsense\n"), "a line of SHA256"),
        ((b"Origin:", b"Suite: twice\nOrigin:"), "two fields suite"),
        ((b"Origin: Debian", b"nonsense"), "not a field"),
        ((b" 5 main", b" 99999999999 main"), "too large"),
        ((b"main/binary-amd64/Packages\n", b"main/binary-arm64/Packages.gz\n"), "twice"),
        ((b" main/binary-all/", b" ../x/binary-all/"), "too large"),
    ],
)
def test_what_is_no_index(change: tuple[bytes, bytes], why: str) -> None:
    text = suite_of(LISTS)
    assert change[0] in text
    with pytest.raises(PackageError, match=why):
        parse_release(text.replace(*change, 1), "it")
