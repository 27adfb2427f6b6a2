"""Builder images: an official image, whole, with a user and his tools in one layer on top.

::

    image -read-> Tree, Interpreter;  requirements x Interpreter -pins-> wheels -installer-> Site
    user + Site below ~/.local -pack-> layer;  image + layer -derive-> config, manifest

The tools lie where ``pip install --user`` puts them: Python finds them by the user's home, and he
may upgrade them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from layersmith.analysis.objects import Objects
from layersmith.apps.interpreter import Interpreter, find_interpreter
from layersmith.apps.needs import check_needs, objects_in
from layersmith.apps.site import WheelContents
from layersmith.assemble.builder_home import move_in, planned_user
from layersmith.assemble.builder_tools import Tools
from layersmith.assemble.inputs import FREE, Pinned
from layersmith.assemble.outcome import Made, Outcome, Unresolved
from layersmith.assemble.pipeline import ENV
from layersmith.assemble.planned import PlannedFor
from layersmith.assemble.reading import READERS, LayerReader, epoch_of, mending, moment
from layersmith.assemble.record import stated, wheels_record
from layersmith.assemble.toplayer import make_layer
from layersmith.errors import RecipeError, intention
from layersmith.oci.derived import NewLayer, Settings, derive, make_index
from layersmith.oci.digest import Digest
from layersmith.plan.placing import Placing
from layersmith.plan.plan import Platformed, python_version
from layersmith.plan.soundness import check_image, check_start, check_target
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layersmith.apps.wheel import Wheel
    from layersmith.assemble.inputs import Input, Inputs
    from layersmith.assemble.wheels import Chosen
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.documents import Platform
    from layersmith.oci.image import Image
    from layersmith.plan.users import PlannedUser
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target
    from layersmith.rootfs.entries import Entry

__all__ = ["BuilderPlan", "PlannedBuilder", "make", "plan"]

# uv takes the image's Python and fetches none; what it installs is copied, for caches are mounted.
_UV: Final = {"UV_COMPILE_BYTECODE": "1", "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "0"}
_PATH: Final = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BuilderPlan:
    """What the layer of one platform will hold, and whose each file is."""

    image: Image
    root: Root
    python: str
    epoch: int
    user: PlannedUser
    local: str
    wheels: tuple[Chosen, ...]
    opened: Mapping[str, Wheel]
    entries: Mapping[str, Entry]
    reasons: Mapping[str, str]
    unresolved: tuple[Unresolved, ...]

    @property
    def digests(self) -> dict[str, Digest]:
        """The digest of each wheel by its file name."""
        return {each.filename: Digest(each.digest) for each in self.wheels}


class PlannedBuilder(PlannedFor[BuilderPlan]):
    """The plans of a builder image; both its inputs are the one that it has."""

    __slots__ = ()


def plan(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned = FREE
) -> PlannedBuilder:
    """Read the image, choose and fetch the wheels, and decide; only the cache is written.

    Raises as :func:`layersmith.assemble.pipeline.plan`, and :class:`MissingWheels` or
    :class:`WheelError`.
    """
    job = _Job(workshop, target, recipe, inputs[1])
    platforms = recipe.chosen_platforms()
    with (
        workshop.timed("read"),
        workshop.crew.pool(READERS, "layer") as layers,
        workshop.crew.pool(len(platforms), "read") as pool,
    ):
        images = list(pool.map(lambda platform: job.image(platform, pinned), platforms))
        reader = LayerReader(workshop.layers, layers, len(platforms))
        reader.begin((inputs[1], image, True) for image in images)
        read = list(pool.map(lambda image: job.read(reader, image), images))
    if len(versions := {each.python for each in read}) > 1:
        raise RecipeError(f"the image has another Python on each platform: {sorted(versions)}")
    tools = Tools(workshop, recipe, pinned)
    chosen = tools.choose({str(each.image.platform): each.interpreter for each in read})
    with workshop.timed("plan"), workshop.crew.pool(len(platforms), "plan") as pool:
        plans = list(
            pool.map(lambda each: job.decide(each, pinned, *chosen[str(each.image.platform)]), read)
        )
    return PlannedBuilder(target, recipe, *inputs, plans)


def make(workshop: Workshop, planned: PlannedBuilder) -> Outcome:
    """Pack the layer of every platform, and write the documents above them."""
    job = _Job(workshop, planned.target, planned.recipe, planned.builder)
    with workshop.timed("pack"), workshop.crew.pool(len(planned.plans), "pack") as pool:
        made = list(pool.map(job.make, planned.plans))
    annotations = job.annotations(planned.python, planned.epoch)
    index = make_index([each.image for each in made], annotations)
    return Outcome(planned.python, index, tuple(made))


@dataclass(frozen=True, slots=True)
class _Read:
    image: Image
    root: Root
    python: str
    interpreter: Interpreter


@dataclass(frozen=True, slots=True)
class _Job:
    """What is asked for, and the steps to it for each platform."""

    workshop: Workshop
    target: Target
    recipe: Recipe
    input: Input

    def image(self, platform: Platform, pinned: Pinned) -> Image:
        """Return the image of a platform; raises :class:`LockMismatch` for another than pinned."""
        with intention(str(platform)):
            image = self.input.image(platform)
            pinned.check(platform, (image, image))
            return image

    def read(self, reader: LayerReader, image: Image) -> _Read:
        """Read an image, and look what Python it has."""
        with intention(str(image.platform)):
            return self._mending(image, lambda: self._looked(reader, image))

    def _looked(self, reader: LayerReader, image: Image) -> _Read:
        (root,) = reader.roots([(self.input, image, True)])
        python = python_version(Platformed(image, image, root, root))
        check_target(root, self.target, python)
        objects = Objects()
        check_image(root, image.platform, python, (), objects)
        return _Read(image, root, python, find_interpreter(root, image.platform, python, objects))

    def decide(
        self, read: _Read, pinned: Pinned, wheels: tuple[Chosen, ...], opened: Mapping[str, Wheel]
    ) -> BuilderPlan:
        """Put the user and what his wheels install on a platform's image."""
        with intention(str(read.image.platform)):
            said = pinned.epochs.get(str(read.image.platform))
            epoch = epoch_of([read.image]) if said is None else said
            return self._mending(read.image, lambda: self._decided(read, epoch, wheels, opened))

    def _decided(
        self, read: _Read, epoch: int, wheels: tuple[Chosen, ...], opened: Mapping[str, Wheel]
    ) -> BuilderPlan:
        placing = Placing(read.root, read.root)
        user = planned_user(read.root, self.recipe, epoch)
        mine = [opened[each.digest] for each in wheels]
        prefix, site = move_in(placing, user, read.interpreter, mine)
        final = Root(placing.final(), WheelContents(opened, self.workshop.layers))
        objects, allowed = Objects(), self.recipe.allow_unresolved
        missing = check_needs(final, objects_in(site.entries), allowed, objects)
        if self.recipe.entrypoint:
            check_start(final, self.recipe.entrypoint[0], objects, is_python=False)
        return BuilderPlan(
            read.image,
            read.root,
            read.python,
            epoch,
            user,
            prefix.root,
            wheels,
            opened,
            placing.entries,
            placing.reasons,
            tuple(Unresolved(*each) for each in missing),
        )

    def make(self, plan: BuilderPlan) -> Made:
        """Pack the layer of a platform, and derive its image."""
        recipe, shop, platform = self.recipe, self.workshop, plan.image.platform
        with intention(str(platform)):
            layer = self._mending(
                plan.image,
                lambda: make_layer(
                    plan.entries,
                    WheelContents(plan.opened, shop.layers),
                    plan.epoch,
                    recipe.compressor(),
                    shop.cache,
                    shop.crew,
                    f"pack {platform}",
                ),
            )
            added = NewLayer(layer.layer, f"layersmith assemble {self.target}")
            image = derive(plan.image, added, self._settings(plan))
            return Made(image, layer, plan.unresolved, ())

    def _settings(self, plan: BuilderPlan) -> Settings:
        recipe = self.recipe
        below = plan.image.config.value.environment().get("PATH") or _PATH
        env = {"PATH": f"/{plan.local}/bin:{below}", **ENV, **_UV}
        cmd = recipe.cmd
        if cmd is None and recipe.entrypoint is None:
            cmd = (plan.image.config.json.get("config") or {}).get("Cmd")
        return Settings(
            created=moment(plan.epoch),
            user=plan.user.config,
            env={**env, **dict(sorted(recipe.env.items()))},
            entrypoint=recipe.entrypoint,
            cmd=cmd,
            workdir=recipe.workdir if recipe.workdir is not None else plan.user.home,
            labels=recipe.labels,
            annotations={
                **wheels_record(plan.digests),
                **self.annotations(plan.python, plan.epoch),
            },
        )

    def annotations(self, python: str, epoch: int) -> dict[str, str]:
        """Return what image and index say of their making."""
        return stated(self.recipe, self.input, self.input, python, moment(epoch))

    def _mending(self, image: Image, step: Callable[[], _T]) -> _T:
        return mending(self.workshop.layers, [(self.input, image, True)], step)
