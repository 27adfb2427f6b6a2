"""Policies: who is believed about which repository, in a file of their own (TOML).

::

    [[accept]]
    repository = "gcr.io/distroless/**"        # * stays within a name, ** crosses slashes
    keys = ["distroless.pub"]                  # one of them is enough; beside the policy
    attestations = ["slsaprovenance1"]         # demanded besides a signature

    [[accept]]
    repository = "docker.io/library/python"
    digests = ["sha256:..."]

An image is accepted if one entry that matches its repository accepts it, and refused where
none matches.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.attest.claims import SIGNED, predicate_type
from layersmith.errors import InvalidInput, LayersmithError, RecipeError, one_line
from layersmith.oci.digest import Digest  # noqa: TC001 - msgspec reads the annotations
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import typed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_POLICY", "Entry", "Policy", "parse_policy"]

MAX_POLICY: Final = 1 << 20
_GLOB: Final = re.compile(r"\*\*|\*")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What is accepted of the repositories that a pattern names.

    By digest, by one of `keys`, or by the `identity` that an `issuer` has certified under
    `trust_root`. `signed_as` are the repositories that a signature may name; by default the
    image's own.
    """

    repository: str
    digests: tuple[Digest, ...] = ()
    keys: tuple[str, ...] = ()
    identity: str = ""
    issuer: str = ""
    trust_root: str = ""
    signed_as: tuple[str, ...] = ()
    any_repository: bool = False
    attestations: tuple[str, ...] = ()
    low_s: bool = False

    def matches(self, repository: str) -> bool:
        """Tell whether the pattern names this repository."""
        parts = (re.escape(part) for part in _GLOB.split(self.repository))
        stars = (".*" if star == "**" else "[^/]*" for star in _GLOB.findall(self.repository))
        pattern = next(parts) + "".join(s + p for s, p in zip(stars, parts, strict=True))
        return re.fullmatch(pattern, repository) is not None

    @property
    def types(self) -> tuple[str, ...]:
        """The predicate types of all that has to be said."""
        return (SIGNED, *map(predicate_type, self.attestations))

    def check(self) -> None:
        """Raise :class:`InvalidInput` for an entry that accepts nothing, or is in two minds."""
        keyless = (self.identity, self.issuer, self.trust_root)
        if any(keyless) and not all(keyless):
            raise InvalidInput("identity, issuer and trust-root go together")
        if not (self.digests or self.keys or self.identity):
            raise InvalidInput("an entry without digests, keys or an identity accepts nothing")
        if self.any_repository and self.signed_as:
            raise InvalidInput("any-repository beside signed-as: one of them")
        if not (self.keys or self.identity) and (self.signed_as or self.attestations):
            raise InvalidInput("signed-as and attestations are of signatures: by whom?")
        for name in self.signed_as:
            Reference.parse(name)
        if len(self.types) != len(set(self.types)):
            raise InvalidInput("an attestation is demanded twice, or is a signature")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is accepted, entry by entry."""

    accept: tuple[Entry, ...]

    def of(self, repository: str) -> Iterator[Entry]:
        """Yield the entries about a repository."""
        return (entry for entry in self.accept if entry.matches(repository))


def parse_policy(raw: bytes, where: str) -> Policy:
    """Read a policy; raises :class:`RecipeError` with the entry that makes no sense."""
    place = one_line(where)
    if len(raw) > MAX_POLICY:
        raise RecipeError(f"larger than {MAX_POLICY >> 20} MiB: no policy", place=place)
    try:
        policy = typed(tomllib.loads(raw.decode()), Policy, "policy")
    except (ValueError, RecursionError) as error:
        raise RecipeError(one_line(str(error), 200), place=place) from None
    except LayersmithError as error:
        raise RecipeError(error.message, place=place, hint=error.hint) from None
    for number, entry in enumerate(policy.accept, 1):
        try:
            entry.check()
        except InvalidInput as error:
            at = f"{place}: accept {number}"
            raise RecipeError(error.message, place=at, hint=error.hint) from None
    return policy
