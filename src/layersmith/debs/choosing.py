"""Which packages are added: those that are named, and what they need and the image lacks.

As apt does it by default: of a name the highest version, of alternatives the first that there
is, nothing that is only recommended. What only maintainer scripts call is not needed, for no
script is ever run here; a package of the image is never changed.
"""

from __future__ import annotations

from collections import deque
from difflib import get_close_matches
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.analysis.debversion import debian_key
from layersmith.debs.packages import NAME
from layersmith.debs.relations import Clause  # noqa: TC001 - msgspec reads the annotations
from layersmith.errors import ClosureError, NotFound, RecipeError, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.debs.packages import Listing, Stanza
    from layersmith.debs.relations import Relation

__all__ = ["Held", "Wish", "choose", "parse_wish"]

# Programs for maintainer scripts: to ask questions, to make users, to register services, files
# and alternatives. Who wants one of them in the image names it.
_FOR_SCRIPTS: Final = frozenset({
    "adduser", "cdebconf", "debconf", "debconf-2.0", "dpkg", "init-system-helpers", "install-info",
    "lsb-base", "passwd", "sensible-utils", "systemd-standalone-sysusers",
    "systemd-standalone-tmpfiles", "systemd-sysusers", "systemd-tmpfiles", "sysvinit-utils", "ucf",
    "update-inetd",
})  # fmt: skip
# The same, for the script of one package: its files need nobody.
_FOR_SCRIPTS_OF: Final = {"ca-certificates": frozenset({"openssl"})}
_MOST: Final = 1000
_SHOWN: Final = 4


class Wish(NamedTuple):
    """A package that somebody wants, perhaps in one version."""

    name: str
    version: str = ""


class Held(NamedTuple):
    """A package that the image has."""

    version: str
    provides: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[Clause, ...] = ()


def parse_wish(text: str) -> Wish:
    """Read ``NAME`` or ``NAME=VERSION``; raises :class:`RecipeError`."""
    name, equals, version = text.partition("=")
    try:
        debian_key(version or "0")
    except ValueError:
        version = ""
    if NAME.fullmatch(name) is None or bool(equals) != bool(version):
        raise RecipeError(
            f"{typed(text, 100)!r} is no package of Debian's",
            hint="write it like libpq5 or libpq5=17.6-0+deb13u1",
        )
    return Wish(name, version)


def choose(
    wishes: Sequence[Wish], listings: Sequence[Listing], image: Mapping[str, Held]
) -> tuple[Stanza, ...]:
    """Return what to add to an image, by name.

    Raises :class:`NotFound` for a package that no list has, and :class:`ClosureError` with
    everything that the image has otherwise than it is wanted.
    """
    pins = {wish.name: wish.version for wish in wishes if wish.version}
    chosen = _Choosing(listings, image, pins)
    for wish in wishes:
        chosen.take_wish(Wish(wish.name, wish.version or pins.get(wish.name, "")))
    chosen.close()
    return tuple(chosen.found[name] for name in sorted(chosen.found))


class _Choosing:
    def __init__(
        self, listings: Sequence[Listing], image: Mapping[str, Held], pins: Mapping[str, str]
    ) -> None:
        self.found: dict[str, Stanza] = {}
        self._listings = listings
        self._image = image
        self._todo: deque[Stanza] = deque()
        self._pins = pins
        self._problems: list[str] = []

    def take_wish(self, wish: Wish) -> None:
        """Take a package that was named; a name that others provide is theirs, if it is clear."""
        there = sorted(self._named(wish), key=_order, reverse=True)
        if not there and not wish.version:
            providers = {one.name for one in self._providers(wish.name)}
            if len(providers) == 1:
                self.take_wish(Wish(providers.pop()))
                return
        right = [one for one in there if wish.version in ("", one.version)]
        held = self._image.get(wish.name)
        if held is not None and not wish.version:
            # The image may have a few files of it: the others are of the same version.
            right = [one for one in right if one.version == held.version]
            if there and not right:
                raise ClosureError(
                    f"the image has {wish.name} {held.version}, and the archive {there[0].version}",
                    hint="take base and builder of the archive's date, or an archive of theirs",
                )
        if not right:
            has = f": it has {', '.join(one.version for one in there[:5])}" if there else ""
            what = f"{wish.name}={wish.version}" if wish.version else wish.name
            hint = "" if there else self._instead(wish.name)
            raise NotFound(f"the archive does not have the package {what}{has}", hint=hint)
        if held is not None and held.version != right[0].version:
            raise ClosureError(f"the image has {wish.name} {held.version}, not {wish.version}")
        self._take(right[0])

    def _instead(self, name: str) -> str:
        """Say what could be meant: who provides the name, or whose own is like it."""
        if providers := sorted({one.name for one in self._providers(name)}):
            return f"name one that provides it: {', '.join(providers[:_SHOWN])}"
        known = {one for listing in self._listings if listing.automatic for one in listing.names}
        longer = sorted(
            (one for one in known if one.startswith(name)), key=lambda one: (len(one), one)
        )
        alike = longer or get_close_matches(name, sorted(o for o in known if o[:3] == name[:3]))
        return f"it has {', '.join(alike[:_SHOWN])}" if alike else ""

    def close(self) -> None:
        """Take all that is needed; raises :class:`ClosureError`."""
        while self._todo:
            stanza = self._todo.popleft()
            for clause in stanza.depends:
                self._settle(stanza, clause)
        for (name, held), (other, beside) in product(list(self._there()), repeat=2):
            is_ours = name in self.found or other in self.found
            if is_ours and _clashes(name, held, other, beside):
                self._problems.append(f"{self._said(name)} does not go with {self._said(other)}")
        if self._problems:
            raise ClosureError(
                "the packages do not fit the image",
                problems=tuple(sorted(set(self._problems))),
                hint="take base and builder of the archive's date, or an archive of theirs, or "
                "name another version: --debian-package NAME=VERSION",
            )

    def _settle(self, stanza: Stanza, clause: Clause) -> None:
        skipped = _FOR_SCRIPTS | _FOR_SCRIPTS_OF.get(stanza.name, frozenset())
        if any(one.name in skipped for one in clause) or any(map(self._is_met, clause)):
            return
        for relation in clause:
            if relation.name in self._image or relation.name in self.found:
                continue
            if (best := self._best(relation)) is not None:
                self._take(best)
                return
        text = " | ".join(map(str, clause))
        had = [f"the image has {one.name} {self._image[one.name].version}"
               for one in clause if one.name in self._image]  # fmt: skip
        had += [f"{self.found[one.name]} is taken" for one in clause if one.name in self.found]
        why = ", ".join(had) or "no archive has it"
        self._problems.append(f"{stanza} needs {text}: {why}")

    def _is_met(self, relation: Relation) -> bool:
        return any(_gives(relation, *one) for one in self._there())

    def _there(self) -> Iterator[tuple[str, Held]]:
        """Yield what is in the image, then what is added."""
        yield from self._image.items()
        for name, stanza in self.found.items():
            yield name, Held(stanza.version, stanza.provides, stanza.conflicts)

    def _best(self, relation: Relation) -> Stanza | None:
        """Return the package of a name, or the first by name that provides it."""
        own = [one for one in self._candidates(relation.name) if relation.accepts(one.version)]
        if own:
            return max(own, key=_order)
        others = [
            one
            for one in self._providers(relation.name)
            if one.name not in self._image and _gives(relation, "", Held("", one.provides))
        ]
        first = min((one.name for one in others), default="")
        return max((one for one in others if one.name == first), key=_order, default=None)

    def _candidates(self, name: str) -> Iterator[Stanza]:
        """Yield the packages of a name: of the version that was named, if one was."""
        pin = self._pins.get(name, "")
        for stanza in self._named(Wish(name, pin)):
            if pin in ("", stanza.version):
                yield stanza

    def _named(self, wish: Wish) -> Iterator[Stanza]:
        """Yield all packages of a name; backports and the like only if a version is named."""
        for listing in self._listings:
            if wish.version or listing.automatic:
                yield from listing.named(wish.name)

    def _providers(self, name: str) -> Iterator[Stanza]:
        for listing in self._listings:
            if listing.automatic:
                yield from listing.providing(name)

    def _take(self, stanza: Stanza) -> None:
        if stanza.name in self.found:
            return
        if len(self.found) >= _MOST:
            raise ClosureError(f"more than {_MOST} packages")
        self.found[stanza.name] = stanza
        self._todo.append(stanza)

    def _said(self, name: str) -> str:
        stanza = self.found.get(name)
        return str(stanza) if stanza else f"the image's {name} {self._image[name].version}"


def _clashes(name: str, held: Held, other: str, beside: Held) -> bool:
    """Tell whether a package does not want another beside it (Policy, 7.3 and 7.4)."""
    unwanted = (one for clause in held.conflicts for one in clause)
    return name != other and any(_gives(one, other, beside) for one in unwanted)


def _gives(relation: Relation, name: str, held: Held) -> bool:
    """Tell whether a package is what a relation names, or provides it."""
    return any(
        each == relation.name and relation.accepts(version)
        for each, version in ((name, held.version), *held.provides)
    )


def _order(stanza: Stanza) -> tuple[object, str]:
    # Of one version in two archives any is good; the digest makes it the same each time.
    return debian_key(stanza.version), stanza.sha256
