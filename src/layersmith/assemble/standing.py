"""What an application's image says of itself: enough to put its layers on another base.

It stands under one annotation of each platform's manifest. What the application has set is
recorded as it was said, not as it came out: so a config that is derived anew over another base
is the one that `app build` would have derived there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from layersmith.assemble.record import APPLICATION
from layersmith.errors import InvalidInput
from layersmith.oci.derived import OUR_KEYS, Settings, derive
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import decode, encode, typed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.oci.derived import NewLayer
    from layersmith.oci.image import Image, Layer

__all__ = [
    "CREATED",
    "Said",
    "Standing",
    "check_prefix",
    "difference",
    "put_on",
    "standing_by",
    "standing_of",
]

CREATED: Final = "org.opencontainers.image.created"
_BASE: Final = "org.opencontainers.image.base."
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
# What Said has a field for (image-spec config.md, "config").
_KNOWN: Final = frozenset(
    {"Env", "User", "Entrypoint", "Cmd", "WorkingDir", "Labels", "ExposedPorts", "StopSignal"}
)
_AGAIN: Final = "build it again from its sources, with layersmith app build"


class Said(msgspec.Struct, frozen=True, omit_defaults=True, rename="kebab"):
    """What an application says over its base's config.

    `path` goes before the base's PATH; of `follows` (Entrypoint, Cmd) the base's is taken, as is
    its user where none is said. `annotations` are the names of those that are the user's own.
    """

    path: str = ""
    env: dict[str, str] = {}
    user: str = ""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    follows: tuple[str, ...] = ()
    workdir: str | None = None
    labels: dict[str, str] = {}
    ports: tuple[str, ...] = ()
    stop_signal: str = ""
    rest: dict[str, Any] = {}
    annotations: tuple[str, ...] = ()

    def settings(self, base: Image, created: str, annotations: Mapping[str, str]) -> Settings:
        """Return what the config over `base` says."""
        runtime = base.config.json.get("config") or {}
        env = dict(sorted(self.env.items()))
        if self.path:
            below = base.config.value.environment().get("PATH") or _PATH
            env = {"PATH": f"{self.path}:{below}", **env}
        start = {"Entrypoint": self.entrypoint, "Cmd": self.cmd}
        start |= {key: runtime.get(key) for key in self.follows}
        return Settings(
            created=created,
            user=self.user or str(runtime.get("User") or ""),
            env=env,
            entrypoint=start["Entrypoint"],
            cmd=start["Cmd"],
            workdir=self.workdir,
            labels=self.labels,
            annotations=annotations,
            ports=self.ports,
            stop_signal=self.stop_signal or None,
            rest=self.rest,
        )


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an application stands on, and what of its image is its own.

    `image` is the manifest of the base, `below` the digest of its layers (blobs and diff_ids),
    `layers` how many are on it; `config` is the digest of the config that was derived,
    `packages` are Debian's that were added to the base, and `without` are the libraries that may
    be missing.
    """

    image: str = ""
    python: str = ""
    packages: tuple[str, ...] = ()
    dependencies: str = ""
    bytecode: str = ""
    layers: int = 0
    below: str = ""
    config: str = ""
    said: Said | None = None
    without: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the annotation's value."""
        return encode(self).decode()


def put_on(
    base: Image,
    layers: Sequence[NewLayer],
    standing: Standing,
    created: str,
    annotations: Mapping[str, str],
) -> Image:
    """Return the application's image: `layers` on `base`, and where it says it stands."""
    assert standing.said is not None
    settings = standing.said.settings(base, created, annotations)
    image = base
    for layer in layers[:-1]:
        image = derive(image, layer, settings)
    whole = msgspec.structs.replace(
        standing,
        image=str(base.manifest.descriptor.digest),
        layers=len(layers),
        below=str(_digest_of(base.layers)),
        config=str(derive(image, layers[-1], settings).config.descriptor.digest),
    )
    about = {**annotations, APPLICATION: whole.text()}
    return derive(image, layers[-1], replace(settings, annotations=about))


def _digest_of(layers: Sequence[Layer]) -> Digest:
    return Digest.of(encode([[layer.descriptor.digest, layer.diff_id] for layer in layers]))


def standing_of(image: Image) -> Standing:
    """Return what an image that layersmith made says, verified against its layers and config.

    Raises :class:`InvalidInput` for another image, and for one that was changed since.
    """
    text = image.manifest.value.annotations.get(APPLICATION)
    if text is None:
        raise InvalidInput(
            "it is no application of layersmith: it does not say which layers are its base's",
            hint="name the image that it was built on: --old-base REF",
        )
    what = f"annotation {APPLICATION}"
    standing = typed(decode(text.encode(), what), Standing, what)
    if standing.said is None or not 0 < standing.layers < len(image.layers):
        raise InvalidInput("it does not say what in it is the application's", hint=_AGAIN)
    if standing.below != str(_digest_of(image.layers[: -standing.layers])):
        raise InvalidInput(
            f"the layers below its own {standing.layers} are not those of the base that it says it "
            f"stands on, {standing.image}",
            hint=f"it was changed after it was made: {_AGAIN}",
        )
    if standing.config != image.config.descriptor.digest:
        raise InvalidInput(
            "its config is not the one that it was made with",
            hint=f"it was changed after it was made: {_AGAIN}",
        )
    return standing


def check_prefix(old: Image, image: Image) -> None:
    """Refuse an old base whose layers are not the lowest of `image`; :class:`InvalidInput`."""
    ours, theirs = image.layers, old.layers
    for at, layer in enumerate(theirs):
        if at >= len(ours) or (layer.diff_id, layer.descriptor.digest) != (
            ours[at].diff_id,
            ours[at].descriptor.digest,
        ):
            has = ours[at].descriptor.digest if at < len(ours) else "none"
            raise InvalidInput(
                f"the old base is not below it: layer {at + 1} is {layer.descriptor.digest} there, "
                f"{has} here",
                hint="name the image, by its digest, that it was built on",
            )
    if len(ours) == len(theirs):
        raise InvalidInput("it has no layer of its own on the old base: there is nothing to move")


def standing_by(old: Image, image: Image, python: str) -> Standing:
    """Return where an image of anybody stands, by comparison with the base that is named."""
    check_prefix(old, image)
    return Standing(
        image=str(old.manifest.descriptor.digest),
        python=python,
        layers=len(image.layers) - len(old.layers),
        said=difference(old, image),
    )


def difference(old: Image, image: Image) -> Said:
    """Return what `image` says over `old`, on which it was built.

    What it has taken away from its base's config is not known and comes back.
    """
    was, now = (one.config.json.get("config") or {} for one in (old, image))
    below, env = old.config.value.environment(), image.config.value.environment()
    env = {name: value for name, value in env.items() if below.get(name) != value}
    path, tail = "", f":{below.get('PATH')}"
    if env.get("PATH", "").endswith(tail):
        path = env.pop("PATH").removesuffix(tail)
    changed = {key: value for key, value in now.items() if value != was.get(key)}
    about = image.manifest.value.annotations
    return Said(
        path=path,
        env=env,
        user=changed.get("User") or "",
        entrypoint=_words(changed.get("Entrypoint")),
        cmd=_words(changed.get("Cmd")),
        follows=tuple(key for key in ("Entrypoint", "Cmd") if now.get(key) == was.get(key)),
        workdir=changed.get("WorkingDir") or None,
        labels=_added(was.get("Labels"), now.get("Labels")),
        ports=tuple(sorted(_added(was.get("ExposedPorts"), now.get("ExposedPorts")))),
        stop_signal=changed.get("StopSignal") or "",
        rest={key: value for key, value in sorted(changed.items()) if key not in _KNOWN},
        annotations=tuple(sorted(key for key in about if _is_own(key, old, about))),
    )


def _words(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(value) if value is not None else None


def _added(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> dict[str, Any]:
    below = was or {}
    return {k: v for k, v in (now or {}).items() if k not in below or below[k] != v}


def _is_own(key: str, old: Image, about: Mapping[str, str]) -> bool:
    if key == CREATED or key.startswith((OUR_KEYS, _BASE)):
        return False
    return old.manifest.value.annotations.get(key) != about[key]
