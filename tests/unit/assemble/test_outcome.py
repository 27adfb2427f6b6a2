"""The record of an outcome: read again only for the same question, and only if all is there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from tests.build.world import write_world

from layersmith.assemble import pipeline
from layersmith.assemble.assembling import assemble
from layersmith.assemble.outcome import Outcome
from layersmith.assemble.workshop import Workshop
from layersmith.oci.content import NoProgress
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.target import Target
from layersmith.stores.cache import Cache
from layersmith.stores.registry import RegistryOptions

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.assemble.outcome import Assembled

TARGET = Target.parse("3.13-debian13")


class Made(Exception):
    """Something was made anew."""


class Bench:
    """A world to assemble in, once done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        base, builder = write_world(folder, b"text")
        self.recipe = Recipe(
            target=str(TARGET), base=base, builder=builder, platforms=("linux/amd64",),
            output=f"oci:{folder}/out:t",
        )  # fmt: skip
        self.first = self.run()

    def run(self, target: Target = TARGET, **changed: Any) -> Assembled:
        recipe = structs.replace(self.recipe, **changed).check()
        with Workshop(self.folder / "cache", RegistryOptions(), NoProgress()) as workshop:
            return assemble(workshop, target, recipe)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    done = Bench(tmp_path)

    def make(*_: object) -> None:
        raise Made

    monkeypatch.setattr(pipeline, "produce", make)
    return done


def test_the_same_question_is_answered_from_the_record(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "out")
    assert bench.run().outcome == bench.first.outcome
    assert bench.run(output=f"oci:{bench.folder}/other:u").names == [f"oci:{bench.folder}/other:u"]


def test_what_only_the_index_says_of_a_platform_is_recorded(bench: Bench) -> None:
    outcome = bench.first.outcome
    made = outcome.made[0]
    fuller = structs.replace(made.image.platform, os_version="6.1")
    outcome = replace(outcome, made=(replace(made, image=replace(made.image, platform=fuller)),))
    cache = Cache(bench.folder / "cache")
    outcome.remember(cache, "fuller")
    assert Outcome.recall(cache, "fuller") == outcome


@pytest.mark.parametrize(
    "changed",
    [
        {"env": {"A": "1"}}, {"labels": {"a": "1"}}, {"annotations": {"a": "1"}},
        {"user": "nonroot"}, {"workdir": "/x"}, {"entrypoint": ()}, {"cmd": ("x",)},
        {"exclude": ("usr/*",)}, {"platforms": ("linux/arm64",)},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_another_recipe_is_another_question(bench: Bench, changed: dict[str, Any]) -> None:
    with pytest.raises(Made):
        bench.run(**changed)


def test_another_epoch_is_another_question(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    with pytest.raises(Made):
        bench.run()


def test_another_target_is_another_question(bench: Bench) -> None:
    with pytest.raises(Made):
        bench.run(replace(TARGET, python="3.13.5"))


def test_other_inputs_are_another_question(bench: Bench) -> None:
    write_world(bench.folder, b"other text")
    with pytest.raises(Made):
        bench.run()


@pytest.mark.parametrize("damage", ["gone", "flipped", "cut"])
def test_a_layer_that_is_not_whole_is_made_again(bench: Bench, damage: str) -> None:
    shutil.rmtree(bench.folder / "out")
    digest = bench.first.outcome.made[0].layer.digest.removeprefix("sha256:")
    blob = bench.folder / "cache/v1/blobs/sha256" / digest
    raw = blob.read_bytes()
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(raw[:-1] if damage == "cut" else raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(Made):
        bench.run()
