"""What ``app build`` is asked for, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import RecipeError
from layersmith.recipe.application import App

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.assemble.applayer import Application
    from layersmith.assemble.deblayer import Added
    from layersmith.assemble.dependencies import Environment
    from layersmith.assemble.inputs import Pinned
    from layersmith.assemble.outcome import TopLayer, Unresolved
    from layersmith.assemble.publishing import Published
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.wheels import Chosen
    from layersmith.oci.documents import Document, Index, Manifest
    from layersmith.oci.image import Image
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["Applied", "Built", "Order"]

# What an application says itself: the table is there for it.
_OF_APPS: Final = ("entrypoint", "cmd", "workdir")


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: a recipe with an application, and where its paths start.

    `program` is the interpreter to compile with, if it is not to be searched for.
    """

    recipe: Recipe
    folder: Path
    network: RegistryOptions
    pinned: Pinned
    program: str = ""

    @property
    def app(self) -> App:
        """The recipe's table."""
        return self.recipe.app or App()

    def check(self) -> None:
        """Raise :class:`RecipeError` for what makes no sense together."""
        if not (self.recipe.base_image or self.recipe.target):
            raise RecipeError(
                "no target and no base-image: on what?",
                hint="give a target like 3.13-debian13, or --base-image REF",
            )
        if self.app.debian_packages:
            from layersmith.debs.choosing import parse_wish  # noqa: PLC0415 - for few applications

            for text in self.app.debian_packages:
                parse_wish(text)
        for key in _OF_APPS:
            if getattr(self.recipe, key) is not None:
                raise RecipeError(f"{key} of an application stands in its table [app]")
        if self.app == App():
            raise RecipeError(
                "an application of which nothing is said",
                hint="give its lock (--dependencies), its --source or its --wheel",
            )


@dataclass(frozen=True, slots=True)
class Applied:
    """One platform, done."""

    image: Image
    wheels: tuple[Chosen, ...]
    environment: Environment
    application: Application
    unresolved: tuple[Unresolved, ...]
    added: Added | None = None

    @property
    def layers(self) -> tuple[TopLayer, ...]:
        """The layers that are new, from below to above."""
        lowest = (self.added.layer,) if self.added else ()
        return *lowest, self.environment.layer, self.application.layer


@dataclass(frozen=True, slots=True)
class Built:
    """The result: the Python image below, the index, what is in it, and where it is now."""

    python: PythonImage
    index: Document[Index] | Document[Manifest]
    applied: tuple[Applied, ...]
    published: Published
