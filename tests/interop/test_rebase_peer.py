"""A rebased application: what moves at a real registry, and that it runs on its new base."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures import build, registry, sandbox
from tests.interop.conftest import ARCHITECTURES, TARGET, Result, emulator, layersmith
from tests.interop.peers import need
from tests.interop.registries import answered
from tests.interop.test_apps import write_shop

pytestmark = pytest.mark.interop

ENV = {"PIP_CONFIG_FILE": "/dev/null", "SOURCE_DATE_EPOCH": "1750000000"}


@dataclass(frozen=True)
class Shop:
    """An application in the registry, and a newer Python image beside it."""

    host: str
    folder: Path
    built: dict[str, Any]

    def rebase(self, *options: str, onto: str = "team/newer:n") -> Result:
        return layersmith(
            "rebase", f"{self.host}/team/rebased:1", "--onto", f"{self.host}/{onto}", "--json",
            "--cache-dir", f"{self.folder}/other", *options, env=ENV,
        )  # fmt: skip

    def build(self, *options: str) -> Result:
        return layersmith(
            "app", "build", "--file", f"{self.folder}/layersmith.toml", "--json",
            "--cache-dir", f"{self.folder}/cache", *options, env=ENV,
        )  # fmt: skip


@pytest.fixture(scope="module")
def shop(
    served: registry.Registry,
    images: build.Fixtures,
    mirrors: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    folder = tmp_path_factory.mktemp("rebase")
    write_shop(folder, images)
    for name, options in (("older", ()), ("newer", ("--include", "pip"))):
        python = layersmith(
            "assemble", TARGET, *mirrors, *options, "--json",
            "--push", f"{served.host}/team/{name}:n", "--cache-dir", f"{folder}/cache", env=ENV,
        )  # fmt: skip
        assert python.code == 0, python.err
    recipe = folder / "layersmith.toml"
    recipe.write_text("".join(recipe.read_text().partition("[app]")[1:]))
    found = Shop(served.host, folder, {})
    older = ("--base-image", f"{served.host}/team/older:n")
    done = found.build(*older, "--push", f"{served.host}/team/rebased:1")
    assert done.code == 0, done.err
    return Shop(served.host, folder, done.document)


@pytest.fixture(scope="module")
def moved(shop: Shop, served: registry.Registry) -> tuple[dict[str, Any], list[Any]]:
    """The rebased image, and what the registry was asked for meanwhile."""
    before = len(served.log)
    done = shop.rebase("--push", f"{shop.host}/prod/shop")
    assert done.code == 0, done.err
    return done.document, answered(served.log[before:])


def test_only_manifests_and_configs_are_uploaded(
    shop: Shop, moved: tuple[dict[str, Any], list[Any]], served: registry.Registry
) -> None:
    document, asked = moved
    ours = [r for r in asked if r[1].startswith("/v2/prod/shop/")]
    uploads = [r for r in ours if r[0] == "PUT" and "/blobs/uploads/" in r[1]]
    assert len(uploads) == 2
    assert {p["config"] for p in document["platforms"]} == {
        r[1].partition("digest=")[2].partition("&")[0].replace("%3A", ":") for r in uploads
    }
    assert [r for r in asked if r[0] in ("PUT", "POST", "PATCH") and r not in ours] == []
    mounts = [r[1] for r in ours if "mount=" in r[1]]
    assert len(mounts) == len(set(mounts))
    puts = [r[1] for r in ours if r[0] == "PUT"]
    assert puts[-1].endswith("/manifests/1")
    assert [p["layers"] for p in document["platforms"]] == [
        [p[part]["digest"] for part in ("dependencies", "application")]
        for p in shop.built["platforms"]
    ]

    before = len(served.log)
    again = shop.rebase("--push", f"{shop.host}/prod/shop")
    assert again.document["digest"] == document["digest"]
    assert {r[0] for r in answered(served.log[before:])} == {"HEAD"}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_it_runs_on_the_new_base(
    shop: Shop, moved: tuple[dict[str, Any], list[Any]], arch: str, tmp_path: Path
) -> None:
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false",
         f"docker://{shop.host}/prod/shop:1", f"oci:{tmp_path}/pulled:shop"],
        check=True,
    )  # fmt: skip
    bundle = sandbox.unpack(tmp_path / "pulled", "shop", arch, tmp_path / arch)
    done = sandbox.run(bundle, bundle.command, emulator=emulator(arch))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["argv"], said["answer"], said["whole"]) == (["a b", "c"], 42, True)
    of_the_base = ["/usr/local/bin/python3", "-c", "import pip; print(pip.__file__)"]
    done = sandbox.run(bundle, of_the_base, emulator=emulator(arch))
    assert done.stdout.startswith("/usr/local/lib/python3.13/site-packages/pip"), done.stderr


def test_app_build_makes_the_same_images_there(
    shop: Shop, moved: tuple[dict[str, Any], list[Any]]
) -> None:
    newer = ("--base-image", f"{shop.host}/team/newer:n")
    built = shop.build(*newer, "--output", f"oci:{shop.folder}/out:x")
    assert built.code == 0, built.err
    assert [p["digest"] for p in built.document["platforms"]] == [
        p["digest"] for p in moved[0]["platforms"]
    ]


def test_onto_the_old_base_there_is_nothing_to_do(shop: Shop, served: registry.Registry) -> None:
    before = len(served.log)
    done = shop.rebase(onto="team/older:n")
    assert done.code == 0, done.err
    assert done.document["same"]
    assert done.document["digest"] == shop.built["digest"]
    assert {r[0] for r in answered(served.log[before:])} <= {"HEAD", "GET"}
