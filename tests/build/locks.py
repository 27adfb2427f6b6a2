"""A lock as layersmith writes it."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX
from layersmith.recipe.lock import Lock, LockedInput, LockedPlatform, Made
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.shape import shape, shape_digest


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def lock(recipe: Recipe | None = None, **more: Any) -> Lock:
    recipe = recipe or Recipe(target="3.13-debian13", env={"TZ": "UTC"})
    platform = LockedPlatform(
        digest("base amd64"),
        digest("builder amd64"),
        1_700_000_000,
        {"libc6": "2.41-12"},
        {"libffi8": "3.4.8-2", "liba": "1"},
        {"libffi.so.8": "/usr/lib/libffi.so.8.1.4"},
    )
    known: dict[str, Any] = {
        "python": "3.13.5",
        "recipe_digest": shape_digest(recipe),
        "made": Made("0.1.0", "gzip:x:6"),
        "recipe": shape(recipe),
        "base": LockedInput("gcr.io/distroless/cc-debian13:latest", digest("b"), OCI_INDEX, 508),
        "builder": LockedInput("docker.io/library/python:3.13", digest("p"), OCI_INDEX, 1508),
        "platforms": {"linux/amd64": platform, "linux/arm64": structs.replace(platform, epoch=3)},
    }
    return Lock(**{**known, **more})
