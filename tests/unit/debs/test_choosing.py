"""Which packages are added: the rules, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.debs import Deb

from layersmith.debs.choosing import Held, Wish, choose, parse_wish
from layersmith.debs.packages import Listing
from layersmith.debs.relations import parse_relations
from layersmith.errors import ClosureError, NotFound, RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBC = {"libc6": Held("2.41-12")}


def listing(*debs: Deb, automatic: bool = True, base: str = "http://a.example") -> Listing:
    text = "\n".join(deb.stanza for deb in debs).encode()
    return Listing(text, "it", base, automatic=automatic)


def chosen(
    *debs: Deb, wish: str = "a1", image: Mapping[str, Held] = LIBC, more: tuple[Listing, ...] = ()
) -> list[str]:
    found = choose([parse_wish(wish)], [listing(*debs), *more], image)
    return [str(stanza) for stanza in found]


def test_what_is_needed_comes_along() -> None:
    debs = Deb("a1", "1", depends="b1 (>= 1), libc6 (>= 2.38)"), Deb("b1", "1", depends="c1")
    assert chosen(*debs, Deb("c1", "1"), Deb("d1", "1")) == ["a1=1", "b1=1", "c1=1"]


def test_circles_end() -> None:
    assert chosen(Deb("a1", "1", depends="b1"), Deb("b1", "1", depends="a1")) == ["a1=1", "b1=1"]


def test_pre_depends_count_and_recommends_do_not() -> None:
    deb = Deb("a1", "1", fields={"Pre-Depends": "b1", "Recommends": "c1"})
    assert chosen(deb, Deb("b1", "1"), Deb("c1", "1")) == ["a1=1", "b1=1"]


def test_the_highest_version_of_all_archives() -> None:
    security = listing(Deb("a1", "1+deb13u2"), base="http://s.example")
    assert chosen(Deb("a1", "1"), Deb("a1", "1+deb13u1"), more=(security,)) == ["a1=1+deb13u2"]


def test_a_version_that_was_named() -> None:
    assert chosen(Deb("a1", "1"), Deb("a1", "2"), wish="a1=1") == ["a1=1"]
    with pytest.raises(NotFound, match="a1=3: it has 2, 1"):
        chosen(Deb("a1", "1"), Deb("a1", "2"), wish="a1=3")


def test_a_pin_holds_for_what_others_need_too() -> None:
    debs = Deb("a1", "1", depends="b1"), Deb("b1", "1"), Deb("b1", "2")
    wishes = [Wish("b1", "1"), Wish("a1")]
    assert [str(one) for one in choose(wishes, [listing(*debs)], {})] == ["a1=1", "b1=1"]


@pytest.mark.parametrize("wishes", [("a1", "a1=1"), ("a1=1", "a1"), ("b1", "a1=1")])
def test_a_pin_holds_whatever_else_is_wished(wishes: tuple[str, str]) -> None:
    debs = Deb("a1", "1"), Deb("a1", "2"), Deb("b1", "1", depends="a1")
    found = choose([parse_wish(wish) for wish in wishes], [listing(*debs)], {})
    assert [str(one) for one in found][:1] == ["a1=1"]


def test_backports_are_taken_when_they_are_named() -> None:
    backports = listing(Deb("a1", "2~bpo13+1"), automatic=False)
    assert chosen(Deb("a1", "1"), more=(backports,)) == ["a1=1"]
    assert chosen(Deb("a1", "1"), wish="a1=2~bpo13+1", more=(backports,)) == ["a1=2~bpo13+1"]


def test_what_the_image_provides_is_not_added() -> None:
    image = {"libfoo1": Held("1", (("foo-abi", "7"), ("bar", "")))}
    debs = (
        Deb("a1", "1", depends="libfoo1, foo-abi (>= 7), bar"),
        Deb("bar", "1"),
        Deb("libfoo1", "2"),
    )
    assert chosen(*debs, image=image) == ["a1=1"]
    # A name that is provided without a version meets no relation with one.
    assert chosen(Deb("a1", "1", depends="bar (>= 1)"), Deb("bar", "1"), image=image) == [
        "a1=1",
        "bar=1",
    ]


def test_of_alternatives_the_first_that_there_is() -> None:
    deb = Deb("a1", "1", depends="x1 | b1 (>= 2) | c1 | d1")
    assert chosen(deb, Deb("b1", "1"), Deb("c1", "1"), Deb("d1", "1")) == ["a1=1", "c1=1"]
    assert chosen(deb, Deb("c1", "1"), image={"d1": Held("1")}) == ["a1=1"]
    assert chosen(Deb("a1", "1", depends="d1, c1 | d1"), Deb("c1", "1"), Deb("d1", "1")) == [
        "a1=1", "d1=1"
    ]  # fmt: skip


def test_a_name_that_others_provide() -> None:
    ones = (
        Deb("b2", "1", fields={"Provides": "virtual"}),
        Deb("b1", "1", fields={"Provides": "virtual"}),
    )
    assert chosen(Deb("a1", "1", depends="virtual"), *ones) == ["a1=1", "b1=1"]
    assert chosen(Deb("a1", "1", fields={"Provides": "old1 (= 1)"}), wish="old1") == ["a1=1"]
    with pytest.raises(NotFound, match="does not have the package virtual") as caught:
        chosen(*ones, wish="virtual")
    assert caught.value.hint == "name one that provides it: b1, b2"


@pytest.mark.parametrize("needed", ["debconf (>= 0.5) | debconf-2.0", "adduser", "dpkg (>= 1.20)"])
def test_what_only_scripts_call_is_left_out(needed: str) -> None:
    assert chosen(Deb("a1", "1", depends=f"b1, {needed}"), Deb("b1", "1")) == ["a1=1", "b1=1"]


def test_what_the_script_of_one_package_calls() -> None:
    debs = Deb("ca-certificates", "1", depends="openssl"), Deb("openssl", "1")
    assert chosen(*debs, wish="ca-certificates") == ["ca-certificates=1"]
    assert chosen(Deb("a1", "1", depends="openssl"), debs[1]) == ["a1=1", "openssl=1"]


def test_an_image_with_another_version() -> None:
    with pytest.raises(
        ClosureError, match=r"a1=1 needs libc6 \(>= 2.42\): the image has libc6 2.41"
    ):
        chosen(Deb("a1", "1", depends="libc6 (>= 2.42)"), Deb("libc6", "2.42"))
    with pytest.raises(ClosureError, match=r"the image has a1 0.9, and the archive 1"):
        chosen(Deb("a1", "1"), image={"a1": Held("0.9")})
    with pytest.raises(ClosureError, match=r"the image has a1 0.9, not 1"):
        chosen(Deb("a1", "1"), image={"a1": Held("0.9")}, wish="a1=1")


def test_the_rest_of_a_package_that_the_image_has() -> None:
    assert chosen(Deb("a1", "1"), Deb("a1", "2"), image={"a1": Held("1")}) == ["a1=1"]


def test_all_that_is_wrong_is_named() -> None:
    with pytest.raises(ClosureError) as caught:
        chosen(Deb("a1", "1", depends="x1, y1 | z1 (= 2), b1 (>= 2)"), Deb("b1", "1"))
    assert caught.value.problems == (
        "a1=1 needs b1 (>= 2): no archive has it",
        "a1=1 needs x1: no archive has it",
        "a1=1 needs y1 | z1 (= 2): no archive has it",
    )


def test_what_was_taken_in_another_version() -> None:
    debs = Deb("a1", "1", depends="b1, c1"), Deb("b1", "1"), Deb("c1", "1", depends="b1 (= 2)")
    with pytest.raises(ClosureError, match=r"c1=1 needs b1 \(= 2\): b1=1 is taken"):
        chosen(*debs)


def test_packages_that_do_not_go_together() -> None:
    deb = Deb("a1", "1", fields={"Breaks": "old (<< 2)", "Conflicts": "a1, b1", "Provides": "a2"})
    assert chosen(deb, image={"old": Held("2")}) == ["a1=1"]
    with pytest.raises(ClosureError, match="a1=1 does not go with the image's old 1"):
        chosen(deb, image={"old": Held("1")})
    with pytest.raises(ClosureError, match="a1=1 does not go with b1=1"):
        chosen(Deb("c1", "1", depends="a1, b1"), deb, Deb("b1", "1"), wish="c1")


def test_what_the_image_does_not_want_beside_it() -> None:
    held = Held("2", (), parse_relations("a1 (<< 2), mta", ""))
    for deb in (Deb("a1", "1"), Deb("b1", "1", fields={"Provides": "mta"})):
        with pytest.raises(ClosureError, match="image's old 2 does not go with"):
            chosen(deb, image={"old": held}, wish=deb.name)
    assert chosen(Deb("a1", "2"), image={"old": held}) == ["a1=2"]
    # What two packages of the image have against each other is not ours to judge.
    image = {"old": held, "a1": Held("1")}
    assert chosen(Deb("c1", "1"), image=image, wish="c1") == ["c1=1"]


@pytest.mark.parametrize(
    "text", ["", "A", "a", "lib a", "liba=", "liba=x y", "=1", "liba=1=2", "../a"]
)
def test_what_is_no_wish(text: str) -> None:
    with pytest.raises(RecipeError, match="no package of Debian"):
        parse_wish(text)
    assert parse_wish("libpq5=1:2-3") == Wish("libpq5", "1:2-3")


def test_a_package_that_nobody_has() -> None:
    with pytest.raises(NotFound, match="does not have the package a1"):
        chosen(Deb("b1", "1"))


@pytest.mark.parametrize(
    ("wish", "hint"),
    [
        ("libpq", "it has libpq5, libpq-dev"),
        ("libpq6", "it has libpq5, libpq-dev"),
        ("libqp5", "it has libpq5"),
        ("zzz", ""),
    ],
)
def test_what_could_be_meant(wish: str, hint: str) -> None:
    debs = Deb("libpq5", "1"), Deb("libpq-dev", "1"), Deb("other", "1")
    with pytest.raises(NotFound) as caught:
        chosen(*debs, wish=wish)
    assert caught.value.hint == hint


def test_a_name_that_is_only_provided_is_not_gone_with_either() -> None:
    """Policy, 7.4: who provides and conflicts with the same name wants to be the only one."""
    ones = [Deb(n, "1", fields={"Provides": "mta", "Conflicts": "mta"}) for n in ("a1", "b1")]
    assert chosen(*ones) == ["a1=1"]
    with pytest.raises(ClosureError, match="a1=1 does not go with b1=1"):
        choose([Wish("a1"), Wish("b1")], [listing(*ones)], {})
    with pytest.raises(ClosureError, match="a1=1 does not go with the image's c1 2"):
        chosen(*ones, image={"c1": Held("2", (("mta", ""),))})
