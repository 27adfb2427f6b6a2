"""cosign and containers' policy take what we sign, and we what cosign signs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fixtures import registry
from tests.build.fulcio import IDENTITY, ISSUER, Sigstore
from tests.build.signatures import Beside, Scene
from tests.build.wheels import pylock, wheel
from tests.build.world import ARM, X86, put_base, put_builder, write_world
from tests.interop import tiny
from tests.interop.conftest import TARGET, layersmith
from tests.interop.signers import Cosign, Policy

from layersmith.oci.reference import Reference
from layersmith.stores.layout import Layout
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.conftest import Result

pytestmark = pytest.mark.interop
PROVENANCE = {  # as much as cosign wants of one
    "buildDefinition": {
        "buildType": "https://example/build",
        "externalParameters": {"x": 1},
    },
    "runDetails": {"builder": {"id": "https://example/layersmith"}},
}
FORMATS = [("ecdsa-p256", "cosign"), ("ed25519", "cosign"), ("ecdsa-p256", "pkcs8")]


class Desk:
    """A registry with an image in it, a pair of keys, and cosign."""

    def __init__(self, served: registry.Registry, directory: Path, kind: str, form: str) -> None:
        self.directory = directory
        self.name = f"{served.host}/team/tiny"
        self.digest = str(tiny.image(directory / "tiny").digest)
        self.cosign = Cosign(directory)
        self.policy = Policy(directory / "policy", served.host)
        self.key, self.pub = f"{directory}/k.key", directory / "k.pub"
        self.predicate = directory / "provenance.json"
        self.predicate.write_text(json.dumps(PROVENANCE))
        self.ours("copy", f"oci:{directory}/tiny:1", self.name, "-q")
        self.ours("key", "generate", "--type", kind, "--format", form, "-o", f"{directory}/k")

    @property
    def at(self) -> str:
        return f"{self.name}@{self.digest}"

    def ours(self, *arguments: str) -> Result:
        done = layersmith(*arguments, env={"LAYERSMITH_KEY_PASSWORD": self.cosign.password})
        assert done.code == 0, done.err
        return done


@pytest.fixture(params=FORMATS, ids="-".join)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with registry.serve() as served:
        yield Desk(served, tmp_path, *request.param)


def test_cosign_and_skopeo_take_what_we_sign(desk: Desk) -> None:
    desk.ours("sign", f"{desk.name}:1", "-k", desk.key, "--carrier", "both", "--recursive")
    assert desk.cosign.verify(desk.at, desk.pub) == ""
    assert desk.cosign.verify_bundle(desk.at, desk.pub) == ""
    for every in (True, False):
        assert desk.policy.copies(f"{desk.name}:1", desk.pub, every=every) == ""


def test_cosign_takes_what_we_attest(desk: Desk) -> None:
    desk.ours(
        "attest", f"{desk.name}:1", "-k", desk.key, "--carrier", "both",
        "--type", "slsaprovenance1", "--predicate", str(desk.predicate),
    )  # fmt: skip
    for bundled in (True, False):
        why = desk.cosign.verify_attestation(desk.at, desk.pub, "slsaprovenance1", bundled=bundled)
        assert why == ""


def test_cosign_and_skopeo_do_not_take_what_is_not_signed(desk: Desk) -> None:
    assert "no signatures found" in desk.cosign.verify(desk.at, desk.pub)
    assert "required" in desk.policy.copies(f"{desk.name}:1", desk.pub)
    done = layersmith("verify", f"{desk.name}:1", "-k", str(desk.pub))
    assert done.code == 11
    assert "has no signature" in done.err


@pytest.mark.parametrize("desk", FORMATS[:2], ids="-".join, indirect=True)
def test_we_take_what_cosign_signs_and_attests(desk: Desk) -> None:
    verify = ("verify", f"{desk.name}:1", "-k", str(desk.pub), "--json")
    for _ in range(4):  # ECDSA with the lower S, or the higher, as it happens
        desk.cosign.sign(desk.at, desk.key)
    signed = desk.ours(*verify).document
    assert signed["digest"] == desk.digest
    assert len(signed["accepted"]) >= 1
    for bundled in (False, True):
        desk.cosign.attest(desk.at, desk.key, "slsaprovenance1", desk.predicate, bundled=bundled)
        found = desk.ours(*verify, "--attestation", "slsaprovenance1").document
        predicates = [one["predicate"]["buildDefinition"] for one in found["accepted"]]
        assert predicates == [PROVENANCE["buildDefinition"]] * (2 if bundled else 1)


@pytest.mark.parametrize("desk", FORMATS[:1], ids="-".join, indirect=True)
def test_both_add_to_what_the_other_has_signed(desk: Desk) -> None:
    sign = ("sign", f"{desk.name}:1", "-k", desk.key, "--carrier", "both", "--json")
    desk.ours(*sign)
    for _ in range(2):  # it does not sign twice either
        desk.cosign.sign(desk.at, desk.key)
    assert desk.cosign.verify(desk.at, desk.pub) == ""
    found = desk.ours("verify", f"{desk.name}:1", "-k", str(desk.pub), "--json").document
    assert len(found["accepted"]) == 3
    assert [one["known"] for one in json.loads(desk.ours(*sign).out)] == [True, True]
    assert desk.digest in desk.ours("tree", f"{desk.name}:1").out


@pytest.mark.parametrize("desk", FORMATS[:1], ids="-".join, indirect=True)
@pytest.mark.parametrize("bundled", [False, True])
def test_cosign_believes_the_sigstore_that_our_tests_believe(desk: Desk, bundled: bool) -> None:
    sigstore = Sigstore()
    root = desk.directory / "trusted_root.json"
    root.write_bytes(sigstore.root())
    store = Registries().repository(Reference(f"{desk.name}:1"))
    top = store.resolve("1")
    scene, leaf = Scene(desk.name, top.digest), sigstore.leaf()
    beside = (
        Beside(bundles=[sigstore.bundle(scene, leaf)])
        if bundled
        else Beside(sig=[sigstore.signed(scene, leaf)])
    )
    beside.put(store, top)
    for who, holds in (((IDENTITY, ISSUER), True), (("x@example.com", ISSUER), False)):
        why = desk.cosign.verify_identity(desk.at, sigstore, who, bundled=bundled)
        assert (why == "") is holds, why
        done = layersmith(
            "verify", f"{desk.name}:1", "--identity", who[0], "--issuer", who[1],
            "--trust-root", str(root),
        )  # fmt: skip
        assert (done.code == 0) is holds, done.err


def test_cosign_and_skopeo_take_an_assembled_image_with_all_about_it(tmp_path: Path) -> None:
    write_world(tmp_path)
    cosign = Cosign(tmp_path)
    key, pub = cosign.new_key()
    with registry.serve() as served:
        name = f"{served.host}/team/python"
        done = layersmith(
            "assemble", TARGET, "--base", f"oci:{tmp_path}/base:t", "--platform", "linux/amd64",
            "--builder", f"oci:{tmp_path}/builder:t", "--push", name, "--json", "--provenance",
            "--sbom-format", "spdx-json", "--sbom-format", "cyclonedx-json",
            "--sign", key, "--sign-carrier", "both", "--cache-dir", f"{tmp_path}/cache",
            env={"LAYERSMITH_KEY_PASSWORD": cosign.password},
        )  # fmt: skip
        assert done.code == 0, done.err
        assert Policy(tmp_path / "policy", served.host).copies(f"{name}:{TARGET}", pub) == ""
        index, image = (
            f"{name}@{digest}"
            for digest in (done.document["digest"], done.document["platforms"][0]["digest"])
        )
        for at in (index, image):
            assert cosign.verify(at, pub) == ""
        for bundled in (True, False):
            for at, kind in (
                (index, "slsaprovenance1"),
                (image, "slsaprovenance1"),
                (image, "spdxjson"),
                (image, "cyclonedx"),
            ):
                assert cosign.verify_attestation(at, pub, kind, bundled=bundled) == ""


def write_inputs(folder: Path, text: bytes = b"") -> None:
    """Write base and builder for both platforms."""
    base, builder = Layout(folder / "base"), Layout(folder / "builder")
    base.tag("t", put_base(base, X86, ARM))
    builder.tag("t", put_builder(builder, X86, ARM, text=text))


def write_shop(folder: Path) -> None:
    """Write an application with a wheel, and what it stands on."""
    write_inputs(folder)
    demo = wheel()
    demo.write(folder / "wheels")
    (folder / "pylock.toml").write_text(pylock(demo))
    (folder / "src").mkdir()
    (folder / "src/main.py").write_text("print(42)\n")
    (folder / "layersmith.toml").write_text(
        f'target = "{TARGET}"\nbase = "oci:{folder}/base:t"\nbuilder = "oci:{folder}/builder:t"\n'
        '[app]\nlock = "pylock.toml"\nsource = "src"\nentrypoint = "-m main"\n'
    )


def test_cosign_and_skopeo_take_an_application_and_the_next_with_all_about_them(
    tmp_path: Path,
) -> None:
    write_shop(tmp_path)
    cosign = Cosign(tmp_path)
    key, pub = cosign.new_key()
    with registry.serve() as served:
        name = f"{served.host}/team/shop"
        common = (
            "--json", "--provenance", "--sbom", "--sign", key, "--sign-carrier", "both",
            "--cache-dir", f"{tmp_path}/cache", "-q",
        )  # fmt: skip
        env = {"LAYERSMITH_KEY_PASSWORD": cosign.password, "PIP_CONFIG_FILE": "/dev/null"}
        recipe = ("--file", f"{tmp_path}/layersmith.toml")
        build = ("app", "build", *recipe, "--push", f"{name}:1", *common)
        first = layersmith(*build, env=env)
        assert first.code == 0, first.err
        again = layersmith(*build, env=env)
        assert again.document["attached"] == first.document["attached"]
        assert all(one["known"] for one in again.document["signed"])
        write_inputs(tmp_path, b"another builder")
        onto = ("rebase", f"{name}:1", "--onto", TARGET, *recipe, "--push", f"{name}:2", *common)
        moved = layersmith(*onto, env=env)
        assert moved.code == 0, moved.err
        for tag, done in (("1", first.document), ("2", moved.document)):
            policy = Policy(tmp_path / f"policy{tag}", served.host)
            assert policy.copies(f"{name}:{tag}", pub) == ""
            images = [f"{name}@{one['digest']}" for one in done["platforms"]]
            assert len(images) == 2
            for at in (f"{name}@{done['digest']}", *images):
                assert cosign.verify(at, pub) == ""
                for bundled in (True, False):
                    why = cosign.verify_attestation(at, pub, "slsaprovenance1", bundled=bundled)
                    assert why == ""
            for at in images:
                assert cosign.verify_attestation(at, pub, "spdxjson", bundled=True) == ""
        claims = json.loads(
            layersmith(
                "verify", f"{name}:1", "-k", str(pub), "--attestation", "slsaprovenance1", "--json"
            ).out
        )
    definition = claims["accepted"][0]["predicate"]["buildDefinition"]
    (used,) = first.document["platforms"][0]["wheels"]
    assert {
        "name": used["filename"],
        "uri": "pkg:pypi/demo@1.0",
        "digest": {"sha256": used["digest"].removeprefix("sha256:")},
    } in definition["resolvedDependencies"]


def test_a_base_that_cosign_has_signed_is_taken_and_another_is_not(
    served: registry.Registry, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    cosign = Cosign(tmp_path)
    key, pub = cosign.new_key()
    plan = ("plan", TARGET, *mirrors, "--platform", "linux/amd64", "--json", "-q")
    base = "gcr.io/distroless/cc-debian13"
    where = f"{served.host}/distroless/cc-debian13"
    digest = layersmith("digest", f"{where}:latest").out.strip()
    refused = layersmith(*plan, "--verify-base", str(pub))
    assert refused.code == 11
    assert f"{digest} has no signature" in refused.err
    cosign.sign(f"{where}@{digest}", key)
    refused = layersmith(*plan, "--verify-base", str(pub))
    assert refused.code == 11
    assert f"it is for {where}, not for {base}" in refused.err
    cosign.sign(f"{where}@{digest}", key, base)
    done = layersmith(*plan, "--verify-base", str(pub))
    assert done.code == 0, done.err
    (by,) = done.document["inputs"]["base"]["verified"]
    assert by.startswith("key sha256:")
