"""lock, and assemble --locked, as a user types them, on the smallest world."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.build.elf import elf
from tests.build.site import FILE, Site
from tests.build.tar import archive, file
from tests.build.world import X86
from typer.testing import CliRunner

from layersmith.cli import locks
from layersmith.cli.app import app
from layersmith.errors import Differs, InvalidInput, LayersmithError, LockMismatch, RecipeError
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path


def keep(site: Site) -> None:
    """Let the builder's old index stay in the layout, as a registry keeps what has no tag."""
    layout = Layout(site.folder / "builder")
    layout.tag("old", layout.resolve("t"))


def test_a_lock_holds_when_upstream_moves(site: Site) -> None:
    site.run("lock", *FILE)
    first = site.assemble(*FILE, "--locked")
    assert first == site.assemble(*FILE)
    keep(site)
    site.move()
    assert site.assemble(*FILE) != first
    assert site.assemble(*FILE, "--locked") == first
    assert site.assemble("--locked") == first
    assert site.assemble("--lock", "layersmith.lock") == first


def test_a_plan_can_be_of_what_is_locked(site: Site) -> None:
    site.run("lock", *FILE)
    first = site.run("plan", *FILE, "--json")
    keep(site)
    site.move()
    assert site.run("plan", *FILE, "--json") != first
    assert site.run("plan", *FILE, "--locked", "--json") == first
    site.recipe('user = "app:5:5"\n')
    with pytest.raises(LockMismatch):
        site.run("plan", *FILE, "--locked")


def test_names_that_are_not_utf8_can_be_locked(site: Site) -> None:
    """A file system has them, documents do not."""
    module = "usr/local/lib/python3.13/lib-dynload/_y.so"
    odd = archive(
        file(f"{X86.folder}/libodd\udcff.so", elf(soname="libodd\udcff.so"), mode=0o755),
        file(module, elf(needed=["libodd\udcff.so", "libnone\udcfe.so"]), mode=0o755),
    )
    site.move(b"moved", "3.13.5", odd)
    site.recipe('allow-unresolved = ["libnone*"]')
    site.run("lock", *FILE)
    libraries = site.lock["platforms"]["linux/amd64"]["libraries"]
    assert libraries["libodd\\xff.so"] == f"/{X86.folder}/libodd\\xff.so"
    made = json.loads(site.run("assemble", *FILE, "--locked", "--json"))
    assert made["platforms"][0]["unresolved"] == [
        {"soname": "libnone\\xfe.so", "wanted_by": [f"/{module}"]}
    ]
    assert json.loads(site.run("assemble", *FILE, "--locked", "--json"))["digest"] == made["digest"]


def test_the_lock_decides_the_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    site.run("lock", *FILE)
    first = site.assemble("--locked")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000001")
    assert site.assemble("--locked") == first
    assert site.assemble(*FILE) != first
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert site.assemble("--locked") == first
    assert site.lock["platforms"]["linux/amd64"]["epoch"] == 1_000_000_000


def test_locking_again_changes_nothing_until_it_is_asked(site: Site) -> None:
    assert "Python 3.13.5" in site.run("lock", *FILE)
    first = (site.folder / "layersmith.lock").read_bytes()
    keep(site)
    site.move(version="3.13.6")
    assert "nothing changed" in site.run("lock", *FILE)
    assert "nothing changed" in site.run("lock", "--update", "base")
    assert (site.folder / "layersmith.lock").read_bytes() == first
    told = site.run("lock", "--update", "builder").splitlines()
    assert "  Python: 3.13.5 -> 3.13.6" in told
    assert any(line.startswith("  builder: oci:builder:t sha256:") for line in told)
    assert site.lock["python"] == "3.13.6"


def test_update_may_stand_anywhere(site: Site) -> None:
    site.run("lock", "--update", *FILE)
    site.move(version="3.13.6")
    assert "3.13.5 -> 3.13.6" in site.run("lock", *FILE, "--update")
    site.move(version="3.13.7")
    assert "3.13.6 -> 3.13.7" in site.run("lock", "--update", "--file", "layersmith.toml")
    with pytest.raises(InvalidInput, match="base, builder"):
        site.run("lock", "--update=both", *FILE)
    with pytest.raises(InvalidInput, match="does not go with --update"):
        site.run("lock", "--check", "--update", *FILE)


def test_a_change_of_the_recipe_keeps_the_inputs(site: Site) -> None:
    site.run("lock", *FILE)
    locked = site.lock["builder"]
    keep(site)
    site.move()
    site.recipe('[env]\nA = "b"\n')
    assert "recipe: sha256:" in site.run("lock", *FILE)
    assert site.lock["builder"] == locked
    assert site.lock["recipe"]["env"] == {"A": "b"}


def test_check_says_what_moved(site: Site) -> None:
    site.run("lock", *FILE)
    assert "where they were" in site.run("lock", "--check")
    assert json.loads(site.run("lock", "--check", "--json"))["moved"] == []
    old = Layout(site.folder / "builder").resolve("t").digest
    site.move()
    done = CliRunner().invoke(app, ["lock", "--check", "--json"])
    assert isinstance(done.exception, Differs)
    assert done.exception.exit_code == 1
    (one,) = json.loads(done.stdout)["moved"]
    assert (one["name"], one["locked"], one["platforms"]) == ("builder", old, ["linux/amd64"])
    assert one["now"] == Layout(site.folder / "builder").resolve("t").digest
    with pytest.raises(Differs, match="builder moved"):
        site.run("lock", "--check", *FILE)


def test_check_tells_an_index_that_moved_from_images_that_did(site: Site) -> None:
    site.run("lock", *FILE)
    site.move(b"", annotations={"a": "b"})  # the same image, described in other words
    done = CliRunner().invoke(app, ["lock", "--check"])
    assert isinstance(done.exception, Differs)
    assert "none of the locked platforms" in done.stdout


def test_a_recipe_that_no_longer_matches_is_told_key_by_key(site: Site) -> None:
    site.recipe('labels = {a = "1"}\n[env]\nA = "b"\nC = "d"\n')
    site.run("lock", *FILE)
    site.recipe('user = "app:5:5"\n[env]\nA = "x"\nC = "d"\n')
    with pytest.raises(LockMismatch) as caught:
        site.assemble(*FILE, "--base", "r.example/other:t", "--platform=linux/arm64", "--locked")
    assert caught.value.exit_code == 10
    assert site.err.splitlines() == [
        '  env.A: the recipe says "x", the lock "b"',
        '  labels.a: the recipe says nothing, the lock "1"',
        '  user: the recipe says "app:5:5", the lock nothing',
        '  base: the recipe says "r.example/other:t", the lock "oci:base:t"',
        '  platforms: the recipe says ["linux/arm64"], the lock ["linux/amd64"]',
    ]
    assert not (site.folder / "dist").exists()


def test_another_compressor_is_a_difference(site: Site) -> None:
    site.run("lock", *FILE)
    path = site.folder / "layersmith.lock"
    path.write_text(path.read_text().replace("(deflate ", "(deflate 0."))
    with pytest.raises(LockMismatch):
        site.assemble("--locked")
    assert "compressor: this layersmith has libdeflate" in site.err


def test_another_layersmith_is_a_warning(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.run("lock", *FILE)
    path = site.folder / "layersmith.lock"
    path.write_text(path.read_text().replace('layersmith = "', 'layersmith = "9.'))
    site.assemble("--locked")
    assert "was made by layersmith 9." in site.err


def test_a_lock_that_contradicts_the_images(site: Site) -> None:
    site.run("lock", *FILE)
    path = site.folder / "layersmith.lock"
    digest = site.lock["platforms"]["linux/amd64"]["builder"]
    path.write_text(path.read_text().replace(digest, site.lock["platforms"]["linux/amd64"]["base"]))
    with pytest.raises(LockMismatch, match="contradicts itself: builder"):
        site.assemble("--locked")


def test_what_the_lock_names_and_nobody_has(site: Site) -> None:
    site.run("lock", *FILE)
    path = site.folder / "layersmith.lock"
    path.write_text(path.read_text().replace(site.lock["base"]["digest"], f"sha256:{'0' * 64}"))
    with pytest.raises(LayersmithError, match="oci:base:t") as caught:
        site.assemble("--locked")
    assert caught.value.exit_code == 3


def test_no_lock_and_no_target(site: Site) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        site.assemble("--locked")
    (site.folder / "layersmith.toml").unlink()
    with pytest.raises(RecipeError, match="no target"):
        site.run("lock")
    with pytest.raises(RecipeError, match="no target"):
        site.assemble()


def test_the_recipe_that_lies_here_is_meant(site: Site) -> None:
    site.run("lock")
    first = site.assemble()
    assert site.assemble("--locked") == site.assemble(*FILE) == first
    site.recipe('user = "app:5:5"\n')
    for words in (("assemble", "--locked"), ("plan", "--locked"), ("lock", "--check")):
        with pytest.raises(LockMismatch):
            site.run(*words)
    # Who names a lock or a target means these.
    assert site.assemble("--lock", "layersmith.lock") == first
    named = ("3.13-debian13", "--base", "oci:base:t", "--builder", "oci:builder:t")
    assert site.assemble(*named, "--platform", "linux/amd64") == first


def test_a_bundle_has_a_recipe_of_its_own(site: Site) -> None:
    site.run("bundle", "create", "-o", "x.bundle")
    first = site.assemble()
    site.recipe('user = "app:5:5"\n')
    assert site.assemble("--bundle", "x.bundle") == first
    with pytest.raises(LockMismatch) as caught:
        site.assemble("--bundle", "x.bundle", "--user", "app:5:5")
    assert "leave out what is typed" in caught.value.hint


def test_the_lock_lies_beside_the_recipe(site: Site, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "layersmith.toml").rename(tmp_path / "sub/recipe.toml")
    site.run("lock", "--file", "sub/recipe.toml")
    assert (tmp_path / "sub/layersmith.lock").exists()
    site.run("lock", "--file", "sub/recipe.toml", "--lock", "other.lock")
    assert (tmp_path / "other.lock").read_bytes() == (tmp_path / "sub/layersmith.lock").read_bytes()
    assert locks.lock_path(None, None).name == "layersmith.lock"


def test_a_lock_is_json_too(site: Site) -> None:
    found = json.loads(site.run("lock", *FILE, "--json"))
    assert found["lock"]["base"]["digest"] == site.lock["base"]["digest"]
    assert found["changes"] == []
