"""Lists of packages and what packages say of each other."""

from __future__ import annotations

import pytest
from tests.build.debs import Deb

from layersmith.debs.packages import Listing, stanza_of
from layersmith.debs.relations import Relation, parse_relations
from layersmith.errors import PackageError

DEB = Deb(depends="libc6 (>= 2.38), aa | bb:any (<< 2~) [amd64], cc <!nocheck>", fields={
    "Pre-Depends": "dd (= 1:1-1)", "Provides": "libgreet (= 1.0-1), greeter", "Breaks": "old (<< 1)",
})  # fmt: skip
OTHER = Deb("greet-tools", "2")


def listing(*texts: str) -> Listing:
    return Listing("\n".join(texts).encode(), "it", "http://a.example")


def test_a_stanza() -> None:
    (found,) = listing(OTHER.stanza, DEB.stanza).named("libgreet1")
    assert str(found) == "libgreet1=1.0-1"
    assert found.depends == (
        (Relation("dd", "=", "1:1-1"),),
        (Relation("libc6", ">=", "2.38"),),
        (Relation("aa"), Relation("bb", "<<", "2~")),
        (Relation("cc"),),
    )
    assert found.conflicts == ((Relation("old", "<<", "1"),),)
    assert found.provides == (("libgreet", "1.0-1"), ("greeter", ""))
    assert (found.filename, found.size) == (DEB.filename, len(bytes(DEB)))
    assert found.base == "http://a.example"


def test_who_provides_a_name() -> None:
    found = listing(DEB.stanza, OTHER.stanza)
    assert [one.name for one in found.providing("greeter")] == ["libgreet1"]
    assert [one.name for one in found.providing("libgreet")] == ["libgreet1"]
    assert list(found.providing("nobody")) == []
    assert list(found.named("nobody")) == []


def test_the_first_and_the_last_and_any_order_of_fields() -> None:
    turned = "".join(reversed(OTHER.stanza.splitlines(keepends=True)))
    found = listing(DEB.stanza, turned)
    assert [one.version for one in found.named("greet-tools")] == ["2"]
    assert [one.version for one in found.named("libgreet1")] == ["1.0-1"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Filename: pool", "Filename: ../pool", "file name"),
        ("Filename: pool/", "Filename: /pool/", "file name"),
        ("Filename: pool/", "Filename: a//", "file name"),
        ("Filename: pool", "Filename: a?b/pool", "file name"),
        ("Filename:", "X:", "file name"),
        ("SHA256:", "X:", "no SHA-256"),
        ("SHA256: ", "SHA256: 0", "no SHA-256"),
        ("Size: ", "Size: -", "a size"),
        ("Size: ", "Size: 99999999999", "a size"),
        ("Version: 1.0-1", "Version: x_y", "name or a version"),
        ("Package: libgreet1", "Package: Lib", "name or a version"),
        ("Depends: libc6 (", "Depends: libc6 ((", "no relation"),
        ("Size:", "Version: 2\nSize:", "two fields"),
        ("Size:", "nonsense\nSize:", "not a field"),
    ],
)
def test_what_is_no_stanza(old: str, new: str, why: str) -> None:
    assert old in DEB.stanza
    with pytest.raises(PackageError, match=why):
        stanza_of(DEB.stanza.replace(old, new, 1).strip("\n").encode(), "it", "")


def test_a_stanza_that_is_too_long() -> None:
    with pytest.raises(PackageError, match="1 MiB"):
        stanza_of(b"Package: " + b"a" * (1 << 20), "it", "")


@pytest.mark.parametrize(
    ("order", "accepted"),
    [
        ("<<", ["0.9"]), ("<=", ["0.9", "1.0"]), ("<", ["0.9", "1.0"]), ("=", ["1.0"]),
        (">=", ["1.0", "1.1"]), (">", ["1.0", "1.1"]), (">>", ["1.1"]), ("", ["0.9", "1.0", "1.1", ""]),
    ],
)  # fmt: skip
def test_orders(order: str, accepted: list[str]) -> None:
    relation = Relation("a", order, "1.0" if order else "")
    assert [v for v in ("0.9", "1.0", "1.1", "") if relation.accepts(v)] == accepted


@pytest.mark.parametrize("text", ["a (>= )", "A", "a b", "a (~ 1)", "a (>= 1_0)", "|", "a (= :)"])
def test_what_is_no_relation(text: str) -> None:
    with pytest.raises(PackageError, match="no relation"):
        parse_relations(text, "it")


def test_too_many_relations() -> None:
    with pytest.raises(PackageError, match="2000"):
        parse_relations("aa," * 2001, "it")
    assert str(Relation("a", ">=", "1")) == "a (>= 1)"
    assert parse_relations(" \n", "it") == ()
