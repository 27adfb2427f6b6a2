"""JSON with one meaning: what is refused before any schema is looked at."""

from __future__ import annotations

import json
import sys

import msgspec
import pytest

from layersmith.errors import DocumentError
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import MAX_DOCUMENT, decode, encode, typed


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, "x"]} ', {"a": [1, 2.5, None, True, "x"]}),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ('"\N{GRINNING FACE}"'.encode(), "\N{GRINNING FACE}"),
        (b"9223372036854775807", 2**63 - 1),
        (b'{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (nested(64), json.loads(nested(64))),
    ],
)
def test_reads_json(raw: bytes, value: object) -> None:
    assert decode(raw, "d") == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"{} {}", "Extra data"),
        (b"{}\0", "Extra data"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'"\xc0\xaf"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\xef\xbb\xbf{}", ""),
        ("{}".encode("utf-16"), ""),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"x": {"b": 0, "a": 1, "c": 0, "a": 1}}', "the key 'a' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1e999", "1e999"),
        (b"[-1e999]", "-1e999"),
        (b"1" * 20, "a number of 20 digits"),
        (b"1" * 10_000, "a number of 10000 digits"),
        (b'"\\ud800"', "a lone surrogate"),
        (b'{"\\udc00": 1}', "a lone surrogate"),
        (b'"\n"', "Invalid control character"),
        (b"'a'", "Expecting value"),
        (b"[1,]", ""),
        (b"01", "Extra data"),
        (b"+1", "Expecting value"),
        (b"// c\n{}", "Expecting value"),
        (nested(65), "nested deeper than 64"),
        (nested(100_000), "nested deeper than 64"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 64"),
    ],
)
def test_refuses_what_has_no_one_meaning(raw: bytes, why: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode(raw, "manifest x")
    assert str(caught.value).startswith("manifest x: ")
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_refuses_a_document_over_the_cap_before_it_is_read() -> None:
    with pytest.raises(DocumentError, match="at most 4194304 are read"):
        decode(b" " * MAX_DOCUMENT + b"{}", "m")
    with pytest.raises(DocumentError, match="at most 2 are read"):
        decode(b"{ }", "m", limit=2)


def test_depth_is_refused_with_a_deep_stack_too() -> None:
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        else:
            decode(nested(2000), "m")

    with pytest.raises(DocumentError, match="nested deeper"):
        deep(sys.getrecursionlimit() // 2)


class Named(msgspec.Struct):
    digest: Digest
    size: int = 0


def test_a_fault_is_named_by_its_path() -> None:
    with pytest.raises(DocumentError, match=r"^m: Expected `int`, got `str` - at `\$\[1\]\.size`$"):
        typed(
            [{"digest": Digest.of(b"")}, {"digest": Digest.of(b""), "size": "1"}], list[Named], "m"
        )


@pytest.mark.parametrize("digest", ["sha256:x", 7, None, ["sha256"]])
def test_a_digest_is_checked_where_it_stands(digest: object) -> None:
    with pytest.raises(DocumentError, match=r"at `\$\.digest`"):
        typed({"digest": digest}, Named, "m")


def test_a_digest_is_written_as_a_string() -> None:
    digest = Digest.of(b"")
    assert encode({"d": digest, "n": Named(digest)}) == (
        b'{"d":"%s","n":{"digest":"%s","size":0}}' % (digest.encode(), digest.encode())
    )
    found = typed({"digest": str(digest)}, Named, "m")
    assert type(found.digest) is Digest


def test_json_is_written_compactly_in_its_own_order_as_utf8() -> None:
    assert encode({"b": 1, "a": ["\N{SNOWMAN}"]}) == '{"b":1,"a":["\N{SNOWMAN}"]}'.encode()


def test_what_is_not_json_is_not_written() -> None:
    with pytest.raises(TypeError):
        encode({"a": object()})
