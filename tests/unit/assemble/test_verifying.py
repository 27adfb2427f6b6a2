"""Verifying in a layout: all that is wrong is refused, what is right is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.build import hostile_signatures, hostile_statements
from tests.build.image import Made
from tests.build.signatures import (
    SPDX,
    Beside,
    Scene,
    attested,
    bundle,
    compact,
    envelope,
    payload,
    simple,
    statement,
)

from layersmith.assemble.places import Place
from layersmith.assemble.verifying import Demand, Verified, verify
from layersmith.attest.claims import SIGNED, predicate_type
from layersmith.attest.judging import KeyVoice
from layersmith.attest.keys import _ORDER
from layersmith.errors import DocumentError, LayersmithError, NotFound, Untrusted
from layersmith.stores.layout import Layout
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.build.hostile_signatures import Case

    from layersmith.attest.keys import PublicKey

REPOSITORY = "registry.example/team/python"
CASES = [*hostile_signatures.cases(), *hostile_statements.cases()]


class Bench:
    """A layout with one image, and whoever asks about it."""

    def __init__(self, path: Path) -> None:
        self.layout = Layout(path / "image")
        self.top = Made().put(self.layout)
        self.layout.tag("t", self.top)
        self.place = Place.parse(f"oci:{path}/image:t")
        self.scene = Scene(REPOSITORY, self.top.digest)

    def put(self, beside: Beside) -> None:
        beside.put(self.layout, self.top)

    def verify(
        self,
        *,
        key: PublicKey | None = None,
        wanted: str = "",
        names: frozenset[str] | None = frozenset({REPOSITORY}),
        low_s: bool = False,
    ) -> Verified:
        voices = [KeyVoice(key or self.scene.key.public)]
        kind = predicate_type(wanted) if wanted else SIGNED
        demand = Demand(voices=voices, repositories=names, predicate_type=kind, low_s=low_s)
        with Registries() as registries:
            return verify(registries, self.place, demand)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_is_refused(bench: Bench, case: Case) -> None:
    bench.put(case.make(bench.scene))
    with pytest.raises((Untrusted, DocumentError, NotFound)) as refused:
        bench.verify(key=case.key(bench.scene).public, wanted=case.wanted)
    assert "\n" not in refused.value.message


GOOD: dict[str, Callable[[Scene], Beside]] = {
    "simple": lambda s: Beside(sig=[simple(s)]),
    "simple, a name with a tag": lambda s: Beside(sig=[simple(s, name=f"{REPOSITORY}:3.13")]),
    "simple, annotated": lambda s: Beside(sig=[simple(s, optional={"a": [1], "timestamp": 1.0})]),
    "simple, by somebody's tool": lambda s: Beside(sig=[simple(s, optional={"creator": "c"})]),
    "after others": lambda s: Beside(sig=[simple(s, key=s.stranger), simple(s)]),
    "the hundredth": lambda s: Beside(sig=[simple(s, key=s.stranger)] * 99 + [simple(s)]),
    "bundle": lambda s: Beside(bundles=[bundle(envelope(s))]),
    "bundle, an older statement": lambda s: Beside(
        bundles=[
            bundle(envelope(s, compact(statement(s, type="https://in-toto.io/Statement/v0.1"))))
        ]
    ),
    "bundle beside others": lambda s: Beside(
        sig=[simple(s, name="a.b/c")], bundles=[b"{}", bundle(envelope(s))]
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_accepted(bench: Bench, name: str) -> None:
    bench.put(GOOD[name](bench.scene))
    found = bench.verify()
    assert found.digest == bench.top.digest
    (accepted,) = found.accepted
    assert accepted.by == f"key {bench.scene.key.public.fingerprint}"
    assert accepted.claim.names(found.digest) == {REPOSITORY}


def told(scene: Scene, **changes: Any) -> bytes:
    return compact(statement(scene, kind=SPDX, **changes))


def test_attestations_of_both_carriers_are_accepted(bench: Bench) -> None:
    scene = bench.scene
    one = envelope(scene, told(scene, predicate={"a": 1}))
    two = envelope(scene, told(scene, predicate={"a": 2}), key=scene.stranger)
    three = envelope(scene, told(scene, predicate={"a": 3}))
    bench.put(Beside(att=[attested(one), attested(two)], bundles=[bundle(three)]))
    found = bench.verify(wanted="spdx")
    assert [one.claim.predicate for one in found.accepted] == [{"a": 1}, {"a": 3}]
    with pytest.raises(Untrusted, match=r"has no attestation that holds"):
        bench.verify(wanted="cyclonedx")
    with pytest.raises(Untrusted, match="has no signature that holds"):
        bench.verify()


def test_the_higher_s_of_others_is_accepted_unless_it_is_not_wanted(bench: Bench) -> None:
    high = hostile_signatures.changed(lambda r, s: (r, _ORDER - s))
    bench.put(Beside(sig=[simple(bench.scene, altered=high)]))
    assert bench.verify().accepted
    with pytest.raises(Untrusted, match="higher S"):
        bench.verify(low_s=True)


def test_any_repository_is_accepted_where_that_is_asked_for(bench: Bench) -> None:
    raw = compact(statement(bench.scene, name=""))
    other = simple(bench.scene, name="other.example/a/b:1")
    bench.put(Beside(sig=[other], bundles=[bundle(envelope(bench.scene, raw))]))
    with pytest.raises(Untrusted, match=f"not for {REPOSITORY}.*names no repository"):
        bench.verify()
    assert len(bench.verify(names=None).accepted) == 2
    assert len(bench.verify(names=frozenset({REPOSITORY, "other.example/a/b"})).accepted) == 1


def test_a_signature_of_where_the_tag_was_does_not_hold_where_it_is(bench: Bench) -> None:
    bench.put(Beside(sig=[simple(bench.scene)]))
    assert bench.verify().accepted
    bench.layout.tag("t", Made(runtime={"User": "1"}).put(bench.layout))
    with pytest.raises(Untrusted, match=r"has no signature$"):
        bench.verify()


def test_a_copied_signature_is_of_another_image(bench: Bench) -> None:
    bench.put(Beside(sig=[simple(bench.scene)]))
    other = Made(runtime={"User": "1"}).put(bench.layout)
    bench.layout.tag("t", other)
    Beside(sig=[simple(bench.scene)]).put(bench.layout, other)
    with pytest.raises(Untrusted, match="it is about another image"):
        bench.verify()


def test_reasons_are_few_and_safe(bench: Bench) -> None:
    name = "evil.example/\x1b]0;x\x07"
    bench.put(Beside(sig=[simple(bench.scene, compact(payload(bench.scene, name=name)))] * 50))
    with pytest.raises(LayersmithError) as refused:
        bench.verify()
    assert refused.value.message.isprintable()
    assert "and 45 more" in refused.value.message
