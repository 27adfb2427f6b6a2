"""Digests: the one grammar, and nothing else gets through."""

from __future__ import annotations

import hashlib

import pytest

from layersmith.errors import InvalidDigest
from layersmith.oci.digest import Digest

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_names_the_empty_content() -> None:
    assert Digest.of(b"") == f"sha256:{HEX}"


def test_splits_into_algorithm_and_hex() -> None:
    digest = Digest(f"sha256:{HEX}")
    assert (digest.algorithm, digest.encoded) == ("sha256", HEX)


def test_knows_sha512_too() -> None:
    digest = Digest.of(b"abc", "sha512")
    assert digest == "sha512:" + hashlib.sha512(b"abc").hexdigest()
    assert digest.hasher().hexdigest() == hashlib.sha512().hexdigest()


def test_is_the_same_for_content_in_pieces() -> None:
    assert Digest.of_chunks([b"a", b"", b"bc"]) == Digest.of(b"abc")
    assert Digest.of_hasher(hashlib.sha256(b"abc")) == Digest.of(b"abc")


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha256: {HEX[1:]}",
        f"sha256:{HEX}\n",
        f"\nsha256:{HEX}",
        f"sha512:{HEX}",
        f"md5:{HEX[:32]}",
        f"sha256+b64:{HEX}",
        f"sha256:{HEX[:-2]}/.",
        "sha256:../../../../etc/passwd",
        "sha256:" + "\N{FULLWIDTH DIGIT ONE}" * 64,
        "sha256:" + "g" * 64,
    ],
)
def test_refuses_what_is_no_digest_of_a_known_algorithm(text: str) -> None:
    with pytest.raises(InvalidDigest) as caught:
        Digest(text)
    assert caught.value.hint
    assert str(caught.value).isprintable()


def test_says_no_more_than_a_line_about_a_long_one() -> None:
    with pytest.raises(InvalidDigest) as caught:
        Digest("x" * 100_000)
    assert len(str(caught.value)) < 200
