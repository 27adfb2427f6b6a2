"""The laws of values: what is written reads back equal; readers accept the right bytes only."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from tests.build.image import descriptor
from tests.build.layers import pack_index
from tests.property.strategies import few_paths, json_values, loose_text, metas, targets

from layersmith.errors import DocumentError, InvalidInput, VerificationError
from layersmith.oci.content import VerifiedReader
from layersmith.oci.digest import Digest
from layersmith.oci.documents import (
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Document,
    Index,
    Manifest,
    Platform,
)
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import decode, encode, typed
from layersmith.rootfs.entries import Directory, File, Kind, Slice, Special, Symlink
from layersmith.rootfs.layer import Change, HardLink, Opaque, Whiteout, put
from layersmith.stores.index import unpack_index

digests = st.one_of(
    st.binary(max_size=4).map(Digest.of),
    st.binary(max_size=4).map(lambda data: Digest.of(data, "sha512")),
)
strings = st.text(st.characters(codec="utf-8"), max_size=6)
platforms = st.builds(
    Platform, os=strings, architecture=strings, variant=strings, os_version=strings
)
descriptors = st.builds(
    Descriptor,
    media_type=strings,
    digest=digests,
    size=st.integers(0, 2**53),
    urls=st.lists(strings, max_size=2).map(tuple),
    annotations=st.dictionaries(strings, strings, max_size=2),
    artifact_type=strings,
    platform=st.one_of(st.none(), platforms),
)
manifests = st.builds(
    Manifest,
    media_type=st.just(OCI_MANIFEST),
    config=descriptors,
    layers=st.lists(descriptors, max_size=3).map(tuple),
    subject=st.one_of(st.none(), descriptors),
    annotations=st.dictionaries(strings, strings, max_size=2),
)
indexes = st.builds(
    Index, media_type=st.just(OCI_INDEX), manifests=st.lists(descriptors, max_size=3).map(tuple)
)

components = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,2})[a-z0-9]{1,3})?", fullmatch=True)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9]{1,3}(\.[a-z0-9]{1,3}){1,2}(:[1-9][0-9]{0,3})?", fullmatch=True),
    st.sampled_from(["localhost", "127.0.0.1:5000", "[::1]:80", "docker.io"]),
)
tags = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,8}", fullmatch=True)
references = st.builds(
    lambda host, path, tag, digest: (
        f"{host}/{'/'.join(path)}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    ),
    hosts,
    st.lists(components, min_size=1, max_size=3),
    st.one_of(st.none(), tags),
    st.one_of(st.none(), digests),
)


@given(digests)
def test_a_digest_is_its_text(digest: Digest) -> None:
    assert Digest(str(digest)) == digest
    assert f"{digest.algorithm}:{digest.encoded}" == digest


@given(references)
def test_a_reference_is_its_text(text: str) -> None:
    reference = Reference(text)
    assert reference == text
    again = Reference(str(reference))
    assert again == reference
    assert (again.registry, again.repository, again.tag, again.digest) == (
        reference.registry,
        reference.repository,
        reference.tag,
        reference.digest,
    )
    rebuilt = f"{reference.registry}/{reference.repository}"
    rebuilt += f":{reference.tag}" if reference.tag else ""
    rebuilt += f"@{reference.digest}" if reference.digest else ""
    assert rebuilt == text


@given(st.one_of(references, st.text(max_size=30)))
def test_a_reference_that_was_parsed_parses_to_itself(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidInput:
        return
    assert Reference.parse(str(reference)) == reference
    assert reference.registry in str(reference)


@given(manifests)
def test_a_manifest_that_is_written_reads_back_equal(manifest: Manifest) -> None:
    document = Document.write(manifest, OCI_MANIFEST, Manifest)
    assert document.value == manifest
    again = Document.parse(document.raw, document.descriptor, Manifest)
    assert again == document
    assert encode(again.json) == document.raw


@given(indexes)
def test_an_index_that_is_written_reads_back_equal(index: Index) -> None:
    document = Document.write(index, OCI_INDEX, Index)
    assert document.value == index
    assert Document.parse(document.raw, document.descriptor, Index) == document


@given(descriptors)
def test_a_descriptor_is_its_json(wanted: Descriptor) -> None:
    assert typed(decode(encode(wanted), "d"), Descriptor, "d") == wanted


@given(json_values)
def test_strict_json_is_what_everybody_reads(value: object) -> None:
    raw = json.dumps(value).encode()
    try:
        found = decode(raw, "d")
    except DocumentError:
        return
    assert found == value
    assert decode(encode(found), "d") == found


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 50))
def test_the_verified_reader_accepts_the_right_bytes_only(
    wanted: bytes, given_: bytes, size: int
) -> None:
    stream = VerifiedReader(io.BytesIO(given_), descriptor(wanted), "w")
    try:
        read = b"".join(iter(lambda: stream.read(size), b""))
    except VerificationError:
        assert given_ != wanted
    else:
        assert read == given_ == wanted


slices = st.builds(
    Slice,
    st.just("diff"),
    st.integers(0, 2**50),
    st.integers(0, 2**50),
    st.binary(min_size=32, max_size=32),
)
entries = st.one_of(
    st.builds(File, metas, slices),
    st.builds(Directory, metas, st.just({})),
    st.builds(Symlink, metas, targets),
    st.builds(Special, metas, st.sampled_from(Kind), st.integers(0, 2**31), st.integers(0, 2**31)),
)
paths = st.one_of(few_paths, loose_text)
all_changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(put, paths, entries),
    st.builds(HardLink, paths, paths),
    st.builds(Whiteout, paths),
    st.builds(Opaque, paths),
)


@given(st.integers(0, 2**60), st.lists(all_changes, max_size=6))
def test_an_index_of_a_layer_comes_back_equal(size: int, changes: list[Change]) -> None:
    assert unpack_index(pack_index(size, changes), "diff") == (size, changes)
