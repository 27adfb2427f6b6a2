"""Provenance of applications: what went into one, each thing by its digest.

Unlike the statement of a Python image (see `provenance`) it is not enough to build again: a
source is known by the layer that it became. It has no clock and names no place of the machine,
no index and no mirror: the same build says the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from layersmith.attest.names import purl
from layersmith.attest.provenance import digest_set, located, predicate_of, stated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.attest.provenance import Subject
    from layersmith.oci.digest import Digest
    from layersmith.recipe.lock import Made

__all__ = ["Below", "Ingredient", "Making", "distribution"]


class Ingredient(NamedTuple):
    """A thing that went in (SLSA v1, "ResourceDescriptor"): its name, its digest, its purl."""

    name: str
    digest: Digest
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Below:
    """An image that went in, whole: its index, and its manifest for each platform.

    `reference` is what it was called by; empty for what is in no registry.
    """

    name: str
    reference: str
    digest: Digest
    manifests: Mapping[str, Digest] = field(default_factory=dict)

    def ingredients(self) -> Iterator[Ingredient]:
        """Yield the image, and then each platform's."""
        for name, digest, platform in (
            (self.name, self.digest, ""),
            *((f"{self.name} {p}", digest, p) for p, digest in sorted(self.manifests.items())),
        ):
            yield Ingredient(name, digest, located(self.reference, digest, platform).get("uri", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How an application was made: what was asked for, what was found out, what went in."""

    kind: str
    asked: Mapping[str, Any]
    found: Mapping[str, Any]
    ingredients: Sequence[Ingredient]
    made: Made

    def statement(self, subjects: Sequence[Subject]) -> bytes:
        """Return the statement that `subjects` were made so."""
        definition = {
            "buildType": self.kind,
            "externalParameters": self.asked,
            "internalParameters": self.found,
            "resolvedDependencies": [
                {
                    "name": one.name,
                    **({"uri": one.uri} if one.uri else {}),
                    "digest": digest_set(one.digest),
                }
                for one in dict.fromkeys(self.ingredients)
            ],
        }
        return stated(predicate_of(definition, self.made), subjects)


def distribution(name: str, version: str, filename: str, digest: Digest) -> Ingredient:
    """Return a wheel as what went in (purl specification, type ``pypi``)."""
    return Ingredient(filename, digest, purl("pypi", name, version))
