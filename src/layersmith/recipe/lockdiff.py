"""What changed from one lock to the next, for whoever decides whether to take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.recipe.lock import Lock, LockedPlatform

__all__ = ["Change", "changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One fact, before and after; empty where there was, or is, none.

    `platforms` are those that it changed on, none where it is one for all.
    """

    what: str
    before: str
    after: str
    platforms: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        where = f"  ({', '.join(self.platforms)})" if self.platforms else ""
        if not self.before:
            return f"{self.what}: new, {self.after}{where}"
        if not self.after:
            return f"{self.what}: gone, was {self.before}{where}"
        return f"{self.what}: {self.before} -> {self.after}{where}"


def changes(old: Lock, new: Lock) -> list[Change]:
    """Return every difference; what changed alike on several platforms stands there once."""
    before, after = _facts(old), _facts(new)
    found = [
        Change(what, before.get(what, ""), after.get(what, ""))
        for what in {**before, **after}
        if before.get(what) != after.get(what)
    ]
    alike: dict[tuple[str, str, str], list[str]] = {}
    for platform in sorted(old.platforms.keys() | new.platforms.keys()):
        mine = _platform_facts(old.platforms.get(platform))
        theirs = _platform_facts(new.platforms.get(platform))
        for what in {**mine, **theirs}:
            pair = mine.get(what, ""), theirs.get(what, "")
            if pair[0] != pair[1]:
                alike.setdefault((what, *pair), []).append(platform)
    return found + [Change(*what, tuple(platforms)) for what, platforms in alike.items()]


def _facts(lock: Lock) -> Mapping[str, str]:
    return {
        "Python": lock.python,
        "recipe": lock.recipe_digest,
        "layersmith": lock.made.layersmith,
        "compressor": lock.made.compressor,
        "base": f"{lock.base.reference} {lock.base.digest}",
        "builder": f"{lock.builder.reference} {lock.builder.digest}",
        "base verified": ", ".join(lock.base.verified),
        "builder verified": ", ".join(lock.builder.verified),
    }


def _platform_facts(platform: LockedPlatform | None) -> Mapping[str, str]:
    return dict(_listed(platform)) if platform is not None else {}


def _listed(platform: LockedPlatform) -> Iterator[tuple[str, str]]:
    yield "base image", platform.base
    yield "builder image", platform.builder
    yield "epoch", str(platform.epoch)
    for kind, facts in (
        ("base package", platform.base_packages),
        ("builder package", platform.builder_packages),
        ("library", platform.libraries),
        ("wheel", platform.wheels),
    ):
        for name, value in sorted(facts.items()):
            yield f"{kind} {name}", value
