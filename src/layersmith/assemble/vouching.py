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
class _Accepting:
    """An entry of a policy about one image: its keys are read, its names are in full."""

    entry: Entry
    voices: Sequence[Voice]
    repositories: frozenset[str] | None

    def check(self, place: Place, source: Source, digest: Digest) -> list[str]:
        """Return who vouches for `digest`, and for what; raises :class:`Untrusted`."""
        if digest in self.entry.digests:
            return [f"digest {digest}"]
        if not self.voices:
            raise Untrusted(f"it is {digest}")
        found = []
        for kind in self.entry.types:
            demand = Demand(
                voices=self.voices,
                repositories=self.repositories,
                predicate_type=kind,
                low_s=self.entry.low_s,
            )
            accepted = verify_digest(place, source, digest, demand)
            what = "" if kind == SIGNED else f", {kind}"
            found += [f"{one.by}{what}" for one in accepted]
        return found


@dataclass(frozen=True, slots=True)
class Vouching:
    """What is demanded of one image: one of the entries has to accept it."""

    place: Place
    accepting: Sequence[_Accepting]
    where: str

    def check(self, source: Source, digest: Digest) -> tuple[str, ...]:
        """Return who vouches for `digest`, which the place stands for, and for what.

        Raises :class:`Untrusted` if nobody does.
        """
        reasons = []
        for one in self.accepting:
            try:
                return tuple(dict.fromkeys(one.check(self.place, source, digest)))
            except Untrusted as error:
                reasons.append(error.message)
        raise Untrusted(
            "nobody who is trusted vouches for it",
            reasons=tuple(reasons) or (f"{self.where} accepts nothing from {self.place.name}",),
            hint=f"see {self.where}; layersmith tree shows who has signed it",
        )


def vouching(text: str, place: Place, option: str) -> Vouching:
    """Read what is demanded of `place`: ``sha256:...``, a public key or a policy's file.

    Every key and trust root is read now, before anything is asked. Raises
    :class:`InvalidInput`.
    """
    with intention(option):
        policy, folder, where = _read(text, place)
        return Vouching(place, [_accepting(e, place, folder) for e in policy.of(place.name)], where)


def _read(text: str, place: Place) -> tuple[Policy, Path, str]:
    """Return a policy, the directory of its keys, and what it is called."""
    if text.startswith(("sha256:", "sha512:")):
        entry = Entry(repository=place.name, digests=(Digest(text),))
        return Policy((entry,)), Path(), text
    raw, where = read_key(text), key_name(text)
    if _PEM in raw:
        return Policy((Entry(repository=place.name, keys=(text,)),)), Path(), where
    if "://" in text:
        raise InvalidInput(f"{where} holds no public key")
    return parse_policy(raw, where), Path(text).parent, where


def _accepting(entry: Entry, place: Place, folder: Path) -> _Accepting:
    voices = _voices(entry, folder)
    if not voices or entry.any_repository:
        return _Accepting(entry, voices, None)
    names = entry.signed_as or ("",)
    return _Accepting(entry, voices, frozenset(_named(place, name) for name in names))


def _voices(entry: Entry, folder: Path) -> list[Voice]:
    """Return whom an entry believes; raises :class:`InvalidKey`."""

    def beside(name: str) -> str:
        return name if "://" in name else str(folder / name)

    keys = map(beside, entry.keys)
    found: list[Voice] = [KeyVoice(read_public(read_key(key), key_name(key))) for key in keys]
    if entry.identity:
        from layersmith.attest.keyless import KeylessVoice  # noqa: PLC0415 - seldom needed
        from layersmith.attest.trustroot import read_root  # noqa: PLC0415 - as above

        path = beside(entry.trust_root)
        root = read_root(read_key(path), key_name(path))
        found.append(KeylessVoice(entry.identity, entry.issuer, root))
    return found


def _named(place: Place, asked: str) -> str:
    try:
        return named_repository(place, asked)
    except InvalidInput as error:
        raise InvalidInput(error.message, hint="use a policy with signed-as") from None
