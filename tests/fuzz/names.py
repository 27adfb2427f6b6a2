"""What people and documents call things: references, digests, platforms, targets, places."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tests.fuzz.target import Target, refused

from layersmith.assemble.places import Place
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Platform
from layersmith.oci.reference import Reference, registry_name
from layersmith.recipe.recipe import User
from layersmith.recipe.target import Target as AssembleTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEX: Final = "0123456789abcdef" * 4


def _names(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in (_reference, _digest, _platform, _target, _user, _place, _registry):
        refused(partial(read, text))


def _reference(text: str) -> None:
    found = Reference.parse(text)
    assert Reference.parse(str(found)) == found == Reference(str(found))
    assert str(found).isascii()
    assert found.name.startswith(f"{found.registry}/")
    assert found.with_tag("t").tag == "t"
    assert found.with_digest(Digest(f"sha256:{_HEX}")).digest == f"sha256:{_HEX}"


def _digest(text: str) -> None:
    found = Digest(text)
    assert f"{found.algorithm}:{found.encoded}" == text
    assert found.encoded.isalnum()


def _platform(text: str) -> None:
    found = Platform.parse(text)
    assert Platform.parse(str(found)).key == found.key


def _target(text: str) -> None:
    found = AssembleTarget.parse(text)
    assert str(found) == text
    assert found.base
    assert found.builder


def _user(text: str) -> None:
    found = User.parse(text)
    if found.uid >= 0:
        assert User.parse(f"{found.name}:{found.uid}:{found.gid}") == found


def _place(text: str) -> None:
    found = Place.parse(text)
    again = Place.parse(str(found))
    assert str(again) == str(found)
    assert again.identifier == found.identifier


def _registry(text: str) -> None:
    name = registry_name(text)
    assert name is None or registry_name(name) == name


def _texts() -> Iterator[bytes]:
    digest = f"sha256:{_HEX}"
    texts = [
        "python", "python:3.13", f"gcr.io/distroless/cc-debian13@{digest}", "localhost/x:y",
        "index.docker.io/x", "Host.Example:5000/a/b__c.d-e:T.a-g_", f"[::1]:5000/a:t@{digest}",
        "127.0.0.1:0/x", "a:65536/x", digest, f"sha512:{_HEX * 2}", "md5:00", "linux/amd64",
        "linux/arm64/v8", "3.13-debian13", "3.13.5-debian12-debug", "builder:3.13-debian13", "monty:1000:1000", "nonroot",
        "oci:dist/x:t", f"oci:x@{digest}", "oci-archive:a:b.tar:t", "docker-archive:x.tar:a/b:t",
        "docker-archive:x.tar:t", "oci:", "\u0130/x", "a" * 300, "x/\udcff", "user:p@host/x",
    ]  # fmt: skip
    return (text.encode("utf-8", "surrogateescape") for text in texts)


TARGETS: Final = (
    Target(
        "names",
        _names,
        _texts,
        ("oci.reference", "oci.digest", "recipe.target"),
        (b"sha256:", b"docker.io/", b"oci:", b"docker-archive:", b"library/", b"-debian13", b"[::"),
        512,
    ),
)
