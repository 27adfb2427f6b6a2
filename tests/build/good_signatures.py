"""Signatures and attestations that everybody should accept, in all their variety."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

from tests.build.hostile_signatures import OTHER, Case, changed
from tests.build.signatures import (
    Beside,
    Layer,
    Scene,
    attested,
    bundle,
    compact,
    envelope,
    simple,
    statement,
)

from layersmith.attest.claims import SIGNED
from layersmith.attest.keys import _ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.attest.keys import PrivateKey

OURS: Final = {"creator": "layersmith"}
OPTIONAL: Final[dict[str, Any]] = {
    "by layersmith": OURS,
    "by cosign": None,
    "annotated": {"a": [1, {"b": None}], "c": "\N{SNOWMAN}"},
    "by nobody": {},
    "by containers/image": {"creator": "containers/image 5", "timestamp": 1700000000},
}
NAMES: Final = {"": "", " with a tag": ":1", " with a digest": "@"}
KEYS: Final = ("ECDSA", "ECDSA, high S", "Ed25519")
TYPES: Final = ("https://example/notes", "https://example/tests/v1", "https://example/scans/v2")
VERSIONS: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_HIGH: Final = changed(lambda r, s: (r, max(s, _ORDER - s)))


def _beside(layers: Sequence[Layer], scene: Scene) -> dict[str, list[Layer]]:
    """Return signatures among others: what is not by the key is not looked at further."""
    stranger = simple(scene, key=scene.stranger)
    many = [simple(scene, key=scene.stranger, optional={"n": n}) for n in range(20)]
    return {
        "alone": [*layers],
        "after another": [stranger, *layers],
        "before another": [*layers, stranger],
        "among twenty": [*many[:10], *layers, *many[10:]],
    }


def cases() -> Iterator[Case]:
    """Yield 200 cases and more; their names are unique."""
    about = product(
        OPTIONAL, NAMES, KEYS, ("alone", "after another", "before another", "among twenty")
    )
    for optional, name, key, place in about:
        if (key, optional) != (KEYS[1], "by layersmith"):
            yield _simple(optional, name, key, place)
    for version, key, subjects in product(VERSIONS, KEYS[::2], ("one", "two", "annotated")):
        yield _bundled(version, key, subjects)
    for carrier, kind, version, key in product(("tag", "bundle"), TYPES, VERSIONS, KEYS[::2]):
        yield _attested(carrier, kind, version, key)


def _simple(optional: str, name: str, key: str, place: str) -> Case:
    def make(scene: Scene) -> Beside:
        suffix = f"@{scene.digest}" if NAMES[name] == "@" else NAMES[name]
        made = simple(
            scene, key=_key(scene, key), optional=OPTIONAL[optional],
            name=f"{scene.repository}{suffix}",
            altered=_HIGH if key == KEYS[1] else lambda signature: signature,
        )  # fmt: skip
        return Beside(sig=_beside([made], scene)[place])

    title = f"simple {optional}{name}, {key}, {place}"
    return Case(title, make, edwards=key == KEYS[2], is_simple=True)


def _bundled(version: str, key: str, subjects: str) -> Case:
    def make(scene: Scene) -> Beside:
        (own,) = statement(scene)["subject"]
        other = {"name": scene.repository, "digest": {"sha256": OTHER.encoded}}
        told = {
            "one": [own],
            "two": [other, own],
            "annotated": [{**own, "annotations": {"creator": "layersmith"}}],
        }[subjects]
        raw = compact(statement(scene, type=version, subject=told, kind=SIGNED))
        return Beside(bundles=[bundle(envelope(scene, raw, key=_key(scene, key)))])

    title = f"bundle {version}, {key}, {subjects}"
    return Case(title, make, edwards=key == KEYS[2], is_bundled=True)


def _attested(carrier: str, kind: str, version: str, key: str) -> Case:
    def make(scene: Scene) -> Beside:
        raw = compact(statement(scene, type=version, kind=kind, predicate={"a": [1, None]}))
        made = envelope(scene, raw, key=_key(scene, key))
        if carrier == "bundle":
            return Beside(bundles=[bundle(made)])
        return Beside(att=[attested(made)])

    title, bundled = f"{carrier} {kind} {version}, {key}", carrier == "bundle"
    return Case(title, make, kind, edwards=key == KEYS[2], is_bundled=bundled)


def _key(scene: Scene, key: str) -> PrivateKey:
    return scene.edwards if key == KEYS[2] else scene.key
