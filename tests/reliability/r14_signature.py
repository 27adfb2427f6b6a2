"""R14: signatures as a stranger would write them, judged by us, by cosign and by skopeo's policy.

What is wrong in one thing must be refused by us, whatever the others say; what is right must
be accepted by all. Each case has a repository of its own in a registry.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fixtures import registry
from tests.build import good_signatures, hostile_signatures, hostile_statements
from tests.build.hostile_signatures import Case
from tests.build.image import Made
from tests.build.signatures import Beside, Scene, simple
from tests.interop.signers import Cosign, Policy
from tests.reliability.inprocess import Ran, run
from tests.reliability.scoreboard import Figure, Row, Run

from layersmith.oci.digest import Digest
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROW: Final = Row(
    "R14",
    "signature",
    ">= 80 signatures with one thing wrong, none accepted by us, and none that skopeo's policy "
    "rejects; 200 good ones, accepted by us, cosign 2.5 and that policy",
)
WRONG, GOOD = 80, 200
UNTRUSTED: Final = 11
MOVED: Final = Case("the tag was moved", lambda s: Beside(sig=[simple(s)]), is_simple=True)
_WRITERS: Final = 8


@dataclass(frozen=True)
class Trial:
    """A case in its repository, and what we say to it."""

    case: Case
    reference: str
    digest: Digest
    key: Path
    ours: Ran

    @property
    def accepted(self) -> bool:
        return self.ours.code == 0


def measure(size: Run) -> Figure:
    """Try every case ourselves; then ask the peers, about all of them or some."""
    os.environ |= {"DOCKER_CONFIG": str(size.scratch / "none"), "COLUMNS": "200"}
    wrong = [MOVED, *hostile_signatures.cases(), *hostile_statements.cases()]
    good = list(good_signatures.cases())
    few = good[:: size.pick(14, 1)]
    tried = wrong[:: size.pick(2, 1)]  # the unit tests try them all, in a layout
    misses = [f"only {len(tried)} wrong"] * (len(tried) < WRONG)
    misses += [f"only {len(good)} good"] * (len(good) < GOOD)
    with registry.serve() as served:
        bench = _Bench(size.scratch, served.host)
        refused, accepted = bench.trials("wrong", tried), bench.trials("good", few)
        misses += _ours(refused, accepted)
        every = size.pick(6, 1)
        lax = bench.peers(refused[::every])
        fair = bench.peers(accepted)
    misses += [
        f"{trial.case.name}: accepted by us, refused by {peer}: {why[:200]!r}"
        for trial, peer, why in (*lax, *fair)
        if trial.accepted and why
    ]
    counts = Counter(peer for _, peer, why in lax if not why)
    asked = Counter(peer for _, peer, _ in (*lax, *fair))
    codes = Counter(trial.ours.code for trial in refused)
    text = (
        f"{len(refused)} wrong: {len(refused) - codes[0]} refused by us "
        f"({codes[UNTRUSTED]} as not trusted); of {len(refused[::every])} of them cosign accepts "
        f"{counts['cosign']}, skopeo's policy {counts['skopeo']}; {len(accepted)} good: "
        f"{sum(t.accepted for t in accepted)} accepted by us, "
        f"{sum(not why for _, _, why in fair)} of {len(fair)} times by peers; "
        f"{asked['cosign']} runs of cosign, {asked['skopeo']} of skopeo"
    )
    return Figure(text, tuple(misses))


def _ours(refused: Sequence[Trial], accepted: Sequence[Trial]) -> Iterator[str]:
    for trial in (*refused, *accepted):
        yield from (f"{trial.case.name}: {fault}" for fault in trial.ours.faults())
    yield from (f"{trial.case.name}: accepted" for trial in refused if trial.accepted)
    for trial in accepted:
        if not trial.accepted:
            yield f"{trial.case.name}: refused: {trial.ours.err[:200]!r}"


class _Bench:
    """A registry, an image in as many repositories as there are cases, three keys, two peers."""

    def __init__(self, scratch: Path, host: str) -> None:
        self._scratch = scratch
        self._host = host
        self._registries = Registries()
        self._scene = Scene("", Digest.of(b""))
        self._cosign = Cosign(scratch)
        self._policy = Policy(scratch / "policy", host)
        self._keys = {}
        for is_edwards, key in ((False, self._scene.key), (True, self._scene.edwards)):
            self._keys[is_edwards] = scratch / f"{key.public.kind}.pub"
            self._keys[is_edwards].write_bytes(key.public.pem)

    def trials(self, kind: str, cases: Sequence[Case]) -> list[Trial]:
        """Put the cases where everybody can see them, and judge them ourselves."""
        with ThreadPoolExecutor(_WRITERS) as pool:
            places = list(
                pool.map(lambda each: self._put(f"{kind}/n{each[0]}", each[1]), enumerate(cases))
            )
        return [self._judged(*place) for place in places if place is not None]

    def _put(self, repository: str, case: Case) -> tuple[Case, Reference, Digest] | None:
        """Put a case beside an image of its own; none where a registry takes no such thing."""
        reference = Reference(f"{self._host}/{repository}:1")
        store = self._registries.repository(reference)
        top = Made().put(store)
        store.tag("1", top)
        beside = case.make(replace(self._scene, repository=reference.name, digest=top.digest))
        if beside.lost:
            return None
        beside.put(store, top)
        if case is MOVED:
            top = Made(runtime={"User": "1"}).put(store)
            store.tag("1", top)
        return case, reference, top.digest

    def _judged(self, case: Case, reference: Reference, digest: Digest) -> Trial:
        key = self._keys[case.edwards]
        about = ["--attestation", case.wanted] if case.wanted else []
        ours = run("verify", str(reference), "--key", str(key), *about)
        return Trial(case, reference.name, digest, key, ours)

    def peers(self, trials: Sequence[Trial]) -> list[tuple[Trial, str, str]]:
        """Return why each peer that reads the form refuses a trial, nothing if it does not."""
        asked = []
        for trial in trials:
            asked.append(partial(self._by_cosign, trial))
            if trial.case.is_simple:
                asked.append(partial(self._by_skopeo, trial))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda ask: ask(), asked))

    def _by_cosign(self, trial: Trial) -> tuple[Trial, str, str]:
        at = f"{trial.reference}@{trial.digest}"
        case = trial.case
        if case.wanted:
            kind, bundled = case.wanted, case.is_bundled
            why = self._cosign.verify_attestation(at, trial.key, kind, bundled=bundled)
        elif case.is_bundled:
            why = self._cosign.verify_bundle(at, trial.key)
        else:
            why = self._cosign.verify(at, trial.key)
        return trial, "cosign", why

    def _by_skopeo(self, trial: Trial) -> tuple[Trial, str, str]:
        name = trial.reference.rpartition("/")[2]
        kind = "good" if "/good/" in trial.reference else "wrong"
        why = self._policy.copies(f"{trial.reference}:1", trial.key, name=f"{kind}-{name}")
        return trial, "skopeo", why
