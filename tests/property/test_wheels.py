"""Whatever is done to a wheel's bytes, it is refused in one line, or it is the same wheel."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.build.wheels import Made, wheel

from layersmith.apps.installing import install
from layersmith.apps.interpreter import Interpreter
from layersmith.apps.requirements import parse_requirements
from layersmith.apps.site import Site, WheelContents
from layersmith.apps.wheel import open_wheel
from layersmith.errors import LayersmithError, RecipeError, WheelError
from layersmith.rootfs.entries import File
from layersmith.rootfs.tree import MemoryContents

if TYPE_CHECKING:
    from layersmith.rootfs.entries import Entry

AMD = Interpreter("3.13.5", "x86_64", (2, 41))
SOUND = wheel(
    files={"demo/__init__.py": b"answer = 42\n", "demo-1.0.data/scripts/x": b"#!python\n"},
    scripts={"demo": "demo:main"},
)


class Held:
    """Bytes that can be read at any place."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def pread(self, size: int, offset: int) -> bytes:
        return self._data[offset : offset + size]


def installed(made: Made) -> dict[str, tuple[int, bytes]]:
    found = open_wheel(Held(made.data), made.filename, SOUND.digest)
    site = Site()
    install(found, site, AMD)
    site.check()
    contents = WheelContents({str(found.digest): found}, MemoryContents())

    def shown(entry: Entry) -> tuple[int, bytes]:
        assert isinstance(entry, File)
        return entry.meta.mode & 0o644, contents.read(entry)

    return {path: shown(entry) for path, entry in site.entries.items()}


EXPECTED = installed(SOUND)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SOUND.data) - 1), st.binary(min_size=1, max_size=8))
@example(0, b"\0")
def test_a_wheel_is_refused_or_it_is_the_same(at: int, patch: bytes) -> None:
    data = SOUND.data[:at] + patch + SOUND.data[at + len(patch) :]
    with suppress(WheelError):
        assert installed(Made(SOUND.filename, data)) == EXPECTED


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SOUND.data)), st.binary(max_size=40))
def test_a_wheel_with_more_or_less_is_refused_or_it_is_the_same(at: int, more: bytes) -> None:
    for data in (SOUND.data[:at] + more + SOUND.data[at:], SOUND.data[:at], SOUND.data[at:]):
        with suppress(WheelError):
            assert installed(Made(SOUND.filename, data)) == EXPECTED


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
@example("a==1 --hash=sha256:")
@example("${X")
def test_a_requirements_file_is_read_or_refused(text: str) -> None:
    def other(named: str, where: str) -> tuple[str, str]:
        raise RecipeError(f"{named} of {where}")

    with suppress(LayersmithError):
        assert parse_requirements(text, "r.txt", {}, other).pins(AMD, (), ()) == ()
