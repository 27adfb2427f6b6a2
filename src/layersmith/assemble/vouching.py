"""Verified inputs: an image is not read any further unless somebody who is trusted vouches for it.

What is demanded is a digest, a public key, or a policy (see `attest.policy`). The answer is
who vouched; a lock records it. Without a demand nothing is asked, and nothing recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersmith.assemble.signing import named_repository
from layersmith.assemble.verifying import Demand, verify_digest
from layersmith.attest.claims import SIGNED
from layersmith.attest.judging import KeyVoice, Voice
from layersmith.attest.keys import read_public
from layersmith.attest.policy import Entry, Policy, parse_policy
from layersmith.errors import InvalidInput, Untrusted, intention
from layersmith.oci.digest import Digest
from layersmith.stores.keyfiles import key_name, read_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.places import Place
    from layersmith.oci.content import Source

__all__ = ["Vouching", "vouching"]

_PEM: Final = b"-----BEGIN "


@dataclass(frozen=True, slots=True)
class Vouching:
    """What is demanded of an image, read and checked before anything is asked."""

    policy: Policy
    folder: Path
    where: str

    def check(self, place: Place, source: Source, digest: Digest) -> tuple[str, ...]:
        """Return who vouches for `digest`, which `place` stands for, and for what.

        Raises :class:`Untrusted` if nobody does.
        """
        entries = list(self.policy.of(place.name))
        if not entries:
            raise Untrusted(
                f"{self.where} accepts nothing from {place.name}", hint="add an entry to it"
            )
        reasons = []
        for entry in entries:
            try:
                return self._accepted(entry, place, source, digest)
            except Untrusted as error:
                reasons.append(error.message)
        raise Untrusted(
            "nobody who is trusted vouches for it",
            reasons=tuple(reasons),
            hint=f"see {self.where}; layersmith tree shows who has signed it",
        )

    def voices(self, entry: Entry) -> Sequence[Voice]:
        """Return whom an entry believes; raises :class:`InvalidKey`."""
        keys = [self._beside(key) for key in entry.keys]
        found: list[Voice] = [KeyVoice(read_public(read_key(k), key_name(k))) for k in keys]
        if entry.identity:
            from layersmith.attest.keyless import KeylessVoice  # noqa: PLC0415 - seldom needed
            from layersmith.attest.trustroot import read_root  # noqa: PLC0415 - as above

            path = self._beside(entry.trust_root)
            root = read_root(read_key(path), key_name(path))
            found.append(KeylessVoice(entry.identity, entry.issuer, root))
        return found

    def _beside(self, name: str) -> str:
        return name if "://" in name else str(self.folder / name)

    def _accepted(
        self, entry: Entry, place: Place, source: Source, digest: Digest
    ) -> tuple[str, ...]:
        if digest in entry.digests:
            return (f"digest {digest}",)
        voices = self.voices(entry)
        if not voices:
            raise Untrusted(f"it is {digest}")
        names = None
        if not entry.any_repository:
            names = frozenset(_named(place, name) for name in entry.signed_as or ("",))
        found = []
        for kind in entry.types:
            demand = Demand(
                voices=voices, repositories=names, predicate_type=kind, low_s=entry.low_s
            )
            accepted = verify_digest(place, source, digest, demand)
            what = "" if kind == SIGNED else f", {kind}"
            found += [f"{one.by}{what}" for one in accepted]
        return tuple(dict.fromkeys(found))


def vouching(text: str, place: Place, option: str) -> Vouching:
    """Read what is demanded of `place`: ``sha256:...``, a public key or a policy's file.

    Every key and trust root is read now. Raises :class:`InvalidInput`.
    """
    with intention(option):
        found = _read(text, place)
        for entry in found.policy.of(place.name):
            found.voices(entry)
            if not entry.any_repository and not entry.digests:
                for name in entry.signed_as or ("",):
                    _named(place, name)
        return found


def _read(text: str, place: Place) -> Vouching:
    if text.startswith(("sha256:", "sha512:")):
        entry = Entry(repository=place.name, digests=(Digest(text),))
        return Vouching(Policy((entry,)), Path(), text)
    raw = read_key(text)
    where = key_name(text)
    if _PEM in raw:
        read_public(raw, where)
        return Vouching(Policy((Entry(repository=place.name, keys=(text,)),)), Path(), where)
    if "://" in text:
        raise InvalidInput(f"{where} holds no public key")
    return Vouching(parse_policy(raw, where), Path(text).parent, where)


def _named(place: Place, asked: str) -> str:
    try:
        return named_repository(place, asked)
    except InvalidInput as error:
        raise InvalidInput(error.message, hint="use a policy with signed-as") from None
