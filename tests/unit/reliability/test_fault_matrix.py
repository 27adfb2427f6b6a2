"""The judge of the fault matrix: content with the program, and not with one that is worse."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import pytest
from tests.reliability.faults_judge import Matrix, judged
from tests.reliability.faults_kinds import ALWAYS, KINDS
from tests.reliability.faults_site import Workplace
from tests.reliability.faults_trials import opened
from tests.reliability.r1_fault_matrix import Tally, sample
from tests.reliability.r15_gc_race import RACES, raced
from tests.reliability.r16_tag_safety import watched

from layersmith.assemble import delivery
from layersmith.oci.content import held
from layersmith.stores import registry_answers, registry_client
from layersmith.stores.registry_upload import Upload
from layersmith.stores.retries import Tries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reliability.faults_judge import Cell

    from layersmith.stores.registry_chunks import Failure


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with Workplace(tmp_path_factory.mktemp("matrix")) as opened:
        yield opened


@pytest.fixture(scope="module")
def matrix(place: Workplace) -> Matrix:
    return Matrix.of(place)


def cell(matrix: Matrix, kind: str, shape: str, times: float) -> Cell:
    wanted = (kind, shape, times)
    found = (each for each in matrix.cells if _about(each) == wanted)
    return next(found)


def _about(each: Cell) -> tuple[str, str, float]:
    return each.kind.name, each.asked.shape, each.times


def _tags_first(self: Any, crew: Any) -> None:
    for stage in reversed(self._stages):
        for document in stage:
            self._sink.put(document.descriptor, held(document.raw))
    top = next(stage for stage in reversed(self._stages) if stage)[0]
    self._sink.tag("t", top.descriptor)
    _bring_all(self, crew)


_bring_all = delivery._Carrier.bring_all


def _no_more(*_: Any, **__: Any) -> bool:
    return False


_unlink = os.unlink


def _leave(path: str, **more: Any) -> None:
    if not Path(path).name.startswith(".new"):
        _unlink(path, **more)


PLANTED = [
    # What is planted, where it shows, and what the judge says.
    (patch.object(delivery._Carrier, "bring_all", _tags_first),
     ("status 503", "PUT blob", 1), "a torn tag"),
    (patch.object(delivery._Carrier, "bring_all", _tags_first),
     ("status 403", "PUT blob", ALWAYS), "it fails, and a tag was written"),
    (patch.object(Tries, "worth", _no_more),
     ("status 503", "GET manifest", 1), "it fails, and need not have"),
    (patch.object(registry_answers, "without_secrets", lambda text, _: text),
     ("status 400", "PUT blob", ALWAYS), "a secret is said"),
    (patch.object(registry_client, "is_temporary", lambda _: True),
     ("status 403", "GET config", ALWAYS), "a plain no takes"),
    (patch.object(registry_client, "intention", lambda _: patch.dict({})),
     ("connection refused", "PUT tag", ALWAYS), "names no step"),
    (patch("os.unlink", _leave),
     ("reset mid body", "GET layer", ALWAYS), "is left behind"),
]  # fmt: skip


@pytest.mark.parametrize(("bug", "where", "said"), PLANTED, ids=[said for *_, said in PLANTED])
def test_a_planted_bug_is_noticed(
    place: Workplace, matrix: Matrix, bug: Any, where: tuple[str, str, float], said: str
) -> None:
    planted = cell(matrix, *where)
    assert judged(place, planted, matrix.digest).faults == ()
    with bug:
        verdict = judged(place, planted, matrix.digest)
    assert any(each.startswith(said) or said in each for each in verdict.faults), verdict.faults


def test_a_reader_sees_a_torn_tag(place: Workplace) -> None:
    assert watched(place, 20, 1)[2] == []
    with patch.object(delivery._Carrier, "bring_all", _tags_first):
        _, looks, torn = watched(place, 20, 1)
    assert looks
    assert any("is missing" in each for each in torn)  # the reader's words, not the registry's


@pytest.mark.parametrize("race", RACES)
def test_a_race_that_nobody_recovers_from_is_noticed(place: Workplace, race: str) -> None:
    heals = (
        patch.object(delivery, "_completing", lambda put, _: put()),
        patch.object(Upload, "_judge", _gives_up),
    )
    with opened(place) as trials:
        assert raced(trials, race, random.Random(1)) == ""
        with heals[0], heals[1]:
            assert raced(trials, race, random.Random(1)).startswith("push: ")


def _gives_up(_: Upload, failure: Failure, __: object) -> NoReturn:
    raise failure.error


def test_every_kind_meets_every_request_that_it_can(matrix: Matrix) -> None:
    assert len(KINDS) == 59
    assert len({kind.name for kind in KINDS}) == 59
    met = {each.kind.name for each in matrix.cells}
    assert met == {kind.name for kind in KINDS}
    shapes = {each.asked.shape for each in matrix.cells if each.kind.name == "status 503"}
    assert shapes >= {
        "GET token", "HEAD tag", "GET index", "GET manifest", "GET config", "GET layer",
        "POST mount", "HEAD blob", "POST upload", "PATCH upload", "PUT blob", "HEAD manifest",
        "PUT manifest", "HEAD index", "PUT index", "PUT tag",
    }  # fmt: skip


def test_a_sample_has_some_of_everything(matrix: Matrix) -> None:
    chosen = sample(matrix.cells, seed=3)
    assert len(chosen) == len(set(chosen)) >= 600
    assert chosen != sample(matrix.cells, seed=4)
    kinds = [each.kind.name for each in chosen]
    assert min(map(kinds.count, set(kinds))) >= 8
    assert {each.asked.name for each in chosen} == matrix.requests


def test_a_row_with_too_few_cells_of_a_kind_is_missed() -> None:
    assert len(Tally().figure().misses) == 59
