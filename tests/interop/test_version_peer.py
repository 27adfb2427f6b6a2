"""dpkg judges the order of Debian's versions: real ones, and whatever can be written."""

from __future__ import annotations

import random
import subprocess

import pytest
from tests.interop.peers import need

from layersmith.analysis.debversion import debian_key

pytestmark = pytest.mark.interop

PAIRS = 1500
REAL = [
    "14.2.0-19", "3.5.1-1+deb13u1", "3.5.1-1", "1:1.3.dfsg+really1.3.1-1+b1", "2.41-12",
    "1:1.3.dfsg+really1.3.1-1", "3.46.1-7", "2.41-12+deb13u1", "0.0~git20200908-1", "5.3.28+dfsg2-9",
    "6.5+20250216-2", "1.0.8-6", "8.2-6", "3.4.8-2", "1.24-2", "20250419", "2025b-4+deb13u1",
    "3.0.17-1~deb12u2", "3.0.17-1~deb12u3", "1.1.1w-0+deb11u2", "1.1.1n-0+deb11u4", "0.11.1-2.1",
]  # fmt: skip
PIECES = ["0", "1", "9", "00", "10", "a", "z", "A", "~", "~~", ".", "+", "-", "dfsg", "rc", "1:"]


def drawn(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(REAL)
    return "".join(rng.choices(PIECES, k=rng.randint(1, 6)))


def dpkg(one: str, other: str) -> int:
    """Return -1, 0 or 1, as dpkg says."""
    for sign, relation in ((-1, "lt"), (0, "eq"), (1, "gt")):
        command = ["dpkg", "--compare-versions", one, relation, other]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            return sign
    raise AssertionError((one, other))


def is_sound(text: str) -> bool:
    """Tell whether dpkg takes it for a version without an objection."""
    command = ["dpkg", "--validate-version", text]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def key_or_none(text: str) -> object:
    try:
        return debian_key(text)
    except ValueError:
        return None


def test_the_same_order_and_the_same_versions() -> None:
    need("dpkg")
    rng = random.Random(20)
    sound = []
    for text in dict.fromkeys(drawn(rng) for _ in range(PAIRS)):
        # dpkg takes a sign before an epoch; deb-version(7) says that it is unsigned.
        if is_sound(text) and not text.startswith("+"):
            assert key_or_none(text) is not None, text
            sound.append(text)
    assert len(sound) > 100
    pairs = {tuple(rng.choices(sound, k=2)) for _ in range(PAIRS // 3)}
    near = {(text, text + more) for text in sound[:60] for more in ("~", "0", "+b1", ".0", "a")}
    for one, other in sorted(pairs | {pair for pair in near if is_sound(pair[1])}):
        ours = (debian_key(one) > debian_key(other)) - (debian_key(one) < debian_key(other))
        assert ours == dpkg(one, other), (one, other)
