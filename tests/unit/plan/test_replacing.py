"""Packages of the base that give way: every file of the one goes, every file of the other comes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.build.layers import changes
from tests.build.tree import described, root

from layersmith.errors import RecipeError
from layersmith.plan.packages import record_packages
from layersmith.plan.replacing import replace_packages
from layersmith.rootfs.entries import File
from layersmith.rootfs.layer import Whiteout, overlay
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from tests.build.tree import Literal

    from layersmith.plan.placing import Placing

RECORDS = "var/lib/dpkg/status.d"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def record(name: str, version: str, files: dict[str, bytes]) -> Literal:
    lines = "".join(f"{md5(content)}  {path}\n" for path, content in files.items())
    return {
        f"{RECORDS}/{name}": f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n".encode(),
        f"{RECORDS}/{name}.md5sums": lines.encode(),
        **{path: content for path, content in files.items() if not path.startswith("lib/")},
    }


BASE: Literal = {
    **record("liba", "1", {"lib/a.so.1.1": b"old", "usr/lib/plugin": b"p", "usr/lib/same": b"s"}),
    **record("other", "5", {"usr/lib/other": b"o"}),
    "lib": "usr/lib",
    "usr/lib/a.so.1.1": b"old",
    "usr/lib/a.so.1": "a.so.1.1",
    "usr/lib/a.so": "a.so.1.1",
    "usr/lib/nowhere": "never",
}
BUILDER: Literal = {
    "var/lib/dpkg/status": (
        b"Package: liba\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n\n"
        b"Package: same\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
    ),
    "var/lib/dpkg/info/liba:amd64.list": (
        b"/usr/lib/a.so.1.2\n/usr/lib/a.so.1\n/usr/lib/same\n/usr/share/doc/liba/copyright\n"
    ),
    "var/lib/dpkg/info/same.list": b"/usr/lib/x\n",
    "usr/lib/a.so.1.2": b"new",
    "usr/lib/a.so.1": "a.so.1.2",
    "usr/lib/same": b"s",
    "usr/lib/x": b"x",
    "usr/share/doc/liba/copyright": b"free",
}


def replaced(base: Literal = BASE, *names: str, builder: Literal = BUILDER) -> Placing:
    placing = replace_packages(root(base), root(builder), names or ("liba",))
    record_packages(placing, ())
    return placing


def test_the_layer_takes_the_old_files_away_and_brings_the_new_ones() -> None:
    placing = replaced()
    assert placing.removed == {"usr/lib/a.so.1.1", "usr/lib/plugin", "usr/lib/a.so"}
    tar = b"".join(pack(placing.entries, placing.builder.contents, 0, placing.removed))
    base = root(BASE)
    final = overlay([changes(tar)], base.tree)
    left = {"a.so.1.2", "a.so.1", "same", "other", "nowhere"}
    assert set(final.listing("usr/lib")) == left
    assert final.lookup("usr/lib/a.so.1") is not None
    # What the plan looked at is what the runtimes will see.
    assert sorted(p for p, _ in final.walk()) == sorted(p for p, _ in placing.final().walk())


def made(placing: Placing, path: str) -> str:
    entry = placing.entries[path]
    assert isinstance(entry, File)
    assert isinstance(entry.content, bytes)
    return entry.content.decode()


def test_the_record_is_the_new_ones_and_lists_what_is_there() -> None:
    placing = replaced()
    assert made(placing, f"{RECORDS}/liba").startswith("Package: liba\n")
    assert "Version: 2\n" in made(placing, f"{RECORDS}/liba")
    assert made(placing, f"{RECORDS}/liba.md5sums").splitlines() == [
        f"{md5(b'new')}  usr/lib/a.so.1.2",
        f"{md5(b's')}  usr/lib/same",
        f"{md5(b'free')}  usr/share/doc/liba/copyright",
    ]


def test_every_whiteout_has_its_parents_in_the_layer() -> None:
    placing = replaced()
    tar = b"".join(pack(placing.entries, placing.builder.contents, 0, placing.removed))
    hidden = [c.path for c in changes(tar) if isinstance(c, Whiteout)]
    assert sorted(hidden) == sorted(placing.removed)


def test_the_same_version_stays_as_it_is() -> None:
    base = {**BASE, **record("liba", "2", {"usr/lib/same": b"s"})}
    placing = replaced(base)
    assert not placing.entries
    assert not placing.removed


def test_what_another_package_of_the_base_has_is_not_overwritten() -> None:
    base = {**BASE, **record("other", "5", {"usr/share/doc/liba/copyright": b"mine"})}
    with pytest.raises(RecipeError, match="the base has another"):
        replaced(base)


@pytest.mark.parametrize(("name", "who"), [("nobody", "base"), ("other", "builder")])
def test_a_package_that_one_lacks_cannot_be_replaced(name: str, who: str) -> None:
    with pytest.raises(RecipeError, match=f"the {who} has no package '{name}'"):
        replaced(BASE, name)


def test_nothing_asked_for_nothing_done() -> None:
    base, builder = root(BASE), root(BUILDER)
    placing = replace_packages(base, builder, ())
    assert (placing.base, placing.builder, placing.entries) == (base, builder, {})
    assert described(Root(placing.final(), base.contents)) == described(base)
