"""One platform's part of a rebase: its image on the new base, and where its values come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import structs

from layersmith.assemble.fitting import Fit, Fitting
from layersmith.assemble.reading import epoch_of, moment
from layersmith.assemble.standing import CREATED, put_on
from layersmith.errors import ClosureError, intention, one_line
from layersmith.oci.derived import NewLayer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from layersmith.assemble.inputs import Input
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.standing import Standing
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.image import Image

__all__ = ["Choice", "Moved", "Trio", "move_all", "own_annotations"]


# An image, where it stands, and the base that it is to stand on.
Trio: TypeAlias = "tuple[Image, Standing, Image]"


class Choice(NamedTuple):
    """A value that is one thing here and another in the new base: which of them it has now."""

    key: str
    before: str
    base: str
    now: str

    @property
    def origin(self) -> str:
        """``application``, ``base`` or ``both``: where the value comes from."""
        return {self.before: "application", self.base: "base"}.get(self.now, "both")


@dataclass(frozen=True, slots=True)
class Moved:
    """One platform: its image before and now, what is below it now, and how it fits."""

    before: Image
    base: Image
    image: Image
    layers: int
    fit: Fit
    choices: tuple[Choice, ...]


def move_all(
    workshop: Workshop,
    found: Input,
    python: PythonImage,
    trios: Sequence[Trio],
    allow: Sequence[str],
    *,
    shadowing: bool,
) -> tuple[Moved, ...]:
    """Return every platform on the new base; raises :class:`ClosureError` with every reason."""

    def one(trio: Trio) -> Moved:
        return _move(workshop, found, python, trio, allow, shadowing=shadowing)

    with workshop.crew.pool(len(trios), "platform") as pool:
        moved = tuple(pool.map(one, trios))
    _refuse(moved)
    return moved


def _refuse(moved: Sequence[Moved]) -> None:
    """Raise :class:`ClosureError` with every reason, of all platforms."""
    problems = [
        f"{one.before.platform}: {one_line(problem)}"
        for one in moved
        for problem in one.fit.problems
    ]
    if not problems:
        return
    hidden = any(one.fit.hidden for one in moved)
    raise ClosureError(
        "the application does not fit the new base",
        problems=tuple(problems),
        hint="build it anew with layersmith app build, or take another base"
        + ("; if its files may hide the base's: --allow-shadowing" if hidden else ""),
    )


def _move(
    workshop: Workshop,
    found: Input,
    python: PythonImage,
    trio: Trio,
    allow: Sequence[str],
    *,
    shadowing: bool,
) -> Moved:
    """Return the image with the base below it; made only if nothing is wrong with that."""
    image, standing, base = trio
    assert standing.said is not None
    count = standing.layers
    if standing.image == base.manifest.descriptor.digest:
        return Moved(image, base, image, count, Fit(), ())
    if standing.packages:
        return Moved(image, base, image, count, Fit((_of_packages(standing),)), ())
    user = standing.said.settings(base, "", {}).user
    allowed = (*allow, *standing.without)
    with intention(str(image.platform)):
        fit = Fitting(
            workshop, found, image, count, standing.python, python, base, user, allowed,
            shadowing,
        ).fit()  # fmt: skip
    if fit.problems:
        return Moved(image, base, image, count, fit, ())
    created = moment(max(epoch_of([base]), epoch_of([image])))
    said = structs.replace(
        standing,
        python=python.version,
        without=tuple(sorted({lack.soname for lack in fit.unresolved})),
    )
    annotations = {**python.about, CREATED: created, **own_annotations(image, standing)}
    made = put_on(base, _layers(image, count), said, created, annotations)
    return Moved(image, base, made, count, fit, tuple(_choices(image, base, made)))


def _of_packages(standing: Standing) -> str:
    """Say why a layer of Debian's packages does not move.

    Its records and its ld.so.cache are of the old base, whose packages were left out.
    """
    listed = ", ".join(standing.packages[:5]) + (", ..." if len(standing.packages) > 5 else "")
    return f"it has packages of Debian's that were chosen for its old base: {listed}"


def own_annotations(image: Image, standing: Standing) -> dict[str, str]:
    """Return the annotations that whoever built the image has chosen."""
    about, said = image.manifest.value.annotations, standing.said
    return {key: about[key] for key in (said.annotations if said else ()) if key in about}


def _layers(image: Image, count: int) -> list[NewLayer]:
    """Return the application's layers, each with its own entries of the history."""
    history: list[dict[str, Any]] = list(image.config.json.get("history") or ())
    found: list[NewLayer] = []
    for layer in reversed(image.layers[-count:]):
        taken: list[dict[str, Any]] = []
        # Entries that made no layer stand with the layer that they follow.
        while history and history[-1].get("empty_layer"):
            taken.insert(0, history.pop())
        if history:
            taken.insert(0, history.pop())
        found.insert(0, NewLayer(layer, "layersmith rebase", tuple(taken)))
    return found


def _choices(before: Image, base: Image, now: Image) -> Iterator[Choice]:
    """Yield every value that the image and the new base do not agree on."""
    mine, theirs, made = map(_values, (before, base, now))
    for key in sorted(mine.keys() & theirs.keys()):
        if mine[key] != theirs[key]:
            yield Choice(key, mine[key], theirs[key], made.get(key, ""))


def _values(image: Image) -> Mapping[str, str]:
    """Return what a config says, a line for each value."""
    runtime = image.config.json.get("config") or {}
    found = {f"env {key}": value for key, value in image.config.value.environment().items()}
    found |= {f"label {key}": str(v) for key, v in (runtime.get("Labels") or {}).items()}
    names = {"User": "user", "WorkingDir": "workdir", "StopSignal": "stop signal"}
    found |= {names[key]: str(runtime[key]) for key in names if runtime.get(key)}
    for key, name in (("Entrypoint", "entrypoint"), ("Cmd", "cmd")):
        if runtime.get(key):
            found[name] = " ".join(map(str, runtime[key]))
    return found
