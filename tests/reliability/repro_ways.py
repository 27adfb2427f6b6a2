"""The circumstances of a build that must not matter, each with several values.

A :class:`Choice` is one value of one circumstance: words that go before the command and
variables that go around it. :func:`ways` deals them out so that every value has its turn
and they meet in ever other combinations.
"""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fixtures import tools
from fixtures.apt import AptError

__all__ = ["Choice", "Way", "circumstances", "ways"]

_YEARS: Final = 3653  # days of ten


@dataclass(frozen=True)
class Choice:
    """One value of one circumstance."""

    value: str
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """One value of every circumstance, by the circumstance's name."""

    chosen: Mapping[str, Choice]

    def command(self, program: Sequence[str]) -> list[str]:
        """Put `program` into these circumstances."""
        words = [word for choice in self.chosen.values() for word in choice.words]
        # The variables reach only the program: a faked clock would confuse the others.
        env = [f"{k}={v}" for choice in self.chosen.values() for k, v in choice.env.items()]
        return [*words, "env", *env, *program]

    def __str__(self) -> str:
        return ", ".join(f"{name} {choice.value}" for name, choice in self.chosen.items())


def ways(dimensions: Mapping[str, Sequence[Choice]], rng: random.Random) -> Iterator[Way]:
    """The first value of everything, then one after the other without end."""
    yield Way({name: choices[0] for name, choices in dimensions.items()})
    decks = {name: _dealt(choices, rng) for name, choices in dimensions.items()}
    while True:
        yield Way({name: next(deck) for name, deck in decks.items()})


def _dealt(choices: Sequence[Choice], rng: random.Random) -> Iterator[Choice]:
    """All of `choices` in some order, and again in another; those after the first come first."""
    yield from rng.sample(choices[1:], len(choices) - 1)
    while True:
        yield from rng.sample(choices, len(choices))


def circumstances() -> tuple[dict[str, list[Choice]], list[str]]:
    """What can be varied on this machine, and what cannot, with the reason."""
    absent: list[str] = []
    dimensions = {
        "umask": [_umask(mask) for mask in ("022", "000", "027", "077", "002")],
        "processors": _processors(),
        "user": _users(absent),
        "time zone": [
            Choice(zone, env={"TZ": zone})
            for zone in ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", "X+25")
        ],
        "locale": [
            Choice("C.UTF-8", env={"LC_ALL": "C.UTF-8"}),
            Choice("tr_TR", env={"LANG": "tr_TR.UTF-8"}),
            Choice("de_DE", env={"LC_ALL": "de_DE.ISO-8859-1"}),
            Choice("none", env={"LC_ALL": "C"}),
            Choice(
                "ASCII",
                env={"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            ),
        ],
        "hash seed": [
            Choice(seed, env={"PYTHONHASHSEED": seed})
            for seed in ("0", "1", "42", "4294967295", "random")
        ],
        "clock": _clocks(absent),
    }
    return dimensions, absent


def _umask(mask: str) -> Choice:
    return Choice(mask, ("sh", "-c", f'umask {mask} && exec "$@"', "sh"))


def _processors() -> list[Choice]:
    here = sorted(os.sched_getaffinity(0))
    sets = {str(len(here)): here, "the first": here[:1], "the last": here[-1:]}
    return [
        Choice(name, ("taskset", "-c", ",".join(map(str, numbers))))
        for name, numbers in sets.items()
    ]


def _users(absent: list[str]) -> list[Choice]:
    """Users by a user namespace: what is readable stays readable, whoever runs this."""
    nobody = Choice("as is")
    try:
        bwrap = tools.find("bwrap", "bubblewrap")
    except (AptError, FileNotFoundError) as error:
        absent.append(f"user: {error}")
        return [nobody]
    found = [nobody]
    for uid in ("0", "1000", "65534", "2000000000"):
        words = ("--unshare-user", "--uid", uid, "--gid", uid, "--dev-bind", "/", "/")
        found.append(Choice(uid, (str(bwrap.path), *words), {"HOME": "/nonexistent"}))
    return found


def _clocks(absent: list[str]) -> list[Choice]:
    now = Choice("now")
    try:
        faketime = tools.find("faketime", "faketime").path
    except (AptError, FileNotFoundError) as error:
        absent.append(f"clock: {error}")
        return [now]
    # The library is in the same tree, wherever the program is.
    library = next(iter(sorted(faketime.parents[1].glob("lib/**/libfaketimeMT.so.1"))), None)
    if library is None:
        absent.append("clock: faketime has no libfaketimeMT.so.1")
        return [now]
    # Without its fix for other versions of glibc, which wakes waiting threads at once.
    env = {"LD_PRELOAD": str(library), "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
    return [
        now,
        Choice("-10 years", env={**env, "FAKETIME": f"-{_YEARS}d"}),
        Choice("+10 years", env={**env, "FAKETIME": f"+{_YEARS}d"}),
    ]
