"""Verifying what is said of an image that is in a registry, a layout or an archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layersmith.assemble.finding import beside
from layersmith.attest.judging import Accepted, Voice, Wanted, judge
from layersmith.errors import intention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.places import Place
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest
    from layersmith.stores.registry import Registries

__all__ = ["Demand", "Verified", "verify", "verify_digest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is demanded: by whom, as whose, of which type; see :class:`Wanted`."""

    voices: Sequence[Voice]
    repositories: frozenset[str] | None
    predicate_type: str
    low_s: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """An image by digest, and what holds of what is said about it."""

    digest: Digest
    accepted: Sequence[Accepted]


def verify(registries: Registries, place: Place, demand: Demand) -> Verified:
    """Resolve `place` once and verify what is said of it.

    Raises :class:`Untrusted`, :class:`StoreError` or :class:`DocumentError`.
    """
    source = place.source(registries)
    with intention(f"verifying {place}"):
        digest = source.resolve(place.identifier).digest
        return Verified(digest, verify_digest(place, source, digest, demand))


def verify_digest(place: Place, source: Source, digest: Digest, demand: Demand) -> list[Accepted]:
    """Return what holds of all that is said of `digest`; raises as :func:`verify`."""
    wanted = Wanted(
        digest=digest,
        repositories=demand.repositories,
        predicate_type=demand.predicate_type,
        low_s=demand.low_s,
    )
    documents = beside(place, source, digest, demand.predicate_type)
    return judge(documents, wanted, demand.voices)
