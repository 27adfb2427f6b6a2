"""sign, attest, verify and tree as a user types them, on layouts and a registry of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.build.site import FILE
from tests.fakes.registry import FakeRegistry
from typer.testing import CliRunner

from layersmith.assemble.putting import attach_tag
from layersmith.attest.claims import SIGNED
from layersmith.cli.app import app
from layersmith.errors import InvalidInput, InvalidKey, LayersmithError, Untrusted
from layersmith.oci.documents import Manifest
from layersmith.oci.image import load
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.build.site import Site

AS = ("--repository", "registry.example/team/python")
KEY = ("--key", "k.key")
PUB = ("--key", "k.pub")


@pytest.fixture(autouse=True)
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERSMITH_KEY_PASSWORD", "")
    run("key", "generate", "-o", "k")
    run("key", "generate", "-o", "other", "--type", "ed25519")
    (tmp_path / "p.json").write_text('{"a": [1, {"b": null}]}')
    return image(tmp_path / "x")


def image(path: Path) -> Layout:
    found = Layout(path)
    children = [
        for_platform(Made(platform=platform).put(found), platform) for platform in (AMD64, ARM64)
    ]
    found.tag("t", put_index(found, children))
    return found


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, LayersmithError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def asked(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


@pytest.mark.parametrize("carrier", ["referrer", "tag", "both"])
@pytest.mark.parametrize("key", ["k", "other"])
def test_what_was_signed_verifies_and_is_signed_once(
    layout: Layout, key: str, carrier: str
) -> None:
    sign = ("sign", "oci:x:t", "--key", f"{key}.key", *AS, "--carrier", carrier)
    first = asked(*sign)
    before = layout.tags()
    assert [one["known"] for one in first] == [False] * len(first)
    assert [one["known"] for one in asked(*sign)] == [True] * len(first)
    assert layout.tags() == before
    found = asked("verify", "oci:x:t", "--key", f"{key}.pub", *AS)
    assert found["digest"] == layout.resolve("t").digest
    assert len(found["accepted"]) == len(first)
    with pytest.raises(Untrusted):
        run("verify", "oci:x:t", "--key", f"{'k' if key == 'other' else 'other'}.pub", *AS)


@pytest.mark.parametrize("carrier", ["referrer", "tag"])
def test_signing_is_deterministic(tmp_path: Path, carrier: str) -> None:
    tags = []
    for name in ("x", "y"):
        found = image(tmp_path / name)
        run("sign", f"oci:{name}:t", *KEY, *AS, "--carrier", carrier, "--recursive")
        tags.append([(tag, found.resolve(tag).digest) for tag in found.tags()])
    assert tags[0] == tags[1]
    assert len(tags[0]) == 4


def test_two_signers_are_both_there(layout: Layout) -> None:
    for carrier in ("referrer", "tag"):
        for key in ("k", "other"):
            run("sign", "oci:x:t", "--key", f"{key}.key", *AS, "--carrier", carrier)
    for key in ("k", "other"):
        assert len(asked("verify", "oci:x:t", "--key", f"{key}.pub", *AS)["accepted"]) == 2
    both = asked("verify", "oci:x:t", "--key", "k.pub", "--key", "other.pub", *AS)
    assert len(both["accepted"]) == 4


def test_signatures_of_others_stay_as_they_are(layout: Layout) -> None:
    top = layout.resolve("t")
    attach_tag(layout, top.digest, b"{}", SIGNED, "theirs")
    run("sign", "oci:x:t", *KEY, *AS, "--carrier", "tag")
    value = load(layout, f"sha256-{top.digest.encoded}.sig").value
    assert isinstance(value, Manifest)
    assert "theirs" in value.layers[0].annotations.values()
    assert len(value.layers) == 2


def test_recursive_signs_every_platform() -> None:
    with FakeRegistry() as registry:
        name = f"{registry.host}/a/b"
        run("copy", "oci:x:t", name, "-q")
        done = asked("sign", f"{name}:t", *KEY, "--recursive")
        assert len({one["digest"] for one in done}) == 3
        for one in done:
            run("verify", f"{name}@{one['digest']}", *PUB)
        assert [one["known"] for one in asked("sign", f"{name}:t", *KEY)] == [True]


@pytest.mark.parametrize("carrier", ["referrer", "tag", "both"])
def test_attestations_are_said_once_and_verified(carrier: str) -> None:
    attest = ("attest", "oci:x:t", *KEY, *AS, "--carrier", carrier, "--predicate", "p.json")
    for kind in ("spdx", "https://example/tests/v1"):
        first, again = asked(*attest, "--type", kind), asked(*attest, "--type", kind)
        assert {one["known"] for one in first} == {False}
        assert {one["known"] for one in again} == {True}
        found = asked("verify", "oci:x:t", *PUB, *AS, "--attestation", kind)
        assert [one["predicate"] for one in found["accepted"]] == [{"a": [1, {"b": None}]}] * len(
            first
        )
    with pytest.raises(Untrusted, match="has no signature") as caught:
        run("verify", "oci:x:t", *PUB, *AS)
    assert caught.value.hint == "layersmith tree REF shows who says what about it"
    with pytest.raises(Untrusted, match="has no attestation") as caught:
        run("verify", "oci:x:t", *PUB, *AS, "--attestation", "cyclonedx")
    assert "of each platform, not of the index" in caught.value.hint


def test_another_predicate_is_another_attestation(tmp_path: Path) -> None:
    attest = ("attest", "oci:x:t", *KEY, *AS, "--type", "spdx", "--predicate", "p.json")
    run(*attest)
    (tmp_path / "p.json").write_text('{"a": 2}')
    assert [one["known"] for one in asked(*attest)] == [False]
    found = asked("verify", "oci:x:t", *PUB, *AS, "--attestation", "spdx")
    assert len(found["accepted"]) == 2


def test_another_repository_is_refused_but_on_request() -> None:
    run("sign", "oci:x:t", *KEY, "--repository", "other.example/a")
    with pytest.raises(Untrusted, match=r"it is for other.example/a, not for registry.example"):
        run("verify", "oci:x:t", *PUB, *AS)
    assert "other.example/a" in run(
        "verify", "oci:x:t", *PUB, *AS, "--repository", "other.example/a"
    )
    assert "other.example/a" in run("verify", "oci:x:t", *PUB, "--any-repository")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("sign", "oci:x:t", *KEY), "does not say of which repository"),
        (("sign", "oci:x:t", *KEY, *AS, "--carrier", "dove"), "--carrier 'dove'"),
        (("sign", "oci-archive:x.tar:t", *KEY, *AS), "is an archive: nothing can be added"),
        (("sign", "oci:x:t", *KEY, "--repository", "a.b/c:1"), "has a tag or a digest"),
        (("verify", "oci:x:t", *AS), "by whom"),
        (("verify", "oci:x:t", *AS, "--key", ""), "the key's name is empty"),
        (("verify", "oci:x:t", *PUB), "does not say of which repository"),
        (("verify", "oci:x:t", *PUB, *AS, "--any-repository"), "--any-repository beside"),
        (("verify", "oci:x:t", *PUB, *AS, "--attestation", "x"), "is not a type of attestation"),
        (
            ("attest", "oci:x:t", *KEY, *AS, "--type", SIGNED, "--predicate", "p.json"),
            "is a signature",
        ),
        (
            ("attest", "oci:x:t", *KEY, *AS, "--type", "spdx", "--predicate", "none.json"),
            "cannot be read",
        ),
    ],
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        run(*arguments)


def test_a_predicate_that_is_no_json_is_wrong_input(tmp_path: Path) -> None:
    for text in ("{", '{"a": 1, "a": 2}', "[]"):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"p\.json") as caught:
            run("attest", "oci:x:t", *KEY, *AS, "--type", "spdx", "--predicate", "p.json")
        assert caught.value.exit_code == 2


def test_a_public_key_does_not_sign_and_a_private_one_does_not_verify() -> None:
    with pytest.raises(InvalidKey, match="is a public key"):
        run("sign", "oci:x:t", *PUB, *AS)
    with pytest.raises(InvalidKey, match="is not a public key"):
        run("verify", "oci:x:t", *KEY, *AS)


def test_the_tree_shows_what_is_about_the_image(layout: Layout) -> None:
    run("sign", "oci:x:t", *KEY, *AS, "--recursive", "--carrier", "both")
    run("attest", "oci:x:t", *KEY, *AS, "--type", "spdx", "--predicate", "p.json")
    digest = layout.resolve("t").digest
    lines = run("tree", "oci:x:t").splitlines()
    assert lines[0] == "oci:x:t"
    assert lines[1].startswith(f"index {digest} ")
    about = [line for line in lines if line.startswith("  ") and not line.startswith("    ")]
    assert len([line for line in about if line.startswith("  referrer ")]) == 2
    assert any(line.endswith("https://spdx.dev/Document") for line in about)
    assert any(line.startswith(f"  sha256-{digest.encoded}.sig ") for line in about)
    assert len([line for line in lines if line.startswith("    referrer ")]) == 2
    found = asked("tree", "oci:x:t")
    assert {one["what"] for one in found["below"]} == {
        "manifest linux/amd64",
        "manifest linux/arm64",
    }
    assert [one["predicateTypes"] for one in found["below"][0]["about"][:1]] == [[SIGNED]]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.mark.parametrize("carrier", ["referrer", "both"])
def test_an_assembled_image_is_signed_where_it_is_pushed(
    site: Site, registry: FakeRegistry, carrier: str
) -> None:
    push = ["assemble", *FILE, "--push", f"{registry.host}/a/b", "--sign", "k.key", "--json"]
    push += ["--sign-carrier", carrier]
    done = json.loads(site.run(*push))
    each = 2 if carrier == "both" else 1
    assert [one["known"] for one in done["signed"]] == [False] * 2 * each
    for tag in ("3.13-debian13", "3.13.5-debian13"):
        found = asked("verify", f"{registry.host}/a/b:{tag}", *PUB)
        assert found["digest"] == done["digest"]
    again = json.loads(site.run(*push))
    assert [one["known"] for one in again["signed"]] == [True] * 2 * each


def test_sboms_and_provenance_are_attested_where_they_are_signed(
    site: Site, registry: FakeRegistry
) -> None:
    push = ["assemble", *FILE, "--push", f"{registry.host}/a/b:1", "--sign", "k.key", "--json"]
    push += ["--sbom-format", "spdx-json", "--sbom-format", "cyclonedx-json", "--provenance"]
    done = json.loads(site.run(*push))
    assert len(done["signed"]) == 2 + len(done["attached"])
    assert {one["known"] for one in json.loads(site.run(*push))["signed"]} == {True}
    name = f"{registry.host}/a/b"
    run("verify", f"{name}:1", *PUB)
    found = asked("verify", f"{name}:1", *PUB, "--attestation", "slsaprovenance1")
    build = found["accepted"][0]["predicate"]["buildDefinition"]
    assert build["buildType"].startswith("https://layersmith.dev/")
    one = f"{name}@{done['platforms'][0]['digest']}"
    found = asked("verify", one, *PUB, "--attestation", "spdx")
    assert found["accepted"][0]["predicate"]["spdxVersion"] == "SPDX-2.3"
    found = asked("verify", one, *PUB, "--attestation", "cyclonedx")
    assert found["accepted"][0]["predicate"]["bomFormat"] == "CycloneDX"
    run("verify", one, *PUB)


def test_no_tag_is_written_if_the_signature_cannot_be(
    site: Site, registry: FakeRegistry, tmp_path: Path
) -> None:
    from layersmith.assemble import signing

    def broken(*_: object) -> None:
        raise LayersmithError("the pen is broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "attach_referrer", broken)
        with pytest.raises(LayersmithError, match="the pen is broken"):
            site.run("assemble", *FILE, "--push", f"{registry.host}/a/b", "--sign", "k.key")
    with pytest.raises(LayersmithError, match="404"):
        run("digest", f"{registry.host}/a/b:3.13-debian13")


def test_a_layout_is_signed_as_it_is_told(site: Site) -> None:
    with pytest.raises(InvalidInput, match="of which repository") as refused:
        site.run("assemble", *FILE, "--sign", "k.key")
    assert "--sign-as" in refused.value.hint
    site.run("assemble", *FILE, "--sign", "k.key", "--sign-as", AS[1])
    run("verify", "oci:dist/3.13-debian13", *PUB, *AS)
    with pytest.raises(InvalidInput, match="is an archive"):
        site.run("assemble", *FILE, "--output", "oci-archive:a.tar", "--sign", "k.key")


@pytest.mark.parametrize(
    "option", ["--attestation", "--policy", "--identity", "--issuer", "--trust-root"]
)
def test_what_is_asked_for_must_not_be_empty(option: str) -> None:
    run("sign", "oci:x:t", *KEY, *AS)
    with pytest.raises(InvalidInput, match=f"{option} is empty"):
        run("verify", "oci:x:t", *PUB, *AS, option, "")


def test_a_policy_says_whether_the_higher_s_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[[accept]]\nrepository = "**"\nkeys = ["k.pub"]\n')
    with pytest.raises(InvalidInput, match="--policy says it all"):
        run("verify", "oci:x:t", "--policy", "policy.toml", "--low-s")
