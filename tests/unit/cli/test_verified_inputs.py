"""Base and builder that somebody has to vouch for: by key, by policy, by digest, keyless."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.fulcio import IDENTITY, ISSUER, Sigstore
from tests.build.signatures import Beside, Scene
from tests.build.site import FILE, TARGET, Site
from tests.fakes.registry import FakeRegistry
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.errors import InvalidInput, InvalidKey, LayersmithError, RecipeError, Untrusted
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bench:
    """A registry with the smallest base and builder, a recipe for them, and two keys."""

    def __init__(self, site: Site, registry: FakeRegistry) -> None:
        self.site = site
        self.registry = registry
        self.base, self.builder = f"{registry.host}/base/cc", f"{registry.host}/builder/python"
        for name in ("base", "builder"):
            run("copy", f"oci:{name}:t", f"{getattr(self, name)}:t", "-q")
        for name in ("k", "other"):
            run("key", "generate", "-o", name)
        self.recipe()

    def recipe(self, text: str = "") -> None:
        inputs = f'base = "{self.base}:t"\nbuilder = "{self.builder}:t"\n'
        head = f'target = "{TARGET}"\nplatforms = ["linux/amd64"]\n{inputs}'
        (self.site.folder / "layersmith.toml").write_text(head + text)

    def policy(self, text: str) -> str:
        (self.site.folder / "trust").mkdir(exist_ok=True)
        (self.site.folder / "trust" / "policy.toml").write_text(text)
        return "trust/policy.toml"

    def sign(self, name: str, key: str = "k", *more: str) -> None:
        run("sign", f"{name}:t", "--key", f"{key}.key", *more)

    def digest(self, name: str) -> str:
        return run("digest", f"{name}:t").strip()

    def layers(self) -> set[str]:
        """The digests of all layers of both images."""
        found = (json.loads(run("inspect", f"{n}:t", "--json")) for n in (self.base, self.builder))
        return {
            layer["digest"]
            for top in found
            for one in top.get("manifests", [top])
            for layer in one["layers"]
        }


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, LayersmithError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return str(done.stdout)


@pytest.fixture
def bench(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("LAYERSMITH_KEY_PASSWORD", "")
    with FakeRegistry() as registry:
        yield Bench(site, registry)


@pytest.mark.parametrize("command", ["assemble", "plan", "lock"])
def test_what_nobody_vouches_for_is_not_read(bench: Bench, command: str) -> None:
    layers, asked = bench.layers(), len(bench.registry.log)
    for option, name in (("--verify-base", "base"), ("--verify-builder", "builder")):
        with pytest.raises(Untrusted, match=rf"verifying .*/{name}/.* has no signature") as error:
            bench.site.run(command, *FILE, option, "k.pub")
        assert error.value.exit_code == 11
    bench.sign(bench.base, "other")
    with pytest.raises(Untrusted, match="not by this key"):
        bench.site.run(command, *FILE, "--verify-base", "k.pub")
    assert not layers & {one.path.rpartition("/")[2] for one in bench.registry.log[asked:]}
    bench.site.run(command, *FILE, "--verify-base", "other.pub")
    assert layers & {one.path.rpartition("/")[2] for one in bench.registry.log[asked:]}


@pytest.mark.parametrize("carrier", ["referrer", "tag"])
def test_what_is_vouched_for_is_used_and_the_lock_says_by_whom(bench: Bench, carrier: str) -> None:
    plain = bench.site.assemble(*FILE)
    bench.sign(bench.base, "k", "--carrier", carrier)
    bench.sign(bench.builder, "other", "--carrier", carrier)
    bench.recipe('verify-base = "k.pub"\nverify-builder = "other.pub"\n')
    told = bench.site.run("lock", *FILE)
    key = bench.site.lock["base"]["verified"]
    assert key[0].startswith("key sha256:")
    assert bench.site.lock["builder"]["verified"] != key
    assert f"verified: {key[0]}" in told
    done = json.loads(bench.site.run("assemble", *FILE, "--json"))
    assert done["inputs"]["base"]["verified"] == key
    assert f"base verified: {key[0]}" in bench.site.run("assemble", *FILE)
    # Who has vouched is no part of the image.
    assert bench.site.assemble(*FILE) == bench.site.assemble(*FILE, "--locked") == plain


def test_the_lock_keeps_who_has_vouched_while_the_image_stays(bench: Bench) -> None:
    bench.sign(bench.base)
    bench.site.run("lock", *FILE, "--verify-base", "k.pub")
    first = bench.site.lock
    assert "nothing changed" in bench.site.run("lock", *FILE)
    assert bench.site.lock == first
    bench.site.run("assemble", "--locked", "-q")
    bench.site.run("rebuild", f"oci:dist/{TARGET}", "--lock", "layersmith.lock")
    run("copy", "oci:builder:t", f"{bench.base}:t", "-q")
    assert "base verified: gone" in bench.site.run("lock", *FILE, "--update", "base")
    assert "verified" not in bench.site.lock["base"]


def test_a_locked_image_is_verified_again(bench: Bench) -> None:
    bench.site.run("lock", *FILE)
    with pytest.raises(Untrusted):
        bench.site.run("assemble", *FILE, "--locked", "--verify-base", "k.pub")
    bench.sign(bench.base)
    bench.site.run("assemble", *FILE, "--locked", "--verify-base", "k.pub")


def test_a_known_outcome_is_verified_too(bench: Bench) -> None:
    bench.site.assemble(*FILE)
    with pytest.raises(Untrusted):
        bench.site.run("assemble", *FILE, "--verify-builder", "k.pub")


def test_a_digest_vouches(bench: Bench) -> None:
    digest = bench.digest(bench.base)
    bench.site.run("lock", *FILE, "--verify-base", digest)
    assert bench.site.lock["base"]["verified"] == [f"digest {digest}"]
    with pytest.raises(Untrusted, match=f"it is {digest}"):
        bench.site.run("plan", *FILE, "--verify-base", f"sha256:{'0' * 64}")


def test_a_signature_for_another_repository_does_not_vouch(bench: Bench) -> None:
    bench.sign(bench.base, "k", "--repository", "gcr.io/distroless/cc-debian13")
    with pytest.raises(Untrusted, match=r"it is for gcr.io/distroless/cc-debian13"):
        bench.site.run("plan", *FILE, "--verify-base", "k.pub")
    policy = bench.policy(
        f'[[accept]]\nrepository = "{bench.registry.host}/**"\nkeys = ["../k.pub"]\n'
        'signed-as = ["gcr.io/distroless/cc-debian13"]\n'
    )
    bench.site.run("plan", *FILE, "--verify-base", policy)


def test_a_policy_lists_what_is_accepted_by_repository(bench: Bench) -> None:
    host = bench.registry.host
    policy = bench.policy(
        f'[[accept]]\nrepository = "{host}/base/*"\nkeys = ["../other.pub", "../k.pub"]\n'
        'attestations = ["slsaprovenance1"]\n'
        f'[[accept]]\nrepository = "{bench.builder}"\ndigests = ["{bench.digest(bench.builder)}"]\n'
    )
    both = ("--verify-base", policy, "--verify-builder", policy)
    bench.sign(bench.base)
    with pytest.raises(Untrusted, match="has no attestation"):
        bench.site.run("lock", *FILE, *both)
    (bench.site.folder / "p.json").write_text("{}")
    run(
        "attest",
        f"{bench.base}:t",
        "--key",
        "k.key",
        "--type",
        "slsaprovenance1",
        "--predicate",
        "p.json",
    )
    bench.site.run("lock", *FILE, *both)
    by = bench.site.lock["base"]["verified"]
    assert [one.partition(", ")[2] for one in by] == ["", "https://slsa.dev/provenance/v1"]
    found = json.loads(run("verify", f"{bench.base}:t", "--policy", policy, "--json"))
    assert found == {"digest": bench.digest(bench.base), "by": by}
    run("copy", "oci:base:t", f"{host}/base/deep/er:t", "-q")
    with pytest.raises(Untrusted, match="accepts nothing from"):
        run("verify", f"{host}/base/deep/er:t", "--policy", policy)


def keyless(bench: Bench, sigstore: Sigstore, *, bundled: bool, **who: Any) -> None:
    """Let an identity sign the base."""
    store = Registries().repository(Reference(f"{bench.base}:t"))
    top = store.resolve("t")
    scene = Scene(bench.base, top.digest)
    leaf = sigstore.leaf(**who)
    if bundled:
        Beside(bundles=[sigstore.bundle(scene, leaf)]).put(store, top)
    else:
        Beside(sig=[sigstore.signed(scene, leaf)]).put(store, top)


@pytest.mark.parametrize("bundled", [False, True])
def test_an_identity_vouches(bench: Bench, bundled: bool) -> None:
    sigstore = Sigstore()
    (bench.site.folder / "root.json").write_bytes(sigstore.root())
    policy = bench.policy(
        f'[[accept]]\nrepository = "{bench.base}"\nidentity = "{IDENTITY}"\n'
        f'issuer = "{ISSUER}"\ntrust-root = "../root.json"\n'
    )
    keyless(bench, sigstore, bundled=bundled, identity="mallory@example.com")
    with pytest.raises(Untrusted):
        bench.site.run("plan", *FILE, "--verify-base", policy)
    keyless(bench, sigstore, bundled=bundled)
    bench.site.run("lock", *FILE, "--verify-base", policy)
    assert bench.site.lock["base"]["verified"] == [f"{IDENTITY} at {ISSUER}"]
    typed = ("--identity", IDENTITY, "--issuer", ISSUER, "--trust-root", "root.json")
    assert IDENTITY in run("verify", f"{bench.base}:t", *typed)
    with pytest.raises(InvalidInput, match="go together"):
        run("verify", f"{bench.base}:t", *typed[:4])


def test_a_bundle_vouches_for_nothing_but_digests(bench: Bench) -> None:
    bench.sign(bench.base)
    bench.site.run("bundle", "create", *FILE, "-o", "x.bundle", "--verify-base", "k.pub")
    take = ("assemble", "--bundle", "x.bundle")
    bench.site.run(*take)
    bench.site.run(*take, "--verify-base", bench.digest(bench.base))
    with pytest.raises(Untrusted, match="has no signature"):
        bench.site.run(*take, "--verify-base", "k.pub")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Object missing required field `accept`"),
        ("accept = 1", "Expected `array`"),
        ("[[accept]]\n", "missing required field `repository`"),
        ('[[accept]]\nrepository = "*"\n', "accept 1: an entry without digests"),
        ('[[accept]]\nrepository = "*"\nkeys = ["k.pub"]\nmore = 1\n', "unknown field `more`"),
        ('[[accept]]\nrepository = "*"\nidentity = "x"\n', "go together"),
        ('[[accept]]\nrepository = "*"\ndigests = ["x"]\n', "is not a digest"),
        ('[[accept]]\nrepository = "*"\nkeys = ["k"]\nattestations = ["x"]\n', "not a type of"),
        ('[[accept]]\nrepository = "*"\nkeys = ["k"]\nsigned-as = ["a b"]\n', "not an image ref"),
        (
            '[[accept]]\nrepository = "*"\nkeys = ["k"]\nsigned-as = ["a"]\nany-repository = true',
            "one of them",
        ),
        ("[[accept", "policy.toml: "),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(bench: Bench, text: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        bench.site.run("plan", *FILE, "--verify-base", bench.policy(text))


def test_what_cannot_be_read_is_said_before_anything_is_asked(bench: Bench) -> None:
    policy = bench.policy('[[accept]]\nrepository = "**"\nkeys = ["none.pub"]\n')
    asked = len(bench.registry.log)
    for demand in ("none.pub", policy, "k.key", "env://NONE"):
        with pytest.raises((InvalidKey, RecipeError), match=r"^verify-base: "):
            bench.site.run("assemble", *FILE, "--verify-base", demand)
    with pytest.raises(InvalidInput, match="of which repository"):
        bench.site.run("plan", *FILE, "--base", "oci:base:t", "--verify-base", "k.pub")
    assert len(bench.registry.log) == asked


def test_a_demand_that_is_empty_is_none_that_is_met(bench: Bench) -> None:
    for option in ("--verify-base", "--verify-builder", "--sign", "--sign-as"):
        with pytest.raises(InvalidInput, match=f"{option} is empty"):
            bench.site.run("assemble", *FILE, option, "")
    bench.recipe('verify-base = ""\n')
    with pytest.raises(RecipeError, match=r"length >= 1.*verify-base"):
        bench.site.run("plan", *FILE)
