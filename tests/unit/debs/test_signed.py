"""Who has signed an archive's index, and that nothing stands around what was signed."""

from __future__ import annotations

import sys

import pytest
from tests.build.debs import clear_signed, keyring, suite_of

from layersmith.debs.signed import Keyring, signed_text
from layersmith.errors import InvalidInput, InvalidKey, Untrusted

TEXT = suite_of({"main/binary-amd64/Packages": b"x"})
SIGNED = clear_signed(TEXT)


@pytest.fixture(scope="module")
def ring() -> Keyring:
    return Keyring([("other", keyring("other")), ("archive", keyring())])


def test_what_was_signed_comes_back(ring: Keyring) -> None:
    assert signed_text(SIGNED, ring, "it").strip() == TEXT.strip()


def test_dashes_are_what_they_were(ring: Keyring) -> None:
    text = b"A: b\n- c\n-----BEGIN PGP SIGNATURE-----\nD: e\n"
    assert signed_text(clear_signed(text), ring, "it").strip() == text.strip()


@pytest.mark.parametrize(
    "raw",
    [
        TEXT,
        b"",
        b"Origin: Evil\n" + SIGNED,
        SIGNED + b"Origin: Evil\n",
        SIGNED + SIGNED,
        SIGNED.replace(b"\nHash", b"\n\nOrigin: Evil\nHash", 1),
        SIGNED.replace(b"Codename: trixie", b"Codename: sid"),
        SIGNED.replace(b"\nOrigin", b"\nOrigin: Evil\nOrigin", 1),
        SIGNED[: len(SIGNED) // 2],
        SIGNED.replace(b"\n\n", b"\n", 1),
        clear_signed(TEXT, "stranger"),
    ],
)
def test_anything_else_is_nobody_s(ring: Keyring, raw: bytes) -> None:
    with pytest.raises(Untrusted, match="it"):
        signed_text(raw, ring, "it")


def test_the_error_is_one_line(ring: Keyring) -> None:
    with pytest.raises(Untrusted) as caught:
        signed_text(clear_signed(TEXT, "stranger"), ring, "it")
    assert "\n" not in str(caught.value)
    assert "backtrace" not in str(caught.value)
    assert "--debian-keyring" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"no key", b"\x99\xff"])
def test_what_is_no_keyring(data: bytes) -> None:
    with pytest.raises(InvalidKey, match="keyring"):
        Keyring([("it", data)])


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysequoia", None)
    with pytest.raises(InvalidInput, match="pysequoia is not installed") as caught:
        Keyring([("it", b"")])
    assert "layersmith[debian]" in caught.value.hint
