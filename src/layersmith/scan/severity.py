"""How bad a vulnerability is, from all that an entry says of it.

The worst of what is said counts, but for one word: what Debian calls unimportant does not
touch its binaries, whatever the score. Of CVSS only version 3 is reckoned here; with a v4
vector databases give a rating in words. Where nothing can be read the severity is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from layersmith.scan.cvss import base_score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.scan.entries import Affected, Entry, Rating

__all__ = ["THRESHOLDS", "Level", "Severity", "severity_of", "worst"]


class Level(IntEnum):
    """From what does not matter to what matters most; what is unknown may be anything."""

    NEGLIGIBLE = 0
    UNKNOWN = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    def __str__(self) -> str:
        """Return the name in small letters."""
        return self.name.lower()


THRESHOLDS: Final = {str(level): level for level in Level if level >= Level.LOW}


@dataclass(frozen=True, slots=True, order=True)
class Severity:
    """A level, the CVSS base score behind it if there is one, and who said so how."""

    level: Level = Level.UNKNOWN
    score: float = -1.0
    said: str = ""

    def reaches(self, threshold: Level) -> bool:
        """Tell whether this is, or may be, as bad as `threshold`."""
        return self.level >= threshold or self.level is Level.UNKNOWN

    def __str__(self) -> str:
        """Return ``high 7.5``, or the level alone."""
        return f"{self.level} {self.score:.1f}" if self.score >= 0 else str(self.level)


_WORDS: Final = {
    "none": Level.NEGLIGIBLE, "negligible": Level.NEGLIGIBLE, "unimportant": Level.NEGLIGIBLE,
    "low": Level.LOW, "medium": Level.MEDIUM, "moderate": Level.MEDIUM, "high": Level.HIGH,
    "important": Level.HIGH, "critical": Level.CRITICAL,
}  # fmt: skip
_BOUNDS: Final = ((9.0, Level.CRITICAL), (7.0, Level.HIGH), (4.0, Level.MEDIUM), (0.1, Level.LOW))
_KEYS: Final = ("severity", "urgency")


def severity_of(entry: Entry, affected: Iterable[Affected]) -> Severity:
    """Return how bad `entry` is for those packages of it that are `affected`."""
    affected = list(affected)
    urgencies = [_text(one.ecosystem_specific, "urgency") for one in affected]
    if urgencies and all(urgency == "unimportant" for urgency in urgencies):
        return Severity(Level.NEGLIGIBLE, said="Debian: unimportant")
    found = list(_ratings(entry.severity))
    found += _words(entry.database_specific)
    for one in affected:
        found += _ratings(one.severity)
        found += [*_words(one.ecosystem_specific), *_words(one.database_specific)]
    return worst(found)


def worst(found: Iterable[Severity]) -> Severity:
    """Return the worst that is known, or that nothing is."""
    known = [one for one in found if one.level is not Level.UNKNOWN]
    return max(known, default=Severity())


def _ratings(ratings: Iterable[Rating] | None) -> Iterator[Severity]:
    for rating in ratings or ():
        score = base_score(rating.score) if rating.type == "CVSS_V3" else None
        if score is not None:
            yield Severity(_of_score(score), score, rating.score)
        elif not rating.type.startswith("CVSS") and (level := _of_word(rating.score)) is not None:
            yield Severity(level, said=f"{rating.type}: {rating.score}"[:80])


def _words(specific: dict[str, Any] | None) -> Iterator[Severity]:
    for key in _KEYS:
        text = _text(specific, key)
        if (level := _of_word(text)) is not None:
            yield Severity(level, said=f"{key}: {text}")


def _of_score(score: float) -> Level:
    """Return the rating of a score (CVSS v3.1, section 5: none, low, medium, high, critical)."""
    return next((level for bound, level in _BOUNDS if score >= bound), Level.NEGLIGIBLE)


def _of_word(text: str) -> Level | None:
    return _WORDS.get(text.strip().rstrip("*").lower())


def _text(specific: dict[str, Any] | None, key: str) -> str:
    value = (specific or {}).get(key)
    return value if isinstance(value, str) else ""
