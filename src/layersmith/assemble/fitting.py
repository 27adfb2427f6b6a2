"""Whether the layers of an application fit another base: all that can be known without running it.

The same questions that `app build` asks of wheels are asked of the files in the layers, and those
that only a change of the base raises: what would hide its files, whose bytecode is of other
sources, whose user is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.analysis.objects import Objects
from layersmith.apps.needs import check_needs, objects_in
from layersmith.assemble.outcome import Unresolved
from layersmith.assemble.reading import mending
from layersmith.errors import ClosureError
from layersmith.oci.strictjson import encode
from layersmith.rootfs.checksum import same_bytes
from layersmith.rootfs.entries import Directory, File
from layersmith.rootfs.layer import HardLink, Put, overlay
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.assemble.inputs import Input
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.image import Image, Layer
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.layer import Change

__all__ = ["Fit", "Fitting"]

_FORMAT: Final = "fit 1"
_ACCOUNTS: Final = "etc/passwd"
_PYC: Final = re.compile(r"(?:(.*)/)?__pycache__/([^/]+)\.cpython-3[0-9]+\.pyc")


class Fit(msgspec.Struct, frozen=True):
    """What is wrong, what is missing as allowed, and which files of the base are hidden."""

    problems: tuple[str, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    hidden: tuple[str, ...] = ()


_DECODER: Final = msgspec.json.Decoder(Fit)


@dataclass(frozen=True)
class Fitting:
    """An application of one platform, the `count` layers of it, and the base to put them on.

    `user` is who runs it there; `python` its version where it stood, if that is known.
    """

    workshop: Workshop
    found: Input
    image: Image
    count: int
    python: str
    new: PythonImage
    base: Image
    user: str
    allowed: Sequence[str]
    shadowing: bool = False

    def fit(self) -> Fit:
        """Return what was found; an answer without problems is remembered.

        Raises :class:`RecipeError` for a base that takes no application at all.
        """
        cache = self.workshop.cache
        about = [self.image.manifest.descriptor.digest, self.base.manifest.descriptor.digest]
        key = f"{_FORMAT} {about} {self.count} {self.user} {sorted(self.allowed)} {self.shadowing}"
        if problem := self._other_python():
            return Fit((problem,))
        if kept := cache.recall(key):
            return _DECODER.decode(kept)
        with self.workshop.timed("check"):
            wanted = (self.found, self.image, True), (self.new.input, self.base, True)
            found = mending(self.workshop.layers, wanted, self._looked)
        if not found.problems:
            cache.remember(key, encode(found))
        return found

    def _other_python(self) -> str:
        """Say that packages stand where the other Python does not look, and are not for it."""
        facts = self.new.facts(self.base)
        was, now = (version.split(".")[:2] for version in (self.python, facts.version))
        if not self.python or was == now:
            return ""
        return (
            f"it was built for Python {'.'.join(was)}, and the new base has {facts.version}: its "
            "packages are not for that"
        )

    def _looked(self) -> Fit:
        above = self._changes(self.image.layers[-self.count :], keep=True)
        base = self.new.root(self.base)
        final = Root(overlay(above, base.tree), self.workshop.layers)
        paths = {c.path for layer in above for c in layer if isinstance(c, (Put, HardLink))}
        entries = {
            path: entry
            for path in sorted(paths)
            if not isinstance(entry := final.tree.entry(path), Directory) and entry is not None
        }
        objects = Objects()
        missing, unmet = self._unmet(final, objects_in(entries), objects)
        hidden = tuple(self._hidden(base, final))
        problems = [*unmet, *self._stale(entries, base, final), *self._strangers(final, entries)]
        if hidden and not self.shadowing:
            problems += [f"it would hide /{path} of the new base" for path in hidden]
        return Fit(tuple(problems), missing, hidden)

    def _changes(self, layers: Sequence[Layer], *, keep: bool) -> list[list[Change]]:
        store, source = self.workshop.layers, self.found.source
        return [store.changes(source, layer, keep_blob=keep) for layer in layers]

    @cached_property
    def _old(self) -> Root:
        """The file system that the application stood on; few questions are about it."""
        below = self._changes(self.image.layers[: -self.count], keep=False)
        return Root(overlay(below), self.workshop.layers)

    def _unmet(
        self, final: Root, paths: Sequence[str], objects: Objects
    ) -> tuple[tuple[Unresolved, ...], tuple[str, ...]]:
        """Return the libraries that are missing as allowed, and what else objects lack."""
        try:
            found = check_needs(final, paths, self.allowed, objects)
        except ClosureError as error:
            return (), error.problems or (error.message,)
        return tuple(Unresolved(*each) for each in found), ()

    def _hidden(self, base: Root, final: Root) -> Iterator[str]:
        """Yield the files that the new base has other than the old, and nobody would see."""
        for path, entry in base.tree.walk():
            if isinstance(entry, Directory) or final.tree.entry(path) is entry:
                continue
            there = final.tree.entry(path)
            if not self._alike(there, entry) and not self._alike(self._old.tree.entry(path), entry):
                yield path

    def _stale(self, entries: Mapping[str, Entry], base: Root, final: Root) -> Iterator[str]:
        """Say which bytecode is of sources that the new base has otherwise.

        It is taken without looking at the source (PEP 552), so that the old library would run.
        """
        magic, stale = self.new.facts(self.base).magic, []
        for path, entry in entries.items():
            match = _PYC.fullmatch(path)
            if match is None or not isinstance(entry, File):
                continue
            if magic is not None:
                got = int.from_bytes(final.contents.read(entry)[:2], "little")
                if got != magic:
                    yield f"/{path} has the magic number {got}, the new base's Python {magic}"
                    return
                magic = None  # one is as good as all
            source = "/".join(filter(None, (match[1], f"{match[2]}.py")))
            there = base.tree.entry(source)
            if there is None or source in entries:
                continue
            if not self._alike(self._old.tree.entry(source), there):
                stale.append(source)
        if stale:
            more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
            yield f"its bytecode of /{stale[0]}{more} is of another source than the new base's"

    def _strangers(self, final: Root, entries: Mapping[str, Entry]) -> Iterator[str]:
        """Say that the user is unknown there, or no longer owns what it did."""
        name = self.user.partition(":")[0]
        before = (self.image.config.json.get("config") or {}).get("User") or ""
        was = before.partition(":")[0]
        known = name in ("", "0", "root") or name in _accounts(final)
        # A number that was nobody's before may be so again.
        if not known and (not name.isdigit() or name in _accounts(self._old)):
            yield f"the new base has no user {name}, as whom it runs"
        if was == name or not was.isdigit() or was == "0":
            return
        owned = [path for path, entry in entries.items() if entry.meta.uid == int(was)]
        if owned:
            yield f"/{owned[0]} belongs to the user {was}, and it would run as {name or 'root'}"

    def _alike(self, one: Entry | None, other: Entry) -> bool:
        """Tell whether two entries are the same to who opens them."""
        if isinstance(one, File) and isinstance(other, File):
            layers = self.workshop.layers
            return one.meta.mode == other.meta.mode and same_bytes(one, other, layers, layers)
        if isinstance(one, Directory) or one is None:
            return False
        return msgspec.structs.replace(one, meta=other.meta) == other


def _accounts(root: Root) -> set[str]:
    """Return the names and numbers of users (passwd(5))."""
    text = (root.read(_ACCOUNTS) or b"").decode("utf-8", "surrogateescape")
    lines = [line.split(":") for line in text.split("\n")]
    return {part for line in lines if len(line) == 7 for part in (line[0], line[2])}
